//! The texts inside the program.

use super::{documents, stories::stories};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// The text carried in the binary: public-domain English, about 1.6 MB, a sentence a line, a blank line between documents.
/// `assets/README.md` says where it is from.
pub const SAMPLE: &str = include_str!("../../assets/sample.txt");

/// A text inside the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sample {
    /// [`SAMPLE`]: what people have said.
    #[default]
    Addresses,
    /// Short stories that a grammar tells, made for showing.
    Stories,
}

impl Sample {
    /// All there are.
    pub const ALL: [Self; 2] = [Self::Addresses, Self::Stories];

    /// Its documents.
    pub fn documents(self) -> Vec<Cow<'static, str>> {
        match self {
            Self::Addresses => documents(SAMPLE).into_iter().map(Cow::Borrowed).collect(),
            Self::Stories => stories().into_iter().map(Cow::Owned).collect(),
        }
    }

    /// A few words for a list.
    pub fn title(self) -> &'static str {
        match self {
            Self::Addresses => "addresses",
            Self::Stories => "stories",
        }
    }

    /// What it is, in words.
    pub fn about(self) -> &'static str {
        match self {
            Self::Addresses => "State of the Union addresses, 1934–1992",
            Self::Stories => "short stories that a grammar made, in a few hundred words",
        }
    }

    /// Whether it is the one that is taken where nobody names one.
    pub(crate) fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}
