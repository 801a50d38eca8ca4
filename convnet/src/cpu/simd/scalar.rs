//! Conversion of single bf16 values.

use half::bf16;

#[inline(always)]
pub(crate) fn widened(value: bf16) -> f32 {
    f32::from_bits(u32::from(value.to_bits()) << 16)
}

/// Rounds to the nearest bf16, and to the even one of two. A NaN stays a NaN.
///
/// It has no branch, so that the compiler can vectorise it.
#[inline(always)]
pub(crate) fn rounded(value: f32) -> bf16 {
    let bits = value.to_bits();
    let nearest = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
    let quiet = bits >> 16 | 0x40;
    bf16::from_bits(if value.is_nan() { quiet } else { nearest } as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_is_that_of_the_half_crate() {
        let mut bits = 1u32;
        for _ in 0..200_000 {
            bits = bits.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let value = f32::from_bits(bits);
            assert_eq!(rounded(value).to_bits(), bf16::from_f32(value).to_bits(), "{value:e}");
        }
        for bits in [0x3f80_8000, 0x3f81_8000, 0x3f80_7fff, 0x7f7f_ffff, 0x7f80_0000, 0xff80_0000, 0x7f80_0001, 1] {
            let value = f32::from_bits(bits);
            assert_eq!(rounded(value).to_bits(), bf16::from_f32(value).to_bits(), "{value:e}");
        }
    }
}
