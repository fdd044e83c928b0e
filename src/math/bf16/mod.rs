//! Matrix products in bf16 with sums in f32, where the processor has instructions for them.
//!
//! A right factor, as a layer's weights, is brought once into the order in which it is read: panels of some columns, each a row of pairs
//! after another. A left factor is converted piece by piece. Each sum is built in the order of its terms, whatever is done beside
//! it: results are the same bits for any number of threads.

#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod packed;
#[cfg(not(target_arch = "x86_64"))]
#[path = "none.rs"]
mod packed;

pub use packed::Right;

/// How factors of f32 are multiplied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Products {
    /// As they are.
    #[default]
    Single,
    /// Rounded to bf16.
    Halves,
}

impl Products {
    /// Whether this processor does so; [`Products::Single`] every one does.
    pub fn is_there(self) -> bool {
        self == Self::Single || Instructions::here().is_some()
    }

    /// Whether it is there and faster than [`Products::Single`]. A step by AVX512-BF16 took 1.3
    /// times as long as one in f32 on an Intel Xeon, and some .6 of it on an AMD EPYC; by AMX .6 to .7 on that Xeon (2026-11-30).
    pub fn is_fast(self) -> bool {
        match Instructions::here() {
            _ if self == Self::Single => true,
            Some(Instructions::Avx512) => is_by_amd(),
            Some(Instructions::Amx) => true,
            None => false,
        }
    }
}

/// What [`Products::Halves`] are multiplied with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instructions {
    /// AVX512-BF16.
    Avx512,
    /// AMX, on Linux.
    Amx,
}

impl Instructions {
    /// The fastest that this processor has and the system lets it use.
    pub fn here() -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        {
            let avx512 = avx512::is_there().then_some(Self::Avx512);
            if amx::is_there() { Some(Self::Amx) } else { avx512 }
        }
        #[cfg(not(target_arch = "x86_64"))]
        None
    }

    /// Their name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Avx512 => "AVX512-BF16",
            Self::Amx => "AMX",
        }
    }
}

fn is_by_amd() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        let found = std::arch::x86_64::__cpuid(0);
        [found.ebx, found.edx, found.ecx].map(u32::to_le_bytes).as_flattened() == b"AuthenticAMD"
    }
    #[cfg(not(target_arch = "x86_64"))]
    false
}
