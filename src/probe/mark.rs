//! How the discriminator did on a token.

use super::Token;

/// What a token's verdict is worth. A fake is called out at a probability of more than 1/2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// An original that was left alone.
    Original,
    /// A fake that was found.
    Hit,
    /// A fake that was not found.
    Miss,
    /// An original that was called a fake.
    FalseAlarm,
    /// The generator guessed the very word, so the token counts as original, and was left alone.
    Restored,
}

impl Mark {
    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Original => "original",
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::FalseAlarm => "false alarm",
            Self::Restored => "guessed right, counts as original",
        }
    }

    /// A sign for it, beside colour.
    pub fn sign(self) -> &'static str {
        match self {
            Self::Original => "",
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::FalseAlarm => "false",
            Self::Restored => "=",
        }
    }
}

/// A token's mark.
pub fn mark(token: &Token) -> Mark {
    match (token.is_fake(), token.p_replaced > 0.5) {
        (true, true) => Mark::Hit,
        (true, false) => Mark::Miss,
        (false, true) => Mark::FalseAlarm,
        (false, false) if token.selected => Mark::Restored,
        (false, false) => Mark::Original,
    }
}
