//! Decodes records to pixels.

#[cfg(feature = "jpeg")]
use super::jpeg;
use super::kinds::{Codec, Filter};
#[cfg(feature = "lz4")]
use super::lz4;
use super::uncached::{copy, cut};
#[cfg(feature = "zstd")]
use super::zstd;
use super::{filter, raw};
use crate::error::Result;
use crate::geometry::Window;
use crate::shape::Shape;

/// A decoder for records of all codecs that this program was built with.
///
/// It keeps contexts and memory between images, so create one per thread and reuse it.
///
/// # Example
///
/// ```
/// use clipshard::{Dataset, Decoder};
///
/// let data = Dataset::open("tests/golden")?;
/// let clip = data.clip("rgb", 0)?;
/// let mut decoder = Decoder::new()?;
/// let mut pixels = vec![0; clip.size(0, 0)?.bytes()];
/// for frame in 0..clip.frame_count() {
///     clip.decode(frame, 0, &mut decoder, &mut pixels)?;
/// }
/// # Ok::<(), clipshard::Error>(())
/// ```
pub struct Decoder {
    #[cfg(feature = "zstd")]
    zstd: ::zstd::bulk::Decompressor<'static>,
    #[cfg(feature = "jpeg")]
    jpeg: jpeg::Decoder,
    /// A whole record after decompression.
    image: Vec<u8>,
    /// A whole record after its bytes were joined again, from which a window is copied.
    plain: Vec<u8>,
    /// Stored bytes of a record, for shards that are not mapped.
    pub(crate) stored: Vec<u8>,
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder").finish_non_exhaustive()
    }
}

impl Decoder {
    /// Creates a decoder. [`Codec::is_compiled`] says which codecs it can decode.
    pub fn new() -> Result<Self> {
        Ok(Self {
            #[cfg(feature = "zstd")]
            zstd: zstd::decompressor()?,
            #[cfg(feature = "jpeg")]
            jpeg: jpeg::Decoder::new(),
            image: Vec::new(),
            plain: Vec::new(),
            stored: Vec::new(),
        })
    }

    /// Decodes stored bytes into `out`: the window of an image, or the whole record if there is no
    /// window. `out` has the size of the result.
    ///
    /// The checksum of the bytes must have been verified. Returns the fault in words if the bytes
    /// cannot be decoded.
    pub(crate) fn decode(
        &mut self,
        bytes: &[u8],
        shape: Shape,
        (codec, filter): (Codec, Filter),
        window: Option<Window>,
        out: &mut [u8],
    ) -> Result<(), String> {
        let part = shape.image_size().zip(window).filter(|(size, window)| *window != size.whole());
        debug_assert!(part.is_some() || out.len() == shape.bytes());
        if !codec.is_compiled() {
            return Err(format!("it needs codec {codec}, {}", codec.absence()));
        }
        match (codec, shape.u8_image_size()) {
            #[cfg(feature = "jpeg")]
            (Codec::Jpeg, Some(size)) => {
                let window = window.unwrap_or(size.whole());
                return self.jpeg.decode(bytes, size, window, out).map_err(|fault| fault.to_string());
            }
            (Codec::Jpeg, None) => return Err(format!("a JPEG file cannot hold {shape}")),
            _ => {}
        }
        let source = if codec == Codec::Raw {
            raw::check(bytes, shape.bytes())?;
            bytes
        } else {
            // Decompression and filter read back what they wrote. This buffer stays in the cache;
            // `out` does not.
            self.image.resize(shape.bytes(), 0);
            match codec {
                #[cfg(feature = "zstd")]
                Codec::Zstd => zstd::decode(&mut self.zstd, bytes, &mut self.image),
                #[cfg(feature = "lz4")]
                Codec::Lz4 => lz4::decode(bytes, &mut self.image),
                _ => Err(format!("codec {codec} does not compress samples")),
            }?;
            if filter::undo_into(filter, &mut self.image, shape, part.is_none().then_some(&mut *out), &mut self.plain) {
                return Ok(());
            }
            if filter.is_shuffled() { &self.plain } else { &self.image }
        };
        match part {
            Some((size, window)) => cut(window, source, (size, shape.samples().bytes()), out),
            None => copy(source, out),
        }
        Ok(())
    }
}
