//! A network on a device that is shown rows: one plan for each shape of input that turns up.

use super::PredictError;
use super::features::Row;
use crate::batch::padded;
use crate::corpus::Tokenizer;
use crate::graph::{Bank, DType, Graph, GraphError, Tensor};
use crate::model::{Encoded, Model, Network};
use crate::op::StepState;
use crate::plan::{Engine, Plan, Program, Target};
use crate::transformers::Pretrained;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most rows of a plan.
const MOST_ROWS: usize = 16;
/// Most tokens of a plan with more than one row.
const MOST_TOKENS: usize = 4_096;
/// The longest row that is read, as in the reference.
const LONGEST: usize = 512;

/// What is made of the encoder's output [B L, H] for B rows.
pub(super) type Page = fn(&Network, &mut Graph, Tensor, usize) -> Result<Tensor, GraphError>;

/// A network and the plans that were needed so far.
pub(super) struct Forward {
    engine: Box<dyn Engine>,
    target: Target,
    model: Model,
    tokenizer: Tokenizer,
    page: Page,
    loaded: BTreeMap<(usize, usize), Loaded>,
}

/// A plan for one shape, loaded.
#[derive(Debug, Clone, Copy)]
struct Loaded {
    program: Program,
    ids: Tensor,
    types: Tensor,
    lengths: Tensor,
}

impl Forward {
    /// On `engine`, whose banks must have the length of the model's table; plans are made for `target`. Weights come before anything
    /// else.
    pub fn new(model: Model, tokenizer: Tokenizer, (engine, target): (Box<dyn Engine>, Target), page: Page) -> Self {
        Self { engine, target, model, tokenizer, page, loaded: BTreeMap::new() }
    }

    /// Puts the weights of what lies in a folder on `engine`, as [`Forward::new`] takes it.
    pub fn of(found: Pretrained, device: (Box<dyn Engine>, Target), page: Page) -> Result<Self, PredictError> {
        let Pretrained { model, tokenizer, weights, .. } = found;
        let mut forward = Self::new(model, tokenizer, device, page);
        forward.set_weights(&weights)?;
        Ok(forward)
    }

    /// Replaces the weights by a bank that is laid out as the model's table says.
    pub fn set_weights(&mut self, weights: &[f32]) -> Result<(), PredictError> {
        Ok(self.engine.write_bank(Bank::Parameters, weights)?)
    }

    pub fn device(&self) -> String {
        self.engine.describe()
    }

    pub fn network(&self) -> &Network {
        &self.model.networks[0]
    }

    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The longest row in tokens.
    pub fn longest(&self) -> usize {
        self.network().config.positions.min(LONGEST)
    }

    /// Gives `each` every row's number and what the page makes of it, of its padding too where that is something for every token. Rows
    /// of a length are run together.
    pub fn run(&mut self, rows: &[&Row], mut each: impl FnMut(usize, &[f32])) -> Result<(), PredictError> {
        let longest = self.longest();
        let mut by_length: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (i, row) in rows.iter().enumerate() {
            by_length.entry(padded(row.ids.len(), longest)).or_default().push(i);
        }
        for (length, indices) in by_length {
            let most = (MOST_TOKENS / length).clamp(1, MOST_ROWS);
            for block in indices.chunks(most) {
                let count = if block.len() == 1 { 1 } else { most };
                let rows: Vec<&Row> = block.iter().map(|&i| rows[i]).collect();
                let found = self.batch((count, length), &rows)?;
                block.iter().zip(found.chunks(found.len() / count)).for_each(|(&i, found)| each(i, found));
            }
        }
        Ok(())
    }

    fn batch(&mut self, (count, length): (usize, usize), rows: &[&Row]) -> Result<Vec<f32>, PredictError> {
        let loaded = self.load(count, length)?;
        let mut ids = vec![self.tokenizer.special().pad; count * length];
        let mut types = vec![0; count * length];
        // A row without tokens has one of padding: attention over nothing has no mean.
        let mut lengths = vec![1; count];
        for (i, row) in rows.iter().enumerate() {
            ids[i * length..][..row.ids.len()].copy_from_slice(&row.ids);
            types[i * length..][..row.ids.len()].copy_from_slice(&row.types);
            lengths[i] = row.ids.len() as u32;
        }
        for (tensor, words) in [(loaded.ids, &ids), (loaded.types, &types), (loaded.lengths, &lengths)] {
            self.engine.write(loaded.program, tensor, words);
        }
        self.engine.submit(loaded.program, &StepState::default(), true)?;
        Ok(self.engine.collect(true)?.map(|fetched| fetched.real(0)).unwrap_or_default())
    }

    fn load(&mut self, count: usize, length: usize) -> Result<Loaded, PredictError> {
        if let Some(&loaded) = self.loaded.get(&(count, length)) {
            return Ok(loaded);
        }
        let mut g = Graph::new(self.model.table.clone());
        let ids = g.input("ids", DType::U32, &[count, length]);
        let types = g.input("types", DType::U32, &[count, length]);
        let lengths = g.input("lengths", DType::U32, &[count]);
        let network = self.network();
        let hidden = network.encode(&mut g, ids, Encoded { types, lengths, dropout: false })?;
        let out = (self.page)(network, &mut g, hidden, count)?;
        g.fuse(&[out])?;
        let program = self.engine.load(Plan::new(Arc::new(g), &[out], self.target))?;
        let loaded = Loaded { program, ids, types, lengths };
        self.loaded.insert((count, length), loaded);
        Ok(loaded)
    }
}
