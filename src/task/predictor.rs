//! A fine-tuned network on a device, and what it says of records.

use super::features::{AnswerOptions, Found, QuestionOptions, Row, n_best, questions, texts, words};
use super::{Input, Record, TaskError};
use crate::batch::padded;
use crate::corpus::Tokenizer;
use crate::graph::{Bank, DType, Graph, GraphError, Tensor};
use crate::math::sigmoid;
use crate::model::{Encoded, Head, Model, Network, Problem};
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

/// What a network says of a record.
#[derive(Debug, Clone, PartialEq)]
pub enum Prediction {
    /// The probability of each class, which are 1 together.
    Class(Vec<f32>),
    /// The probability of each label.
    Labels(Vec<f32>),
    /// Numbers, one an output.
    Values(Vec<f32>),
    /// A class for each word, by its place.
    Tags(Vec<usize>),
    /// The best answers.
    Answer(Found),
    /// Nothing: the record is of another kind than the network's.
    None,
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
        let mut found = vec![Prediction::None; records.len()];
        let (length, outputs) = (self.longest(), self.labels().len());
        match self.head().cloned() {
            Some(Head::SequenceClassification(head)) => {
                let rows = texts(records, &self.tokenizer, length)?.0;
                let logits = self.run(&rows.iter().collect::<Vec<_>>())?;
                for (row, logits) in rows.iter().zip(logits) {
                    found[row.record] = match head.problem {
                        Problem::SingleLabel => Prediction::Class(softmax(&logits)),
                        Problem::MultiLabel => Prediction::Labels(logits.iter().map(|&x| sigmoid(x)).collect()),
                        Problem::Regression => Prediction::Values(logits),
                    };
                }
            }
            Some(Head::TokenClassification(_)) => {
                let rows = words(records, &self.tokenizer, length)?.0;
                let logits = self.run(&rows.iter().map(|row| &row.row).collect::<Vec<_>>())?;
                for (at, record) in records.iter().enumerate() {
                    if let Input::Words(words) = &record.input {
                        found[at] = Prediction::Tags(vec![0; words.len()]);
                    }
                }
                for (row, logits) in rows.iter().zip(logits) {
                    let Prediction::Tags(tags) = &mut found[row.row.record] else { continue };
                    for &(place, word) in &row.asked {
                        tags[word] = best(&logits[place * outputs..][..outputs]);
                    }
                }
            }
            Some(Head::QuestionAnswering(_)) => {
                // Questions to a short model leave room for a text.
                let options = QuestionOptions {
                    length,
                    query: QuestionOptions::default().query.min(length / 2),
                    ..Default::default()
                };
                let windows = questions(records, &self.tokenizer, &options)?.0;
                let logits = self.run(&windows.iter().map(|w| &w.row).collect::<Vec<_>>())?;
                let column =
                    |logits: &[f32], at: usize| logits.iter().skip(at).step_by(2).copied().collect::<Vec<f32>>();
                let ends: Vec<_> = logits.iter().map(|logits| (column(logits, 0), column(logits, 1))).collect();
                let mut first = 0;
                for windows in windows.chunk_by(|a, b| a.row.record == b.row.record) {
                    let both: Vec<_> = ends[first..][..windows.len()].iter().map(|(s, e)| (&s[..], &e[..])).collect();
                    first += windows.len();
                    let at = windows[0].row.record;
                    if let Input::Question { context, .. } = &records[at].input {
                        found[at] = Prediction::Answer(n_best(windows, &both, context, &AnswerOptions::default()));
                    }
                }
            }
            _ => {}
        }
        Ok(found)
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

fn softmax(logits: &[f32]) -> Vec<f32> {
    let highest = logits.iter().copied().fold(f32::MIN, f32::max);
    let parts: Vec<f64> = logits.iter().map(|&x| f64::from(x - highest).exp()).collect();
    let total: f64 = parts.iter().sum();
    parts.into_iter().map(|part| (part / total) as f32).collect()
}

/// The place of the largest, of equals the first.
pub(super) fn best(logits: &[f32]) -> usize {
    (0..logits.len()).reduce(|a, b| if logits[b] > logits[a] { b } else { a }).unwrap_or_default()
}
