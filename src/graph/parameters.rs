//! The table of parameters over one flat bank.

use super::TensorType;
use std::ops::Range;

/// Elements between the starts of two parameters are a multiple of this: 256 bytes of their halves, the strictest
/// alignment that WebGPU asks of a storage binding's offset.
pub const ALIGNMENT: usize = 128;

/// The flat buffers that live across steps and share one layout. An engine has those that its plans use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Bank {
    /// Weights.
    Parameters,
    /// Gradients of the step's loss.
    Gradients,
    /// Adam's first moment.
    Moment1,
    /// Adam's second moment.
    Moment2,
    /// Sums of the gradients of a step's parts so far, where a step is worked through in several.
    Accumulated,
    /// The weights rounded to half precision, as mixed precision's matrix products read them; made anew in every step.
    Halves,
    /// Mixed precision's loss scale and the number of good steps since it was changed, see [`crate::ops::LossScale`].
    LossScale,
}

impl Bank {
    /// All banks, in order.
    pub const ALL: [Bank; 7] = [
        Bank::Parameters,
        Bank::Gradients,
        Bank::Moment1,
        Bank::Moment2,
        Bank::Accumulated,
        Bank::Halves,
        Bank::LossScale,
    ];

    /// The bank's place in [`Bank::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }

    /// The type of the whole bank where those of parameters have `len` elements ([`ParameterTable::len`]).
    pub fn ty(self, len: usize) -> TensorType {
        match self {
            Bank::Halves => TensorType::f16(&[len]),
            Bank::LossScale => TensorType::f32(&[ALIGNMENT]),
            _ => TensorType::f32(&[len]),
        }
    }

    /// For people and labels.
    pub fn name(self) -> &'static str {
        match self {
            Bank::Parameters => "parameters",
            Bank::Gradients => "gradients",
            Bank::Moment1 => "first moments",
            Bank::Moment2 => "second moments",
            Bank::Accumulated => "accumulated gradients",
            Bank::Halves => "halves of the parameters",
            Bank::LossScale => "loss scale",
        }
    }
}

/// How a parameter starts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Initialization {
    /// All zero.
    Zeros,
    /// All one.
    Ones,
    /// All this number.
    Constant(f32),
    /// Normal with this standard deviation, drawn again beyond two of them.
    TruncatedNormal(f32),
    /// Row p of a table is sin and cos of p at wavelengths from 2 pi to 20,000 pi (Vaswani et al., arXiv 1706.03762),
    /// with this standard deviation.
    Sinusoidal(f32),
    /// Uniform within +-sqrt(6 / (in + out)) of a `[out, in]` matrix.
    GlorotUniform,
}

/// One parameter: a window of the banks.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// A name that is unique in the table.
    pub name: String,
    /// Sizes; a linear layer's weight is `[out, in]`.
    pub shape: Vec<usize>,
    /// First element in a bank, a multiple of 128.
    pub offset: usize,
    /// Whether weight decay applies.
    pub decay: bool,
    /// How it starts.
    pub initialization: Initialization,
}

impl Parameter {
    /// How many elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The window in a bank.
    pub fn range(&self) -> Range<usize> {
        self.offset..self.offset + self.len()
    }

    /// The same up to where the next parameter may begin.
    pub(super) fn padded(&self) -> Range<usize> {
        self.offset..self.offset + self.len().next_multiple_of(ALIGNMENT)
    }
}

/// Elements of the banks that the optimizer updates alike. Those in no span stay as they are, and so do their moments.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// Which, in elements of a bank; both ends are multiples of 128.
    pub elements: Range<usize>,
    /// Times the step's learning rate.
    pub rate: f32,
    /// Whether weight decay applies.
    pub decay: bool,
}

/// All parameters of a model. Those with weight decay come first, so that plain training updates two spans.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ParameterTable {
    parameters: Vec<Parameter>,
    len: usize,
}

impl ParameterTable {
    /// Lays out parameters given as (name, shape, decay, initialization); indices follow the order given.
    pub fn new(specs: Vec<(String, Vec<usize>, bool, Initialization)>) -> Self {
        let mut parameters: Vec<Parameter> = specs
            .into_iter()
            .map(|(name, shape, decay, initialization)| Parameter { name, shape, offset: 0, decay, initialization })
            .collect();
        let mut offset = 0;
        for decay in [true, false] {
            for p in parameters.iter_mut().filter(|p| p.decay == decay) {
                p.offset = offset;
                offset += p.shape.iter().product::<usize>().next_multiple_of(ALIGNMENT);
            }
        }
        Self { parameters, len: offset.max(ALIGNMENT) }
    }

    /// The parameters, in the order they were given.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// Elements in a bank, padding included.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no parameters.
    pub fn is_empty(&self) -> bool {
        self.parameters.is_empty()
    }

    /// What an optimizer updates where `rate` says how fast each parameter learns, times the learning rate; `None`: it is
    /// frozen. In order of the banks, neighbours that are updated alike in one span.
    pub fn spans(&self, rate: impl Fn(&Parameter) -> Option<f32>) -> Vec<Span> {
        let mut spans: Vec<Span> = Vec::new();
        for p in self.by_offset() {
            let (elements, Some(rate)) = (p.padded(), rate(p)) else { continue };
            match spans.last_mut() {
                Some(last) if (last.elements.end, last.rate, last.decay) == (elements.start, rate, p.decay) => {
                    last.elements.end = elements.end;
                }
                _ => spans.push(Span { elements, rate, decay: p.decay }),
            }
        }
        spans
    }

    /// The parameters as they lie in the banks.
    pub(super) fn by_offset(&self) -> Vec<&Parameter> {
        let mut all: Vec<&Parameter> = self.parameters.iter().filter(|p| !p.is_empty()).collect();
        all.sort_by_key(|p| p.offset);
        all
    }

    /// Trainable numbers, padding not counted.
    pub fn count(&self) -> usize {
        self.parameters.iter().map(Parameter::len).sum()
    }

    /// The parameter of this name.
    pub fn find(&self, name: &str) -> Option<&Parameter> {
        self.parameters.iter().find(|p| p.name == name)
    }
}
