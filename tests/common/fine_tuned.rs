//! Folders in which `transformers` saved a small fine-tuned ELECTRA: `golden/make_tasks.py` makes the weights.

use safetensors::SafeTensors;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The folder of golden files.
pub fn golden() -> PathBuf {
    let root = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&root).join("tests/golden")
}

/// A folder as `transformers` saves it.
pub fn model(name: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in ["tokenizer.json", "tokenizer_config.json", "vocab.txt"] {
        fs::copy(golden().join("probe").join(file), folder.path().join(file)).unwrap();
    }
    let bytes = fs::read(golden().join(format!("task_{name}.safetensors"))).unwrap();
    let (_, meta) = SafeTensors::read_metadata(&bytes).unwrap();
    fs::write(folder.path().join("config.json"), &meta.metadata().as_ref().unwrap()["config"]).unwrap();
    let all = SafeTensors::deserialize(&bytes).unwrap();
    let own =
        all.tensors().into_iter().filter_map(|(name, view)| Some((name.strip_prefix("model.")?.to_string(), view)));
    let own: Vec<_> = own.collect();
    safetensors::serialize_to_file(own, None, &folder.path().join("model.safetensors")).unwrap();
    folder
}
