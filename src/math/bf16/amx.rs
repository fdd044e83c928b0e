//! Products of bf16 by AMX, which Intel's servers have: all that is unsafe of them.
//!
//! `tdpbf16ps` adds the products of 16 rows and 16 columns of 16 pairs each to 256 sums, for which AVX512-BF16 takes 256
//! instructions. Two blocks of rows and two of columns use all eight tile registers and read four tiles for four products. Stable Rust
//! has the instructions as assembly only.

use super::packed::{LANES, LeftView, Right};
use std::arch::asm;
use std::sync::OnceLock;

/// Columns of a panel, and rows that are multiplied by it together.
pub(super) const PANEL: usize = 2 * LANES;
/// Pairs of a tile: factors are filled up to a multiple of them.
pub(super) const PAIRS: usize = 16;
/// Pairs of a block of the sum: its part of a panel and of the rows, 32 KiB each, stay near.
const BLOCK: usize = 256;

/// Whether this processor has what is used here, and the system lets this program use it.
pub(super) fn is_there() -> bool {
    static THERE: OnceLock<bool> = OnceLock::new();
    *THERE.get_or_init(|| {
        let leaf = std::arch::x86_64::__cpuid(0).eax;
        let has = |bit: u32| std::arch::x86_64::__cpuid_count(7, 0).edx >> bit & 1 == 1;
        super::avx512::is_there() && leaf >= 7 && has(22) && has(24) && is_granted()
    })
}

/// Asks for the tile registers' 8 KiB of state, which a program has only by its own wish.
#[cfg(target_os = "linux")]
fn is_granted() -> bool {
    const ARCH_REQ_XCOMP_PERM: libc::c_ulong = 0x1023;
    const XFEATURE_XTILEDATA: libc::c_ulong = 18;
    // SAFETY: the call takes two numbers and touches no memory of this program.
    unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0 }
}

#[cfg(not(target_os = "linux"))]
fn is_granted() -> bool {
    false
}

/// What `ldtilecfg` reads: all registers have 16 rows of 64 bytes.
#[repr(C, align(64))]
struct Shapes {
    palette: u8,
    start: u8,
    reserved: [u8; 14],
    bytes: [u16; 16],
    rows: [u8; 16],
}

static SHAPES: Shapes = {
    let (mut bytes, mut rows, mut tile) = ([0; 16], [0; 16], 0);
    while tile < 8 {
        (bytes[tile], rows[tile]) = (4 * PAIRS as u16, LANES as u8);
        tile += 1;
    }
    Shapes { palette: 1, start: 0, reserved: [0; 14], bytes, rows }
};

/// `c = left right`, or added to it, for the `rows` rows of `left`; those of `c` are `stride` apart.
///
/// # Safety
/// [`is_there`], and both factors were made for it.
pub(super) unsafe fn multiply(
    rows: usize,
    left: LeftView<'_>,
    right: &Right,
    (c, stride): (&mut [f32], usize),
    accumulate: bool,
) {
    let (n, pairs) = (right.n, right.pairs);
    right.check(rows, left, (c.len(), stride));
    assert!(pairs.is_multiple_of(PAIRS), "{pairs} pairs");
    let mut edge = [0.0; PANEL * PANEL];
    // SAFETY: the registers are there; they are given back below, whose state the system would carry along.
    unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const SHAPES, options(nostack, readonly, preserves_flags)) };
    for begin in (0..pairs).step_by(BLOCK) {
        let groups = BLOCK.min(pairs - begin) / PAIRS;
        let adds = accumulate || begin > 0;
        for column in (0..n).step_by(PANEL) {
            for row in (0..rows).step_by(PANEL) {
                let (height, width) = (PANEL.min(rows - row), PANEL.min(n - column));
                let (at, row_step, group_step) = left.tile(row, begin, pairs);
                // SAFETY: `left` has whole blocks of 32 rows and `right` whole panels, each of `pairs` pairs, as was asserted; so is where
                // whole tiles go.
                unsafe {
                    let a = left.pairs.as_ptr().add(at);
                    let left = Left { begin: a, second: a.add(LANES * pairs), row_step, group_step };
                    let right = right.panels().as_ptr().add(column * pairs + begin * PANEL);
                    let c = &mut c[row * stride + column..];
                    if height == PANEL && width == PANEL {
                        products(groups, left, right, (c.as_mut_ptr(), stride), adds);
                        continue;
                    }
                    if adds {
                        for (edge, c) in edge.chunks_exact_mut(PANEL).zip(c.chunks(stride)).take(height) {
                            edge[..width].copy_from_slice(&c[..width]);
                        }
                    }
                    products(groups, left, right, (edge.as_mut_ptr(), PANEL), adds);
                    for (edge, c) in edge.chunks_exact(PANEL).zip(c.chunks_mut(stride)).take(height) {
                        c[..width].copy_from_slice(&edge[..width]);
                    }
                }
            }
        }
    }
    // SAFETY: the registers are there.
    unsafe { asm!("tilerelease", options(nostack, nomem, preserves_flags)) };
}

/// Two blocks of 16 rows of a left factor.
struct Left {
    begin: *const u32,
    second: *const u32,
    /// Pairs from a row to the next, and from 16 pairs to the next 16.
    row_step: usize,
    group_step: usize,
}

/// 32 x 32 sums over so many groups of 16 pairs, whose rows are `stride` apart; with `adds` they go on from what is there.
///
/// # Safety
/// The registers have [`SHAPES`], and all that is read and written is there.
#[inline]
unsafe fn products(groups: usize, left: Left, right: *const u32, (c, stride): (*mut f32, usize), adds: bool) {
    const BYTES: usize = size_of::<u32>();
    // SAFETY: as the caller says. The rows of a panel are 128 bytes, those of a tile 64.
    unsafe {
        asm!(
            "test {adds}, {adds}",
            "jz 2f",
            "tileloadd tmm0, [{c} + {stride}]",
            "tileloadd tmm1, [{c} + {stride} + 64]",
            "tileloadd tmm2, [{d} + {stride}]",
            "tileloadd tmm3, [{d} + {stride} + 64]",
            "jmp 3f",
            "2:",
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "3:",
            "tileloadd tmm4, [{a} + {row}]",
            "tileloadd tmm6, [{b} + {panel}]",
            "tileloadd tmm7, [{b} + {panel} + 64]",
            "tileloadd tmm5, [{second} + {row}]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "add {a}, {group}",
            "add {second}, {group}",
            "add {b}, 2048",
            "dec {groups}",
            "jnz 3b",
            "tilestored [{c} + {stride}], tmm0",
            "tilestored [{c} + {stride} + 64], tmm1",
            "tilestored [{d} + {stride}], tmm2",
            "tilestored [{d} + {stride} + 64], tmm3",
            a = inout(reg) left.begin => _,
            second = inout(reg) left.second => _,
            b = inout(reg) right => _,
            groups = inout(reg) groups => _,
            adds = in(reg) usize::from(adds),
            row = in(reg) left.row_step * BYTES,
            group = in(reg) left.group_step * BYTES,
            panel = in(reg) PANEL * BYTES,
            c = in(reg) c,
            d = in(reg) c.wrapping_add(LANES * stride),
            stride = in(reg) stride * BYTES,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        );
    }
}
