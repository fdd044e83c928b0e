//! A run of so few numbers that a step takes a millisecond.

use leyden::config::{Config, preset};

/// The preset tiny, made far smaller, and changed by `settings`.
pub fn small_config(settings: &[&str]) -> Config {
    let smaller = [
        "model.layers=1",
        "model.hidden=16",
        "model.embedding=16",
        "model.heads=2",
        "model.feed_forward=16",
        "generator.hidden=8",
        "generator.feed_forward=8",
        "model.vocabulary=200",
        "training.batch=2",
        "training.log_every=2",
        "training.evaluation_examples=4",
    ];
    smaller.iter().chain(settings).fold(preset("tiny").unwrap(), |config, setting| config.set(setting).unwrap())
}
