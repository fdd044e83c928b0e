//! Whole models held against each other.

use leyden::model::{Model, Network};
use leyden::transformers::entries;

/// The name of a parameter of `network`, by network: what a generator shares is the discriminator's.
pub fn parameter_key(network: &Network, name: &str) -> String {
    let tied = network.name == "generator" && name.starts_with("electra.embeddings.");
    format!("{}.{name}", if tied { "discriminator" } else { network.name })
}

/// # Panics
/// If `found` is further from `expected` than `tolerance`, relative where that is more than 1.
pub fn close(name: &str, found: f32, expected: f32, tolerance: f32) {
    assert!((found - expected).abs() <= tolerance * expected.abs().max(1.0), "{name}: {found}, expected {expected}");
}

/// Every parameter's window of one bank against that of another, relative to the window's largest element.
///
/// # Panics
/// If any is off by more than `tolerance`: all of them are listed.
pub fn compare_banks(model: &Model, prefix: &str, found: &[f32], expected: &[f32], tolerance: f32) {
    let mut bad = Vec::new();
    for network in &model.networks {
        for e in entries(model, network) {
            let (f, x) = (&found[e.range()], &expected[e.range()]);
            let scale = x.iter().fold(0.1f32, |m, x| m.max(x.abs()));
            let worst = f.iter().zip(x).fold(0.0f32, |m, (f, x)| m.max((f - x).abs()));
            if worst.is_nan() || f.iter().any(|f| f.is_nan()) || worst > tolerance * scale {
                bad.push(format!("{prefix}{}: off by {worst} of {scale}", parameter_key(network, &e.name)));
            }
        }
    }
    assert!(bad.is_empty(), "{} tensors differ:\n{}", bad.len(), bad.join("\n"));
}
