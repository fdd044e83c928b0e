//! From what a person asks for to a session: text, model to start from, device and folder, in that order. The terminal and
//! the window begin a run here, so both make the same one.

use super::device::open_on;
use super::error::Kind;
use super::{Adaptation, Device, Material, Session, SessionError, Setup, find_kernels, labelled, prepared};
use crate::config::{Config, ConfigError};
use crate::corpus::Tokenizer;
use crate::model::Model;
use crate::plan::Target;
use crate::run::{Run, RunError, State};
use crate::train::{Recipe, Resources, Snapshot};
use crate::tune::{self, BUDGET, KernelChoices, Kernels, Tuned};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a sitting may use, and how it behaves. It does not decide the numbers, so each sitting may have its own.
#[derive(Debug, Clone)]
pub struct SessionOptions {
    /// The device.
    pub device: Device,
    /// Which kernels a GPU runs; if `None`, those that the run was trained with, and for a new one what suits the device.
    pub kernels: Option<Kernels>,
    /// How long kernels may be tried before training.
    pub tuning: Duration,
    /// What training may take of it.
    pub resources: Resources,
    /// Whether losses that are no numbers send the run back to its newest checkpoint, with another seed, instead of ending
    /// it.
    pub rollback: bool,
    /// How many steps this sitting may take; all that are left if `None`.
    pub stop_after: Option<u64>,
}

impl Default for SessionOptions {
    fn default() -> Self {
        let (device, resources) = (Device::Auto, Resources::default());
        Self { device, kernels: None, tuning: BUDGET, resources, rollback: false, stop_after: None }
    }
}

/// How far the beginning is.
pub enum Startup<'a> {
    /// Work that takes a moment.
    Note(&'a str),
    /// Something that a person should know, in a line.
    Remark(&'a str),
    /// The run has another end of its schedule now.
    Extended(&'a Config),
    /// The text is read and the device open; training is about to begin.
    Ready {
        /// The run's settings, the vocabulary's real size among them.
        config: &'a Config,
        /// Its parameters.
        model: &'a Model,
        /// What it learns from.
        material: &'a Material,
        /// The device, in words.
        device: &'a str,
        /// What it starts from, if not from random weights.
        from: Option<&'a Adaptation>,
    },
}

/// A session that has begun, and what it learns from.
pub struct Opened {
    /// The session.
    pub session: Session,
    /// The text, or the labelled data.
    pub material: Material,
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
    how: SessionOptions,
    watch: &mut dyn FnMut(Startup<'_>),
) -> Result<Opened, SessionError> {
    Run::check_free(folder)?;
    dataset_is_there(&config)?;
    let adaptation = adaptation(&config)?;
    if let Some(found) = &adaptation {
        found.notes().iter().for_each(|note| watch(Startup::Remark(note)));
        found.resize(&mut config);
        config.check()?;
    }
    let tokenizer = adaptation.as_ref().and_then(Adaptation::tokenizer);
    let prepared = prepared::prepare(&mut config, length, tokenizer, watch)?;
    // The vocabulary's size is known only now, and a run that begins with settings that are refused could not go on.
    config.check().map_err(|error| match error {
        ConfigError::Value { key: "model.vocabulary", found, expected } => {
            SessionError::FewWords { name: prepared.name.clone(), found, expected }
        }
        error => error.into(),
    })?;
    create(folder, config, Material::Text(prepared), adaptation.as_ref(), how, watch)
}

/// Begins a run that fine-tunes the model in `config.training.init_from` on `config.task`, in `folder`, which must be free. `length`
/// is the longest row where it was asked for, else the task's or as much as the model has positions. Labels, steps, warm-up and how
/// often is measured follow from the data; `settings`, each written `section.key=value`, win over all of it.
///
/// # Errors
/// [`SessionError`].
pub fn fine_tune(
    folder: &Path,
    mut config: Config,
    length: Option<usize>,
    settings: &[String],
    how: SessionOptions,
    watch: &mut dyn FnMut(Startup<'_>),
) -> Result<Opened, SessionError> {
    Run::check_free(folder)?;
    let Some(found) = adaptation(&config)? else { return Err(SessionError::NoModel) };
    found.notes().iter().for_each(|note| watch(Startup::Remark(note)));
    found.resize(&mut config);
    config.data.length = length.unwrap_or(config.data.length.min(config.model.positions));
    let apply = |config: Config| settings.iter().try_fold(config, |config, setting| config.set(setting));
    config = apply(config)?;
    let material = Material::Labelled(labelled::prepare(&mut config, found.encoder().1, true, watch)?);
    config = apply(config)?;
    config.check()?;
    create(folder, config, material, Some(&found), how, watch)
}

fn create(
    folder: &Path,
    config: Config,
    material: Material,
    adaptation: Option<&Adaptation>,
    how: SessionOptions,
    watch: &mut dyn FnMut(Startup<'_>),
) -> Result<Opened, SessionError> {
    let (setup, tuned) = setup(config, &material, adaptation, how, None, watch)?;
    let mut session = Session::create(folder, setup)?;
    keep(&mut session, tuned, None)?;
    Ok(Opened { session, material })
}

/// What may be another where a run goes on.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Change {
    /// The end of its schedule.
    pub longer: Option<Extension>,
    /// The places of its text, which was moved; none where it was not.
    pub text: Vec<PathBuf>,
    /// The place of its dataset.
    pub dataset: Option<PathBuf>,
    /// The place of the labelled file that it learns from.
    pub train: Option<PathBuf>,
    /// The place of the labelled file that it is measured by.
    pub dev: Option<PathBuf>,
}

impl Change {
    /// Whether what is learnt from was moved.
    fn moved(&self) -> bool {
        !self.text.is_empty() || self.dataset.is_some() || self.train.is_some() || self.dev.is_some()
    }

    /// Puts the new places into the settings of the run in `folder`.
    fn apply(&self, config: &mut Config, folder: &Path) -> Result<(), SessionError> {
        let Self { text, dataset, train, dev, .. } = self;
        let other = |kind| Err(SessionError::OtherKind { folder: folder.into(), kind });
        let Some(task) = &mut config.task else {
            return match (config.data.dataset.is_some(), train.is_some() || dev.is_some()) {
                (true, labelled) if labelled || !text.is_empty() => other(Kind::Dataset),
                (false, labelled) if labelled || dataset.is_some() => other(Kind::Text),
                _ => Ok(prepared::choose(config, text, dataset.as_deref())?),
            };
        };
        if !text.is_empty() || dataset.is_some() {
            return other(Kind::Labelled);
        }
        for (new, place, flag) in [(train, &mut task.train, "--train"), (dev, &mut task.dev, "--dev")] {
            if let Some(new) = new {
                *place = Some(prepared::absolute(new, flag)?);
            }
        }
        Ok(())
    }
}

/// What became of a run that was to go on.
pub enum Reopened {
    /// It goes on.
    Opened(Box<Opened>),
    /// Its schedule is at its end.
    Done {
        /// The run's settings.
        config: Box<Config>,
        /// How much of it is done.
        done: Completed,
    },
}

/// Goes on with the run in `folder` from its newest checkpoint, or from step 0 if it was never saved. A text or dataset at
/// another place must be the one that it was trained on; config.toml then has that place.
///
/// # Errors
/// [`SessionError`].
pub fn reopen(
    folder: &Path,
    change: &Change,
    how: SessionOptions,
    watch: &mut dyn FnMut(Startup<'_>),
) -> Result<Reopened, SessionError> {
    let found = Run::config(folder)?;
    let mut config = found.ok_or_else(|| SessionError::NoRun { folder: folder.into() })?;
    let mut run = Run::open(folder)?;
    let mut newest = run.newest(&config, &Model::new(&config))?;
    let mut done = Completed::of(newest.as_ref());
    let before = config.clone();
    if let Some(longer) = change.longer {
        let refused = |error| SessionError::Extend { folder: folder.into(), error };
        if extend(&mut config, longer, done).map_err(refused)? {
            config.check()?;
            // Whoever asks for more has patience again.
            done.since_best = 0;
            newest.iter_mut().for_each(|(_, state)| state.since_best = 0);
        }
    }
    let moved = change.moved();
    let complete = done.completes(&config);
    if complete && !moved {
        return Ok(Reopened::Done { config: Box::new(config), done });
    }
    change.apply(&mut config, folder)?;
    if moved {
        dataset_is_there(&config)?;
    } else {
        is_there(&config, folder, newest.is_none())?;
    }
    let material = match config.is_fine_tuning() {
        true => Material::Labelled(labelled::prepare(&mut config, &Tokenizer::load_saved(folder)?, false, watch)?),
        false => Material::Text(prepared::prepare_again(&config, folder, watch)?),
    };
    // Without a checkpoint, what the run noted of its text tells it from another.
    let same = match &newest {
        Some((_, state)) => state.text == material.fingerprint(),
        None => run.text_facts().is_none_or(|facts| facts == material.facts()),
    };
    if !same {
        let folder = folder.into();
        return Err(if moved {
            SessionError::OtherText { folder, name: material.name().into() }
        } else {
            RunError::TextChanged { folder }.into()
        });
    }
    // Only a run that was never saved still needs what it started from.
    let adaptation = if newest.is_none() { adaptation(&config)? } else { None };
    if config != before {
        run.rewrite_config(&config)?;
    }
    if config.training != before.training {
        watch(Startup::Extended(&config));
    }
    if config.data != before.data || config.task != before.task {
        run.log_event(done.steps, "text moved", material.name())?;
    }
    if complete {
        return Ok(Reopened::Done { config: Box::new(config), done });
    }
    let record = run.kernels()?;
    let (setup, tuned) = setup(config, &material, adaptation.as_ref(), how, record.clone(), watch)?;
    let mut session = Session::resume_from(run, setup, newest)?;
    keep(&mut session, tuned, record.as_ref())?;
    Ok(Reopened::Opened(Box::new(Opened { session, material })))
}

/// Whether there is something where a dataset should be.
fn dataset_is_there(config: &Config) -> Result<(), SessionError> {
    let gone = config.data.dataset.iter().find(|path| matches!(path.try_exists(), Ok(false)));
    gone.map_or(Ok(()), |path| Err(SessionError::NoDataset { path: path.clone() }))
}

/// Whether what the run in `folder` reads is where it was: its text, and what it starts from if that is still needed.
fn is_there(config: &Config, folder: &Path, unsaved: bool) -> Result<(), SessionError> {
    let gone = |path: &&PathBuf| matches!(path.try_exists(), Ok(false));
    let given = config.data.text.iter().map(|path| ("--text", path));
    let given = given.chain(config.data.dataset.iter().map(|path| ("--data", path)));
    let task = config.task.iter();
    let given = given.chain(task.clone().filter_map(|task| Some(("--train", task.train.as_ref()?))));
    let given = given.chain(task.filter_map(|task| Some(("--dev", task.dev.as_ref()?))));
    if let Some((flag, path)) = given.into_iter().find(|(_, path)| gone(path)) {
        return Err(SessionError::TextGone { path: path.clone(), folder: folder.into(), flag });
    }
    match config.training.init_from.iter().find(gone).filter(|_| unsaved) {
        Some(path) => Err(SessionError::StartGone { path: path.clone(), folder: folder.into() }),
        None => Ok(()),
    }
}

/// Keeps the kernels in the run's folder where they are not what its `record` says.
fn keep(session: &mut Session, tuned: Option<Tuned>, record: Option<&KernelChoices>) -> Result<(), SessionError> {
    let Some(Tuned { choices, remarks }) = tuned else { return Ok(()) };
    if record != Some(&choices) {
        session.run().keep_kernels(&choices)?;
    }
    let step = session.step();
    for remark in remarks {
        session.run_mut().log_event(step, "kernels", &remark)?;
    }
    Ok(())
}

/// What the run starts from, if not from random weights.
fn adaptation(config: &Config) -> Result<Option<Adaptation>, SessionError> {
    let load = |folder: &Path| Adaptation::load(folder, &config.objective);
    Ok(config.training.init_from.as_deref().map(load).transpose()?)
}

fn setup(
    config: Config,
    material: &Material,
    adaptation: Option<&Adaptation>,
    how: SessionOptions,
    record: Option<KernelChoices>,
    watch: &mut dyn FnMut(Startup<'_>),
) -> Result<(Setup, Option<Tuned>), SessionError> {
    let mut recipe = Recipe::new(&config);
    let data = material.data(&*recipe.objective);
    // Of labelled rows, none may be as long as they were allowed to be.
    recipe.shape.length = data.training.length().max(data.held_out.length());
    let SessionOptions { device, kernels, tuning, resources, rollback, stop_after } = how;
    let bank = recipe.model.table.len();
    let adapter = device.adapter()?;
    let (engine, target) = open_on(adapter.as_ref(), bank)?;
    let name = engine.describe();
    watch(Startup::Ready { config: &config, model: &recipe.model, material, device: &name, from: adaptation });
    let tuned = match &adapter {
        Some(adapter) => {
            let say = &mut |text: &str| watch(Startup::Note(text));
            Some(find_kernels(adapter, (kernels, tuning), record, &recipe, resources, say)?)
        }
        None => None,
    };
    tuned.iter().flat_map(|tuned| &tuned.remarks).for_each(|remark| watch(Startup::Remark(remark)));
    let choices = tuned.as_ref().map(|tuned| tuned.choices.clone());
    let mut first = Some((engine, with_kernels(target, choices.as_ref())));
    let open = move || {
        if let Some(first) = first.take() {
            return Ok(first);
        }
        let adapter = device.adapter()?;
        // An adapter that is another one when the device is opened again has kernels of its own: the base ones.
        let same = adapter.as_ref().map(|adapter| tune::Device::of(adapter.info()))
            == choices.as_ref().map(|b| b.device.clone());
        let (engine, target) = open_on(adapter.as_ref(), bank)?;
        Ok((engine, with_kernels(target, choices.as_ref().filter(|_| same))))
    };
    let facts = material.facts();
    let setup = Setup {
        initial: initial(&config, &recipe.model, material.tokenizer(), adaptation),
        measures: config.measures(facts.unigram_entropy),
        data,
        recipe,
        config,
        tokenizer: material.tokenizer().clone(),
        fingerprint: material.fingerprint().into(),
        facts,
        resources,
        open: Box::new(open),
        rollback,
        stop_after,
    };
    Ok((setup, tuned))
}

/// The first weights, where they are not just the seed's: those of another model, and a vocabulary with rows that are no
/// word's, which no network must put into text.
fn initial(config: &Config, model: &Model, tokenizer: &Tokenizer, adaptation: Option<&Adaptation>) -> Option<Vec<f32>> {
    let from_scratch = config.task.as_ref().is_some_and(|task| task.from_scratch);
    let found = adaptation.filter(|_| !from_scratch).map(|found| found.weights(config, model));
    let has_token = |id: u32| tokenizer.token(id).is_some();
    if (0..config.model.vocabulary as u32).all(has_token) {
        return found;
    }
    let mut bank = found.unwrap_or_else(|| model.initial(config.seed));
    model.silence(&mut bank, has_token);
    Some(bank)
}

/// `target` with these kernels.
fn with_kernels(target: Target, choices: Option<&KernelChoices>) -> Target {
    match (target, choices) {
        (Target::Gpu(traits), Some(choices)) => Target::Gpu(choices.traits(traits)),
        _ => target,
    }
}

/// How much of a run is done.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Completed {
    /// Steps.
    pub steps: u64,
    /// Seconds of training, over all sittings.
    pub seconds: f64,
    /// Evaluations since the best one.
    pub since_best: u64,
}

impl Completed {
    /// As [`Run::newest`] found it.
    pub fn of(newest: Option<&(Snapshot, State)>) -> Self {
        newest.map_or_else(Self::default, |(snapshot, state)| {
            let State { seconds, since_best, .. } = *state;
            Self { steps: snapshot.step, seconds, since_best }
        })
    }

    /// Whether the schedule of `config` is at its end.
    pub fn completes(&self, config: &Config) -> bool {
        if config.training.patience.is_some_and(|most| self.since_best >= most) {
            return true;
        }
        match config.training.hours {
            Some(hours) => self.seconds >= 3_600.0 * hours,
            None => self.steps >= config.training.steps,
        }
    }
}

/// Another end of a run's schedule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Extension {
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
pub fn extend(config: &mut Config, longer: Extension, done: Completed) -> Result<bool, ExtendError> {
    let t = &mut config.training;
    match (longer, t.hours) {
        (Extension::Steps(_), Some(_)) => Err(ExtendError::Clock),
        (Extension::Hours(_), None) => Err(ExtendError::Steps),
        (Extension::Steps(asked), None) if asked != t.steps => {
            if asked <= done.steps {
                return Err(ExtendError::StepsBehind { asked, done: done.steps });
            }
            t.steps = asked;
            Ok(true)
        }
        (Extension::Hours(asked), Some(before)) if asked != before => {
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
    use crate::config::preset;

    #[test]
    fn a_schedule_grows_in_its_own_unit() {
        let mut config = preset("tiny").unwrap().set("training.steps=100").unwrap();
        let done = Completed { steps: 60, seconds: 1_800.0, since_best: 0 };
        assert!(!done.completes(&config) && Completed { steps: 100, ..done }.completes(&config));
        assert_eq!(extend(&mut config, Extension::Steps(100), done), Ok(false));
        assert_eq!(extend(&mut config, Extension::Steps(200), done), Ok(true));
        assert_eq!(config.training.steps, 200);
        assert_eq!(
            extend(&mut config, Extension::Steps(60), done),
            Err(ExtendError::StepsBehind { asked: 60, done: 60 })
        );
        assert_eq!(extend(&mut config, Extension::Hours(1.0), done), Err(ExtendError::Steps));
        config.training.hours = Some(0.5);
        assert!(done.completes(&config));
        assert_eq!(extend(&mut config, Extension::Hours(2.0), done), Ok(true));
        assert!(!done.completes(&config));
        assert_eq!(
            extend(&mut config, Extension::Hours(0.5), done),
            Err(ExtendError::HoursBehind { asked: 0.5, done: 0.5 })
        );
        assert_eq!(extend(&mut config, Extension::Steps(9), done), Err(ExtendError::Clock));
    }
}
