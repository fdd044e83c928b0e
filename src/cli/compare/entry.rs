//! One of what is compared, with what a budget pays.

use super::arms::Arm;
use crate::train::Recipe;
use std::path::PathBuf;

/// One of what is compared, with what a budget pays.
pub(super) struct Entry {
    /// What it is.
    pub arm: Arm,
    /// What a person calls it: with the budget, where there are several.
    pub name: String,
    /// What a run may cost, in operations.
    pub budget: f64,
    /// Operations of a step, over all phases.
    pub flops: f64,
    /// Steps of a run.
    pub steps: u64,
    /// Between checkpoints that are scored.
    pub every: u64,
    /// Steps before the network that is kept is trained at all.
    idle: u64,
}

impl Entry {
    /// With so many steps, at `flops` each, and checkpoints to score that many steps apart.
    pub(super) fn new(arm: Arm, name: String, budget: f64, flops: f64, steps: u64, every: u64) -> Self {
        let recipe = Recipe::new(&arm.config);
        let kept = recipe.model.networks.last().map_or("", |network| network.name);
        let phases = recipe.objective.phases();
        let idle = phases.iter().take_while(|phase| phase.trains.is_some_and(|trains| !trains.contains(&kept)));
        let idle = (idle.map(|phase| phase.share).sum::<f64>() * steps as f64).round() as u64;
        Self { arm, name, budget, flops, steps, every, idle }
    }

    /// A folder's name for it.
    pub(super) fn folder(&self) -> PathBuf {
        self.arm.folder().join(format!("{:e}", self.budget))
    }

    /// Whether a checkpoint at that step is scored.
    pub(super) fn scores(&self, step: u64) -> bool {
        (step == self.steps || step.is_multiple_of(self.every)) && step > self.idle
    }

    /// How many are.
    pub(super) fn points(&self) -> u64 {
        let ends = (1..self.steps.div_ceil(self.every)).map(|point| point * self.every);
        ends.chain([self.steps]).filter(|step| self.scores(*step)).count() as u64
    }
}
