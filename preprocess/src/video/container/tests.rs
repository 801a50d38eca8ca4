//! Tests with small files of each container: complete, cut, filled up with zeros, mutated.

use super::*;

fn verdict(bytes: &[u8]) -> Option<String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x");
    std::fs::write(&path, bytes).unwrap();
    match judge(&path).unwrap() {
        Verdict::Damaged(words) => Some(words),
        Verdict::Whole | Verdict::Doubtful(_) => None,
    }
}

fn chunk(kind: [u8; 4], content: &[u8]) -> Vec<u8> {
    [&kind[..], &(content.len() as u32).to_le_bytes(), content, &[0][..content.len() % 2]].concat()
}

fn boxed(kind: [u8; 4], content: &[u8]) -> Vec<u8> {
    [&(content.len() as u32 + 8).to_be_bytes(), &kind[..], content].concat()
}

/// Returns a small valid file of each container.
fn files() -> Vec<(&'static str, Vec<u8>)> {
    let frames = [b"movi".to_vec(), chunk(*b"00dc", &[1; 9]), chunk(*b"00dc", &[2; 8])].concat();
    let avi =
        [b"AVI ".to_vec(), chunk(*b"LIST", b"hdrlabcd"), chunk(*b"LIST", &frames), chunk(*b"idx1", &[3; 16])].concat();
    let mp4 =
        [boxed(*b"ftyp", b"isom"), boxed(*b"moov", &[4; 20]), boxed(*b"moof", &[5; 9]), boxed(*b"mdat", &[6; 40])]
            .concat();
    let cluster = [&b"\x1f\x43\xb6\x75\x88"[..], &[0xec, 0x86, 1, 2, 3, 4, 5, 6]].concat();
    let mkv = [&b"\x1a\x45\xdf\xa3\x84abcd\x18\x53\x80\x67\x9a"[..], &cluster, &cluster].concat();
    let live =
        [&b"\x1a\x45\xdf\xa3\x84abcd\x18\x53\x80\x67\xff\x1f\x43\xb6\x75\xff\xa3\x83abc\xa3\x83abc"[..]].concat();
    let tag = [&[9, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0][..], b"abcde", &[0, 0, 0, 16]].concat();
    let flv = [&b"FLV\x01\x05\0\0\0\x09\0\0\0\0"[..], &tag, &tag].concat();
    let page = [&b"OggS"[..], &[0; 22], &[2, 3, 4], b"abcdefg"].concat();
    let packet = [&[0, 0, 1, 0xe0, 0, 5][..], b"abcde"].concat();
    let program = [&[0, 0, 1, 0xba, 0x44, 0, 0, 0, 0, 0, 0, 0, 0, 0xf8][..], &packet, &packet].concat();
    let object = [&[0x30, 0x26, 0xb2, 0x75][..], &[7; 12], &30_u64.to_le_bytes(), b"abcdef"].concat();
    let mut transport = vec![9; 188 * 6];
    transport.iter_mut().step_by(188).for_each(|byte| *byte = 0x47);
    vec![
        ("avi", chunk(*b"RIFF", &avi)),
        ("mp4", mp4),
        ("mkv", mkv),
        ("live mkv", live),
        ("flv", flv),
        ("ogg", page.repeat(3)),
        ("mpg", program),
        ("asf", object.repeat(2)),
        ("ts", transport),
    ]
}

#[test]
fn a_file_is_whole_or_its_cut_is_seen() {
    for (name, whole) in files() {
        assert_eq!(verdict(&whole), None, "{name}");
        // Cuts off the last byte, and the second half of the last part. The last four bytes of
        // Flash video only repeat a length.
        for lost in if name == "flv" { [5, 9] } else { [1, 4] } {
            let cut = &whole[..whole.len() - lost];
            let expected = format!("it is truncated: it has {} bytes, but needs at least ", cut.len());
            assert!(verdict(cut).unwrap_or_default().starts_with(&expected), "{name}: {:?}", verdict(cut));
        }
    }
    assert_eq!(verdict(b"").unwrap(), "the file is empty");
    assert_eq!(verdict(b"some text that is no video at all"), None);
}

#[test]
fn a_tail_of_zeros_is_seen() {
    for (name, whole) in files() {
        let zeros = [&whole[..], &[0; 5000]].concat();
        let zeros = if name == "ts" { [&whole[..], &[0; 188 * 20]].concat() } else { zeros };
        if name == "avi" {
            assert_eq!(verdict(&zeros), None, "{name}: padding behind a whole file");
            continue;
        }
        let expected = format!("it has only zeros from byte {} on, as after an unfinished download", whole.len());
        assert_eq!(verdict(&zeros).as_ref(), Some(&expected), "{name}");
    }
    let (_, mut avi) = files().remove(0);
    let frames = avi.windows(4).position(|bytes| bytes == b"00dc").unwrap();
    avi[frames..].fill(0);
    assert!(verdict(&avi).unwrap().starts_with(&format!("it has only zeros from byte {frames} on")));
}

#[test]
fn whatever_the_bytes_say_it_ends() {
    let mut random = 7_u32;
    let mut next = |below: usize| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 8) as usize % below
    };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x");
    for (_, whole) in files() {
        for _ in 0..400 {
            let mut bytes = whole.clone();
            for _ in 0..=next(4) {
                let at = next(bytes.len());
                bytes[at] = [0, 1, 0x7f, 0x80, 0xff][next(5)];
            }
            bytes.truncate(bytes.len() - next(3));
            std::fs::write(&path, &bytes).unwrap();
            let _ = judge(&path).unwrap();
        }
    }
    // As many nested lists as fit.
    let mut deep = b"RIFF\xff\xff\xff\xffAVI ".to_vec();
    (0..200_000_u32)
        .rev()
        .for_each(|left| deep.extend([&b"LIST"[..], &(left * 12 + 4).to_le_bytes(), b"movi"].concat()));
    assert_eq!(verdict(&deep), None);
}
