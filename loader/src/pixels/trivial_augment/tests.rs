//! Tests of TrivialAugment against torchvision and PIL.

use super::*;
use clipshard::order::mix64;

/// The CRCs of torchvision's images. `scripts/make_augment_goldens.py` made them and describes them.
const GOLDEN: &str = include_str!("../../../tests/goldens/trivial_augment.txt");

/// Returns an image with the formula of the script, and its side.
fn image(name: &str) -> (Vec<u8>, usize) {
    let digits = name.find(|c: char| c.is_ascii_digit()).unwrap();
    let (kind, side) = (&name[..digits], name[digits..].parse().unwrap());
    let value = |i: usize| {
        let (x, y, c) = (i / 3 % side, i / 3 / side, i % 3);
        let noise = (mix64(i as u64) >> 56) as usize;
        match kind {
            "noise" => noise,
            "mixed" => 20 + x + y / 2 + 13 * c + noise / 8,
            "ramp" => 60 + (x * 5 + y * 3 + 20 * c) % 86,
            "flat" => 77 + 50 * c * ((x + y) % (c + 1)),
            _ => panic!("{kind}"),
        }
    };
    ((0..side * side * 3).map(|i| value(i) as u8).collect(), side)
}

/// Returns the CRC-32 that zlib and Python compute.
fn crc32(bytes: &[u8]) -> u32 {
    let shift = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), shift))
}

#[test]
fn the_bytes_are_torchvisions() {
    let (mut lines, mut scratch) = (0, Vec::new());
    for line in GOLDEN.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        let [name, op, sign, ref crcs @ ..] = fields[..] else { panic!("{line}") };
        let op = *OPS.iter().find(|known| format!("{known:?}") == op).unwrap();
        let (rgb, side) = image(name);
        for (bin, expected) in crcs.iter().enumerate() {
            let mut found = rgb.clone();
            let change = TrivialAugment { op, bin: bin as u16, negative: sign == "-" };
            change.apply(&mut found, side, &mut scratch);
            assert_eq!(format!("{:08x}", crc32(&found)), **expected, "{name} {change:?}");
        }
        // Operations without magnitudes have one image.
        assert_eq!(crcs.len(), if [Op::Identity, Op::AutoContrast, Op::Equalize].contains(&op) { 1 } else { 31 });
        lines += 1;
    }
    // Six images. Nine of the 14 operations have two signs.
    assert_eq!(lines, 6 * 23);
}

#[test]
fn magnitudes_are_those_of_torch() {
    // torch.linspace(0, 32, 31)[[1, 15, 17, 24]] and torch.linspace(1, 0, 31)[[6, 13]], in float32.
    let pixels = [1, 15, 17, 24].map(|bin| linspace(0.0, 32.0, bin) as f32);
    assert_eq!(pixels.map(f32::to_bits), [1.066_666_7_f32, 15.999_999, 18.133_333, 25.6].map(f32::to_bits));
    let levels = [6, 13].map(|bin| linspace(1.0, 0.0, bin) as f32);
    assert_eq!(levels.map(f32::to_bits), [0.8_f32, 0.566_666_66].map(f32::to_bits));
}

#[test]
fn draws_take_every_operation_magnitude_and_sign_equally_often() {
    let (mut ops, mut bins, mut negative) = ([0; 14], [0; 31], 0);
    for sample in 0..31_000 {
        let mut draws = Draws::new(3, 1, sample);
        let change = TrivialAugment::draw(&mut draws);
        assert_eq!(draws.taken(), TrivialAugment::DRAWS);
        ops[change.op as usize] += 1;
        bins[usize::from(change.bin)] += 1;
        negative += u32::from(change.negative);
    }
    // The means are 2214, 1000 and 15,500. The bounds are five standard deviations away.
    assert!(ops.iter().all(|n| (1_988..2_441).contains(n)), "{ops:?}");
    assert!(bins.iter().all(|n| (844..1_156).contains(n)), "{bins:?}");
    assert!((15_060..15_940).contains(&negative), "{negative}");
}
