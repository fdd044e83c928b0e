//! A fine-tuned network on a device, and what it says of records.

use super::features::{FeatureOptions, Features, Row};
use super::{Prediction, Record, TaskError, TaskKind};
use crate::batch::padded;
use crate::corpus::Tokenizer;
use crate::graph::{Bank, DType, Graph, GraphError, Tensor};
use crate::model::{Encoded, Head, Model, Network};
use crate::op::StepState;
use crate::plan::{Engine, EngineError, Plan, Program, Target};
use crate::transformers::Pretrained;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most rows of a plan.
const MOST_ROWS: usize = 16;
/// Most tokens of a plan with more than one row.
const MOST_TOKENS: usize = 4_096;
/// The longest row that is read, as in the reference.
const LONGEST: usize = 512;

/// Why nothing can be predicted. One line each.
#[derive(Debug, thiserror::Error)]
pub enum PredictError {
    /// What is to be read.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// The device.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The model does not fit together: a bug, since folders are checked.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

/// A network that was fine-tuned, on a device: one plan for each shape of input that turns up.
pub struct Predictor {
    engine: Box<dyn Engine>,
    target: Target,
    model: Model,
    tokenizer: Tokenizer,
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

impl Predictor {
    /// Puts the weights of a fine-tuned network ([`Pretrained::load_fine_tuned`]) on `engine`, whose banks must have the length of
    /// its table; plans are made for `target`.
    ///
    /// # Errors
    /// [`PredictError::Engine`].
    pub fn new(found: Pretrained, mut engine: Box<dyn Engine>, target: Target) -> Result<Self, PredictError> {
        engine.write_bank(Bank::Parameters, &found.weights)?;
        let Pretrained { model, tokenizer, .. } = found;
        Ok(Self { engine, target, model, tokenizer, loaded: BTreeMap::new() })
    }

    /// The device, in words.
    pub fn device(&self) -> String {
        self.engine.describe()
    }

    /// What is on top of the network: what it can be asked.
    pub fn head(&self) -> Option<&Head> {
        self.network().heads.first()
    }

    /// The names of its classes, labels or tags.
    pub fn labels(&self) -> &[String] {
        match self.head() {
            Some(Head::SequenceClassification(head)) => &head.labels,
            Some(Head::TokenClassification(head)) => &head.labels,
            _ => &[],
        }
    }

    /// The longest row in tokens.
    pub fn longest(&self) -> usize {
        self.network().config.positions.min(LONGEST)
    }

    fn network(&self) -> &Network {
        &self.model.networks[0]
    }

    /// What it says of each record, in their order. What is longer than a row is cut, or read in windows.
    ///
    /// # Errors
    /// [`PredictError`].
    pub fn predict(&mut self, records: &[Record]) -> Result<Vec<Prediction>, PredictError> {
        let Some(kind) = self.head().and_then(TaskKind::of) else {
            return Ok(vec![Prediction::None; records.len()]);
        };
        let options = FeatureOptions::of_length(self.longest());
        let features = Features::of(records, &self.tokenizer, &options, kind)?;
        let rows: Vec<&Row> = (0..features.len()).map(|index| features.row(index)).collect();
        let logits = self.run(&rows)?;
        Ok(features.decode(records, self.labels().len(), &logits))
    }

    /// The logits of each row, those of its padding too where there are some for every token. Rows of a length are run together.
    fn run(&mut self, rows: &[&Row]) -> Result<Vec<Vec<f32>>, PredictError> {
        let mut by_length: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (i, row) in rows.iter().enumerate() {
            by_length.entry(padded(row.ids.len(), self.longest())).or_default().push(i);
        }
        let mut found = vec![Vec::new(); rows.len()];
        for (length, indices) in by_length {
            let most = (MOST_TOKENS / length).clamp(1, MOST_ROWS);
            for block in indices.chunks(most) {
                let count = if block.len() == 1 { 1 } else { most };
                let rows: Vec<&Row> = block.iter().map(|&i| rows[i]).collect();
                let logits = self.logits((count, length), &rows)?;
                for (&i, logits) in block.iter().zip(logits.chunks(logits.len() / count)) {
                    found[i] = logits.to_vec();
                }
            }
        }
        Ok(found)
    }

    fn logits(&mut self, (count, length): (usize, usize), rows: &[&Row]) -> Result<Vec<f32>, PredictError> {
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
        let logits = match network.heads.first() {
            Some(Head::SequenceClassification(head)) => head.logits(&mut g, hidden, count, false)?,
            Some(Head::TokenClassification(head)) => head.logits(&mut g, hidden, false)?,
            Some(Head::QuestionAnswering(head)) => head.logits(&mut g, hidden)?,
            _ => hidden,
        };
        g.fuse(&[logits])?;
        let program = self.engine.load(Plan::new(Arc::new(g), &[logits], self.target))?;
        let loaded = Loaded { program, ids, types, lengths };
        self.loaded.insert((count, length), loaded);
        Ok(loaded)
    }
}
