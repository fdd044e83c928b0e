//! Training, one command and one step after another.

use super::job::named;
use super::look::Best;
use super::networks::Networks;
use super::{At, Command, Heard, Inbox, News, Outbox};
use crate::session::{Material, Opened, Report, Session, SessionError};
use crate::train::TrainError;
use web_time::{Duration, Instant};

/// Time between two tellings of where the time goes.
const TIMES: Duration = Duration::from_secs(2);

/// A session and what is being done with it.
struct Training<'a> {
    session: Session,
    material: Material,
    networks: Networks,
    outbox: &'a Outbox,
    paused: bool,
    /// One step is to be taken although it is paused.
    single: bool,
    /// It is to save and end.
    stop: bool,
}

/// Trains until the end of the schedule or [`Command::Stop`], then answers questions until the window is done with it.
pub(super) async fn train(
    opened: Opened,
    networks: Networks,
    inbox: &Inbox,
    outbox: &Outbox,
) -> Result<(), SessionError> {
    let Opened { session, material } = opened;
    let mut training = Training { session, material, networks, outbox, paused: false, single: false, stop: false };
    let mut told = Instant::now();
    loop {
        let began = Instant::now();
        let rests = training.rests();
        let heard = if training.stop {
            // Whoever asked for it may be gone already.
            Heard::Nothing
        } else {
            let waits = rests && !training.networks.asked;
            inbox.next(if waits { Duration::from_millis(200) } else { Duration::ZERO }).await
        };
        let reports = match heard {
            Heard::Command(Command::Stop) | Heard::Gone if training.session.has_ended() => return Ok(()),
            Heard::Command(Command::Stop) | Heard::Gone => {
                training.stop = true;
                Vec::new()
            }
            Heard::Command(command) => training.handle(command).await?,
            // Of several questions in a row the last is answered.
            Heard::Nothing if training.networks.asked => {
                training.networks.refresh(&mut training.session, outbox).await;
                Vec::new()
            }
            Heard::Nothing if rests => Vec::new(),
            Heard::Nothing => training.step().await?,
        };
        if rests {
            training.session.rested(began.elapsed());
        }
        if told.elapsed() > TIMES && !reports.is_empty() {
            told = Instant::now();
            outbox.tell(News::Times(named(training.session.trainer().seconds_by_op())));
        }
        training.tell(reports).await?;
    }
}

impl Training<'_> {
    /// Whether there is nothing to do until somebody asks for something.
    fn rests(&self) -> bool {
        (self.paused && !self.single || self.session.has_ended()) && !self.stop
    }

    async fn handle(&mut self, command: Command) -> Result<Vec<Report>, SessionError> {
        let ended = self.session.has_ended();
        match command {
            Command::Pause if !ended => {
                let reports = self.session.flush_async().await?;
                (self.paused, self.single) = (true, false);
                self.outbox.tell(News::Paused(true));
                self.networks.asked = true;
                return Ok(reports);
            }
            Command::Resume if !ended => {
                self.paused = false;
                self.outbox.tell(News::Paused(false));
            }
            Command::Step => (self.paused, self.single) = (true, !ended),
            Command::Save if !ended => {
                return match self.session.checkpoint_async().await {
                    Ok(reports) => Ok(reports),
                    // A disk that is full now may have room at the next checkpoint.
                    Err(SessionError::Run(error)) => {
                        self.outbox.tell(News::Complaint(error.to_string()));
                        Ok(Vec::new())
                    }
                    Err(error) => Err(error),
                };
            }
            Command::Ask(question) => {
                self.networks.question = Some(question);
                self.networks.asked = true;
            }
            Command::Quiz(requests) => {
                if self.networks.follow(&mut self.session).await {
                    self.networks.quiz(&requests, self.outbox);
                }
            }
            Command::Pause | Command::Resume | Command::Save | Command::Stop => {}
        }
        Ok(Vec::new())
    }

    async fn step(&mut self) -> Result<Vec<Report>, SessionError> {
        let mut reports = match self.session.advance_async(self.stop).await {
            Ok(reports) => reports,
            Err(error) => {
                self.show_what_failed(&error);
                return Err(error);
            }
        };
        if self.single && !self.session.has_ended() {
            reports.extend(self.session.flush_async().await?);
            self.single = false;
            self.outbox.tell(News::Paused(true));
            self.networks.asked = true;
        } else if self.networks.is_due() {
            self.networks.refresh(&mut self.session, self.outbox).await;
        }
        Ok(reports)
    }

    /// Of a run that fine-tunes, what answers from its end on is what would answer tomorrow.
    fn keep_best(&mut self) {
        let session = &self.session;
        if !session.config().is_fine_tuning() {
            return;
        }
        match Best::load(session.run().folder(), session.config(), session.measures().selecting()) {
            Ok(best) => {
                self.networks = best.networks.keep(best.step, &self.networks);
                self.outbox.tell(News::Chosen { why: best.chosen, step: best.step });
            }
            Err(reason) => {
                self.outbox.tell(News::Complaint(format!("its last weights answer: {reason}")));
            }
        }
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

    async fn tell(&mut self, reports: Vec<Report>) -> Result<(), SessionError> {
        let ending = reports.iter().find_map(|report| match report {
            Report::Ended(ending) => Some(ending.clone()),
            _ => None,
        });
        if !reports.is_empty() {
            self.outbox.tell(News::Reports { reports, at: self.at() });
        }
        if let Some(ending) = ending {
            if ending.complete {
                self.session.sample_async(&self.material).await?;
                self.keep_best();
            }
            self.networks.refresh(&mut self.session, self.outbox).await;
            self.outbox.tell(News::Ended(ending));
            self.stop = false;
        }
        Ok(())
    }
}
