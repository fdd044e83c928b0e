//! The networks as they are while they are trained, asked about a sentence or a text.

use super::{News, Outbox, Question, Said};
use crate::corpus::Tokenizer;
use crate::model::Model;
use crate::objective::{Demonstration, ObjectiveConfig};
use crate::probe::{Demonstrator, Request, Sentence};
use crate::session::Session;
use crate::task::{Input, Prediction, Predictor, Record};
use crate::window::state::Quiz;
use web_time::{Duration, Instant};

/// Of the training thread's time, what asking may take.
const SHARE: f64 = 0.01;
/// The least time between two answers.
const LEAST: Duration = Duration::from_millis(500);

/// A run's networks on the CPU, and what they are asked.
pub(super) struct Networks {
    kind: Kind,
    pub(super) question: Option<Question>,
    /// The question is another since it was answered.
    pub(super) asked: bool,
    /// When the last answer came, and how long that took, the weights' way included.
    answered: Option<(Instant, Duration)>,
    /// Of weights that stay, the steps that they were trained for.
    kept: Option<u64>,
}

/// What the networks are good for.
enum Kind {
    /// They replace and guess words.
    Sentences(Demonstrator),
    /// One was fine-tuned.
    Texts(Predictor),
}

impl Networks {
    /// Of `model`, whose weights come with [`Networks::set_weights`] or [`Networks::follow`].
    pub(super) fn new(model: Model, objective: &ObjectiveConfig, tokenizer: &Tokenizer) -> Self {
        let kind = match objective.demonstration() {
            Demonstration::Predictions => Kind::Texts(Predictor::on_cpu(model, tokenizer.clone())),
            Demonstration::Masked { .. }
            | Demonstration::Replaced { .. }
            | Demonstration::Restored { .. }
            | Demonstration::Chosen { .. } => Kind::Sentences(Demonstrator::new(model, &**objective, tokenizer)),
        };
        Self { kind, question: None, asked: false, answered: None, kept: None }
    }

    /// From now on a checkpoint's weights answer, those of `step`, in place of `before`.
    pub(super) fn keep(mut self, step: u64, before: &Self) -> Self {
        (self.kept, self.question, self.asked) = (Some(step), before.question.clone(), true);
        self
    }

    pub(super) fn set_weights(&mut self, weights: &[f32]) -> Result<(), String> {
        match &mut self.kind {
            Kind::Sentences(demonstrator) => demonstrator.set_weights(weights).map_err(|e| e.to_string()),
            Kind::Texts(predictor) => predictor.set_weights(weights).map_err(|e| e.to_string()),
        }
    }

    /// Answers with the weights of `step`. A question to networks of the other kind has no answer.
    pub(super) fn ask(&mut self, question: &Question, step: u64, outbox: &Outbox) {
        let news = match (&mut self.kind, question) {
            (Kind::Sentences(demonstrator), Question::Sentence(request)) => match demonstrator.ask(request) {
                Ok(sentence) => News::Sentence { sentence, step },
                Err(error) => News::Complaint(error.to_string()),
            },
            (Kind::Texts(predictor), Question::Text(text)) => match say(predictor, text) {
                Ok(said) => News::Said { said, step },
                Err(reason) => News::Complaint(reason),
            },
            _ => return,
        };
        outbox.tell(news);
    }

    /// Asks about sentences until there are enough for a quiz.
    pub(super) fn quiz(&mut self, requests: &[Request], outbox: &Outbox) {
        let Kind::Sentences(demonstrator) = &mut self.kind else { return };
        let mut sentences: Vec<Sentence> = Vec::new();
        for request in requests {
            match demonstrator.ask(request) {
                Ok(sentence) if Quiz::takes(&sentence) => sentences.push(sentence),
                Ok(_) => {}
                Err(error) => {
                    outbox.tell(News::Complaint(error.to_string()));
                    return;
                }
            }
            if sentences.len() == Quiz::ROUNDS {
                break;
            }
        }
        outbox.tell(News::Quiz(sentences));
    }

    /// Takes the session's weights, unless it has weights that stay; whether that went well. A device that has gone away shows in the
    /// next step, where the session deals with it.
    pub(super) async fn follow(&mut self, session: &mut Session) -> bool {
        if self.kept.is_some() {
            return true;
        }
        if let Kind::Texts(predictor) = &mut self.kind {
            predictor.set_null_threshold(session.null_threshold());
        }
        session.weights_async().await.is_ok_and(|weights| self.set_weights(&weights).is_ok())
    }

    /// Answers with the session's weights as they are, or with those that stay.
    pub(super) async fn refresh(&mut self, session: &mut Session, outbox: &Outbox) {
        let began = Instant::now();
        self.asked = false;
        let Some(question) = self.question.clone() else { return };
        if self.follow(session).await {
            self.ask(&question, self.kept.unwrap_or(session.step()), outbox);
        }
        self.answered = Some((Instant::now(), began.elapsed()));
    }

    /// Whether the weights have changed for long enough.
    pub(super) fn is_due(&self) -> bool {
        let rest = |took: Duration| took.div_f64(SHARE).max(LEAST);
        self.question.is_some() && self.answered.is_none_or(|(when, took)| when.elapsed() > rest(took))
    }
}

/// What a fine-tuned network says of a text that was typed.
fn say(predictor: &mut Predictor, text: &str) -> Result<Said, String> {
    let input = Input::typed(predictor.head(), text)?;
    let record = Record { id: String::new(), line: 1, input, label: None };
    let (mut predictions, remarks) =
        predictor.predict_and_remark(std::slice::from_ref(&record)).map_err(|e| e.to_string())?;
    let prediction = predictions.pop().unwrap_or(Prediction::None);
    Ok(Said { input: record.input, prediction, remarks })
}
