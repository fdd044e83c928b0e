//! Training, one command and one step after another, and both networks asked about sentences meanwhile.

use super::{At, Command, News, Outbox};
use crate::corpus::Tokenizer;
use crate::electra::Config;
use crate::probe::{Duet, Part, ProbeError, Scene};
use crate::session::{Report, Session, SessionError};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::{Duration, Instant};

/// Of the training thread's time, what playing the sentence may take.
const SHARE: f64 = 0.01;
/// The least time between two plays.
const LEAST: Duration = Duration::from_millis(500);
/// Time between two tellings of where the time goes.
const TIMES: Duration = Duration::from_secs(2);

/// Both networks on the CPU, and the sentence that is played.
pub(super) struct Studio {
    duet: Duet,
    part: Option<Part>,
    /// When it was played last, and how long that took, the weights' way included.
    played: Option<(Instant, Duration)>,
}

impl Studio {
    pub(super) fn new(config: &Config, tokenizer: &Tokenizer) -> Self {
        Self { duet: Duet::new(config, tokenizer), part: None, played: None }
    }

    pub(super) fn set_weights(&mut self, weights: &[f32]) -> Result<(), ProbeError> {
        self.duet.set_weights(weights)
    }

    pub(super) fn play(&mut self, part: &Part, outbox: &Outbox) {
        match self.duet.play(part) {
            Ok(scene) => outbox.tell(News::Scene(scene)),
            Err(error) => outbox.tell(News::Failed(error.to_string())),
        };
    }

    pub(super) fn quiz(&mut self, parts: &[Part], outbox: &Outbox) {
        let scenes: Result<Vec<Scene>, ProbeError> = parts.iter().map(|part| self.duet.play(part)).collect();
        match scenes {
            Ok(scenes) => outbox.tell(News::Quiz(scenes)),
            Err(error) => outbox.tell(News::Failed(error.to_string())),
        };
    }

    /// Plays the sentence with the session's weights as they are.
    fn refresh(&mut self, session: &mut Session, outbox: &Outbox) -> Result<(), SessionError> {
        let began = Instant::now();
        let Some(part) = self.part.clone() else { return Ok(()) };
        let weights = session.weights()?;
        if self.duet.set_weights(&weights).is_ok() {
            self.play(&part, outbox);
        }
        self.played = Some((Instant::now(), began.elapsed()));
        Ok(())
    }

    /// Whether the weights have changed for long enough.
    fn is_due(&self) -> bool {
        let rest = |took: Duration| took.div_f64(SHARE).max(LEAST);
        self.part.is_some() && self.played.is_none_or(|(when, took)| when.elapsed() > rest(took))
    }
}

/// Trains until the end of the schedule, [`Command::Stop`] or the window's end, then answers questions until the latter.
pub(super) fn train(
    mut session: Session,
    mut studio: Studio,
    inbox: &Receiver<Command>,
    outbox: &Outbox,
) -> Result<(), SessionError> {
    let (mut paused, mut single, mut stop) = (false, false, false);
    let mut told = Instant::now();
    loop {
        let rests = (paused && !single || session.has_ended()) && !stop;
        let command = if stop {
            // Whoever asked for it may be gone already.
            Err(RecvTimeoutError::Timeout)
        } else if rests {
            let began = Instant::now();
            let command = inbox.recv_timeout(Duration::from_millis(200));
            session.rested(began.elapsed());
            command
        } else {
            inbox.try_recv().map_err(|e| match e {
                TryRecvError::Empty => RecvTimeoutError::Timeout,
                TryRecvError::Disconnected => RecvTimeoutError::Disconnected,
            })
        };
        let mut reports = Vec::new();
        match command {
            Ok(Command::Pause) if !session.has_ended() => {
                reports = session.flush()?;
                (paused, single) = (true, false);
                outbox.tell(News::Paused(true));
                studio.refresh(&mut session, outbox)?;
            }
            Ok(Command::Resume) if !session.has_ended() => {
                paused = false;
                outbox.tell(News::Paused(false));
            }
            Ok(Command::Step) => (paused, single) = (true, !session.has_ended()),
            Ok(Command::Save) if !session.has_ended() => reports = session.checkpoint()?,
            Ok(Command::Play(part)) => {
                studio.part = Some(part);
                studio.refresh(&mut session, outbox)?;
            }
            Ok(Command::Quiz(parts)) => {
                let weights = session.weights()?;
                if studio.set_weights(&weights).is_ok() {
                    studio.quiz(&parts, outbox);
                }
            }
            Ok(Command::Stop) | Err(RecvTimeoutError::Disconnected) if session.has_ended() => return Ok(()),
            Ok(Command::Stop) | Err(RecvTimeoutError::Disconnected) => stop = true,
            Ok(Command::Pause | Command::Resume | Command::Save) => {}
            Err(RecvTimeoutError::Timeout) if rests => {}
            Err(RecvTimeoutError::Timeout) => {
                reports = session.advance(stop)?;
                if single && !session.has_ended() {
                    reports.extend(session.flush()?);
                    single = false;
                    outbox.tell(News::Paused(true));
                    studio.refresh(&mut session, outbox)?;
                } else if studio.is_due() {
                    studio.refresh(&mut session, outbox)?;
                }
            }
        }
        if told.elapsed() > TIMES && !reports.is_empty() {
            told = Instant::now();
            outbox.tell(News::Times(session.trainer().seconds_by_op()));
        }
        let ending = reports.iter().find_map(|report| match report {
            Report::Ended(ending) => Some(ending.clone()),
            _ => None,
        });
        if !reports.is_empty() {
            let at = At { step: session.step(), seconds: session.seconds(), progress: session.progress() };
            outbox.tell(News::Reports { reports, at });
        }
        if let Some(ending) = ending {
            studio.refresh(&mut session, outbox)?;
            outbox.tell(News::Ended(ending));
            if stop {
                return Ok(());
            }
        }
    }
}
