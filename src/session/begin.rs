//! From what a person asks for to a session: text, model to start from, device and folder, in that order. The terminal and
//! the window begin a run here, so both make the same one.

use super::device::open_on;
use super::{Adaptation, Device, Prepared, Session, SessionError, Setup, find_kernels, prepared};
use crate::corpus::Tokenizer;
use crate::electra::{Config, Model};
use crate::plan::Target;
use crate::run::{Run, State};
use crate::train::{Resources, Snapshot, Text};
use crate::tune::{self, Book, Kernels, Tuned};
use std::path::Path;

/// What a sitting may use, and how it behaves. It does not decide the numbers, so each sitting may have its own.
#[derive(Debug, Clone)]
pub struct How {
    /// The device.
    pub device: Device,
    /// Which kernels a GPU runs; if `None`, those that the run was trained with, and for a new one what suits the device.
    pub kernels: Option<Kernels>,
    /// What training may take of it.
    pub resources: Resources,
    /// Whether losses that are no numbers send the run back to its newest checkpoint, with another seed, instead of ending
    /// it.
    pub rollback: bool,
    /// How many steps this sitting may take; all that are left if `None`.
    pub stop_after: Option<u64>,
}

/// How far the beginning is.
pub enum Stage<'a> {
    /// Work that takes a moment.
    Note(&'a str),
    /// Something that a person should know, in a line.
    Remark(&'a str),
    /// The text is read and the device open; training is about to begin.
    Ready {
        /// The run's settings, the vocabulary's real size among them.
        config: &'a Config,
        /// Its parameters.
        model: &'a Model,
        /// Its text.
        prepared: &'a Prepared,
        /// The device, in words.
        device: &'a str,
        /// What it starts from, if not from random weights.
        from: Option<&'a Adaptation>,
    },
}

/// A session that has begun, and its text.
pub struct Opened {
    /// The session.
    pub session: Session,
    /// The text.
    pub prepared: Prepared,
}

/// Begins a new run of `config` in `folder`, which must be free. `length` is the examples' length where it was asked for,
/// which a dataset may not have. The paths in `config` should have gone through [`choose`](super::choose).
///
/// # Errors
/// [`SessionError`].
pub fn start(
    folder: &Path,
    mut config: Config,
    length: Option<usize>,
    how: How,
    watch: &mut dyn FnMut(Stage<'_>),
) -> Result<Opened, SessionError> {
    Run::check_free(folder)?;
    let adaptation = adaptation(&config)?;
    if let Some(found) = &adaptation {
        found.notes().iter().for_each(|note| watch(Stage::Remark(note)));
        found.resize(&mut config);
        config.check()?;
    }
    let tokenizer = adaptation.as_ref().and_then(Adaptation::tokenizer);
    let prepared = prepared::prepare(&mut config, length, tokenizer, &mut |text| watch(Stage::Note(text)))?;
    let (setup, tuned) = setup(config, &prepared, adaptation.as_ref(), how, None, watch)?;
    let mut session = Session::create(folder, setup)?;
    keep(&mut session, tuned, None)?;
    Ok(Opened { session, prepared })
}

/// Goes on with `run` from what [`Run::newest`] found, `None` for a run that was never saved.
///
/// # Errors
/// [`SessionError`].
pub fn go_on(
    run: Run,
    config: Config,
    newest: Option<(Snapshot, State)>,
    how: How,
    watch: &mut dyn FnMut(Stage<'_>),
) -> Result<Opened, SessionError> {
    let prepared = prepared::prepare_again(&config, run.folder(), &mut |text| watch(Stage::Note(text)))?;
    // Only a run that was never saved still needs what it started from.
    let adaptation = if newest.is_none() { adaptation(&config)? } else { None };
    let record = run.kernels()?;
    let (setup, tuned) = setup(config, &prepared, adaptation.as_ref(), how, record.clone(), watch)?;
    let mut session = Session::resume_from(run, setup, newest)?;
    keep(&mut session, tuned, record.as_ref())?;
    Ok(Opened { session, prepared })
}

/// Keeps the kernels in the run's folder where they are not what its `record` says.
fn keep(session: &mut Session, tuned: Option<Tuned>, record: Option<&Book>) -> Result<(), SessionError> {
    let Some(Tuned { book, remarks }) = tuned else { return Ok(()) };
    if record != Some(&book) {
        session.run().keep_kernels(&book)?;
    }
    let step = session.step();
    for remark in remarks {
        session.run_mut().log_event(step, "kernels", &remark)?;
    }
    Ok(())
}

/// What the run starts from, if not from random weights.
fn adaptation(config: &Config) -> Result<Option<Adaptation>, SessionError> {
    Ok(config.training.init_from.as_deref().map(Adaptation::load).transpose()?)
}

fn setup(
    config: Config,
    prepared: &Prepared,
    adaptation: Option<&Adaptation>,
    how: How,
    record: Option<Book>,
    watch: &mut dyn FnMut(Stage<'_>),
) -> Result<(Setup, Option<Tuned>), SessionError> {
    let model = Model::new(&config);
    let How { device, kernels, resources, rollback, stop_after } = how;
    let bank = model.table.len();
    let adapter = device.adapter()?;
    let (engine, target) = open_on(adapter.as_ref(), bank)?;
    let name = engine.describe();
    watch(Stage::Ready { config: &config, model: &model, prepared, device: &name, from: adaptation });
    let tuned = match &adapter {
        Some(adapter) => {
            let say = &mut |text: &str| watch(Stage::Note(text));
            Some(find_kernels(adapter, kernels, record, (&model, &config), resources, say)?)
        }
        None => None,
    };
    tuned.iter().flat_map(|tuned| &tuned.remarks).for_each(|remark| watch(Stage::Remark(remark)));
    let book = tuned.as_ref().map(|tuned| tuned.book.clone());
    let mut first = Some((engine, with_kernels(target, book.as_ref())));
    let open = move || {
        if let Some(first) = first.take() {
            return Ok(first);
        }
        let adapter = device.adapter()?;
        // An adapter that is another one when the device is opened again has kernels of its own: the base ones.
        let same =
            adapter.as_ref().map(|adapter| tune::Device::of(adapter.info())) == book.as_ref().map(|b| b.device.clone());
        let (engine, target) = open_on(adapter.as_ref(), bank)?;
        Ok((engine, with_kernels(target, book.as_ref().filter(|_| same))))
    };
    let setup = Setup {
        initial: initial(&config, &model, &prepared.tokenizer, adaptation),
        config,
        text: Text {
            training: prepared.training.clone(),
            held_out: prepared.held_out.clone(),
            special: Tokenizer::special(&prepared.tokenizer),
        },
        tokenizer: prepared.tokenizer.clone(),
        fingerprint: prepared.fingerprint.clone(),
        facts: prepared.facts(),
        resources,
        open: Box::new(open),
        rollback,
        stop_after,
    };
    Ok((setup, tuned))
}

/// The first weights, where they are not just the seed's: those of another model, and a vocabulary with rows that are no
/// word's, which the generator must not put into text.
fn initial(config: &Config, model: &Model, tokenizer: &Tokenizer, adaptation: Option<&Adaptation>) -> Option<Vec<f32>> {
    let found = adaptation.map(|found| found.weights(config, model));
    let has_token = |id: u32| tokenizer.token(id).is_some();
    if (0..config.model.vocabulary as u32).all(has_token) {
        return found;
    }
    let mut bank = found.unwrap_or_else(|| model.initial(config.seed));
    model.silence(&mut bank, has_token);
    Some(bank)
}

/// `target` with the kernels of a book.
fn with_kernels(target: Target, book: Option<&Book>) -> Target {
    match (target, book) {
        (Target::Gpu(traits), Some(book)) => Target::Gpu(book.traits(traits)),
        _ => target,
    }
}

/// How much of a run is done.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Done {
    /// Steps.
    pub steps: u64,
    /// Seconds of training, over all sittings.
    pub seconds: f64,
}

impl Done {
    /// As [`Run::newest`] found it.
    pub fn of(newest: Option<&(Snapshot, State)>) -> Self {
        newest.map_or_else(Self::default, |(snapshot, state)| Self { steps: snapshot.step, seconds: state.seconds })
    }

    /// Whether the schedule of `config` is at its end.
    pub fn completes(&self, config: &Config) -> bool {
        match config.training.hours {
            Some(hours) => self.seconds >= 3_600.0 * hours,
            None => self.steps >= config.training.steps,
        }
    }
}

/// Another end of a run's schedule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Longer {
    /// After so many steps in all.
    Steps(u64),
    /// After so many hours in all.
    Hours(f64),
}

/// Why a run cannot be given another end.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum ExtendError {
    /// Its end is an hour, not a step.
    #[error("it follows the clock: use --hours instead of --steps to let it go on")]
    Clock,
    /// Its end is a step, not an hour.
    #[error("it counts steps: use --steps instead of --hours to let it go on")]
    Steps,
    /// It is there already.
    #[error("--steps {asked}: it has done {done} already, expected more")]
    StepsBehind {
        /// The end asked for.
        asked: u64,
        /// Steps done.
        done: u64,
    },
    /// It is there already.
    #[error("--hours {asked}: it has taken {done:.2} already, expected more")]
    HoursBehind {
        /// The end asked for.
        asked: f64,
        /// Hours taken.
        done: f64,
    },
}

/// Gives a run of `config` another end; whether that changed anything. The learning rate then falls to 0 there.
///
/// # Errors
/// [`ExtendError`].
pub fn extend(config: &mut Config, longer: Longer, done: Done) -> Result<bool, ExtendError> {
    let t = &mut config.training;
    match (longer, t.hours) {
        (Longer::Steps(_), Some(_)) => Err(ExtendError::Clock),
        (Longer::Hours(_), None) => Err(ExtendError::Steps),
        (Longer::Steps(asked), None) if asked != t.steps => {
            if asked <= done.steps {
                return Err(ExtendError::StepsBehind { asked, done: done.steps });
            }
            t.steps = asked;
            Ok(true)
        }
        (Longer::Hours(asked), Some(before)) if asked != before => {
            let spent = done.seconds / 3_600.0;
            if asked <= spent {
                return Err(ExtendError::HoursBehind { asked, done: spent });
            }
            t.hours = Some(asked);
            Ok(true)
        }
        _ => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::electra::preset;

    #[test]
    fn a_schedule_grows_in_its_own_unit() {
        let mut config = preset("tiny").unwrap().set("training.steps=100").unwrap();
        let done = Done { steps: 60, seconds: 1_800.0 };
        assert!(!done.completes(&config) && Done { steps: 100, ..done }.completes(&config));
        assert_eq!(extend(&mut config, Longer::Steps(100), done), Ok(false));
        assert_eq!(extend(&mut config, Longer::Steps(200), done), Ok(true));
        assert_eq!(config.training.steps, 200);
        assert_eq!(extend(&mut config, Longer::Steps(60), done), Err(ExtendError::StepsBehind { asked: 60, done: 60 }));
        assert_eq!(extend(&mut config, Longer::Hours(1.0), done), Err(ExtendError::Steps));
        config.training.hours = Some(0.5);
        assert!(done.completes(&config));
        assert_eq!(extend(&mut config, Longer::Hours(2.0), done), Ok(true));
        assert!(!done.completes(&config));
        assert_eq!(
            extend(&mut config, Longer::Hours(0.5), done),
            Err(ExtendError::HoursBehind { asked: 0.5, done: 0.5 })
        );
        assert_eq!(extend(&mut config, Longer::Steps(9), done), Err(ExtendError::Clock));
    }
}
