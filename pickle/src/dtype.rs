//! Element types of numpy arrays, and the conversion of their values.
//!
//! npy headers and pickles name a type by byte order, kind and size, as defined in
//! <https://numpy.org/doc/stable/reference/arrays.interface.html#python-side>.

use std::fmt;

/// The kind of the elements of an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// A floating-point number (IEEE 754).
    Float,
    /// A bfloat16: the upper half of an f32. numpy has no name for it.
    Brain,
    /// A signed integer in two's complement.
    Int,
    /// An unsigned integer.
    Uint,
    /// Text in UTF-32, padded with zeros.
    Unicode,
    /// Bytes, padded with zeros.
    Bytes,
    /// A Python object. The data of the array is a pickle.
    Object,
}

/// The type of the elements of an array.
///
/// # Example
///
/// ```
/// use inert_pickle::{DType, Kind};
///
/// let dtype = DType::parse(">f4").unwrap();
/// assert_eq!((dtype.kind, dtype.bytes), (Kind::Float, 4));
/// assert_eq!(dtype.floats(&[0x3f, 0x80, 0, 0]), Some(vec![1.0]));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct DType {
    /// The kind of the elements.
    pub kind: Kind,
    /// Bytes per element; 0 for objects.
    pub bytes: usize,
    big_endian: bool,
}

impl DType {
    /// Parses a name such as `<f4`, `f8`, `|S7` or `>U12`. Returns `None` for unknown names.
    pub fn parse(text: &str) -> Option<Self> {
        let (order, rest) = match text.chars().next()? {
            order @ ('<' | '>' | '|' | '=') => (order, &text[1..]),
            _ => ('=', text),
        };
        let mut chars = rest.chars();
        let (kind, unit) = match chars.next()? {
            'f' => (Kind::Float, 1),
            'i' => (Kind::Int, 1),
            'u' => (Kind::Uint, 1),
            'U' => (Kind::Unicode, 4),
            'S' | 'a' => (Kind::Bytes, 1),
            'O' => (Kind::Object, 0),
            _ => return None,
        };
        let count = match chars.as_str() {
            "" if kind == Kind::Object => 0,
            digits => digits.parse::<u32>().ok()? as usize,
        };
        Self { kind, bytes: count.checked_mul(unit)?, big_endian: false }.with_order(order)
    }

    /// The type bfloat16 in the byte order of this machine.
    pub const BRAIN: Self = Self { kind: Kind::Brain, bytes: 2, big_endian: cfg!(target_endian = "big") };

    /// Returns the type with another byte order: `<` for little-endian, `>` for big-endian, `|` for
    /// not applicable, or `=` for that of this machine. Returns `None` for other characters.
    pub fn with_order(self, order: char) -> Option<Self> {
        let big_endian = match order {
            '<' => false,
            '>' => true,
            '|' | '=' => cfg!(target_endian = "big"),
            _ => return None,
        };
        Some(Self { big_endian, ..self })
    }

    /// Converts floats of 16, 32 or 64 bits. Floats of 64 bits are rounded to 32 bits.
    ///
    /// Returns `None` for other types.
    pub fn floats(self, data: &[u8]) -> Option<Vec<f32>> {
        let Self { kind: kind @ (Kind::Float | Kind::Brain), bytes, big_endian: big } = self else { return None };
        let values = match bytes {
            2 if kind == Kind::Brain => {
                let wide = |c| f32::from_bits(u32::from(u16::from_le_bytes(little(c, big))) << 16);
                data.chunks_exact(2).map(wide).collect()
            }
            2 => data.chunks_exact(2).map(|c| half(u16::from_le_bytes(little(c, big)))).collect(),
            4 => data.chunks_exact(4).map(|c| f32::from_le_bytes(little(c, big))).collect(),
            8 => data.chunks_exact(8).map(|c| f64::from_le_bytes(little(c, big)) as f32).collect(),
            _ => return None,
        };
        Some(values)
    }

    /// Converts integers of 8 to 64 bits.
    ///
    /// Returns `None` for other types, and if a value does not fit an `i64`.
    pub fn integers(self, data: &[u8]) -> Option<Vec<i64>> {
        let big = self.big_endian;
        match (self.kind, self.bytes) {
            (Kind::Int, 1) => Some(data.iter().map(|&b| i64::from(b as i8)).collect()),
            (Kind::Int, 2) => Some(data.chunks_exact(2).map(|c| i16::from_le_bytes(little(c, big)).into()).collect()),
            (Kind::Int, 4) => Some(data.chunks_exact(4).map(|c| i32::from_le_bytes(little(c, big)).into()).collect()),
            (Kind::Int, 8) => Some(data.chunks_exact(8).map(|c| i64::from_le_bytes(little(c, big))).collect()),
            (Kind::Uint, 1) => Some(data.iter().map(|&b| b.into()).collect()),
            (Kind::Uint, 2) => Some(data.chunks_exact(2).map(|c| u16::from_le_bytes(little(c, big)).into()).collect()),
            (Kind::Uint, 4) => Some(data.chunks_exact(4).map(|c| u32::from_le_bytes(little(c, big)).into()).collect()),
            (Kind::Uint, 8) => {
                data.chunks_exact(8).map(|c| u64::from_le_bytes(little(c, big)).try_into().ok()).collect()
            }
            _ => None,
        }
    }

    /// Converts texts.
    ///
    /// Returns `None` for other types, and if a text is not valid Unicode.
    pub fn texts(self, data: &[u8]) -> Option<Vec<String>> {
        if self.bytes == 0 {
            return None;
        }
        let items = data.chunks_exact(self.bytes);
        match self.kind {
            Kind::Bytes => {
                items.map(|item| Some(std::str::from_utf8(item).ok()?.trim_end_matches('\0').into())).collect()
            }
            Kind::Unicode => {
                let text = |item: &[u8]| {
                    let codes = item.chunks_exact(4).map(|c| u32::from_le_bytes(little(c, self.big_endian)));
                    let text: String = codes.map(char::from_u32).collect::<Option<_>>()?;
                    Some(text.trim_end_matches('\0').to_owned())
                };
                items.map(text).collect()
            }
            _ => None,
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = self.bytes * 8;
        match self.kind {
            Kind::Float => write!(f, "float{bits}"),
            Kind::Brain => write!(f, "bfloat{bits}"),
            Kind::Int => write!(f, "int{bits}"),
            Kind::Uint => write!(f, "uint{bits}"),
            Kind::Unicode => write!(f, "text of {}", self.bytes / 4),
            Kind::Bytes => write!(f, "bytes of {}", self.bytes),
            Kind::Object => write!(f, "object"),
        }
    }
}

/// Returns the bytes of an element in little-endian order.
fn little<const N: usize>(chunk: &[u8], big_endian: bool) -> [u8; N] {
    let mut bytes: [u8; N] = chunk.try_into().expect("chunks have the element's size");
    if big_endian {
        bytes.reverse();
    }
    bytes
}

/// Converts an IEEE 754 binary16: 1 bit sign, 5 bits exponent, 10 bits fraction. The result is
/// exact.
fn half(bits: u16) -> f32 {
    /// The smallest positive binary16, 2^-24.
    const SMALLEST: f32 = f32::from_bits((127 - 24) << 23);
    let fraction = bits & 0x3ff;
    let magnitude = match bits >> 10 & 0x1f {
        0 => f32::from(fraction) * SMALLEST,
        31 if fraction == 0 => f32::INFINITY,
        31 => f32::NAN,
        // The bias of the exponent is 15 in binary16 and 127 in binary32.
        exponent => f32::from_bits((u32::from(exponent) + 112) << 23 | u32::from(fraction) << 13),
    };
    if bits >> 15 == 1 { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_have_their_values() {
        let pairs =
            [(0x3c00, 1.0), (0xc000, -2.0), (0x7bff, 65504.0), (0x0001, 5.960_464_5e-8), (0x0400, 6.103_515_6e-5)];
        for (bits, value) in pairs {
            assert_eq!(half(bits).to_bits(), f32::to_bits(value), "{bits:04x}");
        }
        assert!(half(0x7e00).is_nan());
        assert_eq!(half(0xfc00).to_bits(), f32::NEG_INFINITY.to_bits());
    }

    #[test]
    fn names_of_types_are_read() {
        let dtype = |text| DType::parse(text).map(|d| (d.kind, d.bytes, d.big_endian));
        assert_eq!(dtype("<f4"), Some((Kind::Float, 4, false)));
        assert_eq!(dtype(">U12"), Some((Kind::Unicode, 48, true)));
        assert_eq!(dtype("|O"), Some((Kind::Object, 0, false)));
        for text in ["", "<", "f", "V8", "<c8", "f4x", "<M8[s]", "é4"] {
            assert_eq!(dtype(text), None, "{text}");
        }
    }

    #[test]
    fn both_byte_orders_give_the_same_values() {
        let little = DType::parse("<i2").unwrap().integers(&[1, 2, 255, 255]).unwrap();
        let big = DType::parse(">i2").unwrap().integers(&[2, 1, 255, 255]).unwrap();
        assert_eq!((little.as_slice(), big.as_slice()), ([513, -1].as_slice(), [513, -1].as_slice()));
        assert_eq!(DType::parse("<u8").unwrap().integers(&[255; 8]), None);
        assert_eq!(DType::parse(">U2").unwrap().texts(&[0, 0, 0, 97, 0, 0, 0, 0]).unwrap(), ["a"]);
    }
}
