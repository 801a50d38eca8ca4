//! Encodes images as JPEG, in threads.

use clipshard::{EncodedRecord, Shape};
use jpeg_encoder::{ChromaSubsamplingMethod, ColorType, Encoder, SamplingFactor};

/// Encodes images of u8 samples with 1 or 3 channels. The files do not depend on the threads.
///
/// Returns the number and the fault of the first image that cannot be encoded.
pub fn encode(images: &[(Shape, &[u8])], quality: u8, threads: usize) -> Result<Vec<EncodedRecord>, (usize, String)> {
    let size = images.len().div_ceil(threads.max(1)).max(1);
    let mut parts: Vec<_> = images.chunks(size).enumerate().collect();
    let encode_part = |(part, images): (usize, &[(Shape, &[u8])])| -> Result<Vec<EncodedRecord>, (usize, String)> {
        let one = |(number, image)| encode_one(image, quality).map_err(|fault| (part * size + number, fault));
        images.iter().copied().enumerate().map(one).collect()
    };
    let Some(first) = (!parts.is_empty()).then(|| parts.remove(0)) else { return Ok(Vec::new()) };
    std::thread::scope(|scope| {
        let start = |part| {
            let thread = std::thread::Builder::new().name("clipshard-jpeg".into());
            // A thread that the system refuses leaves its part to this thread.
            (part, thread.spawn_scoped(scope, move || encode_part(part)))
        };
        let others: Vec<_> = parts.into_iter().map(start).collect();
        let mut encoded = vec![encode_part(first)];
        for (part, thread) in others {
            encoded.push(match thread {
                Ok(thread) => thread.join().unwrap_or_else(|_| Err((part.0 * size, "the encoder failed".into()))),
                Err(_) => encode_part(part),
            });
        }
        Ok(encoded.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    })
}

/// Encodes one image as a baseline JPEG file. Colours have half the resolution (4:2:0).
fn encode_one((shape, pixels): (Shape, &[u8]), quality: u8) -> Result<EncodedRecord, String> {
    let size = shape.u8_image_size().ok_or("only images of uint8 can be JPEG")?;
    let color = match size.channels {
        1 => ColorType::Luma,
        3 => ColorType::Rgb,
        other => return Err(format!("JPEG images have 1 or 3 channels, not {other}")),
    };
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, quality);
    if size.channels == 3 {
        encoder.set_sampling_factor(SamplingFactor::F_2_2);
        encoder.set_chroma_subsampling_method(ChromaSubsamplingMethod::Average);
    }
    encoder
        .encode(pixels, size.width, size.height, color)
        .map_err(|fault| format!("cannot encode it as JPEG: {fault}"))?;
    EncodedRecord::from_jpeg(file).map_err(|fault| format!("the encoder made a wrong JPEG file: {fault}"))
}
