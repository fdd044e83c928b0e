//! Batches out: examples in a seeded order, and what is asked of them, as named columns; each batch a pure function of
//! (seed, step).

mod ahead;
mod batches;
mod by_length;
mod column;
mod masking;
mod padded;
mod source;

pub use ahead::Ahead;
pub use batches::{Batches, Evaluation};
pub use column::{Batch, Column, Extent, Shape};
pub(crate) use masking::Lexicon;
pub use masking::Masking;
pub use padded::padded;
pub use source::{MaskedText, Source};

/// The example's tokens, padding behind them.
pub const IDS: Column = Column::words("ids", Extent::Token);
/// 1 in segment B, else 0.
pub const TYPES: Column = Column::words("types", Extent::Token);
/// Tokens before the padding.
pub const LENGTHS: Column = Column::words("lengths", Extent::Example);
/// The tokens with `[MASK]`, or another word, at most of those that were selected.
pub const MASKED_IDS: Column = Column::words("masked_ids", Extent::Token);
/// Where in its example a selected token is, ascending; 0 in slots that are not used.
pub const POSITIONS: Column = Column::words("positions", Extent::Slot);
/// What is asked of a slot: the token that stands there in the text; of each label, a slot each, 1 where the example has it; where in
/// its row an answer's first and last token are, two slots, both 0, the place of `[CLS]`, where it is not in this row. 0 in slots that
/// are not used.
pub const TARGETS: Column = Column::words("targets", Extent::Slot);
/// 1 for a slot that is asked, 0 for one that is not used.
pub const WEIGHTS: Column = Column::reals("weights", Extent::Slot);
/// The columns of masked text.
pub const MASKED_TEXT: [Column; 7] = [IDS, TYPES, LENGTHS, MASKED_IDS, POSITIONS, TARGETS, WEIGHTS];

/// The place of a row's example in its source.
pub const EXAMPLES: Column = Column::words("examples", Extent::Example);
/// What an example's loss weighs in the mean: 1, or its class's weight; 0 in rows of length 0, and where nothing is to be learnt.
pub const EXAMPLE_WEIGHTS: Column = Column::reals("example_weights", Extent::Example);
/// The class of an example.
pub const CLASSES: Column = Column::words("classes", Extent::Example);
/// The number of an example, in units of the head.
pub const NUMBERS: Column = Column::reals("numbers", Extent::Example);
/// The class of a token; 0 where it has none.
pub const TAGS: Column = Column::words("tags", Extent::Token);
/// 1 for a token that has a class, else 0.
pub const TAG_WEIGHTS: Column = Column::reals("tag_weights", Extent::Token);
