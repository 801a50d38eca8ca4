//! Hostile shards of u8 images.

use super::{Files, changed, jpeg, stored, trailer, zstd};
use crate::sample;
use clipshard::{Codec, Filter};

pub fn hostile() -> Files {
    let whole = changed(|_| ());
    let text_mode = |bytes: &[u8]| {
        let text: Vec<u8> = bytes.iter().copied().filter(|&b| b != b'\r').collect();
        text
    };
    let huge_jpeg = {
        // A frame header that claims 65,500 x 65,500 pixels.
        let mut bytes = sample::JPEG.to_vec();
        let at = bytes.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
        bytes[at + 5..at + 9].copy_from_slice(&[0xff, 0xdc, 0xff, 0xdc]);
        bytes
    };
    let mut no_size = zstd(&[9; 6]);
    // Changes the frame header descriptor to a window without a content size (RFC 8878, 3.1.1.1).
    no_size.splice(4..6, [0, 0]);
    Files::from([
        ("mark-text-mode.clipshard", text_mode(&whole)),
        ("mark-other.clipshard", [b"PK\x03\x04", &whole[4..]].concat()),
        ("cut.clipshard", whole[..whole.len() - 40].to_vec()),
        ("appended.clipshard", [&whole[..], b"tail"].concat()),
        ("version-2.clipshard", changed(|p| p.header.major = 2.into())),
        ("required-feature.clipshard", changed(|p| p.header.required_features = 4.into())),
        ("stream-path.clipshard", changed(|p| p.header.stream = *b"../../etc/passwd")),
        ("planes-0.clipshard", changed(|p| p.header.planes = 0)),
        ("channels-200.clipshard", changed(|p| p.header.channels = 200)),
        ("trailer-of-another-header.clipshard", trailer(|t| t.header_crc32 = 1.into())),
        ("trailer-reserved.clipshard", trailer(|t| t.reserved = [1; 4])),
        ("file-bytes-lie.clipshard", trailer(|t| t.file_bytes = (1 << 40).into())),
        ("records-wrap-64-bits.clipshard", trailer(|t| t.records = (t.records.get() + (1 << 59)).into())),
        ("records-2-to-63.clipshard", trailer(|t| t.records = (1 << 63).into())),
        ("clips-4-billion.clipshard", trailer(|t| t.clips = u32::MAX.into())),
        ("names-4-gigabytes.clipshard", trailer(|t| t.names_bytes = u32::MAX.into())),
        ("metadata-4-gigabytes.clipshard", trailer(|t| t.metadata_bytes = u32::MAX.into())),
        (
            "index-in-header.clipshard",
            trailer(|t| {
                t.metadata_bytes = (t.metadata_bytes.get() + t.index_offset.get() as u32 - 56).into();
                t.index_offset = 56.into();
            }),
        ),
        ("clips-overlap.clipshard", changed(|p| p.clips[1].first_record = 1.into())),
        ("clip-without-records.clipshard", changed(|p| p.clips[0].records = 0.into())),
        ("clip-beyond-index.clipshard", changed(|p| p.clips[1].records = u32::MAX.into())),
        ("id-beyond-names.clipshard", changed(|p| p.clips[1].name_bytes = u16::MAX.into())),
        ("id-no-utf-8.clipshard", changed(|p| p.names[0] = 0xff)),
        ("padding.clipshard", changed(|p| *p.records.last_mut().unwrap() = 1)),
        ("records-overlap.clipshard", changed(|p| p.index[1].offset = p.index[0].offset)),
        ("record-in-header.clipshard", changed(|p| p.index[0].offset = 0.into())),
        ("record-offset-wraps.clipshard", changed(|p| p.index[1].offset = (u64::MAX - 2).into())),
        ("record-of-another-clip.clipshard", changed(|p| p.index[0].clip = 1.into())),
        (
            "image-12-gigabytes.clipshard",
            changed(|p| (p.index[0].width, p.index[0].height) = (u16::MAX.into(), u16::MAX.into())),
        ),
        ("image-without-pixels.clipshard", changed(|p| p.index[0].width = 0.into())),
        ("raw-of-another-size.clipshard", changed(|p| p.index[0].height = 3.into())),
        ("codec-unknown.clipshard", changed(|p| p.index[0].codec = 9)),
        ("filter-unknown.clipshard", changed(|p| p.index[0].filter = 9)),
        ("filter-of-raw.clipshard", changed(|p| p.index[0].filter = 1)),
        ("zstd-bomb.clipshard", stored(Codec::Zstd, Filter::None, &zstd(&vec![0; 1 << 24]))),
        ("zstd-without-size.clipshard", stored(Codec::Zstd, Filter::None, &no_size)),
        ("zstd-two-frames.clipshard", stored(Codec::Zstd, Filter::None, &[zstd(&[1; 6]), zstd(&[1; 6])].concat())),
        (
            "lz4-bomb.clipshard",
            stored(Codec::Lz4, Filter::None, &[[0x1f, 7, 1, 0].as_slice(), &[255; 200], &[0]].concat()),
        ),
        ("lz4-before-start.clipshard", stored(Codec::Lz4, Filter::None, &[0x10, 7, 9, 0, 0x10, 1])),
        ("jpeg-65500.clipshard", stored(Codec::Jpeg, Filter::None, &huge_jpeg)),
        ("jpeg-without-end.clipshard", jpeg(&sample::JPEG[..sample::JPEG.len() - 2])),
        ("jpeg-with-bytes-after-end.clipshard", jpeg(&[sample::JPEG, b"tail"].concat())),
        ("jpeg-is-a-gif.clipshard", stored(Codec::Jpeg, Filter::None, b"GIF89a\x03\0\x02\0")),
        ("checksum-of-a-record.clipshard", changed(|p| p.records[0] ^= 1)),
    ])
}
