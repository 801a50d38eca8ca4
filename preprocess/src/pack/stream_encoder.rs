//! Turns the image files of one stream into records: check, decode, resize, encode.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use clipshard::{
    Codec, DecodingBudget, EncodeOptions, EncodedRecord, Encoder, Filter, ImageSize, ReservedMemory, jpeg,
};

use super::encoded::EncodedClip;
use super::images::ReadStream;
use crate::error::{ClipError, Error, Result, machine_fault};
use crate::exif::is_turned;
use crate::jpeg::encode_jpeg;
use crate::resize::Resizer;
use crate::stored::{Check, Geometry, StreamOptions};
use crate::stream::StreamKind;

/// After an image of more bytes than this, the encoder is replaced to free its memory. Replacing it
/// after smaller images would cost more time than it saves memory.
const KEPT_BYTES: usize = 32 << 20;

/// Encodes the images of one stream.
pub(super) struct StreamEncoder {
    kind: StreamKind,
    options: StreamOptions,
    check: Check,
    /// Quality of images that are encoded as JPEG here.
    quality: u8,
    encoder: Option<Encoder>,
    decoder: jpeg::Decoder,
    resizer: Resizer,
    resized: Vec<u8>,
}

impl StreamEncoder {
    pub(super) fn new(kind: StreamKind, options: StreamOptions, check: Check, quality: u8) -> Result<Self> {
        let StreamOptions { codec, filter, level, .. } = options;
        let filter = if codec == Codec::Raw { Filter::None } else { filter };
        let encoder =
            (codec != Codec::Jpeg).then(|| Encoder::new(EncodeOptions::new(codec, filter, level))).transpose()?;
        let (decoder, resizer) = (jpeg::Decoder::new(), Resizer::default());
        Ok(Self { kind, options, check, quality, encoder, decoder, resizer, resized: Vec::new() })
    }

    /// Returns the stream.
    pub(super) fn kind(&self) -> StreamKind {
        self.kind
    }

    pub(super) fn encode(
        &mut self,
        stream: ReadStream<'_>,
        store: bool,
        (budget, cancel): (&DecodingBudget, &AtomicBool),
        totals: &mut EncodedClip,
    ) -> Result<Vec<EncodedRecord>, ClipError> {
        let ReadStream { files, planes } = stream;
        let mut records = Vec::new();
        let mut clip_size: Option<ImageSize> = None;
        let frames = planes.first().map_or(0, Vec::len);
        let mut planes: Vec<_> = planes.into_iter().map(Vec::into_iter).collect();
        for frame in 0..frames as u32 {
            for (plane, read) in files.planes.iter().zip(&mut planes) {
                let Some(read) = read.next() else { continue };
                if cancel.load(Ordering::Relaxed) {
                    return Err(Error::Interrupted.into());
                }
                let path = || plane.path(frame);
                let image = self.image(read, &path, &mut clip_size, totals).map_err(|error| error.at(path))?;
                let (bytes, size) = image;
                let decodes = self.encoder.is_some() || self.check == Check::Decode;
                let reserved = decodes.then(|| budget.reserve(size, Codec::Jpeg));
                let record = self.record(bytes, size, store).map_err(|error| error.at(path));
                if reserved.as_ref().is_some_and(ReservedMemory::is_large) {
                    self.shrink(size)?;
                }
                records.extend(record?);
            }
        }
        Ok(records)
    }

    /// Checks a file. Returns its bytes, and the size of its image with the stream's number of
    /// channels.
    fn image(
        &self,
        read: io::Result<Vec<u8>>,
        path: &dyn Fn() -> PathBuf,
        clip_size: &mut Option<ImageSize>,
        totals: &mut EncodedClip,
    ) -> Result<(Vec<u8>, ImageSize), ClipError> {
        let bytes =
            read.map_err(|error| match machine_fault(&format!("{}: cannot read it", path().display()), error) {
                Ok(fault) => ClipError::Work(fault),
                Err(error) => ClipError::fault(format!("cannot read it: {error}")),
            })?;
        let size = jpeg::check_header(&bytes).map_err(|error| ClipError::fault(error.to_string()))?;
        totals.bytes_in += bytes.len() as u64;
        totals.images += 1;
        totals.odd_channels |= size.channels != self.kind.channels();
        totals.turned |= is_turned(&bytes);
        let size = ImageSize { channels: self.kind.channels(), ..size };
        // Images that are resized to one square may differ in size.
        let first = *clip_size.get_or_insert(size);
        if first != size && !matches!(self.options.geometry, Geometry::Square(_)) {
            return Err(ClipError::fault(format!(
                "it has {}x{} pixels, but the clip's first image has {}x{}; all images of a clip need the same size",
                size.width, size.height, first.width, first.height
            )));
        }
        Ok((bytes, size))
    }

    /// Turns an image into a record. Returns `None` if it is only checked.
    fn record(&mut self, bytes: Vec<u8>, size: ImageSize, store: bool) -> Result<Option<EncodedRecord>, ClipError> {
        let channels = self.kind.channels();
        let fault = |error: jpeg::JpegFault| ClipError::fault(error.to_string());
        if self.encoder.is_none() {
            if self.check == Check::Decode {
                self.decoder.decode_checked(&bytes, channels).map_err(fault)?;
            }
            // Decoders convert the image to the channels of the stream.
            let record =
                EncodedRecord::from_jpeg(bytes).map_err(fault)?.with_channels(size.channels).map_err(Error::from)?;
            return Ok(store.then_some(record));
        }
        let (_, pixels) = self.decoder.decode_checked(&bytes, channels).map_err(fault)?;
        Ok(if store { Some(self.store(&pixels, size)?) } else { None })
    }

    /// Frees the memory that a large image needed.
    fn shrink(&mut self, size: ImageSize) -> Result<()> {
        (self.decoder, self.resizer, self.resized) = (jpeg::Decoder::new(), Resizer::default(), Vec::new());
        if size.bytes() > KEPT_BYTES {
            *self = Self::new(self.kind, self.options, self.check, self.quality)?;
        }
        Ok(())
    }

    /// Resizes and encodes pixels.
    pub(super) fn store(&mut self, pixels: &[u8], size: ImageSize) -> Result<EncodedRecord> {
        let (width, height) = self.options.geometry.extent(size.width, size.height);
        let stored = ImageSize { width, height, ..size };
        let pixels = if stored == size {
            pixels
        } else {
            let extent = |size: ImageSize| (usize::from(size.width), usize::from(size.height));
            self.resizer.resize(pixels, extent(size), extent(stored), size.channels.into(), &mut self.resized);
            &self.resized
        };
        if let Some(encoder) = &mut self.encoder {
            return Ok(encoder.encode(pixels, stored)?);
        }
        let record = EncodedRecord::from_jpeg(encode_jpeg(pixels, stored, self.quality)?);
        record.map_err(|fault| Error::input(format!("cannot read a JPEG that was just encoded: {fault}")))
    }
}
