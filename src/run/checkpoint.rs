//! A run's state on disk: two transformers folders, the optimizer's moments and the step.

use super::RunError;
use super::state::{STATE, State, settings_fingerprint};
use crate::corpus::Tokenizer;
use crate::electra::{Config, Half, Model, checkpoint};
use crate::files::{sha256, sync_folder};
use crate::train::Snapshot;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const OPTIMIZER: &str = "optimizer.safetensors";
const WEIGHTS: &str = "model.safetensors";

/// What a checkpoint says of a run beside the numbers of its [`Snapshot`].
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// The seed in use.
    pub seed: u64,
    /// Seconds of training so far, over all sittings.
    pub seconds: f64,
    /// The weighted joint loss on the held-out examples at this step, where it was measured.
    pub held_out: Option<f64>,
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
    standing: &Standing,
    identity: Identity<'_>,
) -> Result<PathBuf, RunError> {
    let name = format!("step-{:06}", snapshot.step);
    let (partial, folder) = (all.join(format!("{name}.partial")), all.join(name));
    let saved = save_into(&partial, snapshot, standing, identity).and_then(|()| {
        // The same step saved before, as when a run was stopped there: it goes only when the new one is whole.
        let old = all.join(format!("step-{:06}.old", snapshot.step));
        remove(&old)?;
        if folder.exists() {
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

fn save_into(partial: &Path, snapshot: &Snapshot, standing: &Standing, identity: Identity<'_>) -> Result<(), RunError> {
    let Identity { config, model, tokenizer, text } = identity;
    remove(partial)?;
    let mut files = BTreeMap::new();
    let mut put = |path: &str, content: &[u8]| {
        files.insert(path.to_string(), sha256(content));
        write(&partial.join(path), content)
    };
    for half in [Half::Generator, Half::Discriminator] {
        let name = half.name();
        fs::create_dir_all(partial.join(name)).map_err(|e| RunError::file(&partial.join(name), e))?;
        put(&format!("{name}/{WEIGHTS}"), &checkpoint::to_bytes(model, half, &snapshot.weights)?)?;
        put(&format!("{name}/config.json"), checkpoint::config_json(config, half).as_bytes())?;
        for (file, content) in tokenizer.files(config.model.positions)? {
            put(&format!("{name}/{file}"), content.as_bytes())?;
        }
    }
    put(OPTIMIZER, &moments(snapshot)?)?;
    let state = State {
        version: State::version(),
        step: snapshot.step,
        seed: standing.seed,
        seconds: standing.seconds,
        settings: settings_fingerprint(config),
        text: text.to_string(),
        held_out: standing.held_out,
        bank: snapshot.weights.len(),
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

/// The step and held-out loss of the checkpoint that did best; those whose state cannot be read do not count.
pub(super) fn best(list: &[(u64, PathBuf)]) -> Option<(u64, f64)> {
    let measured = list.iter().filter_map(|(step, folder)| Some((*step, State::read(folder).ok()?.held_out?)));
    measured.min_by(|a, b| a.1.total_cmp(&b.1))
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
    if state.settings != settings_fingerprint(config) {
        return Err(RunError::Foreign { path, what: "the settings it was made with" });
    }
    let len = model.table.len();
    if state.bank != len {
        return Err(damaged(&path, format!("it is of a model with {} numbers, expected {len}", state.bank)));
    }
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
    let halves = [Half::Generator, Half::Discriminator].map(|half| (half, format!("{}/{WEIGHTS}", half.name())));
    for (half, name) in &halves {
        let from = |bytes: &[u8], to: &mut [f32]| checkpoint::from_bytes(model, *half, bytes, to);
        from(&verified(name)?, &mut weights).map_err(|e| damaged(&folder.join(name), e.to_string()))?;
    }
    let read_here = |name: &str| name == OPTIMIZER || halves.iter().any(|(_, half)| half == name);
    for name in state.files.keys().filter(|name| !read_here(name)) {
        verified(name)?;
    }
    let path = folder.join(OPTIMIZER);
    let bytes = verified(OPTIMIZER)?;
    let file = SafeTensors::deserialize(&bytes).map_err(|e| damaged(&path, e.to_string()))?;
    let moment = |name: &str| {
        let tensor = file.tensor(name).map_err(|e| damaged(&path, e.to_string()))?;
        if tensor.dtype() != Dtype::F32 || tensor.shape() != [len] {
            let found = format!("{name} is {:?}{:?}, expected F32[{len}]", tensor.dtype(), tensor.shape());
            return Err(damaged(&path, found));
        }
        Ok(tensor.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect())
    };
    let (moment1, moment2) = (moment("moment1")?, moment("moment2")?);
    let snapshot = Snapshot { step: state.step, weights, moment1, moment2, loss_scale: state.loss_scale };
    Ok((snapshot, state))
}

fn moments(snapshot: &Snapshot) -> Result<Vec<u8>, RunError> {
    let error =
        |e: safetensors::SafeTensorError| RunError::Weights(checkpoint::CheckpointError::Safetensors(e.to_string()));
    let view = |data: &'_ [f32]| {
        let shape = vec![data.len()];
        (shape, bytemuck::cast_slice::<f32, u8>(data).to_vec())
    };
    let parts = [("moment1", view(&snapshot.moment1)), ("moment2", view(&snapshot.moment2))];
    let views: Vec<(&str, TensorView<'_>)> = parts
        .iter()
        .map(|(name, (shape, data))| Ok((*name, TensorView::new(Dtype::F32, shape.clone(), data).map_err(error)?)))
        .collect::<Result<_, RunError>>()?;
    safetensors::serialize(views, None).map_err(error)
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
