//! Tests that the specification matches the code: its example, its test vectors and its table of
//! rules.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod sample;

use clipshard::order::{Draws, bits, mix64, permutation};
use clipshard::{Codec, Filter, ImageSize, Shard, ShardClip, ShardMetadata, ShardWriter, Subset};
use std::fmt::Write;

const FORMAT: &str = include_str!("../format-spec.md");

#[track_caller]
fn assert_in_document(text: &str) {
    assert!(FORMAT.contains(&format!("```text\n{text}```\n")), "format-spec.md lacks this:\n{text}");
}

#[test]
fn the_test_vectors_of_the_document_are_those_of_the_code() {
    let list = |values: Vec<String>| values.join(" ");
    let mut text = String::new();
    for x in [0, 1, u64::MAX] {
        let _ = writeln!(text, "mix64({x:x}) = {:016x}", mix64(x));
    }
    for (sample, draw) in [(0, 0), (5, 0), (5, 1), (5, u64::MAX)] {
        let _ = writeln!(text, "bits(7, 3, {sample}, {draw:x}) = {:016x}", bits(7, 3, sample, draw));
    }
    let mut draws = Draws::new(7, 3, 5);
    let below = list((0..12).map(|_| draws.below(10).to_string()).collect());
    let _ = writeln!(text, "below(10) of bits(7, 3, 5, 0), bits(7, 3, 5, 1), ... = {below}");
    for (seed, epoch) in [(7, 0), (7, 1), (8, 0)] {
        let order = list(permutation(seed, epoch, 12).iter().map(u32::to_string).collect());
        let _ = writeln!(text, "permutation({seed}, {epoch}, 12) = {order}");
    }
    assert_in_document(&text);
}

/// Writes the shard of the document and returns its bytes.
fn example() -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("flow-00000.clipshard");
    let size = ImageSize { width: 3, height: 2, channels: 1 };
    let x = vec![0x10, 0x11, 0x12, 0x13, 0x14, 0x15];
    let y = [0x0a, 0x14, 0x1e, 0x0b, 0x16, 0x21];
    let y_block = vec![0x60, 0x0a, 0x14, 0x1e, 0x01, 0x02, 0x03];
    let records = [
        sample::record(Codec::Raw, Filter::None, size, x.clone()),
        sample::record(Codec::Lz4, Filter::Up, size, y_block),
    ];
    let metadata = ShardMetadata::new("example", vec!["Wave".into()], vec!["1".into()])
        .with_clips(vec![ShardClip::new(0, vec![Subset::Train])]);
    let mut writer = ShardWriter::create(&path, &sample::flow()).unwrap();
    writer.add_clip("wave", &records).unwrap();
    writer.finish(&metadata).unwrap();
    let images: Vec<_> = sample::read_all(&path).unwrap().into_iter().map(Result::unwrap).collect();
    assert_eq!(images, [&x[..], &y]);
    assert_eq!(Shard::open(&path).unwrap().metadata().unwrap(), metadata);
    std::fs::read(path).unwrap()
}

#[test]
fn the_shard_of_the_document_is_what_the_writer_writes() {
    let bytes = example();
    let parts = [
        (
            "header",
            &[
                (8, "mark"),
                (2, "major"),
                (2, "minor"),
                (4, "required_features"),
                (4, "optional_features"),
                (16, "stream \"flow\""),
                (1, "planes"),
                (1, "channels"),
                (1, "samples"),
                (1, "rank"),
                (12, "dims"),
                (8, "reserved"),
                (4, "crc32 of 0000 to 003b"),
            ][..],
        ),
        ("records", &[(6, "plane x: raw pixels"), (7, "plane y: LZ4 block"), (3, "zeros up to a multiple of 8")]),
        ("index entry of plane x", &INDEX_ENTRY),
        ("index entry of plane y", &INDEX_ENTRY),
        (
            "clip entry",
            &[
                (8, "first_record"),
                (4, "records"),
                (4, "index_crc32 of the two entries above"),
                (4, "name_offset"),
                (2, "name_bytes"),
                (10, "reserved"),
            ],
        ),
        ("names", &[(4, "\"wave\"")]),
        ("metadata", &[(METADATA.len(), "see below")]),
        (
            "trailer",
            &[
                (8, "file_bytes"),
                (8, "index_offset"),
                (8, "records"),
                (4, "clips"),
                (4, "names_bytes"),
                (4, "metadata_bytes"),
                (4, "clip_table_crc32 of clip entry and names"),
                (4, "metadata_crc32"),
                (4, "header_crc32"),
                (4, "crc32 of the 48 bytes before"),
                (4, "reserved"),
                (8, "end mark"),
            ],
        ),
    ];
    let mut at = 0;
    let mut text = String::new();
    for (part, fields) in parts {
        let _ = writeln!(text, "{part}");
        for &(size, meaning) in fields {
            for (i, line) in bytes[at..at + size].chunks(16).enumerate() {
                let hex: Vec<_> = line.iter().map(|byte| format!("{byte:02x}")).collect();
                let meaning = if i == 0 { meaning } else { "" };
                let _ =
                    writeln!(text, "{}", format!("{:04x}  {:47}  {meaning}", at + 16 * i, hex.join(" ")).trim_end());
            }
            at += size;
        }
    }
    assert_eq!(at, bytes.len());
    let metadata_at = bytes.len() - 64 - METADATA.len();
    assert_eq!(std::str::from_utf8(&bytes[metadata_at..bytes.len() - 64]), Ok(METADATA));
    let _ = writeln!(text, "\nThe metadata is\n{METADATA}");
    assert_in_document(&text);
}

const METADATA: &str =
    r#"{"dataset":"example","classes":["Wave"],"splits":["1"],"build":{},"clips":[{"label":0,"subsets":["train"]}]}"#;

const INDEX_ENTRY: [(usize, &str); 10] = [
    (8, "offset"),
    (4, "stored_bytes"),
    (4, "crc32 of the stored bytes"),
    (2, "width"),
    (2, "height"),
    (1, "channels"),
    (1, "codec"),
    (1, "filter"),
    (1, "reserved"),
    (8, "clip, position"),
];

#[test]
fn each_rule_of_the_document_has_its_error_and_its_test() {
    let tests = [
        include_str!("allocations.rs"),
        include_str!("damage.rs"),
        include_str!("dataset.rs"),
        include_str!("hostile.rs"),
        include_str!("hostile_records.rs"),
        include_str!("streams.rs"),
        include_str!("writer.rs"),
        include_str!("../src/manifest/mod.rs"),
    ]
    .concat();
    let errors = include_str!("../src/error.rs");
    let (_, table) = FORMAT.split_once("| rule | error | test |\n|---|---|---|\n").unwrap();
    let rows: Vec<_> = table.lines().take_while(|line| line.starts_with('|')).collect();
    assert!(rows.len() > 30);
    for row in rows {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let [_, _, error, test, _] = cells[..] else { panic!("{row}") };
        let test = test.trim_matches('`');
        assert!(
            tests.contains(&format!("#[test]\nfn {test}()")) || tests.contains(&format!("fn {test}() {{")),
            "{row}"
        );
        for variant in error.split('`').skip(1).step_by(2) {
            assert!(errors.contains(&format!("    {variant} {{")), "{row}");
        }
    }
}
