//! A decoder for common JPEG files: one interleaved baseline scan, grey or YCbCr.
//!
//! It decodes a window of the image. Blocks outside of the window are read but not transformed, and
//! blocks after the window are not read.
//!
//! The pixels are identical to those of libjpeg's default decoder (accurate integer IDCT, smoothed
//! chroma), and so to those of PIL, OpenCV and libjpeg-turbo.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod colour;
mod entropy;
mod frame;
mod idct;
mod kernels;
mod plane;

use super::fault::{JpegFault, Result, UnitFault, damaged};
use super::huffman::Bits;
use crate::geometry::{ImageSize, Window};
use colour::Rows;
use entropy::{BlockTables, read_block, skip_block};
use frame::{FileTables, Frame};
use kernels::Kernels;
use plane::Plane;

/// A decoder of baseline files that keeps tables and memory between files.
pub(in crate::codec) struct Baseline {
    tables: FileTables,
    planes: [Plane; 3],
    rows: Rows,
}

impl Baseline {
    pub fn new() -> Self {
        Self { tables: FileTables::new(), planes: Default::default(), rows: Rows::default() }
    }

    /// Decodes a window of an image into `out`: rows with interleaved channels, 1 for luma, 3 for
    /// RGB.
    ///
    /// Returns false, and writes nothing, if another decoder must decode the file. `size` is the
    /// expected size of the image.
    pub fn decode(&mut self, bytes: &[u8], size: ImageSize, window: Window, out: &mut [u8]) -> Result<bool> {
        let Some(frame) = frame::read(bytes, &mut self.tables)? else { return Ok(false) };
        if (frame.width, frame.height) != (size.width.into(), size.height.into()) {
            return Err(JpegFault::Unusable(format!(
                "it has {}x{} pixels, but {size} are expected",
                frame.width, frame.height
            )));
        }
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("bmi2") {
            // SAFETY: the processor supports AVX2 and BMI2, for which the function is compiled.
            #[allow(unsafe_code)]
            unsafe {
                self.decode_avx2(&frame, bytes, size, window, out)?;
            }
            return Ok(true);
        }
        self.decode_with::<idct::Portable>(&frame, bytes, size, window, out)?;
        Ok(true)
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,bmi2")]
    fn decode_avx2(
        &mut self,
        frame: &Frame,
        bytes: &[u8],
        size: ImageSize,
        window: Window,
        out: &mut [u8],
    ) -> Result<()> {
        self.decode_with::<avx2::Avx2>(frame, bytes, size, window, out)
    }

    /// Decodes with the kernels `K`. All called functions are inlined and so compiled once per
    /// instruction set.
    #[inline(always)]
    fn decode_with<K: Kernels>(
        &mut self,
        frame: &Frame,
        bytes: &[u8],
        size: ImageSize,
        window: Window,
        out: &mut [u8],
    ) -> Result<()> {
        let (x, y) = (window.columns(), window.rows());
        let [luma, ..] = frame.components;
        // A grey result needs only the luma plane.
        let planes = frame.count.min(size.channels.into());
        for (plane, component) in self.planes.iter_mut().zip(&frame.components[..planes]) {
            plane.fit(frame, (luma.h / component.h, luma.v / component.v), x.clone(), y.clone());
        }
        read_scan::<K>(&self.tables, frame, bytes, &mut self.planes[..planes])?;
        let [luma_plane, chroma @ ..] = &self.planes;
        if planes == 3 {
            self.rows.write_rgb::<K>(luma_plane, chroma, (luma.h, luma.v), window, out);
        } else {
            colour::write_grey(luma_plane, window, size.channels.into(), out);
        }
        Ok(())
    }
}

/// Reads the scan up to the last block that a plane needs, and transforms the blocks of the planes.
#[inline(always)]
fn read_scan<K: Kernels>(tables: &FileTables, frame: &Frame, bytes: &[u8], planes: &mut [Plane]) -> Result<()> {
    let [luma, ..] = frame.components;
    let components = &frame.components[..frame.count];
    let (across, down) = (frame.width.div_ceil(8 * luma.h), frame.height.div_ceil(8 * luma.v));
    let tables_of = |i: usize| -> Result<BlockTables<'_>> {
        let component = &frame.components[if i < frame.count { i } else { 0 }];
        let (dc, ac) = (tables.codes.dc(component.dc)?, tables.codes.ac(component.ac)?);
        Ok(BlockTables { dc, ac, quant: &tables.quant[component.quant] })
    };
    let block_tables = [tables_of(0)?, tables_of(1)?, tables_of(2)?];
    let mut bits = Bits::new(bytes, frame.data_at);
    let mut dc = [0; 3];
    let last_row = (planes.iter().zip(components)).map(|(plane, c)| (plane.rows.end - 1) / c.v).max().unwrap_or(0);
    let last_column =
        (planes.iter().zip(components)).map(|(plane, c)| (plane.columns.end - 1) / c.h).max().unwrap_or(0);
    let units = last_row * across + last_column + 1;
    let cut = |unit: usize| {
        let blocks_per_unit: usize = components.iter().map(|c| c.h * c.v).sum();
        JpegFault::Cut { blocks: (unit * blocks_per_unit) as u64, of: (across * down * blocks_per_unit) as u64 }
    };
    for unit_row in 0..=last_row {
        for unit_column in 0..across {
            let unit = unit_row * across + unit_column;
            if unit == units {
                break;
            }
            if frame.restart_interval > 0 && unit > 0 && unit % frame.restart_interval == 0 {
                bits.restart((unit / frame.restart_interval - 1) as u8 % 8)?;
                dc = [0; 3];
            }
            #[allow(clippy::needless_range_loop, reason = "iterators would not be inlined: see avx2.rs")]
            for i in 0..components.len() {
                let component = &components[i];
                for block in 0..component.h * component.v {
                    let (column, row) = if component.h == 2 { (block & 1, block >> 1) } else { (0, block) };
                    let (column, row) = (unit_column * component.h + column, unit_row * component.v + row);
                    let fault = |fault| match fault {
                        UnitFault::End => cut(unit),
                        UnitFault::Code(what) => damaged(what),
                    };
                    let tables = &block_tables[i];
                    let plane = match planes.get_mut(i) {
                        Some(plane) if plane.columns.contains(&column) && plane.rows.contains(&row) => plane,
                        _ => {
                            skip_block(&mut bits, tables, &mut dc[i]).map_err(fault)?;
                            continue;
                        }
                    };
                    let mut block = [0; 64];
                    let has_ac = read_block(&mut bits, tables, &mut dc[i], &mut block).map_err(fault)?;
                    let at = 8 * ((row - plane.rows.start) * plane.stride + column - plane.columns.start);
                    let out = &mut plane.pixels[at..];
                    if has_ac {
                        K::block(&block, out, plane.stride);
                    } else {
                        idct::flat_block(block[0], out, plane.stride);
                    }
                }
            }
        }
        if bits.is_overrun() {
            return Err(cut(unit_row * across));
        }
    }
    Ok(())
}
