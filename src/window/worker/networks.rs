//! The networks as they are while they are trained, asked about sentences.

use super::{News, Outbox};
use crate::batch::Masking;
use crate::corpus::Tokenizer;
use crate::model::Model;
use crate::probe::{Demonstrator, ProbeError, Request, Sentence};
use crate::session::Session;
use crate::window::state::Quiz;
use std::time::{Duration, Instant};

/// Of the training thread's time, what asking about the sentence may take.
const SHARE: f64 = 0.01;
/// The least time between two answers.
const LEAST: Duration = Duration::from_millis(500);

/// A run's networks on the CPU, and the sentence that they are asked about.
pub(super) struct Networks {
    demonstrator: Demonstrator,
    pub(super) request: Option<Request>,
    /// The sentence is another since it was asked about.
    pub(super) asked: bool,
    /// When the last answer came, and how long that took, the weights' way included.
    answered: Option<(Instant, Duration)>,
}

impl Networks {
    pub(super) fn new(model: Model, masking: Masking, tokenizer: &Tokenizer) -> Self {
        Self { demonstrator: Demonstrator::new(model, masking, tokenizer), request: None, asked: false, answered: None }
    }

    pub(super) fn set_weights(&mut self, weights: &[f32]) -> Result<(), ProbeError> {
        self.demonstrator.set_weights(weights)
    }

    /// Asks about a sentence with the weights of `step`.
    pub(super) fn ask(&mut self, request: &Request, step: u64, outbox: &Outbox) {
        match self.demonstrator.ask(request) {
            Ok(sentence) => outbox.tell(News::Sentence { sentence, step }),
            Err(error) => outbox.tell(News::Complaint(error.to_string())),
        };
    }

    /// Asks about sentences until there are enough for a quiz.
    pub(super) fn quiz(&mut self, requests: &[Request], outbox: &Outbox) {
        let mut sentences: Vec<Sentence> = Vec::new();
        for request in requests {
            match self.demonstrator.ask(request) {
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

    /// Takes the session's weights; whether that went well. A device that has gone away shows in the next step, where the
    /// session deals with it.
    pub(super) fn follow(&mut self, session: &mut Session) -> bool {
        session.weights().is_ok_and(|weights| self.demonstrator.set_weights(&weights).is_ok())
    }

    /// Asks about the sentence with the session's weights as they are.
    pub(super) fn refresh(&mut self, session: &mut Session, outbox: &Outbox) {
        let began = Instant::now();
        self.asked = false;
        let Some(request) = self.request.clone() else { return };
        if self.follow(session) {
            self.ask(&request, session.step(), outbox);
        }
        self.answered = Some((Instant::now(), began.elapsed()));
    }

    /// Whether the weights have changed for long enough.
    pub(super) fn is_due(&self) -> bool {
        let rest = |took: Duration| took.div_f64(SHARE).max(LEAST);
        self.request.is_some() && self.answered.is_none_or(|(when, took)| when.elapsed() > rest(took))
    }
}
