//! A run's state on disk: a transformers folder a network, the parameters that are in none, the optimizer's moments and the step.

use super::named::Named;
use super::state::{STATE, State, is_of, settings_fingerprint};
use super::{RunError, named};
use crate::config::Config;
use crate::corpus::Tokenizer;
use crate::files::{sha256, sync_folder};
use crate::fs;
use crate::graph::{Parameter, ParameterTable};
use crate::measure::Better;
use crate::model::Model;
use crate::train::Snapshot;
use crate::transformers;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

const OPTIMIZER: &str = "optimizer.safetensors";
const REST: &str = "rest.safetensors";
const WEIGHTS: &str = "model.safetensors";
const MOMENTS: [&str; 2] = ["moment1.", "moment2."];

/// What a checkpoint says of a run beside the numbers of its [`Snapshot`].
#[derive(Debug, Clone, PartialEq)]
pub struct RunStatus {
    /// The seed in use.
    pub seed: u64,
    /// Seconds of training so far, over all sittings.
    pub seconds: f64,
    /// Of the held-out examples at this step, the measure that chooses the best checkpoint, where it was measured.
    pub held_out: Option<f64>,
    /// Which way that is better.
    pub better: Better,
    /// Evaluations since the best one.
    pub since_best: u64,
}

/// What does not change from checkpoint to checkpoint of a run.
#[derive(Debug, Clone, Copy)]
pub struct Identity<'a> {
    /// The settings.
    pub config: &'a Config,
    /// The parameters.
    pub model: &'a Model,
    /// The tokenizer.
    pub tokenizer: &'a Tokenizer,
    /// The fingerprint of the examples.
    pub text: &'a str,
}

/// Writes `snapshot` into `all/step-NNNNNN`; the folder gets its name when everything in it is on the disk.
pub(super) fn save(
    all: &Path,
    snapshot: &Snapshot,
    standing: &RunStatus,
    identity: Identity<'_>,
) -> Result<PathBuf, RunError> {
    let name = format!("step-{:06}", snapshot.step);
    let (partial, folder) = (all.join(format!("{name}.partial")), all.join(name));
    let saved = save_into(&partial, snapshot, standing, identity).and_then(|()| {
        // The same step saved before, as when a run was stopped there: it goes only when the new one is whole.
        let old = all.join(format!("step-{:06}.old", snapshot.step));
        remove(&old)?;
        if fs::is_there(&folder) {
            fs::rename(&folder, &old).map_err(|e| RunError::file(&folder, e))?;
        }
        fs::rename(&partial, &folder).map_err(|e| RunError::file(&folder, e))?;
        sync_folder(all).map_err(|e| RunError::file(all, e))?;
        remove(&old)
    });
    if saved.is_err() {
        // What a full disk has taken of it only makes the disk fuller.
        let _ = fs::remove_dir_all(&partial);
    }
    saved.map(|()| folder)
}

fn save_into(
    partial: &Path,
    snapshot: &Snapshot,
    standing: &RunStatus,
    identity: Identity<'_>,
) -> Result<(), RunError> {
    let Identity { config, model, tokenizer, text } = identity;
    remove(partial)?;
    let mut files = BTreeMap::new();
    let mut put = |path: &str, content: &[u8]| {
        files.insert(path.to_string(), sha256(content));
        write(&partial.join(path), content)
    };
    for network in &model.networks {
        let name = network.name;
        fs::create_dir_all(partial.join(name)).map_err(|e| RunError::file(&partial.join(name), e))?;
        put(&format!("{name}/{WEIGHTS}"), &transformers::to_bytes(model, network, &snapshot.weights)?)?;
        put(&format!("{name}/config.json"), transformers::config_json(network).as_bytes())?;
        for (file, content) in tokenizer.files(config.model.positions)? {
            put(&format!("{name}/{file}"), content.as_bytes())?;
        }
    }
    let rest = rest(model);
    if !rest.is_empty() {
        put(REST, &named::to_bytes(&[(&rest, &snapshot.weights)])?)?;
    }
    let [moment1, moment2] = MOMENTS.map(|moment| moments(&model.table, moment));
    put(OPTIMIZER, &named::to_bytes(&[(&moment1, &snapshot.moment1), (&moment2, &snapshot.moment2)])?)?;
    let state = State {
        version: State::version(),
        step: snapshot.step,
        phase: snapshot.phase,
        seed: standing.seed,
        seconds: standing.seconds,
        settings: settings_fingerprint(config),
        text: text.to_string(),
        held_out: standing.held_out,
        better: standing.better,
        since_best: standing.since_best,
        flops: snapshot.flops,
        bank: None,
        loss_scale: snapshot.loss_scale,
        files,
    };
    let path = partial.join(STATE);
    let json = state.to_json().map_err(|e| RunError::file(&path, e.into()))?;
    write(&path, &json)
}

/// Removes all but the newest `keep` checkpoints and the one that did best on the held-out text.
pub(super) fn prune(all: &Path, keep: usize) -> Result<(), RunError> {
    let list = list(all)?;
    let best = best(&list).map(|(step, _)| step);
    let old = list.len().saturating_sub(keep);
    list[..old].iter().filter(|(step, _)| Some(*step) != best).try_for_each(|(_, folder)| remove(folder))
}

/// The step and held-out measure of the checkpoint that did best; those whose state cannot be read do not count. Of a run in
/// phases, those of the last phase: what is measured in one says nothing of another.
pub(super) fn best(list: &[(u64, PathBuf)]) -> Option<(u64, f64)> {
    let states: Vec<State> = list.iter().filter_map(|(_, folder)| State::read(folder).ok()).collect();
    let last = states.iter().map(|state| state.phase).max()?;
    let of_phase = states.into_iter().filter(|state| state.phase == last);
    let measured = of_phase.filter_map(|state| Some((state.step, state.held_out?, state.better)));
    measured
        .reduce(|best, new| if new.2.beats(new.1, best.1) { new } else { best })
        .map(|(step, value, _)| (step, value))
}

/// The checkpoints' steps and folders, oldest first.
pub(super) fn list(all: &Path) -> Result<Vec<(u64, PathBuf)>, RunError> {
    let entries = match fs::read_dir(all) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(RunError::file(all, e)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|e| RunError::file(all, e))?;
        let name = entry.file_name();
        // A folder that was being written when the run was killed has another ending and is no number.
        if let Some(step) = name.to_str().and_then(step_of) {
            found.push((step, entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

/// The step in a checkpoint folder's name.
fn step_of(name: &str) -> Option<u64> {
    name.strip_prefix("step-")?.parse().ok()
}

/// Reads the checkpoint in `folder` of a run with these settings and this model.
pub(super) fn load(folder: &Path, config: &Config, model: &Model) -> Result<(Snapshot, State), RunError> {
    let damaged = |path: &Path, reason: String| RunError::Damaged { path: path.into(), reason };
    let state = State::read(folder)?;
    let path = folder.join(STATE);
    if !is_of(&state.settings, config) {
        return Err(RunError::Foreign { path, what: "the settings it was made with" });
    }
    let len = model.table.len();
    let expected = folder.file_name().and_then(|name| name.to_str()).and_then(step_of);
    if expected != Some(state.step) {
        return Err(damaged(&path, format!("it is of step {}, the folder's name says another", state.step)));
    }
    let verified = |name: &str| {
        let path = folder.join(name);
        let bytes = read(&path)?;
        match state.files.get(name) {
            Some(sum) if *sum == sha256(&bytes) => Ok(bytes),
            Some(_) => Err(damaged(&path, "it is damaged: its content does not match its checksum".into())),
            None => Err(damaged(&path, "state.json has no checksum of it".into())),
        }
    };
    let mut weights = vec![0.0; len];
    let files = model.networks.iter().map(|network| (network, format!("{}/{WEIGHTS}", network.name)));
    let files: Vec<_> = files.collect();
    for (network, name) in &files {
        transformers::from_bytes(model, network, verified(name)?, &mut weights)
            .map_err(|e| damaged(&folder.join(name), e.to_string()))?;
    }
    let rest = rest(model);
    if !rest.is_empty() || state.files.contains_key(REST) {
        let read = named::from_bytes(&verified(REST)?, &rest, |_| true, &mut weights);
        read.map_err(|reason| damaged(&folder.join(REST), reason))?;
    }
    let read_here = |name: &str| [OPTIMIZER, REST].contains(&name) || files.iter().any(|(_, file)| file == name);
    for name in state.files.keys().filter(|name| !read_here(name)) {
        verified(name)?;
    }
    let path = folder.join(OPTIMIZER);
    let bytes = verified(OPTIMIZER)?;
    let moment = |moment: &str| {
        let mut bank = vec![0.0; len];
        let read = match state.bank {
            None => {
                let tensors = moments(&model.table, moment);
                named::from_bytes(&bytes, &tensors, |name| name.starts_with(moment), &mut bank)
            }
            // As versions before wrote it: one bank, which is of use only as long as the layout is theirs.
            Some(of) if of == len => named::whole_from_bytes(&bytes, moment.trim_end_matches('.'), &mut bank),
            Some(of) => Err(format!(
                "its moments are those of {of} numbers as an earlier version laid them out, expected {len}; a new run goes \
                 on from its weights with --init-from"
            )),
        };
        read.map(|()| bank).map_err(|reason| damaged(&path, reason))
    };
    let (moment1, moment2) = (moment(MOMENTS[0])?, moment(MOMENTS[1])?);
    let snapshot = Snapshot {
        step: state.step,
        phase: state.phase,
        weights,
        moment1,
        moment2,
        flops: state.flops,
        loss_scale: state.loss_scale,
    };
    Ok((snapshot, state))
}

/// The parameters that no folder holds whole.
fn rest(model: &Model) -> Vec<Named<'_>> {
    // All folders hold what networks share.
    let entries = model.networks.iter().flat_map(|network| transformers::entries(model, network));
    let held: BTreeSet<(usize, usize)> = entries.map(|e| (e.offset, e.shape.iter().product())).collect();
    let holds = |p: &Parameter| held.range((p.offset, 0)..(p.range().end, 0)).map(|(_, len)| len).sum::<usize>();
    model.table.parameters().iter().filter(|p| holds(p) != p.len()).map(|p| (p.name.clone(), p)).collect()
}

/// A moment's tensors.
fn moments<'a>(table: &'a ParameterTable, moment: &str) -> Vec<Named<'a>> {
    table.parameters().iter().map(|p| (format!("{moment}{}", p.name), p)).collect()
}

fn read(path: &Path) -> Result<Vec<u8>, RunError> {
    fs::read(path).map_err(|e| RunError::Damaged { path: path.into(), reason: e.to_string() })
}

fn write(path: &Path, content: &[u8]) -> Result<(), RunError> {
    crate::files::write(path, content).map_err(|e| RunError::file(path, e))
}

fn remove(folder: &Path) -> Result<(), RunError> {
    match fs::remove_dir_all(folder) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(RunError::file(folder, e)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::preset;
    use crate::corpus::VocabularyOptions;
    use crate::graph::Initialization;
    use safetensors::tensor::{Dtype, TensorView};
    use std::sync::Arc;

    /// A small model with one more parameter, which is in no folder; whether it decays decides where all others lie.
    fn model(config: &Config, decay: bool) -> Model {
        let model = Model::new(config);
        let spec = |p: &Parameter| (p.name.clone(), p.shape.clone(), p.decay, p.initialization);
        let mut specs: Vec<_> = model.table.parameters().iter().map(spec).collect();
        specs.push(("copy.weight".into(), vec![3, 50], decay, Initialization::Ones));
        Model { table: Arc::new(ParameterTable::new(specs)), ..model }
    }

    fn snapshot(model: &Model) -> Snapshot {
        let mut banks = [0.5f32, 0.25, 0.125].map(|scale| {
            let mut bank = model.initial(1);
            bank.iter_mut().for_each(|x| *x *= scale);
            bank
        });
        banks[2].iter_mut().for_each(|x| *x *= *x);
        let [weights, moment1, moment2] = banks;
        Snapshot { step: 3, phase: 1, weights, moment1, moment2, flops: Some(1e9), loss_scale: Some([512.0, 1.0]) }
    }

    /// A checkpoint of such a model, and what it was made from.
    fn saved(all: &Path, config: &mut Config) -> (PathBuf, Model, Snapshot) {
        let options = VocabularyOptions { size: 60, ..VocabularyOptions::default() };
        let tokenizer = Tokenizer::train(["some words of a text, and some others"], &options).unwrap();
        config.model.vocabulary = tokenizer.size();
        let model = model(config, true);
        let standing = RunStatus { seed: 1, seconds: 0.5, held_out: None, better: Better::Lower, since_best: 0 };
        let identity = Identity { config, model: &model, tokenizer: &tokenizer, text: "text" };
        let snapshot = snapshot(&model);
        (save(all, &snapshot, &standing, identity).unwrap(), model, snapshot)
    }

    /// By parameter, its window of each bank.
    fn windows<'a>(model: &Model, s: &'a Snapshot) -> BTreeMap<String, [&'a [f32]; 3]> {
        let of = |p: &Parameter| [&s.weights, &s.moment1, &s.moment2].map(|bank| &bank[p.range()]);
        model.table.parameters().iter().map(|p| (p.name.clone(), of(p))).collect()
    }

    #[test]
    fn what_is_in_no_folder_comes_back_and_another_layout_reads_it_too() {
        let all = tempfile::tempdir().unwrap();
        let mut config = preset("tiny").unwrap();
        let (folder, model_of_then, snapshot) = saved(all.path(), &mut config);
        assert_eq!(load(&folder, &config, &model_of_then).unwrap().0, snapshot);
        let model_of_now = model(&config, false);
        let offset = |model: &Model| model.table.find("copy.weight").unwrap().offset;
        assert_ne!(offset(&model_of_then), offset(&model_of_now));
        let (found, _) = load(&folder, &config, &model_of_now).unwrap();
        assert_eq!(windows(&model_of_now, &found), windows(&model_of_then, &snapshot));
        // Neither less nor more than the model has.
        let error = load(&folder, &config, &Model::new(&config)).unwrap_err().to_string();
        assert!(error.contains(REST) && error.contains("copy.weight is of no parameter"), "{error}");
        let rest = folder.join(REST);
        fs::remove_file(&rest).unwrap();
        let error = load(&folder, &config, &model_of_then).unwrap_err().to_string();
        assert!(error.contains(REST), "{error}");
    }

    #[test]
    fn a_checkpoint_of_the_version_before_is_read_or_refused_in_a_line() {
        // That a bank is laid out as it was then is held by a test of the model.
        let all = tempfile::tempdir().unwrap();
        let mut config = preset("tiny").unwrap();
        let (folder, model, snapshot) = saved(all.path(), &mut config);
        // As it was: both moments as whole banks.
        let views = [("moment1", &snapshot.moment1), ("moment2", &snapshot.moment2)].map(|(name, bank)| {
            let view = TensorView::new(Dtype::F32, vec![bank.len()], bytemuck::cast_slice(bank)).unwrap();
            (name, view)
        });
        let moments = safetensors::serialize(views, None).unwrap();
        fs::write(folder.join(OPTIMIZER), &moments).unwrap();
        let mut state = State::read(&folder).unwrap();
        (state.version, state.bank) = (3, Some(snapshot.moment1.len()));
        state.files.insert(OPTIMIZER.into(), sha256(&moments));
        fs::write(folder.join(STATE), state.to_json().unwrap()).unwrap();
        assert_eq!(load(&folder, &config, &model).unwrap().0, snapshot);
        // A larger bank: nothing says where in it a parameter was.
        state.bank = Some(snapshot.moment1.len() + 128);
        fs::write(folder.join(STATE), state.to_json().unwrap()).unwrap();
        let error = load(&folder, &config, &model).unwrap_err().to_string();
        assert!(error.contains("--init-from") && !error.contains('\n'), "{error}");
    }
}
