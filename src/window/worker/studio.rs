//! Training, one command and one step after another, and both networks asked about sentences meanwhile.

use super::{At, Command, News, Outbox};
use crate::config::Config;
use crate::corpus::Tokenizer;
use crate::probe::{Duet, Part, ProbeError, Scene};
use crate::session::{Opened, Prepared, Report, Session, SessionError};
use crate::train::TrainError;
use crate::window::state::Quiz;
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
    /// The sentence is another since it was played.
    asked: bool,
    /// When it was played last, and how long that took, the weights' way included.
    played: Option<(Instant, Duration)>,
}

impl Studio {
    pub(super) fn new(config: &Config, tokenizer: &Tokenizer) -> Self {
        Self { duet: Duet::new(config, tokenizer), part: None, asked: false, played: None }
    }

    pub(super) fn set_weights(&mut self, weights: &[f32]) -> Result<(), ProbeError> {
        self.duet.set_weights(weights)
    }

    /// Plays a sentence with the weights of `step`.
    pub(super) fn play(&mut self, part: &Part, step: u64, outbox: &Outbox) {
        match self.duet.play(part) {
            Ok(scene) => outbox.tell(News::Scene { scene, step }),
            Err(error) => outbox.tell(News::Complaint(error.to_string())),
        };
    }

    /// Plays sentences until there are enough for a quiz.
    pub(super) fn quiz(&mut self, parts: &[Part], outbox: &Outbox) {
        let mut scenes: Vec<Scene> = Vec::new();
        for part in parts {
            match self.duet.play(part) {
                Ok(scene) if Quiz::takes(&scene) => scenes.push(scene),
                Ok(_) => {}
                Err(error) => {
                    outbox.tell(News::Complaint(error.to_string()));
                    return;
                }
            }
            if scenes.len() == Quiz::ROUNDS {
                break;
            }
        }
        outbox.tell(News::Quiz(scenes));
    }

    /// Takes the session's weights; whether that went well. A device that has gone away shows in the next step, where the
    /// session deals with it.
    fn follow(&mut self, session: &mut Session) -> bool {
        session.weights().is_ok_and(|weights| self.duet.set_weights(&weights).is_ok())
    }

    /// Plays the sentence with the session's weights as they are.
    fn refresh(&mut self, session: &mut Session, outbox: &Outbox) {
        let began = Instant::now();
        self.asked = false;
        let Some(part) = self.part.clone() else { return };
        if self.follow(session) {
            self.play(&part, session.step(), outbox);
        }
        self.played = Some((Instant::now(), began.elapsed()));
    }

    /// Whether the weights have changed for long enough.
    fn is_due(&self) -> bool {
        let rest = |took: Duration| took.div_f64(SHARE).max(LEAST);
        self.part.is_some() && self.played.is_none_or(|(when, took)| when.elapsed() > rest(took))
    }
}

/// A session and what is being done with it.
struct Stage<'a> {
    session: Session,
    prepared: Prepared,
    studio: Studio,
    outbox: &'a Outbox,
    paused: bool,
    /// One step is to be taken although it is paused.
    single: bool,
    /// It is to save and end.
    stop: bool,
}

/// Trains until the end of the schedule or [`Command::Stop`], then answers questions until the window is done with it.
pub(super) fn train(
    opened: Opened,
    studio: Studio,
    inbox: &Receiver<Command>,
    outbox: &Outbox,
) -> Result<(), SessionError> {
    let Opened { session, prepared } = opened;
    let mut stage = Stage { session, prepared, studio, outbox, paused: false, single: false, stop: false };
    let mut told = Instant::now();
    loop {
        let began = Instant::now();
        let rests = stage.rests();
        let command = if stage.stop {
            // Whoever asked for it may be gone already.
            Err(RecvTimeoutError::Timeout)
        } else if rests && !stage.studio.asked {
            inbox.recv_timeout(Duration::from_millis(200))
        } else {
            inbox.try_recv().map_err(|e| match e {
                TryRecvError::Empty => RecvTimeoutError::Timeout,
                TryRecvError::Disconnected => RecvTimeoutError::Disconnected,
            })
        };
        let reports = match command {
            Ok(Command::Stop) | Err(RecvTimeoutError::Disconnected) if stage.session.has_ended() => return Ok(()),
            Ok(Command::Stop) | Err(RecvTimeoutError::Disconnected) => {
                stage.stop = true;
                Vec::new()
            }
            Ok(command) => stage.obey(command)?,
            // Of several sentences asked for in a row the last is played.
            Err(RecvTimeoutError::Timeout) if stage.studio.asked => {
                stage.studio.refresh(&mut stage.session, outbox);
                Vec::new()
            }
            Err(RecvTimeoutError::Timeout) if rests => Vec::new(),
            Err(RecvTimeoutError::Timeout) => stage.step()?,
        };
        if rests {
            stage.session.rested(began.elapsed());
        }
        if told.elapsed() > TIMES && !reports.is_empty() {
            told = Instant::now();
            outbox.tell(News::Times(stage.session.trainer().seconds_by_op()));
        }
        stage.tell(reports)?;
    }
}

impl Stage<'_> {
    /// Whether there is nothing to do until somebody asks for something.
    fn rests(&self) -> bool {
        (self.paused && !self.single || self.session.has_ended()) && !self.stop
    }

    fn obey(&mut self, command: Command) -> Result<Vec<Report>, SessionError> {
        let ended = self.session.has_ended();
        match command {
            Command::Pause if !ended => {
                let reports = self.session.flush()?;
                (self.paused, self.single) = (true, false);
                self.outbox.tell(News::Paused(true));
                self.studio.asked = true;
                return Ok(reports);
            }
            Command::Resume if !ended => {
                self.paused = false;
                self.outbox.tell(News::Paused(false));
            }
            Command::Step => (self.paused, self.single) = (true, !ended),
            Command::Save if !ended => {
                return match self.session.checkpoint() {
                    Ok(reports) => Ok(reports),
                    // A disk that is full now may have room at the next checkpoint.
                    Err(SessionError::Run(error)) => {
                        self.outbox.tell(News::Complaint(error.to_string()));
                        Ok(Vec::new())
                    }
                    Err(error) => Err(error),
                };
            }
            Command::Play(part) => {
                self.studio.part = Some(part);
                self.studio.asked = true;
            }
            Command::Quiz(parts) => {
                if self.studio.follow(&mut self.session) {
                    self.studio.quiz(&parts, self.outbox);
                }
            }
            Command::Pause | Command::Resume | Command::Save | Command::Stop => {}
        }
        Ok(Vec::new())
    }

    fn step(&mut self) -> Result<Vec<Report>, SessionError> {
        let mut reports = match self.session.advance(self.stop) {
            Ok(reports) => reports,
            Err(error) => {
                self.show_what_failed(&error);
                return Err(error);
            }
        };
        if self.single && !self.session.has_ended() {
            reports.extend(self.session.flush()?);
            self.single = false;
            self.outbox.tell(News::Paused(true));
            self.studio.asked = true;
        } else if self.studio.is_due() {
            self.studio.refresh(&mut self.session, self.outbox);
        }
        Ok(reports)
    }

    /// Losses that are no numbers end a run, and are to be seen in its curves.
    fn show_what_failed(&self, error: &SessionError) {
        if let SessionError::Failed { error: TrainError::NotFinite { step, losses, .. }, .. } = error {
            let report = Report::Step { step: *step, values: losses.clone() };
            self.outbox.tell(News::Reports { reports: vec![report], at: self.at() });
        }
    }

    fn at(&self) -> At {
        At { step: self.session.step(), seconds: self.session.seconds(), progress: self.session.progress() }
    }

    fn tell(&mut self, reports: Vec<Report>) -> Result<(), SessionError> {
        let ending = reports.iter().find_map(|report| match report {
            Report::Ended(ending) => Some(ending.clone()),
            _ => None,
        });
        if !reports.is_empty() {
            self.outbox.tell(News::Reports { reports, at: self.at() });
        }
        if let Some(ending) = ending {
            if ending.complete {
                self.session.sample(&self.prepared)?;
            }
            self.studio.refresh(&mut self.session, self.outbox);
            self.outbox.tell(News::Ended(ending));
            self.stop = false;
        }
        Ok(())
    }
}
