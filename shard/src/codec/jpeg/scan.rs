//! Walks the entropy-coded data of a JPEG file and counts its blocks (ITU-T T.81, annexes F.2 and G.2).
//!
//! Decoders make up what a file that was cut short lacks, and an end marker put behind the cut hides it. The walk reads every
//! code of every block and keeps no coefficient, so it costs a part of a decode and finds the cut for certain.

use super::JpegFault;

/// Where a scan ended early, or what makes no sense in it.
type Result<T, E = JpegFault> = std::result::Result<T, E>;

/// Checks that each scan holds all of its blocks and nothing behind them, and that the scans together make a whole image.
/// The file's markers up to the first scan must have been checked.
pub(super) fn check(bytes: &[u8]) -> Result<()> {
    let mut file = Walk { bytes, at: 2, tables: Tables::default(), restart_interval: 0, frame: None };
    loop {
        match file.marker()? {
            0xd9 => return file.finish(),
            0x01 | 0xd0..=0xd8 => {}
            marker => {
                let segment = file.segment()?;
                match marker {
                    0xc0..=0xc2 => file.frame = Some(Frame::read(segment, marker == 0xc2)?),
                    0xc4 => file.tables.read(segment)?,
                    0xdd => match segment {
                        &[high, low] => file.restart_interval = u16::from_be_bytes([high, low]).into(),
                        _ => return Err(damaged("restart interval of another length")),
                    },
                    0xda => file.scan(segment)?,
                    _ => {}
                }
            }
        }
    }
}

fn damaged(what: &str) -> JpegFault {
    JpegFault::Damaged(what.into())
}

struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    tables: Tables,
    /// MCUs between two restart markers; 0 without.
    restart_interval: u64,
    frame: Option<Frame>,
}

impl<'a> Walk<'a> {
    /// The next marker; it must be right here.
    fn marker(&mut self) -> Result<u8> {
        let end = || JpegFault::Truncated("it ends without its end marker");
        if *self.bytes.get(self.at).ok_or_else(end)? != 0xff {
            return Err(damaged("no marker where one must be"));
        }
        while *self.bytes.get(self.at).ok_or_else(end)? == 0xff {
            self.at += 1;
        }
        self.at += 1;
        Ok(self.bytes[self.at - 1])
    }

    fn segment(&mut self) -> Result<&'a [u8]> {
        let end = || JpegFault::Truncated("it ends inside a segment");
        let &[high, low] = self.bytes.get(self.at..self.at + 2).ok_or_else(end)? else { return Err(end()) };
        let length = u16::from_be_bytes([high, low]).max(2) as usize;
        let segment = self.bytes.get(self.at + 2..self.at + length).ok_or_else(end)?;
        self.at += length;
        Ok(segment)
    }

    fn scan(&mut self, header: &[u8]) -> Result<()> {
        let frame = self.frame.as_mut().ok_or_else(|| damaged("a scan before the frame header"))?;
        let scan = Scan::read(header, frame)?;
        let units = scan.units(frame);
        let mut bits = Bits { bytes: self.bytes, at: self.at, buffer: 0, count: 0 };
        let (mut blocks, mut run) = (0, 0);
        for unit in 0..units {
            if self.restart_interval > 0 && unit > 0 && unit % self.restart_interval == 0 {
                bits.restart(((unit / self.restart_interval - 1) % 8) as u8)?;
                run = 0;
            }
            scan.unit(unit, frame, &self.tables, &mut bits, &mut run).map_err(|fault| match fault {
                // All blocks of a scan are counted, those of the unit that was begun are not.
                Fault::End => JpegFault::Cut { blocks, of: units * scan.blocks_a_unit(frame) },
                Fault::Code(what) => damaged(what),
            })?;
            blocks += scan.blocks_a_unit(frame);
        }
        if run > 0 {
            return Err(damaged("a run of empty blocks reaches beyond the image"));
        }
        self.at = bits.end()?;
        scan.done(frame)
    }

    fn finish(&self) -> Result<()> {
        match &self.frame {
            Some(frame) if frame.components.iter().all(Component::is_whole) => Ok(()),
            _ => Err(JpegFault::Truncated("scans are missing")),
        }
    }
}

/// Why a unit could not be read.
enum Fault {
    End,
    Code(&'static str),
}

struct Frame {
    width: u64,
    height: u64,
    progressive: bool,
    h_max: u64,
    v_max: u64,
    components: Vec<Component>,
}

struct Component {
    id: u8,
    h: u64,
    v: u64,
    /// Blocks a row, whole MCUs.
    stride: u64,
    /// Of a progressive file, which coefficients of each block are not zero so far.
    nonzero: Vec<u64>,
    /// How many low bits of each coefficient are still to come; `None` before its first scan.
    bits_left: [Option<u8>; 64],
}

impl Component {
    fn is_whole(&self) -> bool {
        self.bits_left.iter().all(|left| *left == Some(0))
    }
}

impl Frame {
    fn read(segment: &[u8], progressive: bool) -> Result<Self> {
        let (head, rest) = segment.split_at_checked(6).ok_or_else(|| damaged("frame header too short"))?;
        let (height, width) = (u16::from_be_bytes([head[1], head[2]]), u16::from_be_bytes([head[3], head[4]]));
        if rest.len() != 3 * head[5] as usize || head[5] == 0 || width == 0 || height == 0 {
            return Err(damaged("frame header of another length"));
        }
        let mut components = Vec::new();
        for entry in rest.chunks_exact(3) {
            let (h, v) = (u64::from(entry[1] >> 4), u64::from(entry[1] & 15));
            if !(1..=4).contains(&h) || !(1..=4).contains(&v) {
                return Err(damaged("sampling factors that make no sense"));
            }
            components.push(Component { id: entry[0], h, v, stride: 0, nonzero: Vec::new(), bits_left: [None; 64] });
        }
        let h_max = components.iter().map(|c| c.h).max().unwrap_or(1);
        let v_max = components.iter().map(|c| c.v).max().unwrap_or(1);
        let (width, height) = (u64::from(width), u64::from(height));
        for component in &mut components {
            component.stride = width.div_ceil(8 * h_max) * component.h;
            if progressive {
                let rows = height.div_ceil(8 * v_max) * component.v;
                component.nonzero = vec![0; (component.stride * rows) as usize];
            }
        }
        Ok(Self { width, height, progressive, h_max, v_max, components })
    }
}

/// A scan: which components, which coefficients, which bits of them.
struct Scan {
    /// For each component its place in the frame, its DC and its AC table.
    components: Vec<(usize, usize, usize)>,
    from: usize,
    to: usize,
    refining: bool,
    low: u8,
}

impl Scan {
    fn read(header: &[u8], frame: &Frame) -> Result<Self> {
        let wrong = || damaged("scan header that makes no sense");
        let (&count, rest) = header.split_first().ok_or_else(wrong)?;
        let (selectors, [from, to, bits]) = rest.split_last_chunk::<3>().ok_or_else(wrong)?;
        if !(1..=4).contains(&count) || selectors.len() != 2 * count as usize {
            return Err(wrong());
        }
        let mut components: Vec<(usize, usize, usize)> = Vec::new();
        for selector in selectors.chunks_exact(2) {
            let place = frame.components.iter().position(|c| c.id == selector[0]).ok_or_else(wrong)?;
            let (dc, ac) = (usize::from(selector[1] >> 4), usize::from(selector[1] & 15));
            if dc > 3 || ac > 3 || components.iter().any(|(other, ..)| *other == place) {
                return Err(wrong());
            }
            components.push((place, dc, ac));
        }
        if !frame.progressive {
            return Ok(Self { components, from: 0, to: 63, refining: false, low: 0 });
        }
        let (from, to, high, low) = (usize::from(*from), usize::from(*to), bits >> 4, bits & 15);
        let bands = if from == 0 { to == 0 } else { from <= to && to < 64 && components.len() == 1 };
        if !bands || low > 13 || high > 0 && high != low + 1 {
            return Err(wrong());
        }
        // Bits come from high to low, each once.
        let expected = (high > 0).then_some(high);
        let in_order = |(place, ..): &(usize, usize, usize)| {
            frame.components[*place].bits_left[from..=to].iter().all(|left| *left == expected)
        };
        if !components.iter().all(in_order) {
            return Err(damaged("scans in an order that makes no sense"));
        }
        Ok(Self { components, from, to, refining: high > 0, low })
    }

    /// Units of the scan: blocks where it has one component, MCUs where it has several.
    fn units(&self, frame: &Frame) -> u64 {
        if let [(place, ..)] = self.components[..] {
            let (columns, rows) = blocks(frame, &frame.components[place]);
            return columns * rows;
        }
        frame.width.div_ceil(8 * frame.h_max) * frame.height.div_ceil(8 * frame.v_max)
    }

    fn blocks_a_unit(&self, frame: &Frame) -> u64 {
        if self.components.len() == 1 {
            return 1;
        }
        self.components.iter().map(|(place, ..)| frame.components[*place].h * frame.components[*place].v).sum()
    }

    /// Reads one unit. `run` are the blocks that a run of empty ones still covers.
    fn unit(
        &self,
        unit: u64,
        frame: &mut Frame,
        tables: &Tables,
        bits: &mut Bits<'_>,
        run: &mut u64,
    ) -> Result<(), Fault> {
        if let [(place, dc, ac)] = self.components[..] {
            if !frame.progressive {
                return sequential_block(bits, tables.dc(dc)?, tables.ac(ac)?);
            }
            let (columns, _) = blocks(frame, &frame.components[place]);
            let component = &mut frame.components[place];
            let block = (unit / columns * component.stride + unit % columns) as usize;
            return self.progressive_block(component, block, tables, (dc, ac), bits, run);
        }
        for &(place, dc, ac) in &self.components {
            let component = &mut frame.components[place];
            for _ in 0..component.h * component.v {
                if !frame.progressive {
                    sequential_block(bits, tables.dc(dc)?, tables.ac(ac)?)?;
                } else if self.refining {
                    // Several components have DC coefficients only, whose place does not matter.
                    bits.skip(1)?;
                } else {
                    dc_coefficient(bits, tables.dc(dc)?)?;
                }
            }
        }
        Ok(())
    }

    fn progressive_block(
        &self,
        component: &mut Component,
        block: usize,
        tables: &Tables,
        (dc, ac): (usize, usize),
        bits: &mut Bits<'_>,
        run: &mut u64,
    ) -> Result<(), Fault> {
        match (self.from, self.refining) {
            (0, false) => dc_coefficient(bits, tables.dc(dc)?),
            (0, true) => bits.skip(1),
            (_, false) => self.first_ac(&mut component.nonzero[block], bits, tables.ac(ac)?, run),
            (_, true) => self.refined_ac(&mut component.nonzero[block], bits, tables.ac(ac)?, run),
        }
    }

    /// G.1.2.2: the high bits of AC coefficients.
    fn first_ac(&self, nonzero: &mut u64, bits: &mut Bits<'_>, table: &Table, run: &mut u64) -> Result<(), Fault> {
        if *run > 0 {
            *run -= 1;
            return Ok(());
        }
        let mut k = self.from;
        while k <= self.to {
            let symbol = bits.symbol(table)?;
            let (zeros, size) = (usize::from(symbol >> 4), u32::from(symbol & 15));
            match (zeros, size) {
                (15, 0) => k += 16,
                (zeros, 0) => {
                    *run = (1 << zeros) - 1 + bits.take(zeros as u32)?;
                    break;
                }
                _ => {
                    k += zeros;
                    if k > self.to {
                        return Err(Fault::Code("a coefficient outside of its block"));
                    }
                    bits.skip(size)?;
                    *nonzero |= 1 << k;
                    k += 1;
                }
            }
        }
        Ok(())
    }

    /// G.1.2.3: one more bit of AC coefficients; those that are not zero yet have a bit each wherever they are passed.
    fn refined_ac(&self, nonzero: &mut u64, bits: &mut Bits<'_>, table: &Table, run: &mut u64) -> Result<(), Fault> {
        let before = *nonzero;
        let mut k = self.from;
        while *run == 0 && k <= self.to {
            let symbol = bits.symbol(table)?;
            let (mut zeros, size) = (u32::from(symbol >> 4), symbol & 15);
            match (zeros, size) {
                (15, 0) => {}
                (zeros, 0) => {
                    *run = (1 << zeros) + bits.take(zeros)?;
                    break;
                }
                (_, 1) => bits.skip(1)?,
                _ => return Err(Fault::Code("a new coefficient of more than one bit")),
            }
            while k <= self.to {
                if before >> k & 1 == 1 {
                    bits.skip(1)?;
                } else if zeros == 0 {
                    break;
                } else {
                    zeros -= 1;
                }
                k += 1;
            }
            if size == 1 {
                if k > self.to {
                    return Err(Fault::Code("a coefficient outside of its block"));
                }
                *nonzero |= 1 << k;
            }
            k += 1;
        }
        if *run > 0 {
            *run -= 1;
            let rest = if k <= self.to { before >> k << k & (u64::MAX >> (63 - self.to)) } else { 0 };
            bits.skip(rest.count_ones())?;
        }
        Ok(())
    }

    /// Notes which bits have come.
    fn done(&self, frame: &mut Frame) -> Result<()> {
        for &(place, ..) in &self.components {
            let left = &mut frame.components[place].bits_left[self.from..=self.to];
            if !frame.progressive && left[0].is_some() {
                return Err(damaged("a component comes twice"));
            }
            left.fill(Some(self.low));
        }
        Ok(())
    }
}

/// Blocks of a component that is alone in a scan: only those that hold pixels (A.2.2).
fn blocks(frame: &Frame, component: &Component) -> (u64, u64) {
    let columns = (frame.width * component.h).div_ceil(frame.h_max).div_ceil(8);
    (columns, (frame.height * component.v).div_ceil(frame.v_max).div_ceil(8))
}

fn dc_coefficient(bits: &mut Bits<'_>, table: &Table) -> Result<(), Fault> {
    match bits.symbol(table)? {
        size @ 0..=15 => bits.skip(size.into()),
        _ => Err(Fault::Code("a DC coefficient of too many bits")),
    }
}

/// F.2.2: all coefficients of a block.
fn sequential_block(bits: &mut Bits<'_>, dc: &Table, ac: &Table) -> Result<(), Fault> {
    dc_coefficient(bits, dc)?;
    let mut k = 1;
    while k < 64 {
        let symbol = bits.symbol(ac)?;
        match (symbol >> 4, symbol & 15) {
            (15, 0) => k += 16,
            (_, 0) => return Ok(()),
            (zeros, size) => {
                k += u32::from(zeros) + 1;
                bits.skip(size.into())?;
            }
        }
    }
    if k > 64 { Err(Fault::Code("a coefficient outside of its block")) } else { Ok(()) }
}

/// Codes up to this length are looked up at once.
const FAST_BITS: u32 = 9;

/// A Huffman table (C.2).
struct Table {
    /// By the next [`FAST_BITS`] bits: symbol, and length of its code; 0 for longer codes.
    fast: [(u8, u8); 1 << FAST_BITS],
    /// By length: the first code after those of this length, moved left to 16 bits.
    limit: [u32; 17],
    /// By length: what to add to a code for its place in `symbols`.
    offset: [i32; 17],
    symbols: Vec<u8>,
}

impl Table {
    fn new(counts: &[u8; 16], symbols: &[u8]) -> Result<Self> {
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
                        return Err(damaged("Huffman table with too many codes"));
                    };
                    entries.fill((symbols[place], length as u8));
                }
                code += 1;
                place += 1;
            }
            if code > 1 << length {
                return Err(damaged("Huffman table with too many codes"));
            }
            table.limit[length] = code << (16 - length);
            code <<= 1;
        }
        Ok(table)
    }
}

#[derive(Default)]
struct Tables {
    dc: [Option<Box<Table>>; 4],
    ac: [Option<Box<Table>>; 4],
}

impl Tables {
    /// Reads a DHT segment (B.2.4.2), which may hold several tables.
    fn read(&mut self, mut segment: &[u8]) -> Result<()> {
        let short = || damaged("Huffman table too short");
        while let Some((&kind, rest)) = segment.split_first() {
            let (counts, rest) = rest.split_first_chunk::<16>().ok_or_else(short)?;
            let total = counts.iter().map(|&n| usize::from(n)).sum();
            let (symbols, rest) = rest.split_at_checked(total).ok_or_else(short)?;
            let tables = if kind >> 4 == 0 { &mut self.dc } else { &mut self.ac };
            let place = tables.get_mut(usize::from(kind & 15)).filter(|_| kind >> 4 <= 1);
            let place = place.ok_or_else(|| damaged("Huffman table of a number that there is not"))?;
            *place = Some(Box::new(Table::new(counts, symbols)?));
            segment = rest;
        }
        Ok(())
    }

    fn dc(&self, number: usize) -> Result<&Table, Fault> {
        self.dc[number].as_deref().ok_or(Fault::Code("a Huffman table is missing"))
    }

    fn ac(&self, number: usize) -> Result<&Table, Fault> {
        self.ac[number].as_deref().ok_or(Fault::Code("a Huffman table is missing"))
    }
}

/// Reads entropy-coded data bit by bit, up to the next marker.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The next bits, from the top.
    buffer: u64,
    count: u32,
}

impl Bits<'_> {
    /// Fetches bytes until there are more than 48 bits, or a marker.
    fn fill(&mut self) {
        // Eight bytes at once where none of them is 0xff.
        if let Some(next) = self.bytes.get(self.at..).and_then(<[u8]>::first_chunk::<8>) {
            let word = u64::from_be_bytes(*next);
            let inverted = !word;
            if inverted.wrapping_sub(0x0101_0101_0101_0101) & word & 0x8080_8080_8080_8080 == 0 {
                let taken = (63 - self.count) / 8;
                self.buffer |= word >> self.count;
                self.at += taken as usize;
                self.count += 8 * taken;
                // What does not belong to whole bytes is fetched again.
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

    fn need(&mut self, n: u32) -> Result<(), Fault> {
        if self.count < n {
            self.fill();
            if self.count < n {
                return Err(Fault::End);
            }
        }
        Ok(())
    }

    fn advance(&mut self, n: u32) {
        self.buffer <<= n;
        self.count -= n;
    }

    fn skip(&mut self, mut n: u32) -> Result<(), Fault> {
        while n > 0 {
            let now = n.min(32);
            self.need(now)?;
            self.advance(now);
            n -= now;
        }
        Ok(())
    }

    /// At most 16 bits as a number.
    fn take(&mut self, n: u32) -> Result<u64, Fault> {
        if n == 0 {
            return Ok(0);
        }
        self.need(n)?;
        let value = self.buffer >> (64 - n);
        self.advance(n);
        Ok(value)
    }

    fn symbol(&mut self, table: &Table) -> Result<u8, Fault> {
        if self.count < 16 {
            self.fill();
        }
        let (symbol, length) = table.fast[(self.buffer >> (64 - FAST_BITS)) as usize];
        if length > 0 && u32::from(length) <= self.count {
            self.advance(length.into());
            return Ok(symbol);
        }
        let code = (self.buffer >> 48) as u32;
        for length in 1..=16_u32 {
            if code < table.limit[length as usize] {
                if length > self.count {
                    break;
                }
                let place = (code >> (16 - length)) as i32 + table.offset[length as usize];
                let symbol = table.symbols.get(place as usize);
                self.advance(length);
                return symbol.copied().ok_or(Fault::Code("a code that is in no Huffman table"));
            }
        }
        // Without 16 bits the zeros behind the end were part of the code.
        Err(if self.count < 16 { Fault::End } else { Fault::Code("a code that is in no Huffman table") })
    }

    /// Where the marker behind the data is; there must be nothing left but the bits that fill the last byte.
    fn end(&mut self) -> Result<usize> {
        self.fill();
        let here = self.bytes.get(self.at..).unwrap_or_default();
        if self.count >= 8 || here.first().is_some_and(|&byte| byte != 0xff) {
            return Err(damaged("data behind its last block"));
        }
        Ok(self.at)
    }

    /// Passes a restart marker, which must be here.
    fn restart(&mut self, number: u8) -> Result<()> {
        let mut at = self.end()?;
        while self.bytes.get(at) == Some(&0xff) {
            at += 1;
        }
        if self.bytes.get(at) != Some(&(0xd0 + number)) {
            return Err(damaged("a restart marker is missing"));
        }
        (self.at, self.buffer, self.count) = (at + 1, 0, 0);
        Ok(())
    }
}
