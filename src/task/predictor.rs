//! A fine-tuned network on a device, and what it says of records.

use super::features::{Cut, FeatureOptions, Features, Row};
use super::forward::Forward;
use super::{Prediction, Record, TaskError, TaskKind};
use crate::config::Precision;
use crate::corpus::Tokenizer;
use crate::cpu::CpuEngine;
use crate::graph::{Graph, GraphError, Tensor};
use crate::model::{Encoded, Head, Model, Network};
use crate::plan::{Engine, EngineError, Target};
use crate::transformers::Pretrained;

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

/// A network that was fine-tuned, on a device.
pub struct Predictor {
    forward: Forward,
    /// Of all that was asked.
    cut: Cut,
}

impl Predictor {
    /// Puts the weights of a fine-tuned network ([`Pretrained::load_fine_tuned`]) on `engine`, whose banks must have the length of
    /// its table; plans are made for `target`.
    ///
    /// # Errors
    /// [`PredictError::Engine`].
    pub fn new(found: Pretrained, engine: Box<dyn Engine>, target: Target) -> Result<Self, PredictError> {
        Ok(Self { forward: Forward::of(found, (engine, target), logits)?, cut: Cut::default() })
    }

    /// The same in another precision than f32; asked before anything else.
    pub fn in_precision(self, precision: Precision) -> Self {
        Self { forward: self.forward.in_precision(precision), ..self }
    }

    /// A network on the CPU whose weights change, as one that is trained: a text is little work, and the device that trains goes on.
    /// [`Predictor::set_weights`] comes before anything is asked.
    pub fn on_cpu(model: Model, tokenizer: Tokenizer) -> Self {
        let engine = Box::new(CpuEngine::<f32>::new(model.table.len()));
        Self { forward: Forward::new(model, tokenizer, (engine, Target::Cpu), logits), cut: Cut::default() }
    }

    /// Takes in a bank of weights, laid out as the model's table says.
    ///
    /// # Errors
    /// [`PredictError::Engine`].
    pub fn set_weights(&mut self, weights: &[f32]) -> Result<(), PredictError> {
        self.forward.set_weights(weights)
    }

    /// How much must speak for saying that a question has no answer; `None` where 0 decides.
    pub fn set_null_threshold(&mut self, threshold: Option<f64>) {
        self.forward.set_null_threshold(threshold);
    }

    /// The device, in words.
    pub fn device(&self) -> String {
        self.forward.device()
    }

    /// What is on top of the network: what it can be asked.
    pub fn head(&self) -> Option<&Head> {
        self.forward.network().heads.first()
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
        self.forward.longest()
    }

    /// What it says of each record, in their order. What is longer than a row is cut, or read in windows.
    ///
    /// # Errors
    /// [`PredictError`].
    pub fn predict(&mut self, records: &[Record]) -> Result<Vec<Prediction>, PredictError> {
        Ok(self.predict_and_remark(records)?.0)
    }

    /// As [`Predictor::predict`], and what a person should know of texts that were cut, a line each.
    ///
    /// # Errors
    /// [`PredictError`].
    pub fn predict_and_remark(&mut self, records: &[Record]) -> Result<(Vec<Prediction>, Vec<String>), PredictError> {
        let Some(kind) = self.head().and_then(TaskKind::of) else {
            return Ok((vec![Prediction::None; records.len()], Vec::new()));
        };
        let scale = self.scale();
        let options = FeatureOptions::of_length(self.longest());
        let features = Features::of(records, self.forward.tokenizer(), &options, kind)?;
        self.cut += features.cut();
        let rows: Vec<&Row> = (0..features.len()).map(|index| features.row(index)).collect();
        let mut logits = vec![Vec::new(); rows.len()];
        self.forward.run(&rows, |row, found| logits[row] = found.iter().map(|x| x * scale).collect())?;
        let mut predictions = features.decode(records, self.labels().len(), &logits);
        if let Some(Head::QuestionAnswering(head)) = self.head() {
            for prediction in &mut predictions {
                if let Prediction::Answer(found) = prediction {
                    found.threshold = head.null_threshold;
                }
            }
        }
        Ok((predictions, features.remarks()))
    }

    /// Of all records so far, what was cut.
    pub fn cut(&self) -> Cut {
        self.cut
    }

    /// How many of the labels' units an output of 1 is.
    fn scale(&self) -> f32 {
        match self.head() {
            Some(Head::SequenceClassification(head)) => head.scale,
            _ => 1.0,
        }
    }
}

/// What the head says.
fn logits(network: &Network, g: &mut Graph, ids: Tensor, input: Encoded) -> Result<Tensor, GraphError> {
    if let Some(Head::SequenceClassification(head)) = network.heads.first() {
        let hidden = network.encode_first(g, ids, input)?;
        return head.logits(g, hidden, false);
    }
    let hidden = network.encode(g, ids, input)?;
    match network.heads.first() {
        Some(Head::TokenClassification(head)) => head.logits(g, hidden, false),
        Some(Head::QuestionAnswering(head)) => head.logits(g, hidden),
        _ => Ok(hidden),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::preset;
    use crate::model::{Builder, ClassifierKind};
    use crate::task::features::tests::tokenizer;
    use crate::task::{Input, Record};
    use crate::transformers::entries;

    /// A regression whose outputs are in units of `scale`.
    fn regression(scale: f32, tokenizer: &Tokenizer) -> Model {
        let mut config = preset("tiny").unwrap();
        config.model.vocabulary = tokenizer.size();
        let mut b = Builder::default();
        let mut network = b.network("model", &config.model);
        b.regression(&mut network, ClassifierKind::Dense, "price".into(), (scale, 2_000.0));
        b.finish(vec![network])
    }

    #[test]
    fn numbers_are_said_in_the_labels_units_whatever_the_outputs_are_in() {
        let tokenizer = tokenizer();
        let text = |text: &str| Record {
            id: String::new(),
            line: 1,
            input: Input::Text { text: text.into(), pair: None },
            label: None,
        };
        let records = [text("the people"), text("peace and war")];
        let trained = regression(16.0, &tokenizer);
        let mut weights = trained.initial(3);
        let mut said = Vec::new();
        // As a run has its weights while it is trained, and as its folder for transformers has them.
        for (scale, model) in [(16.0, trained.clone()), (1.0, regression(1.0, &tokenizer))] {
            if scale == 1.0 {
                for entry in entries(&trained, &trained.networks[0]) {
                    weights[entry.range()].iter_mut().for_each(|x| *x *= entry.scale);
                }
            }
            let mut predictor = Predictor::on_cpu(model, tokenizer.clone());
            predictor.set_weights(&weights).unwrap();
            let (predictions, remarks) = predictor.predict_and_remark(&records).unwrap();
            assert_eq!(remarks, [] as [String; 0]);
            said.push(predictions);
        }
        assert_eq!(said[0], said[1]);
        let Prediction::Values(values) = &said[0][0] else { panic!("{said:?}") };
        assert!((values[0] - 2_000.0).abs() < 500.0, "{values:?}");
        assert_ne!(said[0][0], said[0][1]);
        let mut predictor = Predictor::on_cpu(regression(1.0, &tokenizer), tokenizer);
        predictor.set_weights(&weights).unwrap();
        let (_, remarks) = predictor.predict_and_remark(&[text(&"peace ".repeat(2_000))]).unwrap();
        assert!(remarks[0].starts_with("1 of 1 text cut at "), "{remarks:?}");
    }
}
