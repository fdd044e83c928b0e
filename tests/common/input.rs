//! Tensors that a test gives to a graph.

use leyden::graph::{DType, Graph, Initialization, ParameterTable, Tensor};
use std::sync::Arc;

/// A small generator for test data (SplitMix64), the same on every machine.
#[derive(Debug, Clone)]
pub struct Seeded(u64);

impl Seeded {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in [-1, 1).
    pub fn real(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }

    /// Uniform below `bound`.
    pub fn below(&mut self, bound: u32) -> u32 {
        (self.next() % u64::from(bound)) as u32
    }
}

/// One tensor that a builder gets, in the order given.
#[derive(Debug, Clone)]
pub enum Input {
    /// A parameter with values in [-scale, scale): a window of a bank, and differentiated by the harnesses.
    Parameter { shape: Vec<usize>, scale: f64 },
    /// An input with values in [-scale, scale).
    Real { shape: Vec<usize>, scale: f64 },
    /// An input in half precision with values in [-scale, scale).
    Half { shape: Vec<usize>, scale: f64 },
    /// An unsigned input with values below `below`.
    Words { shape: Vec<usize>, below: u32 },
    /// An input with these values.
    Values { shape: Vec<usize>, values: Vec<f32> },
    /// An unsigned input with these values.
    Exactly { shape: Vec<usize>, words: Vec<u32> },
}

impl Input {
    pub fn parameter(shape: &[usize]) -> Self {
        Self::Parameter { shape: shape.to_vec(), scale: 1.0 }
    }

    pub fn real(shape: &[usize]) -> Self {
        Self::Real { shape: shape.to_vec(), scale: 1.0 }
    }

    pub fn half(shape: &[usize]) -> Self {
        Self::Half { shape: shape.to_vec(), scale: 1.0 }
    }

    pub fn words(shape: &[usize], below: u32) -> Self {
        Self::Words { shape: shape.to_vec(), below }
    }

    pub fn values(shape: &[usize], values: &[f32]) -> Self {
        Self::Values { shape: shape.to_vec(), values: values.to_vec() }
    }

    pub fn exactly(shape: &[usize], words: &[u32]) -> Self {
        Self::Exactly { shape: shape.to_vec(), words: words.to_vec() }
    }

    /// As it is with another range of values.
    pub fn scaled(mut self, by: f64) -> Self {
        if let Self::Parameter { scale, .. } | Self::Real { scale, .. } | Self::Half { scale, .. } = &mut self {
            *scale = by;
        }
        self
    }

    fn shape(&self) -> &[usize] {
        match self {
            Self::Parameter { shape, .. }
            | Self::Real { shape, .. }
            | Self::Half { shape, .. }
            | Self::Words { shape, .. }
            | Self::Values { shape, .. }
            | Self::Exactly { shape, .. } => shape,
        }
    }

    fn len(&self) -> usize {
        self.shape().iter().product()
    }
}

/// What a tensor is filled with.
#[derive(Debug, Clone)]
pub enum Contents {
    Real(Vec<f64>),
    Half(Vec<f32>),
    Words(Vec<u32>),
}

impl Contents {
    /// As words for an engine in single precision.
    pub fn words(&self) -> Vec<u32> {
        match self {
            Self::Real(values) => values.iter().map(|&x| (x as f32).to_bits()).collect(),
            Self::Half(values) => leyden::math::pack(values),
            Self::Words(words) => words.clone(),
        }
    }
}

/// A graph's inputs, parameters and their contents.
pub struct Given {
    pub graph: Graph,
    /// In the order of the inputs given.
    pub tensors: Vec<Tensor>,
    /// (tensor, contents) of what is no parameter.
    pub inputs: Vec<(Tensor, Contents)>,
    /// Indices into `tensors` of the parameters, in the table's order.
    pub parameters: Vec<usize>,
    /// The bank of parameters; its padding is 0.
    pub bank: Vec<f64>,
}

impl Given {
    /// A graph with tensors for `inputs`, filled from `seed`. Values are exact in single precision.
    pub fn new(inputs: &[Input], seed: u64) -> Self {
        let spec = |(i, input): (usize, &Input)| match input {
            // Without decay and with decay by turns, so that the order in the bank is not the order given.
            Input::Parameter { shape, .. } => {
                Some((format!("parameter {i}"), shape.clone(), i % 2 == 1, Initialization::Zeros))
            }
            _ => None,
        };
        let specs = inputs.iter().enumerate().filter_map(spec).collect();
        let table = Arc::new(ParameterTable::new(specs));
        let mut given = Self {
            bank: vec![0.0; table.len()],
            graph: Graph::new(table.clone()),
            tensors: Vec::new(),
            inputs: Vec::new(),
            parameters: Vec::new(),
        };
        for (i, input) in inputs.iter().enumerate() {
            let mut random = Seeded::new(seed ^ (i as u64 + 1).wrapping_mul(0x1234_5678_9abc_def1));
            let mut reals = |scale: f64| -> Vec<f64> {
                (0..input.len()).map(|_| f64::from((random.real() * scale) as f32)).collect()
            };
            let contents = match input {
                Input::Parameter { scale, .. } => {
                    let index = given.parameters.len();
                    given.bank[table.parameters()[index].range()].copy_from_slice(&reals(*scale));
                    given.parameters.push(i);
                    let tensor = given.graph.parameter(index);
                    given.tensors.push(tensor);
                    continue;
                }
                Input::Real { scale, .. } => Contents::Real(reals(*scale)),
                Input::Half { scale, .. } => Contents::Half(reals(*scale).into_iter().map(|x| x as f32).collect()),
                Input::Values { values, .. } => Contents::Real(values.iter().map(|&x| f64::from(x)).collect()),
                Input::Words { below, .. } => Contents::Words((0..input.len()).map(|_| random.below(*below)).collect()),
                Input::Exactly { words, .. } => Contents::Words(words.clone()),
            };
            let dtype = match contents {
                Contents::Real(_) => DType::F32,
                Contents::Half(_) => DType::F16,
                Contents::Words(_) => DType::U32,
            };
            let tensor = given.graph.input(&format!("input {i}"), dtype, input.shape());
            given.tensors.push(tensor);
            given.inputs.push((tensor, contents));
        }
        given
    }
}
