//! A run's state on disk: two transformers folders, the optimizer's moments and the step.

use super::RunError;
use crate::corpus::Tokenizer;
use crate::electra::{Config, Half, Model, checkpoint};
use crate::train::Snapshot;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

/// The version of `state.json` and `optimizer.safetensors`.
const VERSION: u32 = 1;
const STATE: &str = "state.json";
const OPTIMIZER: &str = "optimizer.safetensors";
const WEIGHTS: &str = "model.safetensors";

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    version: u32,
    step: u64,
    /// Elements of a bank, padding included.
    bank: usize,
}

/// Writes `snapshot` into `all/step-NNNNNN`; the folder gets its name when everything in it is on the disk.
pub(super) fn save(
    all: &Path,
    snapshot: &Snapshot,
    config: &Config,
    model: &Model,
    tokenizer: &Tokenizer,
) -> Result<PathBuf, RunError> {
    let name = format!("step-{:06}", snapshot.step);
    let (partial, folder) = (all.join(format!("{name}.partial")), all.join(name));
    remove(&partial)?;
    for half in [Half::Generator, Half::Discriminator] {
        let to = partial.join(half.name());
        fs::create_dir_all(&to).map_err(|e| RunError::file(&to, e))?;
        let weights = checkpoint::to_bytes(model, half, &snapshot.weights)?;
        write(&to.join(WEIGHTS), &weights)?;
        write(&to.join("config.json"), checkpoint::config_json(config, half).as_bytes())?;
        tokenizer.save(&to, config.model.positions)?;
    }
    write(&partial.join(OPTIMIZER), &moments(snapshot)?)?;
    let state = State { version: VERSION, step: snapshot.step, bank: snapshot.weights.len() };
    let path = partial.join(STATE);
    let json = serde_json::to_vec_pretty(&state).map_err(|e| RunError::file(&path, e.into()))?;
    write(&path, &json)?;
    // The same step saved before, as when a run was stopped there: it goes only when the new one is whole.
    let old = all.join(format!("step-{:06}.old", snapshot.step));
    remove(&old)?;
    if folder.exists() {
        fs::rename(&folder, &old).map_err(|e| RunError::file(&folder, e))?;
    }
    fs::rename(&partial, &folder).map_err(|e| RunError::file(&folder, e))?;
    remove(&old)?;
    Ok(folder)
}

/// Removes all but the newest `keep` checkpoints.
pub(super) fn prune(all: &Path, keep: usize) -> Result<(), RunError> {
    let list = list(all)?;
    let old = list.len().saturating_sub(keep);
    list[..old].iter().try_for_each(|(_, folder)| remove(folder))
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
        let step = name.to_str().and_then(|n| n.strip_prefix("step-")).and_then(|n| n.parse().ok());
        if let Some(step) = step {
            found.push((step, entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

/// Reads the checkpoint in `folder` of a run of `model`.
pub(super) fn load(folder: &Path, model: &Model) -> Result<Snapshot, RunError> {
    let damaged = |path: &Path, reason: String| RunError::Damaged { path: path.into(), reason };
    let path = folder.join(STATE);
    let state: State = serde_json::from_slice(&read(&path)?).map_err(|e| damaged(&path, e.to_string()))?;
    if state.version != VERSION {
        let reason = format!("it is of version {}, expected {VERSION}", state.version);
        return Err(damaged(&path, reason));
    }
    let len = model.table.len();
    if state.bank != len {
        return Err(damaged(&path, format!("it is of a model with {} numbers, expected {len}", state.bank)));
    }
    let mut weights = vec![0.0; len];
    for half in [Half::Generator, Half::Discriminator] {
        let path = folder.join(half.name()).join(WEIGHTS);
        let bytes = read(&path)?;
        checkpoint::from_bytes(model, half, &bytes, &mut weights).map_err(|e| damaged(&path, e.to_string()))?;
    }
    let path = folder.join(OPTIMIZER);
    let bytes = read(&path)?;
    let file = SafeTensors::deserialize(&bytes).map_err(|e| damaged(&path, e.to_string()))?;
    let moment = |name: &str| {
        let tensor = file.tensor(name).map_err(|e| damaged(&path, e.to_string()))?;
        if tensor.dtype() != Dtype::F32 || tensor.shape() != [len] {
            let found = format!("{name} is {:?}{:?}, expected F32[{len}]", tensor.dtype(), tensor.shape());
            return Err(damaged(&path, found));
        }
        Ok(tensor.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect())
    };
    Ok(Snapshot { step: state.step, weights, moment1: moment("moment1")?, moment2: moment("moment2")? })
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
