//! Huffman tables, and the reader of the bits that they decode (ITU-T T.81, annexes C and F.2.2).

use super::fault::{Result, UnitFault, damaged};

/// Codes of up to this length are decoded with one table look-up.
const FAST_BITS: u32 = 9;

/// A Huffman table (C.2).
pub(super) struct Table {
    /// For the next [`FAST_BITS`] bits: the symbol and the length of its code. The length is 0 for
    /// longer codes.
    fast: [(u8, u8); 1 << FAST_BITS],
    /// For each length: the first code after those of this length, shifted left to 16 bits.
    limit: [u32; 17],
    /// For each length: the number to add to a code to get its index in `symbols`.
    offset: [i32; 17],
    symbols: Vec<u8>,
}

impl Table {
    /// Splits the first table off a DHT segment (B.2.4.2).
    ///
    /// Returns its class (0 for DC, 16 for AC) plus its number, the number of codes of each length,
    /// the symbols, and the rest of the segment.
    #[expect(clippy::type_complexity, reason = "four parts of a slice")]
    pub(super) fn split(segment: &[u8]) -> Result<(usize, &[u8; 16], &[u8], &[u8])> {
        let short = || damaged("a Huffman table is too short");
        let (&kind, rest) = segment.split_first().ok_or_else(short)?;
        let (counts, rest) = rest.split_first_chunk::<16>().ok_or_else(short)?;
        let total = counts.iter().map(|&n| usize::from(n)).sum();
        let (symbols, rest) = rest.split_at_checked(total).ok_or_else(short)?;
        if kind & 0xec != 0 {
            return Err(damaged("a Huffman table has an invalid number"));
        }
        Ok((kind.into(), counts, symbols, rest))
    }

    /// Returns the symbol and the length of the code at the start of the next 16 bits.
    #[inline]
    pub(super) fn find(&self, next: u32) -> Option<(u8, u32)> {
        let (symbol, length) = self.fast[(next >> (16 - FAST_BITS)) as usize & ((1 << FAST_BITS) - 1)];
        if length > 0 {
            return Some((symbol, length.into()));
        }
        let length = (1..=16).find(|&length| next < self.limit[length as usize])?;
        let place = (next >> (16 - length)) as i32 + self.offset[length as usize];
        Some((*self.symbols.get(place as usize)?, length))
    }

    /// Builds a table from the number of codes of each length and the symbols in the order of the
    /// codes.
    pub(super) fn new(counts: &[u8; 16], symbols: &[u8]) -> Result<Self> {
        let mut table =
            Self { fast: [(0, 0); 1 << FAST_BITS], limit: [0; 17], offset: [0; 17], symbols: symbols.to_vec() };
        let (mut code, mut place) = (0_u32, 0_usize);
        for (length, &count) in (1..).zip(counts) {
            table.offset[length] = place as i32 - code as i32;
            for _ in 0..count {
                if length <= FAST_BITS as usize {
                    let shift = FAST_BITS as usize - length;
                    let first = (code as usize) << shift;
                    let Some(entries) = table.fast.get_mut(first..first + (1 << shift)) else {
                        return Err(damaged("a Huffman table has too many codes"));
                    };
                    entries.fill((symbols[place], length as u8));
                }
                code += 1;
                place += 1;
            }
            if code > 1 << length {
                return Err(damaged("a Huffman table has too many codes"));
            }
            table.limit[length] = code << (16 - length);
            code <<= 1;
        }
        Ok(table)
    }
}

/// The Huffman tables of a file: four for DC and four for AC coefficients.
#[derive(Default)]
pub(super) struct Tables {
    dc: [Option<Box<Table>>; 4],
    ac: [Option<Box<Table>>; 4],
}

impl Tables {
    /// Reads a DHT segment (B.2.4.2), which may hold several tables.
    pub(super) fn read(&mut self, mut segment: &[u8]) -> Result<()> {
        while !segment.is_empty() {
            let (number, counts, symbols, rest) = Table::split(segment)?;
            let tables = if number < 16 { &mut self.dc } else { &mut self.ac };
            tables[number & 15] = Some(Box::new(Table::new(counts, symbols)?));
            segment = rest;
        }
        Ok(())
    }

    pub(super) fn dc(&self, number: usize) -> Result<&Table, UnitFault> {
        self.dc[number].as_deref().ok_or(UnitFault::Code("a Huffman table is missing"))
    }

    pub(super) fn ac(&self, number: usize) -> Result<&Table, UnitFault> {
        self.ac[number].as_deref().ok_or(UnitFault::Code("a Huffman table is missing"))
    }
}

/// A bit reader for entropy-coded data. It stops at the next marker.
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    /// The next byte to fetch.
    at: usize,
    /// The next bits, starting at the most significant bit.
    buffer: u64,
    /// Number of bits in `buffer`.
    count: u32,
    /// Number of zero bits that [`Bits::refill`] added after the end of the data.
    padding: u32,
}

impl<'a> Bits<'a> {
    /// Creates a reader that starts at byte `at`.
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at, buffer: 0, count: 0, padding: 0 }
    }

    /// Fetches bytes until the buffer has more than 48 bits or a marker follows.
    fn fill(&mut self) {
        // Eight bytes are fetched at once if none of them is 0xff.
        if let Some(next) = self.bytes.get(self.at..).and_then(<[u8]>::first_chunk::<8>) {
            let word = u64::from_be_bytes(*next);
            let inverted = !word;
            if inverted.wrapping_sub(0x0101_0101_0101_0101) & word & 0x8080_8080_8080_8080 == 0 {
                let taken = (63 - self.count) / 8;
                self.buffer |= word >> self.count;
                self.at += taken as usize;
                self.count += 8 * taken;
                // Clears the bits of the incomplete last byte, which is fetched again later.
                self.buffer &= !(u64::MAX >> 1 >> (self.count - 1));
                return;
            }
        }
        while self.count <= 48 {
            let byte = match self.bytes.get(self.at..self.at + 2) {
                Some([0xff, 0]) => {
                    self.at += 1;
                    0xff
                }
                Some(&[byte, _]) if byte != 0xff => byte,
                _ => return,
            };
            self.at += 1;
            self.buffer |= u64::from(byte) << (56 - self.count);
            self.count += 8;
        }
    }

    /// Fetches bytes so that the buffer has at least `n` bits.
    fn need(&mut self, n: u32) -> Result<(), UnitFault> {
        if self.count < n {
            self.fill();
            if self.count < n {
                return Err(UnitFault::End);
            }
        }
        Ok(())
    }

    /// Removes `n` bits, which must be in the buffer.
    #[inline(always)]
    pub(super) fn advance(&mut self, n: u32) {
        self.buffer <<= n;
        self.count -= n;
    }

    /// Skips `n` bits.
    pub(super) fn skip(&mut self, mut n: u32) -> Result<(), UnitFault> {
        while n > 0 {
            let now = n.min(32);
            self.need(now)?;
            self.advance(now);
            n -= now;
        }
        Ok(())
    }

    /// Reads `n` bits, at most 16, as a number.
    pub(super) fn take(&mut self, n: u32) -> Result<u64, UnitFault> {
        if n == 0 {
            return Ok(0);
        }
        self.need(n)?;
        let value = self.buffer >> (64 - n);
        self.advance(n);
        Ok(value)
    }

    /// Reads a Huffman code and returns its symbol.
    pub(super) fn symbol(&mut self, table: &Table) -> Result<u8, UnitFault> {
        if self.count < 16 {
            self.fill();
        }
        match table.find((self.buffer >> 48) as u32) {
            Some((symbol, length)) if length <= self.count => {
                self.advance(length);
                Ok(symbol)
            }
            // With fewer than 16 bits left, the code includes zeros from after the end of the data.
            _ if self.count < 16 => Err(UnitFault::End),
            _ => Err(UnitFault::Code("a code is not in the Huffman table")),
        }
    }

    /// Fetches bytes so that the buffer has at least 32 bits, and adds zeros after the end of the
    /// data.
    ///
    /// [`Bits::is_overrun`] returns whether such zeros were used.
    #[inline(always)]
    pub(super) fn refill(&mut self) {
        if self.count < 32 {
            self.fill();
            if self.count < 32 {
                self.padding += 56 - self.count;
                self.count = 56;
            }
        }
    }

    /// Returns the next `n` bits, at most 32, without removing them. Call [`Bits::refill`] first.
    #[inline(always)]
    pub(super) fn peek(&self, n: u32) -> u64 {
        self.buffer >> (64 - n)
    }

    /// Returns whether more bits were used than the data has.
    pub(super) fn is_overrun(&self) -> bool {
        self.padding > self.count
    }

    /// Returns the position of the marker after the data. Only the bits that fill the last byte may
    /// be left.
    pub(super) fn end(&mut self) -> Result<usize> {
        self.fill();
        let here = self.bytes.get(self.at..).unwrap_or_default();
        if self.count.saturating_sub(self.padding) >= 8 || here.first().is_some_and(|&byte| byte != 0xff) {
            return Err(damaged("data follows its last block"));
        }
        Ok(self.at)
    }

    /// Skips restart marker `number`, which must be the next marker.
    pub(super) fn restart(&mut self, number: u8) -> Result<()> {
        let mut at = self.end()?;
        while self.bytes.get(at) == Some(&0xff) {
            at += 1;
        }
        if self.bytes.get(at) != Some(&(0xd0 + number)) {
            return Err(damaged("a restart marker is missing"));
        }
        (self.at, self.buffer, self.count, self.padding) = (at + 1, 0, 0, 0);
        Ok(())
    }
}
