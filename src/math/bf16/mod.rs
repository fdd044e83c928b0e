//! Matrix products in bf16 with sums in f32, where the processor has instructions for them.
//!
//! A right factor, as a layer's weights, is brought once into the order in which it is read: panels of 48 columns, each a row of pairs
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
        #[cfg(target_arch = "x86_64")]
        return self == Self::Single || avx512::is_there();
        #[cfg(not(target_arch = "x86_64"))]
        return self == Self::Single;
    }
}
