//! Reads any bytes as a weights file, and as a safetensors file with the correct length of its
//! header.
//!
//! Reading must return an error, or tensors that are not larger than the file allows.
#![no_main]

use candle_convnet::{check_values, read_weights, torchvision_names};
use clipshard_fuzz::Place;
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static PLACE: LazyLock<Place> = LazyLock::new(Place::new);

fn check(bytes: &[u8]) {
    let path = PLACE.put("weights", bytes);
    let Ok(tensors) = read_weights(&path) else { return };
    let elements: usize = tensors.values().map(|tensor| tensor.elem_count()).sum();
    // A compressed file may unpack to 16 times its size plus one MiB.
    assert!(elements <= 17 * bytes.len() + (1 << 20));
    let _ = check_values(&path, &tensors);
    let count = tensors.len();
    if let Ok((named, _)) = torchvision_names(&path, tensors) {
        assert!(named.len() <= count);
    }
}

fuzz_target!(|bytes: &[u8]| {
    check(bytes);
    // A safetensors file starts with the length of the header in eight bytes. The header is JSON
    // and ends with `}`.
    let Some(header) = bytes.iter().rposition(|&byte| byte == b'}').and_then(|last| (last + 1).checked_sub(8)) else {
        return;
    };
    let mut bytes = bytes.to_vec();
    bytes[..8].copy_from_slice(&(header as u64).to_le_bytes());
    check(&bytes);
});
