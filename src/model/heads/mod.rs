//! What stands on top of an encoder: a head a file, which has its parameters under their names in `transformers`, and what it
//! computes.

mod masked_lm;
mod replaced_tokens;

pub use masked_lm::MaskedLm;
pub(crate) use masked_lm::TIED;
pub use replaced_tokens::ReplacedTokens;

/// Where a head's parameters are in the table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Head {
    /// Says which word was masked.
    MaskedLm(MaskedLm),
    /// Says of a token whether it was replaced.
    ReplacedTokens(ReplacedTokens),
}

/// The class of `transformers` that an encoder with a head is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    /// [`Head::MaskedLm`]
    MaskedLm,
    /// [`Head::ReplacedTokens`]
    PreTraining,
}

impl Head {
    /// What `transformers` calls an encoder with this head.
    pub fn architecture(&self) -> Architecture {
        match self {
            Self::MaskedLm(_) => Architecture::MaskedLm,
            Self::ReplacedTokens(_) => Architecture::PreTraining,
        }
    }
}

impl Architecture {
    /// All there are.
    pub const ALL: [Self; 2] = [Self::MaskedLm, Self::PreTraining];

    /// The class's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::MaskedLm => "ElectraForMaskedLM",
            Self::PreTraining => "ElectraForPreTraining",
        }
    }

    /// Which of ELECTRA's networks has that head.
    pub fn network(self) -> &'static str {
        match self {
            Self::MaskedLm => "generator",
            Self::PreTraining => "discriminator",
        }
    }

    /// The networks with that head that are kept in a folder of their name, the one that says most first.
    pub fn folders(self) -> &'static [&'static str] {
        match self {
            Self::MaskedLm => &["encoder", "generator"],
            Self::PreTraining => &["discriminator"],
        }
    }

    /// How the names of the head's tensors begin.
    pub fn prefixes(self) -> &'static [&'static str] {
        match self {
            Self::MaskedLm => &[masked_lm::PREDICTIONS, masked_lm::OUTPUT],
            Self::PreTraining => &[replaced_tokens::PREDICTIONS],
        }
    }
}
