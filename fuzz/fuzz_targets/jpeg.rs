//! Reads any bytes as a JPEG file.
//!
//! Checking the scans must end. If a file passes the check, the same file without its last bytes
//! must not pass.
#![no_main]

use clipshard::jpeg::{Decoder, check_header, check_scans};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(size) = check_header(bytes) else { return };
    // Larger images would only be slower.
    if size.bytes() > 1 << 20 {
        return;
    }
    if check_scans(bytes).is_err() {
        return;
    }
    let _ = Decoder::new().decode_checked(bytes, 3);
    let end = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1) - 2;
    let scan = bytes.windows(2).rposition(|pair| pair == [0xff, 0xda]).expect("a complete file has a scan") + 2;
    let data = scan + usize::from(u16::from_be_bytes([bytes[scan], bytes[scan + 1]]));
    // Fill bytes may precede a marker. Without fill bytes, the last byte holds the last bits of the
    // image.
    let last = bytes[..end].iter().rposition(|&byte| byte != 0xff).unwrap_or(0);
    if last > data && end == last + 1 && bytes[last - 1] != 0xff {
        let cut = [&bytes[..last], &[0xff, 0xd9]].concat();
        assert!(check_scans(&cut).is_err());
    }
});
