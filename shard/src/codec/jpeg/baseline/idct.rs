//! The inverse DCT of libjpeg's `jidctint.c`, with identical results.
//!
//! It is the algorithm of Loeffler, Ligtenberg and Moschytz (1989) with 13-bit constants. It
//! transforms columns first, and keeps two extra bits between the passes.

use super::colour;
use super::kernels::{CHUNK, Kernels};

pub(super) const CONST_BITS: u32 = 13;
pub(super) const PASS1_BITS: u32 = 2;

/// The bias of the last pass: half of the last bit, so that the shift rounds, and 128, which
/// centres the pixels.
pub(super) const LAST_BIAS: i32 = (1 << (CONST_BITS + PASS1_BITS + 2)) + (128 << (CONST_BITS + PASS1_BITS + 3));

/// The constants of the algorithm times 2^13.
mod fix {
    pub const F_0_298: i32 = 2446;
    pub const F_0_390: i32 = 3196;
    pub const F_0_541: i32 = 4433;
    pub const F_0_765: i32 = 6270;
    pub const F_0_899: i32 = 7373;
    pub const F_1_175: i32 = 9633;
    pub const F_1_501: i32 = 12299;
    pub const F_1_847: i32 = 15137;
    pub const F_1_961: i32 = 16069;
    pub const F_2_053: i32 = 16819;
    pub const F_2_562: i32 = 20995;
    pub const F_3_072: i32 = 25172;
}

/// The kernels in portable Rust.
pub(super) struct Portable;

impl Kernels for Portable {
    #[inline(always)]
    fn block(coefficients: &[i32; 64], out: &mut [u8], stride: usize) {
        let mut rows = [0; 64];
        for column in 0..8 {
            let values = std::array::from_fn(|i| coefficients[8 * i + column]);
            let values = one_dimension(values, 1 << (CONST_BITS - PASS1_BITS - 1), CONST_BITS - PASS1_BITS);
            for (i, value) in values.into_iter().enumerate() {
                rows[8 * i + column] = value;
            }
        }
        for (row, out) in rows.as_chunks::<8>().0.iter().zip(out.chunks_mut(stride)) {
            let values = one_dimension(*row, LAST_BIAS, CONST_BITS + PASS1_BITS + 3);
            for (pixel, value) in out.iter_mut().zip(values) {
                *pixel = value.clamp(0, 255) as u8;
            }
        }
    }

    #[inline(always)]
    fn convert(luma: &[u8; CHUNK], blue: &[u8; CHUNK], red: &[u8; CHUNK], out: &mut [u8; 3 * CHUNK]) {
        colour::convert(luma, blue, red, out);
    }
}

/// The factors of x1, x3, x5 and x7 in each of the four sums of the odd part.
///
/// The formula is multiplied out, because vector instructions multiply 16-bit numbers. The values
/// of valid files fit 16 bits.
pub(super) const ODD: [[i32; 4]; 4] = {
    #[allow(clippy::wildcard_imports, reason = "constants")]
    use fix::*;
    let (z3, z4) = (F_1_175 - F_1_961, F_1_175 - F_0_390);
    [
        [F_1_501 - F_0_899 + z4, F_1_175, z4, F_1_175 - F_0_899],
        [F_1_175, F_3_072 - F_2_562 + z3, F_1_175 - F_2_562, z3],
        [z4, F_1_175 - F_2_562, F_2_053 - F_2_562 + z4, F_1_175],
        [F_1_175 - F_0_899, z3, F_1_175, F_0_298 - F_0_899 + z3],
    ]
};
/// The factors of x2 and x6 in each of the two sums of the even part.
pub(super) const EVEN: [[i32; 2]; 2] = {
    #[allow(clippy::wildcard_imports, reason = "constants")]
    use fix::*;
    [[F_0_541 + F_0_765, F_0_541], [F_0_541, F_0_541 - F_1_847]]
};

/// Transforms eight values. Adds `bias` before it drops `shift` bits.
///
/// The arithmetic wraps, because values of damaged files may overflow.
#[inline(always)]
fn one_dimension(x: [i32; 8], bias: i32, shift: u32) -> [i32; 8] {
    let add = i32::wrapping_add;
    let sub = i32::wrapping_sub;
    let narrow = x.map(|x| i32::from(x as i16));
    let [tmp3, tmp2] = EVEN.map(|[a, b]| add(narrow[2] * a, narrow[6] * b));
    let tmp0 = add(add(x[0], x[4]) << CONST_BITS, bias);
    let tmp1 = add(sub(x[0], x[4]) << CONST_BITS, bias);
    let even = [add(tmp0, tmp3), add(tmp1, tmp2), sub(tmp1, tmp2), sub(tmp0, tmp3)];
    let odd = ODD.map(|[a, b, c, d]| add(add(narrow[1] * a, narrow[3] * b), add(narrow[5] * c, narrow[7] * d)));
    let mut out = [0; 8];
    for i in 0..4 {
        out[i] = add(even[i], odd[i]) >> shift;
        out[7 - i] = sub(even[i], odd[i]) >> shift;
    }
    out
}

/// Writes a block that has only a DC coefficient.
#[inline(always)]
pub(super) fn flat_block(dc: i32, out: &mut [u8], stride: usize) {
    let pixel = (dc.wrapping_add(4 + (128 << 3)) >> 3).clamp(0, 255) as u8;
    for row in 0..8 {
        out[row * stride..row * stride + 8].fill(pixel);
    }
}
