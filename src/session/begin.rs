//! From what a person asks for to a session: text, model to start from, device and folder, in that order. The terminal and
//! the window begin a run here, so both make the same one.

use super::device::open_on;
use super::{
    Adaptation, Change, Completed, Device, Material, Opening, Session, SessionError, Setup, extend, labelled, prepared,
};
use crate::config::{Config, ConfigError, Precision, learning_rate};
use crate::corpus::Tokenizer;
use crate::gpu::Adapter;
use crate::model::Model;
use crate::plan::Target;
use crate::run::{Run, RunError};
use crate::train::{Recipe, Resources};
use crate::tune::{self, BUDGET, KernelChoices, Kernels, Tuned};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a sitting may use, and how it behaves. It does not decide the numbers, so each sitting may have its own.
#[derive(Debug, Clone, Serialize, Deserialize)]
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
pub async fn start_async(
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
    if config.data.whole_words && !prepared.tokenizer.continues().contains(&true) {
        return Err(SessionError::NoPieces { name: prepared.name });
    }
    create(folder, config, Material::Text(prepared), adaptation.as_ref(), how, watch).await
}

/// What was asked for of a fine-tuning that else follows from the model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// The longest row in tokens; else the task's, or as much as the model has positions.
    pub length: Option<usize>,
    /// The peak learning rate; else what suits the model's width ([`learning_rate`]).
    pub learning_rate: Option<f64>,
}

/// Begins a run that fine-tunes the model in `config.training.init_from` on `config.task`, in `folder`, which must be free. Labels, steps,
/// warm-up and how often is measured follow from the data; `settings`, each written `section.key=value`, win over all of it.
///
/// # Errors
/// [`SessionError`].
pub async fn fine_tune_async(
    folder: &Path,
    mut config: Config,
    asked: Asked,
    settings: &[String],
    how: SessionOptions,
    watch: &mut dyn FnMut(Startup<'_>),
) -> Result<Opened, SessionError> {
    Run::check_free(folder)?;
    let Some(found) = adaptation(&config)? else { return Err(SessionError::NoModel) };
    found.notes().iter().for_each(|note| watch(Startup::Remark(note)));
    found.resize(&mut config);
    // Heads begin as transformers lets them, as large as the model itself began: those of narrow models hardly learn from less.
    config.model.initializer_range = found.encoder().0.config.initializer_range;
    config.data.length = asked.length.unwrap_or(config.data.length.min(config.model.positions));
    config.optimizer.learning_rate = asked.learning_rate.unwrap_or_else(|| learning_rate(config.model.hidden));
    let apply = |config: Config| settings.iter().try_fold(config, |config, setting| config.set(setting));
    config = apply(config)?;
    let material = Material::Labelled(labelled::prepare(&mut config, found.encoder().1, true, watch)?);
    config = apply(config)?;
    config.check()?;
    create(folder, config, material, Some(&found), how, watch).await
}

/// `config` as a run of it would begin: with the text's own vocabulary, or the length and words of its dataset, and the precision that
/// is picked on the device; and what tells its examples from others', as written now and, where that was otherwise, by earlier versions.
/// Nothing is written.
///
/// # Errors
/// [`SessionError`].
pub async fn as_begun_async(
    mut config: Config,
    length: Option<usize>,
    device: &Device,
    watch: &mut dyn FnMut(Startup<'_>),
) -> Result<(Config, Vec<String>), SessionError> {
    dataset_is_there(&config)?;
    let prepared = prepared::prepare(&mut config, length, None, watch)?;
    config.training.precision = config.training.precision.beginning(device.adapter_async().await?.is_some())?;
    config.check()?;
    Ok((config, std::iter::once(prepared.fingerprint).chain(prepared.former_fingerprint).collect()))
}

async fn create(
    folder: &Path,
    mut config: Config,
    material: Material,
    adaptation: Option<&Adaptation>,
    how: SessionOptions,
    watch: &mut dyn FnMut(Startup<'_>),
) -> Result<Opened, SessionError> {
    let adapter = how.device.adapter_async().await?;
    choose_precision(&mut config, adapter.is_some(), true, watch)?;
    let (setup, tuned) = setup(config, adapter, &material, adaptation, how, None, watch).await?;
    let mut session = Session::create_async(folder, setup).await?;
    keep(&mut session, tuned, None)?;
    Ok(Opened { session, material })
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
pub async fn reopen_async(
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
    let mut material = match config.is_fine_tuning() {
        true => Material::Labelled(labelled::prepare(&mut config, &Tokenizer::load_saved(folder)?, false, watch)?),
        false => Material::Text(prepared::prepare_again(&config, folder, watch)?),
    };
    // Without a checkpoint, what the run noted of its text tells it from another.
    let same = match &newest {
        Some((_, state)) => material.adopts(&state.text),
        None => run.text_facts().is_none_or(|facts| facts == material.facts()),
    };
    if !same {
        let folder = folder.into();
        return Err(if moved {
            SessionError::OtherText { folder, name: material.name().into(), labelled: config.is_fine_tuning() }
        } else {
            RunError::TextChanged { folder, labelled: config.is_fine_tuning() }.into()
        });
    }
    // What cannot go on here is left as it is.
    let adapter = if complete { None } else { how.device.adapter_async().await? };
    if !complete {
        choose_precision(&mut config, adapter.is_some(), false, watch)?;
    }
    // Only a run that was never saved still needs what it started from.
    let adaptation = if newest.is_none() { adaptation(&config)? } else { None };
    if config != before {
        run.rewrite_config(&config)?;
    }
    let end = |config: &Config| (config.training.steps, config.training.hours);
    if end(&config) != end(&before) {
        watch(Startup::Extended(&config));
    }
    if config.data != before.data || config.task != before.task {
        run.log_event(done.steps, "text moved", material.name())?;
    }
    if complete {
        return Ok(Reopened::Done { config: Box::new(config), done });
    }
    let record = run.kernels()?;
    let (setup, tuned) = setup(config, adapter, &material, adaptation.as_ref(), how, record.clone(), watch).await?;
    let mut session = Session::resume_from(run, setup, newest).await?;
    keep(&mut session, tuned, record.as_ref())?;
    Ok(Reopened::Opened(Box::new(Opened { session, material })))
}

/// Whether there is something where a dataset should be.
fn dataset_is_there(config: &Config) -> Result<(), SessionError> {
    let gone = config.data.dataset.iter().find(|path| crate::fs::is_missing(path));
    gone.map_or(Ok(()), |path| Err(SessionError::NoDataset { path: path.clone() }))
}

/// Whether what the run in `folder` reads is where it was: its text, and what it starts from if that is still needed.
fn is_there(config: &Config, folder: &Path, unsaved: bool) -> Result<(), SessionError> {
    let gone = |path: &&PathBuf| crate::fs::is_missing(path);
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

#[cfg_attr(target_family = "wasm", expect(unused_variables))]
async fn setup(
    config: Config,
    adapter: Option<Adapter>,
    material: &Material,
    adaptation: Option<&Adaptation>,
    how: SessionOptions,
    record: Option<KernelChoices>,
    watch: &mut dyn FnMut(Startup<'_>),
) -> Result<(Setup, Option<Tuned>), SessionError> {
    let mut recipe = Recipe::new(&config);
    let data = material.data(&*recipe.objective, config.data.whole_words);
    // Of labelled rows, none may be as long as they were allowed to be.
    recipe.shape.length = data.training.length().max(data.held_out.length());
    let SessionOptions { device, kernels, tuning, resources, rollback, stop_after } = how;
    let bank = recipe.model.table.len();
    let (engine, target) = open_on(adapter.as_ref(), bank).await?;
    let name = engine.describe();
    watch(Startup::Ready { config: &config, model: &recipe.model, material, device: &name, from: adaptation });
    let tuned: Option<Tuned> = match &adapter {
        // A browser's clock is too coarse, and nothing can be waited for: the base kernels.
        #[cfg(not(target_family = "wasm"))]
        Some(adapter) => {
            let say = &mut |text: &str| watch(Startup::Note(text));
            Some(super::find_kernels(adapter, (kernels, tuning), record, &recipe, resources, say)?)
        }
        _ => None,
    };
    tuned.iter().flat_map(|tuned| &tuned.remarks).for_each(|remark| watch(Startup::Remark(remark)));
    let choices = tuned.as_ref().map(|tuned| tuned.choices.clone());
    let mut first = Some((engine, with_kernels(target, choices.as_ref())));
    let open = move || -> Opening {
        let (first, device, choices) = (first.take(), device.clone(), choices.clone());
        Box::pin(async move {
            if let Some(first) = first {
                return Ok(first);
            }
            let adapter = device.adapter_async().await?;
            // An adapter that is another one when the device is opened again has kernels of its own: the base ones.
            let same = adapter.as_ref().map(|adapter| tune::Device::of(adapter.info()))
                == choices.as_ref().map(|b| b.device.clone());
            let (engine, target) = open_on(adapter.as_ref(), bank).await?;
            Ok((engine, with_kernels(target, choices.as_ref().filter(|_| same))))
        })
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

/// Makes the precision that was asked for one that the device has; a run that goes on has its own.
fn choose_precision(
    config: &mut Config,
    on_gpu: bool,
    begins: bool,
    watch: &mut dyn FnMut(Startup<'_>),
) -> Result<(), SessionError> {
    let precision = &mut config.training.precision;
    let chosen = match *precision {
        Precision::Bf16 if on_gpu && !begins => {
            watch(Startup::Remark("the run was in bf16, which is the CPU engine's: on a GPU it goes on in f32"));
            Precision::F32
        }
        found if begins || found == Precision::Auto => found.beginning(on_gpu)?,
        found => found,
    };
    precision.remark(chosen).into_iter().for_each(|text| watch(Startup::Remark(text)));
    *precision = chosen;
    Ok(())
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
