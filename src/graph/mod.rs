//! The static graph: typed tensors, nodes and reverse mode at build time.
//!
//! A model is written once against [`Graph`]; the result is a list of [`Node`]s in the order they were added, which
//! is a topological order. Nothing is computed here: [`crate::plan`] gives every tensor a place in memory, and an
//! engine ([`crate::cpu`], [`crate::gpu`]) runs the plan step after step.
//!
//! Parameters live in one flat bank, and gradients and the two moments mirror it ([`Bank`]); a parameter tensor is a
//! window of the bank of parameters.

mod fuse;
mod group;
mod mixed;
mod parameters;
mod recompute;
mod reverse;
mod rewrite;
mod tensor;

pub use parameters::{Bank, Initialization, Parameter, ParameterTable, Span};
pub use recompute::Recompute;
pub use tensor::{DType, Tensor, TensorType};

use crate::math::bf16::Products;
use crate::op::Op;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// Why a graph could not be built: shapes or element types that do not fit an op.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{op}: found {found}, expected {expected}")]
pub struct GraphError {
    /// The op's name.
    pub op: &'static str,
    /// The types that were given.
    pub found: String,
    /// What the op takes.
    pub expected: String,
}

/// Where a tensor's contents come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Written by the caller before a step.
    Input,
    /// A window of a bank that lives across steps, `offset` in elements.
    Bank {
        /// Which bank.
        bank: Bank,
        /// First element of the window.
        offset: usize,
    },
    /// Output `output` of node `node`.
    Node {
        /// Index into [`Graph::nodes`].
        node: usize,
        /// Which of the node's outputs.
        output: usize,
    },
    /// Nowhere: a pass did away with the tensor, and nobody reads it.
    Nothing,
}

/// A tensor's type, origin and name.
#[derive(Debug, Clone)]
pub struct Value {
    /// Shape and element type.
    pub ty: TensorType,
    /// Where its contents come from.
    pub source: Source,
    /// For people: an input's or a parameter's name, empty otherwise.
    pub name: String,
}

/// One application of an op.
#[derive(Debug, Clone)]
pub struct Node {
    /// The op with its settings.
    pub op: Arc<dyn Op>,
    /// What it reads.
    pub inputs: Vec<Tensor>,
    /// What it writes.
    pub outputs: Vec<Tensor>,
    /// Where in the model it belongs.
    pub place: Place,
}

/// Where in the model a node belongs, for passes that treat some parts of a graph differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// The segment ([`Graph::in_segment`]), such as a layer of an encoder; the gradients of a segment's nodes are in it too.
    pub segment: Option<u32>,
    /// The scope ([`Graph::in_scope`]), an index into [`Graph::scopes`].
    pub scope: Option<usize>,
    /// Whether reverse mode added it.
    pub backward: bool,
}

/// A computation described once and run many times.
#[derive(Debug, Clone)]
pub struct Graph {
    values: Vec<Value>,
    nodes: Vec<Node>,
    table: Arc<ParameterTable>,
    parameters: HashMap<usize, Tensor>,
    banks: HashMap<Bank, Tensor>,
    gradients: BTreeMap<Tensor, Vec<usize>>,
    scopes: Vec<String>,
    /// How often each name of random numbers was asked for, and the streams given.
    draws: HashMap<String, u32>,
    streams: HashSet<u32>,
    /// Where the next node belongs.
    place: Place,
    segments: u32,
    products: Products,
}

impl Graph {
    /// An empty graph over the parameters of `table`.
    pub fn new(table: Arc<ParameterTable>) -> Self {
        Self {
            values: Vec::new(),
            nodes: Vec::new(),
            table,
            parameters: HashMap::new(),
            banks: HashMap::new(),
            gradients: BTreeMap::new(),
            scopes: Vec::new(),
            draws: HashMap::new(),
            streams: HashSet::new(),
            place: Place::default(),
            segments: 0,
            products: Products::default(),
        }
    }

    /// How the CPU engine multiplies this graph's layers and vocabulary.
    pub fn multiply_in(&mut self, products: Products) {
        self.products = products;
    }

    /// How it does.
    pub fn products(&self) -> Products {
        self.products
    }

    fn push(&mut self, ty: TensorType, source: Source, name: &str) -> Tensor {
        let tensor = Tensor(self.values.len() as u32);
        self.values.push(Value { ty, source, name: name.to_string() });
        tensor
    }

    /// A tensor that the caller writes before each step.
    pub fn input(&mut self, name: &str, dtype: DType, shape: &[usize]) -> Tensor {
        self.push(TensorType::new(dtype, shape), Source::Input, name)
    }

    /// The tensor of parameter `index` of the table; the same tensor however often it is asked for.
    pub fn parameter(&mut self, index: usize) -> Tensor {
        if let Some(&tensor) = self.parameters.get(&index) {
            return tensor;
        }
        let table = self.table.clone();
        let p = &table.parameters()[index];
        let source = Source::Bank { bank: Bank::Parameters, offset: p.offset };
        let tensor = self.push(TensorType::new(DType::F32, &p.shape), source, &p.name);
        self.parameters.insert(index, tensor);
        tensor
    }

    /// A whole bank as one vector ([`Bank::ty`]).
    pub fn bank(&mut self, bank: Bank) -> Tensor {
        if let Some(&tensor) = self.banks.get(&bank) {
            return tensor;
        }
        let source = Source::Bank { bank, offset: 0 };
        let tensor = self.push(bank.ty(self.table.len()), source, bank.name());
        self.banks.insert(bank, tensor);
        tensor
    }

    /// The first elements of a bank, as many as `shape` has.
    pub fn window(&mut self, bank: Bank, shape: &[usize]) -> Tensor {
        let ty = TensorType::new(bank.ty(self.table.len()).dtype, shape);
        self.push(ty, Source::Bank { bank, offset: 0 }, bank.name())
    }

    /// Adds a node; its outputs' types follow from the op's shape rule.
    pub fn add(&mut self, op: impl Op + 'static, inputs: &[Tensor]) -> Result<Vec<Tensor>, GraphError> {
        let types: Vec<&TensorType> = inputs.iter().map(|&t| self.ty(t)).collect();
        let outputs = op.infer(&types)?;
        let node = self.nodes.len();
        let outputs = outputs
            .into_iter()
            .enumerate()
            .map(|(output, ty)| self.push(ty, Source::Node { node, output }, ""))
            .collect::<Vec<_>>();
        let (op, inputs, place) = (Arc::new(op), inputs.to_vec(), self.place);
        self.nodes.push(Node { op, inputs, outputs: outputs.clone(), place });
        Ok(outputs)
    }

    /// As [`Graph::add`] for an op with one output.
    pub fn add1(&mut self, op: impl Op + 'static, inputs: &[Tensor]) -> Result<Tensor, GraphError> {
        Ok(self.add(op, inputs)?[0])
    }

    /// Adds what `build` adds as a segment of its own: a part of the model with few inputs and outputs, such as a layer, whose
    /// insides may be computed again in the backward part ([`Graph::recompute`]).
    pub fn in_segment<T>(&mut self, build: impl FnOnce(&mut Self) -> T) -> T {
        let outer = self.place.segment.replace(self.segments);
        self.segments += 1;
        let built = build(self);
        self.place.segment = outer;
        built
    }

    /// Adds what `build` adds as the part of the model that is called `name`, of the part that it is in, if any: a network, or
    /// a layer of it.
    pub fn in_scope<T>(&mut self, name: &str, build: impl FnOnce(&mut Self) -> T) -> T {
        let path = self.place.scope.map_or(name.to_string(), |outer| format!("{}/{name}", self.scopes[outer]));
        let scope = self.scopes.iter().position(|known| *known == path).unwrap_or(self.scopes.len());
        if scope == self.scopes.len() {
            self.scopes.push(path);
        }
        let outer = self.place.scope.replace(scope);
        let built = build(self);
        self.place.scope = outer;
        built
    }

    /// The scopes, with `/` between a part and a part of it, in the order they were first entered.
    pub fn scopes(&self) -> &[String] {
        &self.scopes
    }

    /// A number for an op that draws at random, so that no two draw the same numbers. It follows from the scope and `what` is
    /// drawn there, the second of a name and so on counted: what is added to a graph elsewhere, or left out, changes nobody's
    /// numbers.
    pub fn stream(&mut self, what: &str) -> u32 {
        let scope = self.place.scope.map_or("", |scope| &self.scopes[scope]);
        let name = format!("{scope}/{what}");
        let count = self.draws.entry(name.clone()).or_default();
        *count += 1;
        // FNV-1a; two names with one hash are as rare as 2^-32, and told apart by going on.
        let hash = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
        let mut stream = name.bytes().chain(count.to_le_bytes()).fold(0x811c_9dc5, hash);
        while !self.streams.insert(stream) {
            stream = hash(stream, 0);
        }
        stream
    }

    /// A tensor's type.
    pub fn ty(&self, tensor: Tensor) -> &TensorType {
        &self.values[tensor.index()].ty
    }

    /// A tensor's shape.
    pub fn shape(&self, tensor: Tensor) -> &[usize] {
        &self.ty(tensor).shape
    }

    /// All tensors, by index.
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// All nodes in the order they run.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The parameters the graph was built over.
    pub fn table(&self) -> &Arc<ParameterTable> {
        &self.table
    }

    /// The tensors whose contents belong in the bank of gradients, with the offsets in elements: several where
    /// parameters have the same gradient.
    pub fn gradients(&self) -> &BTreeMap<Tensor, Vec<usize>> {
        &self.gradients
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_numbers_follow_from_names_and_not_from_what_else_is_drawn() {
        let draw = |g: &mut Graph| g.in_scope("generator", |g| g.in_scope("layer.3", |g| g.stream("dropout")));
        let mut g = Graph::new(Arc::default());
        let alone = draw(&mut g);
        assert_eq!(g.scopes(), ["generator", "generator/layer.3"]);
        let mut g = Graph::new(Arc::default());
        let mut others = vec![g.stream("dropout"), g.in_scope("generator", |g| g.stream("dropout"))];
        assert_eq!(draw(&mut g), alone);
        // The second of a name draws others, always the same.
        others.extend([draw(&mut g), g.in_scope("layer.3", |g| g.stream("dropout")), alone]);
        let mut again = Graph::new(Arc::default());
        assert_eq!([draw(&mut again), draw(&mut again)], [alone, others[2]]);
        assert_eq!(HashSet::<u32>::from_iter(others.iter().copied()).len(), others.len());
    }
}
