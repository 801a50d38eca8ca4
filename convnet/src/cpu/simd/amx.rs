//! Tiles of AMX: matrices of 16 rows of 64 bytes, in registers.
//!
//! The instructions are in assembly, because Rust has no stable functions for them. Linux gives a
//! program the registers only after a request. On other systems, this module has no tiles.
#![allow(unsafe_code)]

use half::bf16;
use std::arch::asm;
use std::marker::PhantomData;

/// Rows of a tile.
pub(crate) const ROWS: usize = 16;
/// Columns of a product: those of two tiles.
pub(crate) const COLS: usize = 32;

/// Returns whether this processor has tiles with products of bf16, and the system allows their use.
pub(super) fn available() -> bool {
    cfg!(target_os = "linux") && has_instructions() && request() == 0
}

fn has_instructions() -> bool {
    /// Bits of leaf 7: AMX-BF16 and AMX-TILE.
    const TILES: u32 = 1 << 22 | 1 << 24;
    let leaf = |leaf| std::arch::x86_64::__cpuid(leaf);
    leaf(0).eax >= 7 && std::arch::x86_64::__cpuid_count(7, 0).edx & TILES == TILES
}

/// Asks Linux for the registers, for all threads of the process. Returns 0 if it agrees.
fn request() -> isize {
    const ARCH_PRCTL: isize = 158;
    const REQUEST_PERMISSION: usize = 0x1023;
    const TILE_DATA: usize = 18;
    let mut result = ARCH_PRCTL;
    // SAFETY: the system call changes only which registers the process may use. The assembly names
    // all registers that the call changes.
    unsafe {
        asm!(
            "syscall",
            inout("rax") result,
            in("rdi") REQUEST_PERMISSION,
            in("rsi") TILE_DATA,
            out("rcx") _,
            out("r11") _,
            options(nostack),
        );
    }
    result
}

/// 16 rows of bf16 in memory: row i starts at `first + i * stride`.
#[derive(Clone, Copy)]
pub(crate) struct TileRows {
    pub first: *const bf16,
    /// In values.
    pub stride: usize,
}

/// The tile registers of this thread, set up for products of 16 x 32 bf16 and 32 x 16 bf16 values.
///
/// The value belongs to its thread. The registers are released when it is dropped.
pub(crate) struct Tiles(PhantomData<*mut ()>);

#[expect(clippy::unused_self, reason = "only a value shows that the registers are set up")]
impl Tiles {
    /// Sets up the registers.
    ///
    /// # Safety
    /// [`available`] must have returned true, and the thread must not have another value.
    pub(crate) unsafe fn new() -> Self {
        #[repr(C, align(64))]
        struct Shapes {
            palette: u8,
            start_row: u8,
            reserved: [u8; 14],
            row_bytes: [u16; 16],
            rows: [u8; 16],
        }
        let mut shapes = Shapes { palette: 1, start_row: 0, reserved: [0; 14], row_bytes: [0; 16], rows: [0; 16] };
        shapes.row_bytes[..8].fill(64);
        shapes.rows[..8].fill(ROWS as u8);
        // SAFETY: the instruction reads the 64 bytes of `shapes`. The caller guarantees that the
        // processor has it.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const shapes, options(nostack, preserves_flags)) };
        Self(PhantomData)
    }

    /// Sets the sums of `N` tiles of rows to 0.
    #[inline(always)]
    pub(crate) fn clear<const N: usize>(&mut self) {
        // SAFETY: only `new` creates this value, so the registers are set up.
        unsafe {
            asm!("tilezero tmm0", "tilezero tmm1", options(nomem, nostack, preserves_flags));
            if N == 2 {
                asm!("tilezero tmm2", "tilezero tmm3", options(nomem, nostack, preserves_flags));
            }
        }
    }

    /// Adds the product of `N` tiles of rows, at most 2, and a panel of 32 columns. `panel` is
    /// [16 * `chunks` pairs, 32 columns, 2], and each row has `chunks` times 32 values at distance
    /// `advance`.
    ///
    /// # Safety
    /// All rows and the panel must be valid for reads, and `chunks` must be positive.
    #[inline(always)]
    pub(crate) unsafe fn add_products<const N: usize>(
        &mut self,
        rows: [TileRows; N],
        advance: usize,
        panel: *const bf16,
        chunks: usize,
    ) {
        let bytes = |rows: TileRows| rows.stride * size_of::<bf16>();
        // The prefetches are of the next part of the panel. They help a thread that shares its core
        // with another one.
        //
        // SAFETY: only `new` creates this value, so the registers are set up. The caller guarantees
        // the memory. Prefetches can have any address.
        unsafe {
            if N == 2 {
                asm!(
                    "2:",
                    "tileloadd tmm4, [{first} + {first_stride}]",
                    "tileloadd tmm6, [{panel} + {panel_stride}]",
                    ".irp row, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15",
                    "prefetcht0 [{panel} + 2048 + 128 * \\row]",
                    ".endr",
                    "tdpbf16ps tmm0, tmm4, tmm6",
                    "tileloadd tmm7, [{panel} + {panel_stride} + 64]",
                    ".irp row, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15",
                    "prefetcht0 [{panel} + 2112 + 128 * \\row]",
                    ".endr",
                    "tdpbf16ps tmm1, tmm4, tmm7",
                    "tileloadd tmm5, [{second} + {second_stride}]",
                    "tdpbf16ps tmm2, tmm5, tmm6",
                    "tdpbf16ps tmm3, tmm5, tmm7",
                    "add {first}, {advance}",
                    "add {second}, {advance}",
                    "add {panel}, 2048",
                    "dec {chunks}",
                    "jnz 2b",
                    first = inout(reg) rows[0].first => _,
                    first_stride = in(reg) bytes(rows[0]),
                    second = inout(reg) rows[N - 1].first => _,
                    second_stride = in(reg) bytes(rows[N - 1]),
                    panel = inout(reg) panel => _,
                    advance = in(reg) advance * size_of::<bf16>(),
                    panel_stride = in(reg) COLS * 2 * size_of::<bf16>(),
                    chunks = inout(reg) chunks => _,
                    options(readonly, nostack),
                );
            } else {
                asm!(
                    "2:",
                    "tileloadd tmm4, [{first} + {first_stride}]",
                    "tileloadd tmm6, [{panel} + {panel_stride}]",
                    "tdpbf16ps tmm0, tmm4, tmm6",
                    "tileloadd tmm7, [{panel} + {panel_stride} + 64]",
                    "tdpbf16ps tmm1, tmm4, tmm7",
                    "add {first}, {advance}",
                    "add {panel}, 2048",
                    "dec {chunks}",
                    "jnz 2b",
                    first = inout(reg) rows[0].first => _,
                    first_stride = in(reg) bytes(rows[0]),
                    panel = inout(reg) panel => _,
                    advance = in(reg) advance * size_of::<bf16>(),
                    panel_stride = in(reg) COLS * 2 * size_of::<bf16>(),
                    chunks = inout(reg) chunks => _,
                    options(readonly, nostack),
                );
            }
        }
    }

    /// Writes the sums of `N` tiles of rows: 32 values for each of their rows.
    #[inline(always)]
    pub(crate) fn store<const N: usize>(&mut self, sums: &mut [[f32; COLS]; 2 * ROWS]) {
        // SAFETY: only `new` creates this value, so the registers are set up. The sums have 32 rows
        // of 128 bytes.
        unsafe {
            let (to, stride) = (sums.as_mut_ptr(), size_of::<[f32; COLS]>());
            asm!(
                "tilestored [{to} + {stride}], tmm0",
                "tilestored [{to} + {stride} + 64], tmm1",
                to = in(reg) to,
                stride = in(reg) stride,
                options(nostack, preserves_flags),
            );
            if N == 2 {
                asm!(
                    "tilestored [{to} + {stride}], tmm2",
                    "tilestored [{to} + {stride} + 64], tmm3",
                    to = in(reg) to.add(ROWS),
                    stride = in(reg) stride,
                    options(nostack, preserves_flags),
                );
            }
        }
    }
}

impl Drop for Tiles {
    fn drop(&mut self) {
        // SAFETY: only `new` creates this value, so the processor has the instruction.
        unsafe { asm!("tilerelease", options(nomem, nostack, preserves_flags)) };
    }
}
