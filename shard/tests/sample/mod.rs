//! The small dataset that the tests share, which is also the golden one, and functions that change
//! a shard and then compute all checksums again.
#![allow(dead_code, reason = "each test program uses only some items")]

pub mod wide;

use clipshard::layout::{CLIP_ENTRY_BYTES, ClipEntry, HEADER_BYTES, Header, INDEX_ENTRY_BYTES, IndexEntry, Trailer};
use clipshard::{
    Access, Clip, Codec, Decoder, EncodeOptions, EncodedRecord, Encoder, Error, Filter, ImageSize, Manifest, Result,
    Shape, Shard, ShardClip, ShardMetadata, ShardWriter, Stream, StreamSpec, Subset,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use zerocopy::{FromBytes, IntoBytes};

pub const WAVE: &str = "v_Wave_g01_c01";
pub const JUMP: &str = "v_Jump_g02_c01";
pub const RGB_SIZE: ImageSize = ImageSize { width: 16, height: 12, channels: 3 };
pub const FLOW_SIZE: ImageSize = ImageSize { width: 14, height: 10, channels: 1 };
/// A JPEG file of size [`RGB_SIZE`], followed by its pixels as libjpeg-turbo decodes them.
pub const JPEG: &[u8] = include_bytes!("../golden/wave.jpg");
pub const JPEG_PIXELS: &[u8] = include_bytes!("../golden/wave.rgb");

pub fn golden() -> PathBuf {
    "tests/golden".into()
}

pub fn rgb() -> StreamSpec {
    StreamSpec::rgb()
}

pub fn flow() -> StreamSpec {
    StreamSpec::flow()
}

/// Returns a gradient with some texture, which differs for each `number`.
pub fn pixels(size: ImageSize, number: usize) -> Vec<u8> {
    let (w, c) = (size.width as usize, size.channels as usize);
    let value = |i: usize| 9 * (i / (w * c)) + 5 * (i / c % w) + 40 * (i % c) + 23 * number + (i * i) % 3;
    (0..size.bytes()).map(|i| value(i) as u8).collect()
}

pub fn encoded(codec: Codec, filter: Filter, size: ImageSize, number: usize) -> EncodedRecord {
    Encoder::new(EncodeOptions::new(codec, filter, 9)).unwrap().encode(&pixels(size, number), size).unwrap()
}

/// Builds a record from any bytes, with a valid checksum.
pub fn record(codec: Codec, filter: Filter, size: impl Into<Shape>, bytes: Vec<u8>) -> EncodedRecord {
    EncodedRecord::from_stored(bytes, size, codec, filter)
}

pub fn jpeg() -> EncodedRecord {
    EncodedRecord::from_jpeg(JPEG.to_vec()).unwrap()
}

/// Describes clips of a dataset with as many classes and splits as they need.
pub fn metadata(clips: &[Clip]) -> ShardMetadata {
    let classes = clips.iter().filter_map(|clip| clip.label).max().map_or(0, |label| label + 1);
    let splits = clips.first().map_or(0, |clip| clip.subsets.len());
    let name = |number: usize| number.to_string();
    let metadata = ShardMetadata::new("", (0..classes as usize).map(name).collect(), (0..splits).map(name).collect());
    metadata.with_clips(clips.iter().map(ShardClip::from).collect())
}

/// Writes the dataset: `rgb` with JPEG, zstd and raw records in one shard, `flow` with zstd and LZ4
/// records in two.
pub fn build(dir: &Path) -> Manifest {
    let clip = |id: &str, label, subsets: [Subset; 2], rgb, flow| {
        Clip::new(id, label, subsets.to_vec()).with_frames("flow", flow).with_frames("rgb", rgb)
    };
    let clips =
        vec![clip(WAVE, 0, [Subset::Train, Subset::Test], 3, 3), clip(JUMP, 1, [Subset::Test, Subset::Unused], 2, 2)];
    let text = |s: &str| s.to_owned();
    let build = BTreeMap::from([
        (text("lz4"), lz4::version().into()),
        (text("zstd"), ::zstd::zstd_safe::version_string().into()),
    ]);
    let (classes, splits) = (vec![text("Wave"), text("Jump")], vec![text("1"), text("2")]);
    let describe = |clips: &[Clip]| {
        let mut described = ShardMetadata::new("golden", classes.clone(), splits.clone());
        (described.build, described.clips) = (build.clone(), metadata(clips).clips);
        described
    };
    let shard = |file: &str, spec: &StreamSpec, content: &[(usize, Vec<EncodedRecord>)]| {
        let mut writer = ShardWriter::create(dir.join(file), spec).unwrap();
        for (clip, records) in content {
            writer.add_clip(&clips[*clip].id, records).unwrap();
        }
        let listed: Vec<_> = content.iter().map(|(clip, _)| clips[*clip].clone()).collect();
        writer.finish(&describe(&listed)).unwrap()
    };
    let image = |codec, filter, number| encoded(codec, filter, RGB_SIZE, number);
    let rgb_records = [
        (0, vec![jpeg(), image(Codec::Zstd, Filter::Up, 1), image(Codec::Raw, Filter::None, 2)]),
        (1, vec![image(Codec::Zstd, Filter::None, 10), jpeg()]),
    ];
    let planes = |codec, filter, numbers: std::ops::Range<usize>| -> Vec<_> {
        numbers.map(|number| encoded(codec, filter, FLOW_SIZE, number)).collect()
    };
    let streams = vec![
        Stream::new(rgb(), vec![shard("rgb-00000.clipshard", &rgb(), &rgb_records)]),
        Stream::new(
            flow(),
            vec![
                shard("flow-00000.clipshard", &flow(), &[(0, planes(Codec::Zstd, Filter::Up, 0..6))]),
                shard("flow-00001.clipshard", &flow(), &[(1, planes(Codec::Lz4, Filter::Up, 10..14))]),
            ],
        ),
    ];
    let mut manifest = Manifest::new("golden", classes.clone(), splits.clone());
    (manifest.build, manifest.streams, manifest.clips) = (build.clone(), streams, clips.clone());
    manifest.write(dir).unwrap();
    manifest
}

/// Reads every image of a shard in order, with and without a memory map. Both results must be
/// equal.
pub fn read_all(path: &Path) -> Result<Vec<Result<Vec<u8>>>> {
    let (mapped, read) = (read_all_with(path, Access::Map), read_all_with(path, Access::Read));
    assert_eq!(format!("{mapped:?}"), format!("{read:?}"));
    mapped
}

fn read_all_with(path: &Path, access: Access) -> Result<Vec<Result<Vec<u8>>>> {
    let shard = Shard::open_with(path, access)?;
    shard.metadata()?;
    let mut decoder = Decoder::new()?;
    let mut images = Vec::new();
    for clip in 0..shard.clip_count() {
        let (frames, planes) = (shard.frame_count(clip).unwrap() as usize, shard.spec().planes as usize);
        for i in 0..frames * planes {
            images.push(shard.clip(clip).and_then(|records| {
                let (frame, plane) = (i / planes, i % planes);
                let mut out = vec![0; records.shape(frame, plane)?.bytes()];
                records.decode(frame, plane, &mut decoder, &mut out).map(|()| out)
            }));
        }
    }
    Ok(images)
}

/// Returns the first error of opening and reading a whole shard.
pub fn first_error(path: &Path) -> Option<Error> {
    match read_all(path) {
        Err(error) => Some(error),
        Ok(images) => images.into_iter().find_map(Result::err),
    }
}

/// The parts of a shard, to be changed. [`Parts::seal`] joins them with valid checksums.
#[derive(Clone)]
pub struct Parts {
    pub header: Header,
    /// The bytes of the records and the padding.
    pub records: Vec<u8>,
    pub index: Vec<IndexEntry>,
    pub clips: Vec<ClipEntry>,
    pub names: Vec<u8>,
    pub metadata: Vec<u8>,
    trailer: Trailer,
}

impl Parts {
    pub fn of(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap();
        let (header, rest) = Header::read_from_prefix(&bytes).unwrap();
        let (rest, trailer) = Trailer::read_from_suffix(rest).unwrap();
        let (records, rest) = rest.split_at(trailer.index_offset.get() as usize - HEADER_BYTES);
        let (index, rest) = rest.split_at(trailer.records.get() as usize * INDEX_ENTRY_BYTES);
        let (clips, rest) = rest.split_at(trailer.clips.get() as usize * CLIP_ENTRY_BYTES);
        let (names, metadata) = rest.split_at(trailer.names_bytes.get() as usize);
        Self {
            header,
            records: records.to_vec(),
            index: <[IndexEntry]>::ref_from_bytes(index).unwrap().to_vec(),
            clips: <[ClipEntry]>::ref_from_bytes(clips).unwrap().to_vec(),
            names: names.to_vec(),
            metadata: metadata.to_vec(),
            trailer,
        }
    }

    /// Returns the bytes of the shard.
    ///
    /// `change` can change the trailer, which has the sizes of the parts, before its checksum is
    /// computed.
    pub fn seal(&self, change: impl FnOnce(&mut Trailer)) -> Vec<u8> {
        let mut parts = self.clone();
        parts.header.crc32 = parts.header.compute_crc32().into();
        for clip in &mut parts.clips {
            let first = clip.first_record.get() as usize;
            if let Some(entries) = self.index.get(first..first.saturating_add(clip.records.get() as usize)) {
                clip.index_crc32 = crc32fast::hash(entries.as_bytes()).into();
            }
        }
        let table = [parts.clips.as_bytes(), &parts.names].concat();
        let mut bytes =
            [parts.header.as_bytes(), &parts.records, parts.index.as_bytes(), &table, &parts.metadata].concat();
        let mut trailer = parts.trailer;
        trailer.file_bytes = ((bytes.len() + size_of::<Trailer>()) as u64).into();
        trailer.index_offset = ((HEADER_BYTES + parts.records.len()) as u64).into();
        trailer.records = (parts.index.len() as u64).into();
        trailer.clips = (parts.clips.len() as u32).into();
        trailer.names_bytes = (parts.names.len() as u32).into();
        trailer.metadata_bytes = (parts.metadata.len() as u32).into();
        trailer.clip_table_crc32 = crc32fast::hash(&table).into();
        trailer.metadata_crc32 = crc32fast::hash(&parts.metadata).into();
        trailer.header_crc32 = parts.header.crc32;
        change(&mut trailer);
        trailer.crc32 = trailer.compute_crc32().into();
        bytes.extend(trailer.as_bytes());
        bytes
    }
}
