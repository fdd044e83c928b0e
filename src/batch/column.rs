//! A batch: named columns, one element a step, an example, a token or a slot.

use crate::graph::DType;

/// B examples of L tokens with K slots each: places for what is asked of an example, such as its selected tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shape {
    /// B.
    pub examples: usize,
    /// L.
    pub length: usize,
    /// K; 0 where nothing is asked.
    pub slots: usize,
}

/// What a column has elements for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Extent {
    /// An example: `[B]`.
    Example,
    /// A token: `[B, L]`.
    Token,
    /// A slot: `[B, K]`.
    Slot,
}

/// A column of a batch, without its contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Column {
    /// Unique in a batch.
    pub name: &'static str,
    /// Of its elements.
    pub dtype: DType,
    /// What it has elements for.
    pub extent: Extent,
    /// How many elements for each, side by side; none is one, without a dimension of its own.
    pub each: Option<usize>,
}

impl Column {
    /// A column of words.
    pub const fn words(name: &'static str, extent: Extent) -> Self {
        Self { name, dtype: DType::U32, extent, each: None }
    }

    /// A column of real numbers.
    pub const fn reals(name: &'static str, extent: Extent) -> Self {
        Self { name, dtype: DType::F32, extent, each: None }
    }

    /// The same with that many elements for each example, token or slot.
    pub const fn times(self, each: usize) -> Self {
        Self { each: Some(each), ..self }
    }

    /// Examples, tokens or slots of one example of a batch of this shape.
    fn places(&self, shape: Shape) -> usize {
        match self.extent {
            Extent::Example => 1,
            Extent::Token => shape.length,
            Extent::Slot => shape.slots,
        }
    }

    /// Elements for one example of a batch of this shape.
    pub fn width(&self, shape: Shape) -> usize {
        self.places(shape) * self.each.unwrap_or(1)
    }

    /// The sizes of its tensor, the batch first.
    pub fn sizes(&self, shape: Shape) -> Vec<usize> {
        match (self.extent, self.each) {
            (Extent::Example, None) => vec![shape.examples],
            (_, None) => vec![shape.examples, self.places(shape)],
            // A row for each of what it has elements for.
            (_, Some(each)) => vec![shape.examples * self.places(shape), each],
        }
    }
}

/// Columns of one shape, row by row. Rows without tokens are legal: they fill up the last part of a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    shape: Shape,
    columns: Vec<(Column, Vec<u32>)>,
}

impl Batch {
    /// A batch whose columns are 0 everywhere.
    pub fn new(shape: Shape, columns: &[Column]) -> Self {
        let zeros = |column: &Column| (*column, vec![0; shape.examples * column.width(shape)]);
        Self { shape, columns: columns.iter().map(zeros).collect() }
    }

    /// Its shape.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// The elements of a column, reals as their bits; none where there is no such column.
    pub fn column(&self, name: &str) -> &[u32] {
        self.columns.iter().find(|(column, _)| column.name == name).map_or(&[], |(_, words)| words)
    }

    /// The elements of a column of real numbers.
    pub fn reals(&self, name: &str) -> &[f32] {
        bytemuck::cast_slice(self.column(name))
    }

    /// The elements of a column, to be set; none where there is no such column.
    pub fn column_mut(&mut self, name: &str) -> &mut [u32] {
        let found = self.columns.iter_mut().find(|(column, _)| column.name == name);
        found.map_or(&mut [], |(_, words)| words)
    }

    /// The same with one more column, or with other contents of one.
    pub fn with(mut self, column: Column, words: Vec<u32>) -> Self {
        self.columns.retain(|(known, _)| known.name != column.name);
        self.columns.push((column, words));
        self
    }

    /// Part `index` of the batch where it is worked through `examples` at a time. The last one is filled up with zeros.
    pub fn micro_batch(&self, index: usize, examples: usize) -> Self {
        let first = (index * examples).min(self.shape.examples);
        let end = (first + examples).min(self.shape.examples);
        let shape = Shape { examples, ..self.shape };
        let cut = |(column, words): &(Column, Vec<u32>)| {
            let width = column.width(shape);
            let mut part = words[first * width..end * width].to_vec();
            part.resize(examples * width, 0);
            (*column, part)
        };
        Self { shape, columns: self.columns.iter().map(cut).collect() }
    }

    /// The sum of a column: of weights, what a mean over the whole batch is divided by.
    pub fn total(&self, name: &str) -> f32 {
        let of = |(column, words): &(Column, Vec<u32>)| -> f64 {
            match column.dtype {
                DType::U32 => words.iter().map(|&word| f64::from(word)).sum(),
                DType::F32 | DType::F16 => words.iter().map(|&word| f64::from(f32::from_bits(word))).sum(),
            }
        };
        self.columns.iter().find(|(column, _)| column.name == name).map_or(0.0, of) as f32
    }

    /// The places of tokens that are not padding, in columns of tokens.
    pub fn token_places(&self) -> impl Iterator<Item = usize> + '_ {
        let length = self.shape.length;
        let lengths = self.column(super::LENGTHS.name).iter().enumerate();
        lengths.flat_map(move |(b, &n)| (0..n as usize).map(move |i| b * length + i))
    }

    /// Tokens that are not padding.
    pub fn tokens(&self) -> u64 {
        self.column(super::LENGTHS.name).iter().map(|&length| u64::from(length)).sum()
    }

    /// Bytes of a batch of this shape.
    pub fn bytes(shape: Shape, columns: &[Column]) -> usize {
        columns.iter().map(|column| 4 * shape.examples * column.width(shape)).sum()
    }
}
