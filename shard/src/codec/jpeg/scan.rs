//! Reads the entropy-coded data of a JPEG file and counts its blocks (ITU-T T.81, annexes F.2 and
//! G.2).
//!
//! Decoders fill in the missing part of a truncated file, and an end marker after the cut hides the
//! truncation. This module reads every code of every block but keeps no coefficients. It is faster
//! than decoding and always finds the cut.

use super::fault::{JpegFault, Result, UnitFault, damaged};
use super::header::check_header;
use super::huffman::{Bits, Table, Tables};
use crate::geometry::ImageSize;

/// Checks a whole JPEG file without decoding it.
///
/// Checks the markers like [`check_header`], and that the image data has all blocks and nothing
/// else. This also finds truncated files that end with an end marker, whose missing part decoders
/// fill with grey.
///
/// # Example
///
/// ```
/// use clipshard::jpeg::{JpegFault, check_header, check_scans};
///
/// let file = std::fs::read("tests/golden/wave.jpg").unwrap();
/// assert_eq!(check_scans(&file).unwrap().to_string(), "16x12x3");
/// // A truncated file with an end marker after the cut.
/// let cut = [&file[..file.len() - 40], b"\xff\xd9"].concat();
/// assert!(check_header(&cut).is_ok());
/// assert!(matches!(check_scans(&cut), Err(JpegFault::Cut { .. })));
/// ```
pub fn check_scans(bytes: &[u8]) -> Result<ImageSize> {
    let size = check_header(bytes)?;
    check(bytes)?;
    Ok(size)
}

/// Checks that each scan has all of its blocks and nothing after them, and that the scans together
/// form a whole image.
///
/// The markers up to the first scan must have been checked.
fn check(bytes: &[u8]) -> Result<()> {
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
                        _ => return Err(damaged("the restart interval has a wrong length")),
                    },
                    0xda => file.scan(segment)?,
                    _ => {}
                }
            }
        }
    }
}

/// The state of a walk through a file.
struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    tables: Tables,
    /// Number of units (MCUs) between two restart markers; 0 if there are no restart markers.
    restart_interval: u64,
    frame: Option<Frame>,
}

impl<'a> Walk<'a> {
    /// Reads the next marker, which must be at the current position.
    fn marker(&mut self) -> Result<u8> {
        let end = || JpegFault::Truncated("its end marker is missing");
        if *self.bytes.get(self.at).ok_or_else(end)? != 0xff {
            return Err(damaged("a marker is missing"));
        }
        while *self.bytes.get(self.at).ok_or_else(end)? == 0xff {
            self.at += 1;
        }
        self.at += 1;
        Ok(self.bytes[self.at - 1])
    }

    /// Reads the content of a segment.
    fn segment(&mut self) -> Result<&'a [u8]> {
        let end = || JpegFault::Truncated("it ends inside a segment");
        let &[high, low] = self.bytes.get(self.at..self.at + 2).ok_or_else(end)? else { return Err(end()) };
        let length = u16::from_be_bytes([high, low]).max(2) as usize;
        let segment = self.bytes.get(self.at + 2..self.at + length).ok_or_else(end)?;
        self.at += length;
        Ok(segment)
    }

    /// Reads a scan up to the marker after it.
    fn scan(&mut self, header: &[u8]) -> Result<()> {
        let frame = self.frame.as_mut().ok_or_else(|| damaged("a scan precedes the frame header"))?;
        let scan = Scan::read(header, frame)?;
        let units = scan.units(frame);
        let mut bits = Bits::new(self.bytes, self.at);
        let (mut blocks, mut run) = (0, 0);
        for unit in 0..units {
            if self.restart_interval > 0 && unit > 0 && unit % self.restart_interval == 0 {
                bits.restart(((unit / self.restart_interval - 1) % 8) as u8)?;
                run = 0;
            }
            scan.unit(unit, frame, &self.tables, &mut bits, &mut run).map_err(|fault| match fault {
                // Blocks of an incomplete unit are not counted.
                UnitFault::End => JpegFault::Cut { blocks, of: units * scan.blocks_per_unit(frame) },
                UnitFault::Code(what) => damaged(what),
            })?;
            blocks += scan.blocks_per_unit(frame);
        }
        if run > 0 {
            return Err(damaged("a run of empty blocks ends outside of the image"));
        }
        self.at = bits.end()?;
        scan.done(frame)
    }

    /// Checks, at the end marker, that the image is whole and that only zero bytes follow.
    fn finish(&self) -> Result<()> {
        if self.bytes[self.at..].iter().any(|&byte| byte != 0) {
            return Err(damaged("data follows its end marker"));
        }
        match &self.frame {
            Some(frame) if frame.components.iter().all(Component::is_whole) => Ok(()),
            _ => Err(JpegFault::Truncated("scans are missing")),
        }
    }
}

/// The frame header (B.2.2), with the progress of each component.
struct Frame {
    width: u64,
    height: u64,
    progressive: bool,
    h_max: u64,
    v_max: u64,
    components: Vec<Component>,
}

/// A colour component.
struct Component {
    id: u8,
    /// Blocks per unit (MCU), horizontally and vertically.
    h: u64,
    v: u64,
    /// Blocks per row, including those that complete the last unit.
    stride: u64,
    /// For progressive files: a bit mask per block of the coefficients that are not zero so far.
    nonzero: Vec<u64>,
    /// Number of low bits of each coefficient that later scans must add; `None` before its first
    /// scan.
    bits_left: [Option<u8>; 64],
}

impl Component {
    fn is_whole(&self) -> bool {
        self.bits_left.iter().all(|left| *left == Some(0))
    }
}

impl Frame {
    fn read(segment: &[u8], progressive: bool) -> Result<Self> {
        let (head, rest) = segment.split_at_checked(6).ok_or_else(|| damaged("the frame header is too short"))?;
        let (height, width) = (u16::from_be_bytes([head[1], head[2]]), u16::from_be_bytes([head[3], head[4]]));
        if rest.len() != 3 * head[5] as usize || head[5] == 0 || width == 0 || height == 0 {
            return Err(damaged("the frame header has a wrong length or no pixels"));
        }
        let mut components = Vec::new();
        for entry in rest.chunks_exact(3) {
            let (h, v) = (u64::from(entry[1] >> 4), u64::from(entry[1] & 15));
            if !(1..=4).contains(&h) || !(1..=4).contains(&v) {
                return Err(damaged("the sampling factors are invalid"));
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

/// The header of a scan: its components, coefficients and bits.
struct Scan {
    /// For each component its index in the frame, its DC table and its AC table.
    components: Vec<(usize, usize, usize)>,
    /// The first and the last coefficient.
    from: usize,
    to: usize,
    /// Whether the scan adds one bit to coefficients of earlier scans.
    refining: bool,
    /// Number of low bits that later scans add.
    low: u8,
}

impl Scan {
    fn read(header: &[u8], frame: &Frame) -> Result<Self> {
        let wrong = || damaged("a scan header is invalid");
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
        // Scans add the bits of a coefficient from high to low, each bit once.
        let expected = (high > 0).then_some(high);
        let in_order = |(place, ..): &(usize, usize, usize)| {
            frame.components[*place].bits_left[from..=to].iter().all(|left| *left == expected)
        };
        if !components.iter().all(in_order) {
            return Err(damaged("the order of the scans is invalid"));
        }
        Ok(Self { components, from, to, refining: high > 0, low })
    }

    /// Returns the number of units of the scan: blocks if it has one component, MCUs if it has
    /// several.
    fn units(&self, frame: &Frame) -> u64 {
        if let [(place, ..)] = self.components[..] {
            let (columns, rows) = blocks(frame, &frame.components[place]);
            return columns * rows;
        }
        frame.width.div_ceil(8 * frame.h_max) * frame.height.div_ceil(8 * frame.v_max)
    }

    fn blocks_per_unit(&self, frame: &Frame) -> u64 {
        if self.components.len() == 1 {
            return 1;
        }
        self.components.iter().map(|(place, ..)| frame.components[*place].h * frame.components[*place].v).sum()
    }

    /// Reads one unit. `run` is the number of blocks that a run of empty blocks still covers.
    fn unit(
        &self,
        unit: u64,
        frame: &mut Frame,
        tables: &Tables,
        bits: &mut Bits<'_>,
        run: &mut u64,
    ) -> Result<(), UnitFault> {
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
                    // Progressive scans of several components have DC coefficients only, one bit
                    // each here.
                    bits.skip(1)?;
                } else {
                    dc_coefficient(bits, tables.dc(dc)?)?;
                }
            }
        }
        Ok(())
    }

    /// Reads a block of a progressive scan with one component.
    fn progressive_block(
        &self,
        component: &mut Component,
        block: usize,
        tables: &Tables,
        (dc, ac): (usize, usize),
        bits: &mut Bits<'_>,
        run: &mut u64,
    ) -> Result<(), UnitFault> {
        match (self.from, self.refining) {
            (0, false) => dc_coefficient(bits, tables.dc(dc)?),
            (0, true) => bits.skip(1),
            (_, false) => self.first_ac(&mut component.nonzero[block], bits, tables.ac(ac)?, run),
            (_, true) => self.refined_ac(&mut component.nonzero[block], bits, tables.ac(ac)?, run),
        }
    }

    /// Reads the high bits of the AC coefficients of a block (G.1.2.2).
    fn first_ac(&self, nonzero: &mut u64, bits: &mut Bits<'_>, table: &Table, run: &mut u64) -> Result<(), UnitFault> {
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
                        return Err(UnitFault::Code("a coefficient is outside of its block"));
                    }
                    bits.skip(size)?;
                    *nonzero |= 1 << k;
                    k += 1;
                }
            }
        }
        Ok(())
    }

    /// Reads one more bit of the AC coefficients of a block (G.1.2.3).
    ///
    /// Each coefficient that is not zero already has one bit at the point where the scan reaches
    /// it.
    fn refined_ac(
        &self,
        nonzero: &mut u64,
        bits: &mut Bits<'_>,
        table: &Table,
        run: &mut u64,
    ) -> Result<(), UnitFault> {
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
                _ => return Err(UnitFault::Code("a new coefficient has more than one bit")),
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
                    return Err(UnitFault::Code("a coefficient is outside of its block"));
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

    /// Records which bits the scan has added.
    fn done(&self, frame: &mut Frame) -> Result<()> {
        for &(place, ..) in &self.components {
            let left = &mut frame.components[place].bits_left[self.from..=self.to];
            if !frame.progressive && left[0].is_some() {
                return Err(damaged("a component is in two scans"));
            }
            left.fill(Some(self.low));
        }
        Ok(())
    }
}

/// Returns columns and rows of the blocks of a component that is alone in a scan: only blocks with
/// pixels (A.2.2).
fn blocks(frame: &Frame, component: &Component) -> (u64, u64) {
    let columns = (frame.width * component.h).div_ceil(frame.h_max).div_ceil(8);
    (columns, (frame.height * component.v).div_ceil(frame.v_max).div_ceil(8))
}

/// Reads a DC coefficient.
fn dc_coefficient(bits: &mut Bits<'_>, table: &Table) -> Result<(), UnitFault> {
    match bits.symbol(table)? {
        size @ 0..=15 => bits.skip(size.into()),
        _ => Err(UnitFault::Code("a DC coefficient has too many bits")),
    }
}

/// Reads all coefficients of a block of a sequential file (F.2.2).
fn sequential_block(bits: &mut Bits<'_>, dc: &Table, ac: &Table) -> Result<(), UnitFault> {
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
    if k > 64 { Err(UnitFault::Code("a coefficient is outside of its block")) } else { Ok(()) }
}
