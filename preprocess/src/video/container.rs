//! Checks whether a video file is complete, without decoding it. Containers store the lengths of
//! their parts, so these show whether a file was cut short, or whether a download reserved the
//! space but never filled it.
//!
//! Each container has one function that walks its outermost parts. If such a function finds
//! something unknown, it reports no fault and leaves the verdict to the decoder.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use clipshard::open_regular;

/// The verdict about a video file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// No fault was found.
    Whole,
    /// The file is damaged. The text is the reason.
    Damaged(String),
    /// The file is damaged if it has fewer frames than its header says; otherwise an index may lead
    /// readers past the gap. The text is the reason.
    Doubtful(String),
}

/// Checks whether a file reaches its end, and whether its parts follow one another.
pub(super) fn judge(path: &Path) -> io::Result<Verdict> {
    let file = open_regular(path)?;
    let length = file.metadata()?.len();
    if length == 0 {
        return Ok(Verdict::Damaged("the file is empty".into()));
    }
    let mut parts = Parts { file, length };
    let found = parts.walk()?;
    let lost = |at: u64| format!("it is damaged: unknown data starts at byte {at}");
    Ok(match found {
        End::Cut { needs } => {
            Verdict::Damaged(format!("it is truncated: it has {length} bytes, but needs at least {needs}"))
        }
        End::Lost { at } | End::Skipped { at } if parts.is_zero_from(at)? => {
            Verdict::Damaged(format!("it has only zeros from byte {at} on, as after an unfinished download"))
        }
        End::Lost { at } => Verdict::Damaged(lost(at)),
        End::Skipped { at } => Verdict::Doubtful(lost(at)),
        End::Whole => Verdict::Whole,
    })
}

/// The result of a walk over the parts of a file.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// All parts fit into the file, or nothing is known.
    Whole,
    /// A part, or something that must follow, extends beyond the end of the file.
    Cut { needs: u64 },
    /// The bytes at this position do not start a valid part.
    Lost { at: u64 },
    /// Like `Lost`, but an index leads readers to the parts behind.
    Skipped { at: u64 },
}

/// Random access to the bytes of a file. Lengths that the file states are never trusted beyond its
/// own length.
struct Parts {
    file: File,
    length: u64,
}

impl Parts {
    /// Returns the bytes at a position, or `None` if the file ends before.
    fn at<const N: usize>(&mut self, place: u64) -> io::Result<Option<[u8; N]>> {
        if place.checked_add(N as u64).is_none_or(|end| end > self.length) {
            return Ok(None);
        }
        let mut bytes = [0; N];
        self.file.seek(SeekFrom::Start(place))?;
        self.file.read_exact(&mut bytes)?;
        Ok(Some(bytes))
    }

    fn walk(&mut self) -> io::Result<End> {
        let Some(head) = self.at::<12>(0)? else { return Ok(End::Whole) };
        match head {
            [b'R', b'I', b'F', b'F', _, _, _, _, b'A', b'V', b'I', b' '] => self.avi(),
            [0x1a, 0x45, 0xdf, 0xa3, ..] => self.matroska(),
            [_, _, _, _, kind @ .., _, _, _, _] if BOXES.contains(&&kind) => self.mp4(),
            [b'F', b'L', b'V', 1, ..] => self.flv(),
            [b'O', b'g', b'g', b'S', ..] => self.ogg(),
            [0, 0, 1, 0xba, ..] => self.program_stream(),
            [0x30, 0x26, 0xb2, 0x75, ..] => self.asf(),
            _ => self.transport_stream(),
        }
    }

    /// Walks an AVI file. A RIFF chunk has a name of four letters, a length and its content, padded
    /// to an even length. The frames are chunks in the list `movi`.
    fn avi(&mut self) -> io::Result<End> {
        let mut at = 0;
        while at < self.length {
            let Some(head) = self.at::<12>(at)? else { break };
            let [b'R', b'I', b'F', b'F', s0, s1, s2, s3, ..] = head else { break };
            let bytes = u32::from_le_bytes([s0, s1, s2, s3]);
            // Writers that cannot seek leave 0 or all ones.
            let end = if matches!(bytes, 0 | u32::MAX) { None } else { Some(at + 8 + u64::from(bytes)) };
            if let Some(needs) = end.filter(|&end| end > self.length) {
                return Ok(End::Cut { needs });
            }
            match self.avi_chunks(at + 12, end.unwrap_or(self.length), end.is_some(), true)? {
                End::Whole => {}
                other => return Ok(other),
            }
            let Some(end) = end else { break };
            at = end + end % 2;
        }
        Ok(End::Whole)
    }

    /// Walks the chunks from `at` to `end`. `known` is false if the writer left the end open. Only
    /// the outer level enters the list of frames, so nested lists take no time.
    fn avi_chunks(&mut self, mut at: u64, end: u64, known: bool, outside: bool) -> io::Result<End> {
        while at + 8 <= end {
            let Some([k0, k1, k2, k3, s0, s1, s2, s3]) = self.at::<8>(at)? else { break };
            let kind = [k0, k1, k2, k3];
            if !kind.iter().all(|b| b.is_ascii_graphic() || *b == b' ') {
                return Ok(End::Skipped { at });
            }
            let bytes = u32::from_le_bytes([s0, s1, s2, s3]);
            // The list of frames is entered, because cut files end in it, and because its length
            // may never have been filled in.
            let is_movi = outside && kind == *b"LIST" && self.at::<4>(at + 8)? == Some(*b"movi");
            if is_movi && (matches!(bytes, 0 | u32::MAX) || !known) {
                at += 12;
                continue;
            }
            let next = at + 8 + u64::from(bytes);
            if next > end {
                return Ok(End::Cut { needs: next });
            }
            if is_movi {
                match self.avi_chunks(at + 12, next, true, false)? {
                    End::Whole => {}
                    other => return Ok(other),
                }
            }
            at = next + next % 2;
        }
        Ok(End::Whole)
    }

    /// Walks an MP4, MOV or 3GP file. A box has a length and a name of four letters. Length 1 means
    /// that 8 bytes of length follow, and 0 that the box extends to the end of the file.
    fn mp4(&mut self) -> io::Result<End> {
        let mut at = 0;
        let (mut last, mut fragmented) = (*b"    ", false);
        while at < self.length {
            let Some([s0, s1, s2, s3, k0, k1, k2, k3]) = self.at::<8>(at)? else {
                // QuickTime files may end with four zeros.
                return Ok(if self.is_zero_from(at)? { End::Whole } else { End::Cut { needs: at + 8 } });
            };
            let kind = [k0, k1, k2, k3];
            if !BOXES.contains(&&kind) && !kind.iter().all(u8::is_ascii_alphanumeric) {
                // This is padding, unless the file consists of fragments, which would continue
                // here.
                return Ok(if fragmented { End::Lost { at } } else { End::Whole });
            }
            fragmented |= kind == *b"moof";
            let bytes = match u32::from_be_bytes([s0, s1, s2, s3]) {
                0 => return Ok(End::Whole),
                1 => match self.at::<8>(at + 8)? {
                    Some(bytes) => u64::from_be_bytes(bytes),
                    None => return Ok(End::Cut { needs: at + 16 }),
                },
                bytes => bytes.into(),
            };
            if bytes < 8 {
                return Ok(End::Lost { at });
            }
            let next = at.saturating_add(bytes);
            if next > self.length {
                return Ok(End::Cut { needs: next });
            }
            (at, last) = (next, kind);
        }
        // The frames of a fragment must follow its head.
        Ok(if last == *b"moof" { End::Cut { needs: self.length + 8 } } else { End::Whole })
    }

    /// Walks a Matroska or `WebM` file. An element has an id and a length, both of variable size.
    /// Live recordings leave lengths open. The segment and its clusters are entered even if their
    /// lengths are known.
    fn matroska(&mut self) -> io::Result<End> {
        const SEGMENT: u32 = 0x1853_8067;
        const CLUSTER: u32 = 0x1f43_b675;
        let mut at = 0;
        while at < self.length {
            let Some((id, bytes, inside)) = self.element(at)? else {
                let is_short = self.length - at < 12 && !self.is_zero_from(at)?;
                return Ok(if is_short { End::Cut { needs: self.length + 1 } } else { End::Lost { at } });
            };
            let end = bytes.map(|bytes| inside.saturating_add(bytes));
            match (id, end) {
                (SEGMENT | CLUSTER, Some(needs)) if needs > self.length => return Ok(End::Cut { needs }),
                (SEGMENT | CLUSTER, _) => at = inside,
                (_, None) => return Ok(End::Lost { at }),
                (_, Some(needs)) if needs > self.length => return Ok(End::Cut { needs }),
                (_, Some(end)) => at = end,
            }
        }
        Ok(End::Whole)
    }

    /// Returns the id, the length and the content's position of the element at `at`. The length is
    /// `None` if it is open.
    fn element(&mut self, at: u64) -> io::Result<Option<(u32, Option<u64>, u64)>> {
        let mut head = [0; 12];
        let there = (self.length - at).min(12) as usize;
        self.file.seek(SeekFrom::Start(at))?;
        self.file.read_exact(&mut head[..there])?;
        let id_bytes = head[0].leading_zeros() as usize + 1;
        if id_bytes > 4 || id_bytes >= there {
            return Ok(None);
        }
        let id = head[..id_bytes].iter().fold(0, |id, &byte| id << 8 | u32::from(byte));
        let length_bytes = head[id_bytes].leading_zeros() as usize + 1;
        if length_bytes > 8 || id_bytes + length_bytes > there {
            return Ok(None);
        }
        let mask = if length_bytes == 8 { 0 } else { 0x7f >> (length_bytes - 1) };
        let first = u64::from(head[id_bytes] & mask);
        let rest = &head[id_bytes + 1..id_bytes + length_bytes];
        let length = rest.iter().fold(first, |length, &byte| length << 8 | u64::from(byte));
        let open = length == (1 << (7 * length_bytes)) - 1;
        Ok(Some((id, (!open).then_some(length), at + (id_bytes + length_bytes) as u64)))
    }

    /// Walks a Flash video file. A tag has a type, a length of three bytes, its content, and four
    /// bytes that repeat its length.
    fn flv(&mut self) -> io::Result<End> {
        let Some([_, _, _, _, _, h0, h1, h2, h3]) = self.at::<9>(0)? else { return Ok(End::Whole) };
        let mut at = u64::from(u32::from_be_bytes([h0, h1, h2, h3])) + 4;
        while at < self.length {
            let Some([kind, s0, s1, s2, ..]) = self.at::<11>(at)? else { return Ok(End::Cut { needs: at + 11 }) };
            if !matches!(kind & 0x1f, 8 | 9 | 18) {
                return Ok(End::Lost { at });
            }
            let next = at + 15 + u64::from(u32::from_be_bytes([0, s0, s1, s2]));
            // Some writers omit the last four bytes, which only repeat the length.
            if next - 4 > self.length {
                return Ok(End::Cut { needs: next });
            }
            at = next;
        }
        Ok(End::Whole)
    }

    /// Walks an Ogg file, whose pages have a table of up to 255 lengths.
    fn ogg(&mut self) -> io::Result<End> {
        let mut at = 0;
        while at < self.length {
            let Some(head) = self.at::<27>(at)? else { return Ok(End::Cut { needs: at + 27 }) };
            if head[..4] != *b"OggS" {
                return Ok(End::Lost { at });
            }
            let segments = u64::from(head[26]);
            if at + 27 + segments > self.length {
                return Ok(End::Cut { needs: at + 27 + segments });
            }
            let mut lengths = vec![0; segments as usize];
            self.file.seek(SeekFrom::Start(at + 27))?;
            self.file.read_exact(&mut lengths)?;
            let next = at + 27 + segments + lengths.iter().map(|&bytes| u64::from(bytes)).sum::<u64>();
            if next > self.length {
                return Ok(End::Cut { needs: next });
            }
            at = next;
        }
        Ok(End::Whole)
    }

    /// Walks an MPEG program stream of packs and packets, with lengths of two bytes.
    fn program_stream(&mut self) -> io::Result<End> {
        let mut at = 0;
        while at < self.length {
            let Some([0, 0, 1, kind]) = self.at::<4>(at)? else {
                let rest = self.length - at;
                return Ok(if rest < 4 && !self.is_zero_from(at)? {
                    End::Cut { needs: at + 4 }
                } else {
                    End::Lost { at }
                });
            };
            let next = match kind {
                0xb9 => at + 4,
                0xba => match self.at::<14>(at)? {
                    // The pack header of MPEG-2 has 14 bytes and padding, that of MPEG-1 has 12
                    // bytes.
                    Some(head) if head[4] >> 6 == 1 => at + 14 + u64::from(head[13] & 7),
                    Some(_) => at + 12,
                    None => return Ok(End::Cut { needs: at + 12 }),
                },
                0xbb..=0xff => match self.at::<6>(at)? {
                    Some([.., s0, s1]) => at + 6 + u64::from(u16::from_be_bytes([s0, s1])),
                    None => return Ok(End::Cut { needs: at + 6 }),
                },
                // This is an elementary stream without packets.
                _ => return Ok(End::Whole),
            };
            if next > self.length {
                return Ok(End::Cut { needs: next });
            }
            at = next;
        }
        Ok(End::Whole)
    }

    /// Walks an ASF (WMV) file. An object has an id of 16 bytes and a length of 8. The data object
    /// holds packets of equal size, which the file properties in the header state. If the first
    /// packet starts with the error correction byte, all packets must.
    fn asf(&mut self) -> io::Result<End> {
        const PROPERTIES: [u8; 4] = [0xa1, 0xdc, 0xab, 0x8c];
        const DATA: [u8; 4] = [0x36, 0x26, 0xb2, 0x75];
        const DATA_HEAD: u64 = 50;
        let header_end = self.object(0)?.map_or(0, |(_, bytes)| bytes);
        let (mut at, mut packet_bytes) = (30, 0);
        while at < header_end.min(self.length)
            && let Some((kind, bytes @ 24..)) = self.object(at)?
        {
            if kind == PROPERTIES {
                packet_bytes = self.at::<4>(at + 92)?.map_or(0, u32::from_le_bytes);
            }
            at = at.saturating_add(bytes);
        }
        at = 0;
        while let Some((kind, bytes)) = self.object(at)? {
            // Live recordings leave the length of the data object open.
            let is_live = kind == DATA && bytes <= DATA_HEAD;
            let next = if is_live { self.length } else { at.saturating_add(bytes) };
            if bytes < 24 && !is_live {
                return Ok(End::Lost { at });
            }
            if next > self.length {
                return Ok(End::Cut { needs: next });
            }
            if kind == DATA && packet_bytes > 0 && self.at(at + DATA_HEAD)? == Some([0x82]) {
                for packet in (at + DATA_HEAD..next).step_by(packet_bytes as usize) {
                    if self.at(packet)? != Some([0x82]) {
                        // An index may follow the packets of a live recording.
                        return Ok(if is_live { End::Whole } else { End::Lost { at: packet } });
                    }
                }
            }
            at = next;
        }
        Ok(End::Whole)
    }

    /// Returns the first bytes of an ASF object's id, and its length.
    fn object(&mut self, at: u64) -> io::Result<Option<([u8; 4], u64)>> {
        let Some([k0, k1, k2, k3, .., b0, b1, b2, b3, b4, b5, b6, b7]) = self.at::<24>(at)? else { return Ok(None) };
        Ok(Some(([k0, k1, k2, k3], u64::from_le_bytes([b0, b1, b2, b3, b4, b5, b6, b7]))))
    }

    /// Walks an MPEG transport stream. Packets have 188 bytes and start with 0x47. Blu-ray discs
    /// and cameras put four bytes before each packet.
    fn transport_stream(&mut self) -> io::Result<End> {
        for (size, first) in [(188, 0), (192, 4), (204, 0)] {
            let mut starts = self.length >= size;
            for packet in 0..(self.length / size).min(5) {
                starts &= self.at::<1>(packet * size + first)? == Some([0x47]);
            }
            if !starts {
                continue;
            }
            let packets = self.length / size;
            let mut packet = vec![0; size as usize];
            self.file.seek(SeekFrom::Start(0))?;
            let mut file = BufReader::with_capacity(1 << 20, &self.file);
            for number in 0..packets {
                file.read_exact(&mut packet)?;
                if packet[first as usize] != 0x47 {
                    return Ok(End::Lost { at: number * size });
                }
            }
            let whole = packets * size;
            return Ok(if whole < self.length { End::Cut { needs: whole + size } } else { End::Whole });
        }
        Ok(End::Whole)
    }

    /// Returns whether the file has only zeros from a position to its end.
    fn is_zero_from(&mut self, at: u64) -> io::Result<bool> {
        self.file.seek(SeekFrom::Start(at))?;
        let mut buffer = vec![0; 1 << 16];
        loop {
            match self.file.read(&mut buffer)? {
                0 => return Ok(true),
                n if buffer[..n].iter().any(|&byte| byte != 0) => return Ok(false),
                _ => {}
            }
        }
    }
}

/// Names of the outermost boxes in MP4, MOV and 3GP files.
const BOXES: [&[u8; 4]; 20] = [
    b"ftyp", b"moov", b"mdat", b"moof", b"free", b"skip", b"wide", b"uuid", b"meta", b"mfra", b"sidx", b"ssix",
    b"styp", b"pnot", b"udta", b"pdin", b"prft", b"emsg", b"junk", b"PICT",
];

#[cfg(test)]
mod tests;
