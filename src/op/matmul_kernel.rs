//! Names for the kernels of a matrix multiplication; `ops/kernels/matmul_choice.rs` has which there are.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What a kernel is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MatmulFamily {
    /// For GPUs: tiles of A and B in workgroup memory, a block of C in an invocation's registers.
    Tiles,
    /// For drivers that run shaders on the CPU: a block an invocation, straight from the buffers.
    Blocks,
    /// For GPUs with cooperative matrices (tensor cores): tiles in workgroup memory, a block of C a subgroup.
    Cooperative,
}

impl MatmulFamily {
    const ALL: [Self; 3] = [Self::Tiles, Self::Blocks, Self::Cooperative];

    /// Invocations for each block where nothing else is said; the size of a subgroup on most devices.
    pub fn subgroup(self) -> u16 {
        if self == Self::Cooperative { 32 } else { 1 }
    }

    /// The name in a kernel's text form.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tiles => "tiles",
            Self::Blocks => "blocks",
            Self::Cooperative => "cooperative",
        }
    }
}

/// One way to run a multiplication on a device.
///
/// The text form, which [`FromStr`] reads back: `tiles 64x64x16 8x4 split 4`, `cooperative 128x128x32 64x64 subgroup 64 prefetch`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct MatmulKernel {
    /// Which shader.
    pub family: MatmulFamily,
    /// Rows and columns of C that a workgroup computes, and the k of one of its steps.
    pub tile: [u16; 3],
    /// Rows and columns of C that an invocation holds, of the cooperative family a subgroup.
    pub block: [u16; 2],
    /// Invocations for each block: one, in the cooperative family as many as a subgroup should have, 32 or 64.
    pub subgroup: u16,
    /// Whether the tiles in workgroup memory are in half precision; always so in the cooperative family.
    pub halves: bool,
    /// Whether the next step's tiles are read from the buffers before this step's are multiplied.
    pub prefetch: bool,
    /// Whether results leave a subgroup's registers by strips of matrices, not one by one; only in the cooperative family.
    pub strips: bool,
    /// Slices of k that are computed side by side and then added up in a fixed order; at least 1.
    pub slices: u16,
}

impl MatmulKernel {
    /// Invocations of a workgroup.
    pub fn invocations(&self) -> u32 {
        self.blocks() * u32::from(self.subgroup)
    }

    /// Blocks of C that a workgroup computes.
    pub(crate) fn blocks(&self) -> u32 {
        let [m, n, _] = self.tile.map(u32::from);
        let [rows, columns] = self.block.map(u32::from);
        (m / rows) * (n / columns)
    }

    /// The same kernel with k in so many slices.
    pub fn split(self, slices: usize) -> Self {
        Self { slices: slices.clamp(1, usize::from(u16::MAX)) as u16, ..self }
    }
}

impl fmt::Display for MatmulKernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ([m, n, k], [rows, columns]) = (self.tile, self.block);
        write!(f, "{} {m}x{n}x{k} {rows}x{columns}", self.family.name())?;
        if self.subgroup > self.family.subgroup() {
            write!(f, " subgroup {}", self.subgroup)?;
        }
        if self.halves && self.family != MatmulFamily::Cooperative {
            f.write_str(" halves")?;
        }
        if self.prefetch {
            f.write_str(" prefetch")?;
        }
        if self.strips {
            f.write_str(" strips")?;
        }
        if self.slices > 1 {
            write!(f, " split {}", self.slices)?;
        }
        Ok(())
    }
}

/// A text that is no kernel or no shape of a multiplication.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is no {what}, expected something like {example:?}")]
pub struct MatmulTextError {
    pub(super) what: &'static str,
    pub(super) found: String,
    pub(super) example: &'static str,
}

/// `N` numbers with an x between each two.
pub(super) fn sizes<T: FromStr + Copy + Default, const N: usize>(word: Option<&str>) -> Option<[T; N]> {
    let mut sizes = [T::default(); N];
    let mut parts = word?.split('x');
    for size in &mut sizes {
        *size = parts.next()?.parse().ok()?;
    }
    parts.next().is_none().then_some(sizes)
}

impl FromStr for MatmulKernel {
    type Err = MatmulTextError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_kernel(text).ok_or_else(|| MatmulTextError {
            what: "kernel of a matrix multiplication",
            found: text.to_string(),
            example: "tiles 64x64x16 8x4 split 4",
        })
    }
}

fn parse_kernel(text: &str) -> Option<MatmulKernel> {
    let mut words = text.split_whitespace();
    let family = words.next()?;
    let family = MatmulFamily::ALL.into_iter().find(|f| f.name() == family)?;
    let (tile, block) = (sizes(words.next())?, sizes(words.next())?);
    let halves = family == MatmulFamily::Cooperative;
    let mut kernel = MatmulKernel {
        family,
        tile,
        block,
        subgroup: family.subgroup(),
        halves,
        prefetch: false,
        strips: false,
        slices: 1,
    };
    while let Some(word) = words.next() {
        match word {
            "subgroup" if family == MatmulFamily::Cooperative => {
                kernel.subgroup = words.next()?.parse().ok().filter(|size| [32, 64].contains(size))?;
            }
            "strips" if family == MatmulFamily::Cooperative => kernel.strips = true,
            "halves" => kernel.halves = true,
            "prefetch" => kernel.prefetch = true,
            "split" => kernel.slices = words.next()?.parse().ok().filter(|&slices| slices > 0)?,
            _ => return None,
        }
    }
    let whole = |tile: u16, block: u16| block > 0 && tile >= block && tile.is_multiple_of(block);
    (whole(tile[0], block[0]) && whole(tile[1], block[1]) && tile[2] > 0).then_some(kernel)
}

impl From<MatmulKernel> for String {
    fn from(kernel: MatmulKernel) -> Self {
        kernel.to_string()
    }
}

impl TryFrom<String> for MatmulKernel {
    type Error = MatmulTextError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_read_back() {
        for text in [
            "tiles 64x64x16 8x4 split 4",
            "tiles 128x128x16 8x8 halves prefetch",
            "blocks 16x128x4 16x16",
            "blocks 32x64x4 16x16 split 17",
            "cooperative 128x128x32 64x32 prefetch split 2",
            "cooperative 64x64x32 32x32 subgroup 64",
            "cooperative 128x128x32 64x64 subgroup 64 prefetch strips split 3",
        ] {
            let kernel: MatmulKernel = text.parse().expect("a kernel");
            assert_eq!(kernel.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_kernel_is_refused() {
        for text in [
            "",
            "tiles",
            "tiles 64x64 8x4",
            "tiles 64x64x16x2 8x4",
            "tiles 64x64x16 8x0",
            "tiles 60x64x16 8x4",
            "tiles 64x64x16 8x4 split 0",
            "tiles 64x64x16 8x4 split",
            "tiles 64x64x16 8x4 fast",
            "tiles 64x64x16 8x4 subgroup 64",
            "tiles 64x64x16 8x4 strips",
            "cooperative 64x64x32 32x32 subgroup 48",
            "cubes 64x64x16 8x4",
        ] {
            let error = text.parse::<MatmulKernel>().expect_err("no kernel").to_string();
            assert!(error.contains("tiles 64x64x16 8x4 split 4"), "{error}");
        }
    }
}
