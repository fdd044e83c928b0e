//! A network on a device that is shown rows: one plan for each shape of input that turns up.

use super::PredictError;
use super::features::Row;
use crate::batch::padded;
use crate::config::Precision;
use crate::corpus::Tokenizer;
use crate::graph::{Bank, DType, Graph, GraphError, Tensor};
use crate::model::{Encoded, Model, Network};
use crate::op::StepState;
use crate::plan::{Engine, Kind, Plan, Program, Target};
use crate::train::step::without_gradient;
use crate::transformers::Pretrained;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most rows of a plan: weights are brought into the order that products read them in once for all of its rows.
const MOST_ROWS: usize = 64;
/// Most tokens of a plan with more than one row.
const MOST_TOKENS: usize = 4_096;
/// The longest row that is read, as in the reference.
const LONGEST: usize = 512;
/// Bytes of plans that stay loaded.
const ROOM: u64 = 1 << 30;

/// What is made of ids [B, L].
pub(super) type Page = fn(&Network, &mut Graph, Tensor, Encoded) -> Result<Tensor, GraphError>;

/// A network and the plans that were needed so far.
pub(super) struct Forward {
    engine: Box<dyn Engine>,
    target: Target,
    model: Model,
    tokenizer: Tokenizer,
    page: Page,
    precision: Precision,
    loaded: BTreeMap<(usize, usize), Loaded>,
    /// How often one was asked for.
    asked: u64,
}

/// A plan for one shape, loaded.
#[derive(Debug, Clone, Copy)]
struct Loaded {
    program: Program,
    ids: Tensor,
    types: Tensor,
    lengths: Tensor,
    bytes: u64,
    used: u64,
}

/// Plans' rows for `rows` of a length, at most `most` each: powers of two behind whole ones, so that few plans serve all and few rows
/// are padding.
fn blocks(rows: usize, most: usize) -> Vec<usize> {
    let (mut left, mut blocks) = (rows % most, vec![most; rows / most]);
    while left > 0 {
        let whole = left.next_power_of_two();
        // A fourth of it may be padding: a plan more costs as much.
        let size = if left * 4 >= whole * 3 { whole } else { whole / 2 };
        blocks.push(size.min(most));
        left = left.saturating_sub(size);
    }
    blocks
}

impl Forward {
    /// On `engine`, whose banks must have the length of the model's table; plans are made for `target`. Weights come before anything
    /// else.
    pub fn new(model: Model, tokenizer: Tokenizer, (engine, target): (Box<dyn Engine>, Target), page: Page) -> Self {
        let precision = Precision::F32;
        Self { engine, target, model, tokenizer, page, precision, loaded: BTreeMap::new(), asked: 0 }
    }

    /// The same in another precision than f32.
    pub fn in_precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
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

    pub fn set_null_threshold(&mut self, threshold: Option<f64>) {
        self.model.set_null_threshold(threshold);
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
            let mut left = &indices[..];
            for count in blocks(indices.len(), most) {
                let (block, rest) = left.split_at(count.min(left.len()));
                left = rest;
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
        self.asked += 1;
        if let Some(loaded) = self.loaded.get_mut(&(count, length)) {
            loaded.used = self.asked;
            return Ok(*loaded);
        }
        let mut g = Graph::new(self.model.table.clone());
        let ids = g.input("ids", DType::U32, &[count, length]);
        let types = g.input("types", DType::U32, &[count, length]);
        let lengths = g.input("lengths", DType::U32, &[count]);
        let network = self.network();
        let out = (self.page)(network, &mut g, ids, Encoded { types, visible: lengths, dropout: false })?;
        without_gradient(&mut g, &[out], self.precision)?;
        let plan = Plan::new(Arc::new(g), &[out], self.target);
        let bytes = plan.bytes(|kind| !matches!(kind, Kind::Bank(_)));
        self.make_room(bytes)?;
        let program = self.engine.load(plan)?;
        let loaded = Loaded { program, ids, types, lengths, bytes, used: self.asked };
        self.loaded.insert((count, length), loaded);
        Ok(loaded)
    }

    /// Unloads those that were used longest ago, until one of so many bytes may come.
    fn make_room(&mut self, bytes: u64) -> Result<(), PredictError> {
        while self.loaded.values().map(|loaded| loaded.bytes).sum::<u64>() + bytes > ROOM {
            let Some((&shape, _)) = self.loaded.iter().min_by_key(|(_, loaded)| loaded.used) else { break };
            if let Some(loaded) = self.loaded.remove(&shape) {
                self.engine.unload(loaded.program)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::blocks;

    #[test]
    fn blocks_hold_all_rows_with_little_padding() {
        for most in [1, 8, 10, 16, 64] {
            for rows in 0..300 {
                let found = blocks(rows, most);
                let room: usize = found.iter().sum();
                assert!(room >= rows && room * 3 <= rows * 4 + 2, "{rows} in {found:?}");
                assert!(found.iter().all(|&block| (1..=most).contains(&block)), "{found:?}");
            }
        }
        assert_eq!(blocks(133, 64), [64, 64, 4, 1]);
        assert_eq!(blocks(60, 64), [64]);
    }
}
