//! Reads the orientation from the EXIF data of JPEG files. Nothing applies it; builds report it.

/// Returns whether a JPEG file asks viewers to rotate or mirror its image.
pub(crate) fn is_turned(jpeg: &[u8]) -> bool {
    matches!(orientation(jpeg), Some(2..=8))
}

/// Returns the EXIF tag Orientation: 1 is upright, 2 to 8 are rotated or mirrored.
fn orientation(jpeg: &[u8]) -> Option<u16> {
    let mut at = 2;
    // Each segment before the image data has a marker and a length that includes itself.
    while let Some(&[0xff, marker, s0, s1]) = jpeg.get(at..at + 4) {
        if marker == 0xda {
            return None;
        }
        let length = usize::from(u16::from_be_bytes([s0, s1]));
        if marker == 0xe1
            && let Some(tiff) = jpeg.get(at + 4..at + 2 + length).and_then(|data| data.strip_prefix(b"Exif\0\0"))
        {
            return of_tiff(tiff);
        }
        at += 2 + length;
    }
    None
}

fn of_tiff(tiff: &[u8]) -> Option<u16> {
    let is_little = match tiff.get(..4)? {
        b"II*\0" => true,
        b"MM\0*" => false,
        _ => return None,
    };
    let u16_at = |at: usize| {
        let bytes = tiff.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if is_little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) })
    };
    let u32_at = |at: usize| {
        let bytes = tiff.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(if is_little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    };
    // The first directory holds a count and then entries of 12 bytes: tag, type, count, value.
    let directory = usize::try_from(u32_at(4)?).ok()?;
    let entries = usize::from(u16_at(directory)?);
    let mut entries = (0..entries).map(|entry| directory + 2 + 12 * entry);
    let entry = entries.find(|&entry| u16_at(entry) == Some(0x0112))?;
    u16_at(entry + 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the start of a JPEG file with this orientation.
    fn jpeg(orientation: u16, is_little: bool) -> Vec<u8> {
        let mut tiff = if is_little { b"II*\0".to_vec() } else { b"MM\0*".to_vec() };
        let mut put = |value: u32, bytes: usize| {
            let all = if is_little { value.to_le_bytes() } else { (value << (8 * (4 - bytes))).to_be_bytes() };
            tiff.extend(&all[..bytes]);
        };
        // The directory starts at byte 8 and has two entries, ImageWidth and Orientation, both of
        // type SHORT.
        for (value, bytes) in [(8, 4), (2, 2), (0x0100, 2), (3, 2), (1, 4), (9, 2), (0, 2), (0x0112, 2), (3, 2), (1, 4)]
        {
            put(value, bytes);
        }
        put(orientation.into(), 2);
        put(0, 2);
        let mut jpeg = vec![0xff, 0xd8, 0xff, 0xe0, 0, 4, 1, 2, 0xff, 0xe1];
        jpeg.extend((2 + 6 + tiff.len() as u16).to_be_bytes());
        jpeg.extend(b"Exif\0\0");
        jpeg.extend(tiff);
        jpeg.extend([0xff, 0xda, 0, 2]);
        jpeg
    }

    #[test]
    fn orientations_are_read_in_both_orders_of_bytes() {
        for is_little in [true, false] {
            for orientation in [1, 6, 8] {
                let jpeg = jpeg(orientation, is_little);
                assert_eq!(super::orientation(&jpeg), Some(orientation));
                assert_eq!(is_turned(&jpeg), orientation != 1);
                // Truncated data must not cause a panic.
                for length in 0..jpeg.len() {
                    let _ = is_turned(&jpeg[..length]);
                }
            }
        }
        assert_eq!(orientation(&[0xff, 0xd8, 0xff, 0xdb, 0, 2, 0xff, 0xda]), None);
        assert_eq!(orientation(b""), None);
    }

    #[test]
    fn offsets_beyond_the_data_are_no_orientation() {
        let mut jpeg = jpeg(6, true);
        let tiff = jpeg.windows(4).position(|bytes| bytes == b"II*\0").unwrap();
        jpeg[tiff + 4..tiff + 8].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(orientation(&jpeg), None);
    }
}
