//! Reads any bytes as a torch file, as the pickle in a torch file, and as scores.
//!
//! Reading must return an error, or tensors that are not larger than the file allows.
#![no_main]

use clipshard_fuzz::archive;
use inert_pickle::{Rows, read_rows, read_tensors};
use libfuzzer_sys::fuzz_target;

fn check(bytes: &[u8]) {
    let Ok(found) = read_tensors(bytes) else { return };
    let mut elements = 0;
    for tensor in &found.tensors {
        assert_eq!(tensor.shape.iter().product::<usize>(), tensor.values.len());
        elements += tensor.values.len();
    }
    // A compressed file may unpack to 16 times its size plus one MiB.
    assert!(elements <= 17 * bytes.len() + (1 << 20));
}

fuzz_target!(|bytes: &[u8]| {
    check(bytes);
    check(&archive(bytes));
    if let Ok(Rows::Named(rows)) = read_rows(bytes) {
        assert!(rows.iter().map(|(name, row)| name.len() + row.len()).sum::<usize>() <= bytes.len());
    }
});
