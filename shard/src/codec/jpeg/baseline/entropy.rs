//! Decodes coefficients from Huffman codes (ITU-T T.81, F.2.2). One look-up decodes a short code
//! with its coefficient.

use super::frame::{Quant, ZIGZAG};
use crate::codec::jpeg::fault::{Result, UnitFault, damaged};
use crate::codec::jpeg::huffman::{Bits, Table};

/// Codes whose length together with that of their coefficient is at most this are decoded with one
/// table look-up.
const LOOKUP_BITS: u32 = 10;

/// Flag of an entry that contains the coefficient, so that its length includes the bits of the
/// coefficient.
const HAS_VALUE: u32 = 1 << 7;
/// A number of skipped coefficients that ends the block.
const END_OF_BLOCK: u32 = 128;

/// A Huffman table for coefficients.
///
/// | bits of an entry | content |
/// |---|---|
/// | 0 to 4 | number of bits to remove; 0 if the code is too long for the table |
/// | 7 | [`HAS_VALUE`] |
/// | 8 to 15 | number of coefficients to skip |
/// | 16 to 31 | the coefficient with its sign, or its number of bits without `HAS_VALUE` |
pub(super) struct CoefficientTable {
    entries: [u32; 1 << LOOKUP_BITS],
    codes: Table,
}

/// Returns the number of coefficients that a symbol skips, and the number of bits of the next
/// coefficient.
fn parts(symbol: u8, is_dc: bool) -> (u32, u32) {
    let (zeros, size) = (u32::from(symbol >> 4), u32::from(symbol & 15));
    match (is_dc, zeros, size) {
        (true, ..) => (0, symbol.into()),
        // Sixteen zeros are treated as fifteen skipped coefficients and one coefficient of value 0.
        (_, 15, 0) => (15, 0),
        (_, _, 0) => (END_OF_BLOCK, 0),
        _ => (zeros, size),
    }
}

/// Computes a coefficient from its bits (F.2.2.1, EXTEND).
#[inline(always)]
fn extend(bits: u32, size: u32) -> i32 {
    if size == 0 || bits >> (size - 1) == 1 { bits as i32 } else { bits as i32 - (1 << size) + 1 }
}

impl CoefficientTable {
    /// Builds the table from a Huffman table.
    fn new(codes: Table, is_dc: bool) -> Self {
        let mut entries = [0; 1 << LOOKUP_BITS];
        for (next, entry) in entries.iter_mut().enumerate() {
            let next = next as u32;
            let Some((symbol, length)) = codes.find(next << (16 - LOOKUP_BITS)) else { continue };
            let (run, size) = parts(symbol, is_dc);
            if length > LOOKUP_BITS || size > 15 {
                continue;
            }
            *entry = if length + size <= LOOKUP_BITS {
                let bits = next >> (LOOKUP_BITS - length - size) & ((1 << size) - 1);
                (extend(bits, size) as u32) << 16 | run << 8 | HAS_VALUE | (length + size)
            } else {
                size << 16 | run << 8 | length
            };
        }
        Self { entries, codes }
    }

    /// Reads a code and its coefficient, which together have fewer than 32 bits.
    ///
    /// Returns the number of coefficients to skip before it, and its value.
    #[inline(always)]
    fn next(&self, bits: &mut Bits<'_>, is_dc: bool) -> Result<(u32, i32), UnitFault> {
        bits.refill();
        let entry = self.entries[bits.peek(LOOKUP_BITS) as usize];
        if entry & HAS_VALUE != 0 {
            bits.advance(entry & 31);
            return Ok((entry >> 8 & 255, entry as i32 >> 16));
        }
        let (run, size) = if entry != 0 {
            bits.advance(entry & 31);
            (entry >> 8 & 255, entry >> 16)
        } else {
            let (symbol, length) =
                self.codes.find(bits.peek(16) as u32).ok_or(UnitFault::Code("a code is not in the Huffman table"))?;
            bits.advance(length);
            parts(symbol, is_dc)
        };
        if size == 0 {
            return Ok((run, 0));
        }
        if size > 15 {
            return Err(UnitFault::Code("a coefficient has too many bits"));
        }
        let value = bits.peek(size) as u32;
        bits.advance(size);
        Ok((run, extend(value, size)))
    }
}

/// The tables of a colour component.
pub(super) struct BlockTables<'a> {
    pub dc: &'a CoefficientTable,
    pub ac: &'a CoefficientTable,
    pub quant: &'a Quant,
}

/// Reads the coefficients of a block into `out`, in row order and multiplied by the quantisation
/// table.
///
/// `out` must contain zeros. `dc` is the DC coefficient of the block before, and then of this
/// block. Returns whether the block has AC coefficients.
#[inline(always)]
pub(super) fn read_block(
    bits: &mut Bits<'_>,
    tables: &BlockTables<'_>,
    dc: &mut i32,
    out: &mut [i32; 64],
) -> Result<bool, UnitFault> {
    let (_, difference) = tables.dc.next(bits, true)?;
    *dc = dc.wrapping_add(difference);
    out[0] = dc.wrapping_mul(tables.quant[0]);
    let mut k = 1;
    while k < 64 {
        let (run, value) = tables.ac.next(bits, false)?;
        k += run as usize;
        if k > 63 {
            if k < END_OF_BLOCK as usize {
                return Err(UnitFault::Code("a coefficient is outside of its block"));
            }
            break;
        }
        out[ZIGZAG[k] as usize & 63] = value.wrapping_mul(tables.quant[k]);
        k += 1;
    }
    // The block has no AC coefficients if its end directly follows the DC coefficient.
    Ok(k != 1 + END_OF_BLOCK as usize)
}

/// Reads a block without storing its coefficients, except for `dc`.
#[inline(always)]
pub(super) fn skip_block(bits: &mut Bits<'_>, tables: &BlockTables<'_>, dc: &mut i32) -> Result<(), UnitFault> {
    let (_, difference) = tables.dc.next(bits, true)?;
    *dc = dc.wrapping_add(difference);
    let mut k = 1;
    while k < 64 {
        k += tables.ac.next(bits, false)?.0 as usize + 1;
    }
    if k > 64 && k <= END_OF_BLOCK as usize {
        return Err(UnitFault::Code("a coefficient is outside of its block"));
    }
    Ok(())
}

/// The Huffman tables of the current file: four for DC and four for AC coefficients.
///
/// Tables of the file before are kept and reused if the current file has the same ones.
#[derive(Default)]
pub(super) struct CodeTables {
    kept: [[Kept; 4]; 2],
}

/// A table that may come from an earlier file.
#[derive(Default)]
struct Kept {
    /// The bytes of the DHT segment that define the table.
    source: Vec<u8>,
    /// Whether the current file has defined the table.
    is_defined: bool,
    table: Option<Box<CoefficientTable>>,
}

impl CodeTables {
    /// Starts a new file, which has not defined any table yet.
    pub fn forget(&mut self) {
        self.kept.iter_mut().flatten().for_each(|kept| kept.is_defined = false);
    }

    /// Reads a DHT segment (B.2.4.2), which may have several tables.
    pub fn read(&mut self, mut segment: &[u8]) -> Result<()> {
        while !segment.is_empty() {
            let (number, counts, symbols, rest) = Table::split(segment)?;
            let kept = &mut self.kept[number >> 4][number & 15];
            let source = &segment[..segment.len() - rest.len()];
            if kept.source != source {
                kept.table = Some(Box::new(CoefficientTable::new(Table::new(counts, symbols)?, number < 16)));
                kept.source.clear();
                kept.source.extend_from_slice(source);
            }
            kept.is_defined = true;
            segment = rest;
        }
        Ok(())
    }

    fn get(&self, class: usize, number: usize) -> Result<&CoefficientTable> {
        let kept = &self.kept[class][number];
        let table = kept.table.as_deref().filter(|_| kept.is_defined);
        table.ok_or_else(|| damaged("a Huffman table is missing"))
    }

    pub fn dc(&self, number: usize) -> Result<&CoefficientTable> {
        self.get(0, number)
    }

    pub fn ac(&self, number: usize) -> Result<&CoefficientTable> {
        self.get(1, number)
    }
}
