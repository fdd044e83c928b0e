//! Where an objective's phases begin and end, and what they do to a model.

use crate::graph::Parameter;
use crate::model::Model;
use crate::objective::Phase;
use crate::transformers::{Entry, entries};
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

/// The phase in which step `step` of a schedule of `steps` is. A boundary is rounded to a step, and the last phase has what is left.
pub fn phase_at(phases: &[Phase], steps: u64, step: f64) -> usize {
    let before = |phase: &usize| step >= bounds(phases, steps, *phase).end;
    (0..phases.len().saturating_sub(1)).take_while(before).count()
}

/// The steps of a phase.
fn bounds(phases: &[Phase], steps: u64, phase: usize) -> Range<f64> {
    let end = |phases: &[Phase]| (phases.iter().map(|p| p.share).sum::<f64>() * steps as f64).round();
    let last = phase + 1 >= phases.len();
    end(&phases[..phase.min(phases.len())])..if last { steps as f64 } else { end(&phases[..=phase]) }
}

/// Where `step` is in the schedule of the learning rate in its phase, and how many steps that schedule has.
pub fn in_schedule(phases: &[Phase], steps: u64, phase: usize, step: f64) -> (f64, u64) {
    // Phases that go on belong to the schedule of the last one before that restarts it.
    let restarts = |phase: &usize| phases.get(*phase).is_some_and(|p| p.restarts_schedule);
    let first = (0..=phase).rev().find(restarts).unwrap_or(0);
    let next = (phase + 1..phases.len()).find(restarts).unwrap_or(phases.len());
    let start = bounds(phases, steps, first).start;
    let end = bounds(phases, steps, next.saturating_sub(1)).end;
    (step - start, (end - start).max(1.0) as u64)
}

/// Which parameters a phase trains: all but those that only networks have which are not trained.
pub fn trained(model: &Model, phase: &Phase) -> impl Fn(&Parameter) -> bool + use<> {
    let offsets = |trains: bool| -> BTreeSet<usize> {
        let named = |name: &str| phase.trains.is_none_or(|networks| networks.contains(&name));
        let networks = model.networks.iter().filter(|network| named(network.name) == trains);
        let parameters = networks.flat_map(|network| {
            let own = network.own.iter().flat_map(|(_, layer)| [layer.weight, layer.bias]);
            network.parts.iter().map(|part| part.parameter).chain(own)
        });
        parameters.map(|parameter| model.table.parameters()[parameter].offset).collect()
    };
    let frozen = &offsets(false) - &offsets(true);
    move |parameter| !frozen.contains(&parameter.offset)
}

/// Puts a copy of one network's parameters into another's place in a bank, where both have them under one name and shape and do not
/// share them, and zeros into the moments there.
pub fn copy(model: &Model, (from, to): (&str, &str), weights: &mut [f32], moments: [&mut Vec<f32>; 2]) {
    let network = |name| model.networks.iter().find(|network| network.name == name);
    let (Some(from), Some(to)) = (network(from), network(to)) else { return };
    let theirs: HashMap<String, Entry> = entries(model, from).into_iter().map(|e| (e.name.clone(), e)).collect();
    let mut copied = Vec::new();
    for ours in entries(model, to).into_iter().filter(|entry| !entry.alias) {
        let Some(from) = theirs.get(&ours.name).filter(|from| from.shape == ours.shape) else { continue };
        if from.range() != ours.range() {
            weights.copy_within(from.range(), ours.offset);
            copied.push(ours.range());
        }
    }
    for moment in moments {
        copied.iter().for_each(|range| moment[range.clone()].fill(0.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phases() -> [Phase; 3] {
        let phase = |share, restarts_schedule| Phase { share, restarts_schedule, ..Phase::WHOLE };
        [phase(0.3, false), phase(0.25, false), phase(0.45, true)]
    }

    #[test]
    fn a_phase_begins_where_the_one_before_ends() {
        let at = |step: f64| phase_at(&phases(), 10, step);
        // .3 and .55 of ten steps.
        let steps = [0.0, 2.0, 2.9, 3.0, 5.0, 5.9, 6.0, 9.0, 10.0, 99.0];
        assert_eq!(steps.map(at), [0, 0, 0, 1, 1, 1, 2, 2, 2, 2]);
        assert!((0..9).all(|step| phase_at(&[Phase::WHOLE], 9, f64::from(step)) == 0));
        // Shares that are 1 but for rounding leave no step over.
        let thirds = [1.0 / 3.0; 3].map(|share| Phase { share, ..Phase::WHOLE });
        assert_eq!([0.0, 1.0, 2.0, 3.0].map(|step| phase_at(&thirds, 3, step)), [0, 1, 2, 2]);
    }

    #[test]
    fn a_schedule_lasts_until_it_is_restarted() {
        let of = |phase, step| in_schedule(&phases(), 10, phase, step);
        assert_eq!([of(0, 0.0), of(1, 4.0), of(2, 6.0), of(2, 9.0)], [(0.0, 6), (4.0, 6), (0.0, 4), (3.0, 4)]);
        assert_eq!(in_schedule(&[Phase::WHOLE], 7, 0, 5.0), (5.0, 7));
    }
}
