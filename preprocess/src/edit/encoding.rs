//! Decodes records and encodes them again.

use std::sync::atomic::{AtomicBool, Ordering};

use clipshard::{
    ClipRecords, Codec, Decoder, DecodingBudget, EncodeOptions, EncodedRecord, Encoder, ImageSize, Record, Shape, jpeg,
};

use crate::error::{Error, Result};
use crate::resize::Resizer;
use crate::stored::Geometry;

/// Encodes the records of clips again. Each thread has its own.
pub(super) struct Recoder<'a> {
    options: EncodeOptions,
    geometry: Geometry,
    budget: &'a DecodingBudget,
    cancel: &'a AtomicBool,
    tools: Tools,
}

/// Everything that keeps memory between images.
struct Tools {
    decoder: Decoder,
    jpeg: jpeg::Decoder,
    resizer: Resizer,
    encoder: Encoder,
    pixels: Vec<u8>,
    resized: Vec<u8>,
}

impl<'a> Recoder<'a> {
    pub fn new(
        options: EncodeOptions,
        geometry: Geometry,
        budget: &'a DecodingBudget,
        cancel: &'a AtomicBool,
    ) -> Result<Self> {
        Ok(Self { options, geometry, budget, cancel, tools: Tools::new(options)? })
    }

    /// Returns the records of a clip with the new codec and size.
    ///
    /// # Errors
    /// Returns [`Error::Format`] or [`Error::Input`] with the clip and the frame if a record is
    /// damaged.
    pub fn clip(&mut self, clip: &ClipRecords<'_>) -> Result<Vec<EncodedRecord>> {
        let mut recoded = Vec::with_capacity(clip.frame_count() * clip.planes());
        for frame in 0..clip.frame_count() {
            for plane in 0..clip.planes() {
                if self.cancel.load(Ordering::Relaxed) {
                    return Err(Error::Interrupted);
                }
                let record = clip.record(frame, plane)?;
                let reserved = self.budget.reserve(record.shape, record.codec);
                recoded.push(self.record(clip, (frame, plane), &record)?);
                if reserved.is_large() {
                    self.tools = Tools::new(self.options)?;
                }
            }
        }
        Ok(recoded)
    }

    fn record(
        &mut self,
        clip: &ClipRecords<'_>,
        (frame, plane): (usize, usize),
        record: &Record<'_>,
    ) -> Result<EncodedRecord> {
        let Tools { decoder, jpeg, resizer, encoder, pixels, resized } = &mut self.tools;
        let (shape, size) = (record.shape, record.shape.u8_image_size());
        if let (Codec::Jpeg, Some(size)) = (record.codec, size) {
            // Unlike other decoding, this refuses files whose image data end early.
            let (_, decoded) = jpeg.decode_checked(&record.bytes, size.channels).map_err(|fault| {
                Error::input(format!("clip {}, frame {frame}: {fault}; pack the clip again", clip.id()))
            })?;
            *pixels = decoded;
        } else {
            pixels.resize(shape.bytes(), 0);
            clip.decode(frame, plane, decoder, pixels)?;
        }
        let Some((from, to)) = size.zip(size.map(|size| resized_to(self.geometry, size))).filter(|(a, b)| a != b)
        else {
            return Ok(encoder.encode(pixels, shape)?);
        };
        let extent = |size: ImageSize| (usize::from(size.width), usize::from(size.height));
        if !Shape::from(to).is_storable() {
            return Err(Error::usage(format!(
                "clip {}, frame {frame}: an image of {from} cannot become one of {to}, which is too large",
                clip.id()
            )));
        }
        resizer.resize(pixels, extent(from), extent(to), from.channels.into(), resized);
        Ok(encoder.encode(resized, to)?)
    }
}

impl Tools {
    fn new(options: EncodeOptions) -> Result<Self> {
        Ok(Self {
            decoder: Decoder::new()?,
            jpeg: jpeg::Decoder::new(),
            resizer: Resizer::default(),
            encoder: Encoder::new(options)?,
            pixels: Vec::new(),
            resized: Vec::new(),
        })
    }
}

fn resized_to(geometry: Geometry, size: ImageSize) -> ImageSize {
    let (width, height) = geometry.extent(size.width, size.height);
    ImageSize { width, height, ..size }
}
