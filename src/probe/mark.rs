//! How a network did on a token.

use super::Token;

/// What a token's verdict is worth. A fake is called out at a probability of more than 1/2. Where there is no discriminator it
/// is the guess that is right or wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// An original that was left alone.
    Original,
    /// A fake that was found, or a masked word whose likeliest guess is the word.
    Hit,
    /// A fake that was not found, or a masked word whose likeliest guess is another.
    Miss,
    /// An original that was called a fake.
    FalseAlarm,
    /// The generator guessed the very word, so the token counts as original, and was left alone.
    Restored,
    /// A `[MASK]` of the text's own: any guess will do.
    Open,
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
            Self::Open => "guess",
        }
    }

    /// A sign for it, beside colour.
    pub fn sign(self) -> &'static str {
        match self {
            Self::Original | Self::Open => "",
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::FalseAlarm => "false",
            Self::Restored => "=",
        }
    }
}

/// A token's mark.
pub fn mark(token: &Token) -> Mark {
    let Some(p_replaced) = token.p_replaced else {
        return match (token.selected, token.is_fake()) {
            (false, _) => Mark::Original,
            (true, _) if token.original.is_empty() => Mark::Open,
            (true, false) => Mark::Hit,
            (true, true) => Mark::Miss,
        };
    };
    match (token.is_fake(), p_replaced > 0.5) {
        (true, true) => Mark::Hit,
        (true, false) => Mark::Miss,
        (false, true) => Mark::FalseAlarm,
        (false, false) if token.selected => Mark::Restored,
        (false, false) => Mark::Original,
    }
}
