//! Reads the markers of a baseline file up to its scan (ITU-T T.81, B.2).

use super::entropy::CodeTables;
use crate::codec::jpeg::fault::{JpegFault, Result, damaged};

/// The position of each coefficient of the zigzag order in a block in row order (figure A.6).
#[rustfmt::skip]
pub(super) const ZIGZAG: [u8; 64] = [
     0,  1,  8, 16,  9,  2,  3, 10, 17, 24, 32, 25, 18, 11,  4,  5,
    12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13,  6,  7, 14, 21, 28,
    35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
    58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// A quantisation table in zigzag order.
pub(super) type Quant = [i32; 64];

/// A colour component of a file.
#[derive(Clone, Copy, Default)]
pub(super) struct Component {
    id: u8,
    /// Blocks per unit (MCU), horizontally and vertically.
    pub h: usize,
    pub v: usize,
    /// Numbers of its tables.
    pub quant: usize,
    pub dc: usize,
    pub ac: usize,
}

/// The content of the markers.
#[derive(Default)]
pub(super) struct Frame {
    pub width: usize,
    pub height: usize,
    /// The components. Only the first `count` are used.
    pub components: [Component; 3],
    pub count: usize,
    /// Number of units between two restart markers; 0 if there are no restart markers.
    pub restart_interval: usize,
    /// Start of the data of the scan.
    pub data_at: usize,
}

/// The tables of the current file. Huffman tables of the file before are reused, because the files
/// of a dataset mostly have the same tables.
pub(super) struct FileTables {
    pub quant: [Quant; 4],
    /// Whether the current file has defined each quantisation table.
    quant_is_defined: [bool; 4],
    pub codes: CodeTables,
}

impl FileTables {
    pub fn new() -> Self {
        Self { quant: [[0; 64]; 4], quant_is_defined: [false; 4], codes: CodeTables::default() }
    }

    /// Reads a DQT segment (B.2.4.1), which may have several tables.
    fn read_quant(&mut self, mut segment: &[u8]) -> Result<()> {
        while let Some((&kind, rest)) = segment.split_first() {
            let (wide, number) = (usize::from(kind >> 4), usize::from(kind & 15));
            if wide > 1 || number > 3 {
                return Err(damaged("a quantisation table has an invalid number"));
            }
            let (values, rest) =
                rest.split_at_checked(64 * (wide + 1)).ok_or_else(|| damaged("a quantisation table is too short"))?;
            for (place, value) in self.quant[number].iter_mut().zip(values.chunks_exact(wide + 1)) {
                *place = value.iter().fold(0, |sum, &byte| sum << 8 | i32::from(byte));
            }
            self.quant_is_defined[number] = true;
            segment = rest;
        }
        Ok(())
    }
}

/// Reads the markers up to the first scan.
///
/// Returns `None` for uncommon files, which another decoder decodes. Common files have one
/// interleaved scan of grey or YCbCr, with chroma of full, half or quarter resolution.
pub(super) fn read(bytes: &[u8], tables: &mut FileTables) -> Result<Option<Frame>> {
    let truncated = || JpegFault::Truncated("it ends before its image data");
    let mut frame = Frame::default();
    let mut adobe_transform = None;
    let mut has_jfif = false;
    tables.quant_is_defined = [false; 4];
    tables.codes.forget();
    if !bytes.starts_with(&[0xff, 0xd8]) {
        return Err(damaged("its start marker is missing"));
    }
    let mut at = 2;
    loop {
        let marker = match bytes.get(at..at + 2).ok_or_else(truncated)? {
            [0xff, 0xff] => {
                at += 1;
                continue;
            }
            &[0xff, marker] => marker,
            _ => return Err(damaged("a marker is missing")),
        };
        at += 2;
        if matches!(marker, 0x01 | 0xd0..=0xd8) {
            continue;
        }
        let &[high, low] = bytes.get(at..at + 2).ok_or_else(truncated)? else { return Err(truncated()) };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let segment = bytes.get(at + 2..at + length.max(2)).ok_or_else(truncated)?;
        at += length.max(2);
        match marker {
            0xc0 | 0xc1 => {
                let is_common = frame.count == 0 && frame.read_components(segment)?;
                if !is_common {
                    return Ok(None);
                }
            }
            0xc2 | 0xc3 | 0xc5..=0xc7 | 0xc9..=0xcf => return Ok(None),
            0xc4 => tables.codes.read(segment)?,
            0xdb => tables.read_quant(segment)?,
            0xdd => match segment {
                &[high, low] => frame.restart_interval = u16::from_be_bytes([high, low]).into(),
                _ => return Err(damaged("the restart interval has a wrong length")),
            },
            0xe0 => has_jfif |= segment.starts_with(b"JFIF\0"),
            0xee if segment.starts_with(b"Adobe") => adobe_transform = segment.get(11).copied(),
            0xd9 => return Err(truncated()),
            0xda => {
                frame.data_at = at;
                let is_known = frame.read_scan(segment)? && frame.has_common_colours(has_jfif, adobe_transform);
                for component in &frame.components[..frame.count] {
                    if is_known && !tables.quant_is_defined[component.quant] {
                        return Err(damaged("a quantisation table is missing"));
                    }
                }
                return Ok(is_known.then_some(frame));
            }
            _ => {}
        }
    }
}

impl Frame {
    /// Reads a SOF segment (B.2.2). Returns false if another decoder must decode the file.
    fn read_components(&mut self, segment: &[u8]) -> Result<bool> {
        let &[precision, h1, h0, w1, w0, count, ref rest @ ..] = segment else {
            return Err(damaged("the frame header is too short"));
        };
        (self.width, self.height) = (u16::from_be_bytes([w1, w0]).into(), u16::from_be_bytes([h1, h0]).into());
        if rest.len() != 3 * usize::from(count) || self.width == 0 || self.height == 0 {
            return Err(damaged("the frame header has a wrong length or no pixels"));
        }
        if precision != 8 || !matches!(count, 1 | 3) {
            return Ok(false);
        }
        self.count = count.into();
        for (component, entry) in self.components.iter_mut().zip(rest.chunks_exact(3)) {
            let (h, v) = (usize::from(entry[1] >> 4), usize::from(entry[1] & 15));
            *component = Component { id: entry[0], h, v, quant: entry[2].into(), ..Component::default() };
            if entry[2] > 3 {
                return Err(damaged("a quantisation table has an invalid number"));
            }
        }
        let [luma, ref chroma @ ..] = self.components;
        if count == 1 {
            // The units of a single component have one block, whatever its sampling factors are
            // (A.2.2).
            (self.components[0].h, self.components[0].v) = (1, 1);
            return Ok(matches!((luma.h, luma.v), (1..=4, 1..=4)));
        }
        // libjpeg does not smooth chroma of one or two columns. Another decoder decodes such tiny
        // images.
        Ok(matches!((luma.h, luma.v), (1..=2, 1..=2))
            && chroma.iter().all(|c| (c.h, c.v) == (1, 1))
            && self.width.div_ceil(luma.h) > 2)
    }

    /// Reads the header of a SOS segment (B.2.3). Returns false if the file has several scans.
    fn read_scan(&mut self, segment: &[u8]) -> Result<bool> {
        let Some((&count, rest)) = segment.split_first() else { return Err(damaged("a scan header is too short")) };
        if self.count == 0 {
            return Err(damaged("a scan precedes the frame header"));
        }
        if usize::from(count) != self.count {
            return Ok(false);
        }
        let (entries, _) =
            rest.split_at_checked(2 * self.count).ok_or_else(|| damaged("a scan header is too short"))?;
        for (component, entry) in self.components.iter_mut().zip(entries.chunks_exact(2)) {
            if entry[0] != component.id {
                return Ok(false);
            }
            (component.dc, component.ac) = ((entry[1] >> 4).into(), (entry[1] & 15).into());
            if component.dc > 3 || component.ac > 3 {
                return Err(damaged("a Huffman table has an invalid number"));
            }
        }
        Ok(true)
    }

    /// Returns whether the components are grey or YCbCr, by the rules of libjpeg.
    fn has_common_colours(&self, has_jfif: bool, adobe_transform: Option<u8>) -> bool {
        let ids = [0, 1, 2].map(|i| self.components[i].id);
        self.count == 1
            || has_jfif
            || match adobe_transform {
                Some(transform) => transform == 1,
                None => ids != *b"RGB",
            }
    }
}
