//! Where a step's time goes, kernel by kernel.

use super::drain::drain;
use super::gaps::Gaps;
use super::phase::{Phase, phases};
use super::step::Stepper;
use crate::numbers::median;
use crate::plan::{Call, Plan, Program, Timed};
use crate::train::TrainError;
use serde::Serialize;
use std::collections::HashMap;
use std::hash::Hash;
use std::ops::Range;

/// A step by its kernels, beside the step as it really runs. Times are in seconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Profile {
    /// The step as it runs, unprofiled, back to back with others: the median of some between the profiled ones.
    pub step: f64,
    /// All kernels and copies of a profiled step added up: the median of the profiled steps. What a dispatch needs to begin is
    /// part of its time.
    pub sum: f64,
    /// A profiled step, from the end of the one before it, which was profiled too: median.
    pub extent: f64,
    /// The part of it in which nothing is computed.
    #[serde(flatten)]
    pub gaps: Gaps,
    /// Calls that the device cannot time.
    pub untimed: usize,
    /// By kernel, the slowest first.
    pub kernels: Vec<KernelTime>,
    /// By phase, in the order of a step; copies have none.
    pub phases: Vec<PhaseTime>,
    /// Every call of the profiled step that is closest to the median.
    #[serde(skip)]
    pub calls: Vec<TracedCall>,
}

/// All calls of one kernel in a step: a shader on a GPU, an op on the CPU, or "copy".
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KernelTime {
    /// The shader's or op's stem.
    pub name: &'static str,
    /// Calls in a step.
    pub calls: usize,
    /// Seconds of all calls together: the median of the profiled steps.
    pub seconds: f64,
    /// Floating-point operations of all calls.
    pub flops: u64,
    /// Bytes that the calls read and write, see [`Call::bytes`].
    pub bytes: u64,
}

/// All calls of one phase of a step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PhaseTime {
    /// Which phase.
    #[serde(flatten)]
    pub phase: Phase,
    /// Calls in a step.
    pub calls: usize,
    /// Seconds of all calls together: the median of the profiled steps.
    pub seconds: f64,
    /// Floating-point operations of all calls.
    pub flops: u64,
    /// Bytes that the calls read and write.
    pub bytes: u64,
}

/// One call as it ran.
#[derive(Debug, Clone, PartialEq)]
pub struct TracedCall {
    /// The shader's or op's stem, or "copy".
    pub name: &'static str,
    /// The op that it belongs to, or "copy".
    pub op: &'static str,
    /// Index into the graph's nodes.
    pub node: Option<usize>,
    /// Which run of a program it is of: parts come one after the other, the update is last.
    pub part: usize,
    /// What it is there for; none for copies.
    pub phase: Option<Phase>,
    /// When it began and ended, in seconds on the device's clock.
    pub span: Option<Range<f64>>,
    /// Floating-point operations.
    pub flops: u64,
    /// Bytes read and written.
    pub bytes: u64,
    /// The types of the op's inputs.
    pub inputs: Vec<String>,
    /// The types of its outputs.
    pub outputs: Vec<String>,
    /// The parameters among its inputs, by name.
    pub parameters: Vec<String>,
}

impl TracedCall {
    fn seconds(&self) -> f64 {
        self.span.as_ref().map_or(0.0, |span| span.end - span.start)
    }
}

/// Profiles `count` pairs of steps after a first one, in turns with steps that are not profiled, so that a busy machine slows
/// both. Of a pair the second step counts, which has another one in front of it as in training.
///
/// # Errors
/// The engine's.
pub fn profile(stepper: &mut Stepper, count: usize) -> Result<Profile, TrainError> {
    stepper.profile()?;
    let known: HashMap<Program, Known> =
        stepper.programs().map(|(program, plan)| (program, Known::new(plan))).collect();
    let (mut steps, mut unprofiled) = (Vec::with_capacity(count), Vec::new());
    let (mut extents, mut bubbles) = (Vec::with_capacity(count), Vec::with_capacity(count));
    for _ in 0..count.max(1) {
        unprofiled.extend(stepper.run(2)?.iter().map(|time| time.seconds));
        let second = stepper.profile()?;
        steps.push(traced(&known, &second.timed));
        extents.push(second.extent);
        bubbles.push(second.bubbles);
    }
    let sums: Vec<f64> = steps.iter().map(|calls| calls.iter().map(TracedCall::seconds).sum()).collect();
    let step = median(&unprofiled);
    let (sum, extent) = (median(&sums), median(&extents));
    let dispatches = stepper.dispatches();
    let (machine, table) = stepper.machine();
    let bubbles = machine.times_submissions().then(|| median(&bubbles));
    let gaps = Gaps::new(dispatches, drain(machine, &table)?, bubbles, extent);
    let kernels = totals(&steps, |call| Some(call.name));
    let mut kernels: Vec<KernelTime> = kernels
        .into_iter()
        .map(|(name, t)| KernelTime { name, calls: t.calls, seconds: t.seconds, flops: t.flops, bytes: t.bytes })
        .collect();
    kernels.sort_by(|a, b| b.seconds.total_cmp(&a.seconds).then_with(|| a.name.cmp(b.name)));
    let by_phase = totals(&steps, |call| call.phase.clone());
    let mut by_phase: Vec<PhaseTime> = by_phase
        .into_iter()
        .map(|(phase, t)| PhaseTime { phase, calls: t.calls, seconds: t.seconds, flops: t.flops, bytes: t.bytes })
        .collect();
    by_phase.sort_by(|a, b| a.phase.cmp(&b.phase));
    let closest = (0..steps.len()).min_by(|&a, &b| (sums[a] - sum).abs().total_cmp(&(sums[b] - sum).abs()));
    let calls = steps.swap_remove(closest.unwrap_or_default());
    let untimed = calls.iter().filter(|call| call.span.is_none()).count();
    Ok(Profile { step, sum, extent, gaps, untimed, kernels, phases: by_phase, calls })
}

/// What is known of a program before it runs.
struct Known {
    plan: Plan,
    calls: Vec<Call>,
    phases: Vec<Phase>,
}

impl Known {
    fn new(plan: &Plan) -> Self {
        Self { calls: plan.calls(), phases: phases(plan), plan: plan.clone() }
    }
}

/// A step's calls with what is known of them.
fn traced(known: &HashMap<Program, Known>, timed: &[Timed]) -> Vec<TracedCall> {
    let mut step = Vec::with_capacity(timed.len());
    // Each run of a program begins with its call 0.
    for (part, run) in timed.chunk_by(|_, next| next.call > 0).enumerate() {
        let Some(known) = run.first().and_then(|first| known.get(&first.program)) else { continue };
        let flops = flops(known, run);
        for (time, flops) in run.iter().zip(flops) {
            let Some(call) = known.calls.get(time.call) else { continue };
            let (graph, shapes) = (known.plan.graph(), call.node.map(|node| known.plan.shapes(node)));
            let types = |of: Option<&Vec<crate::graph::TensorType>>| {
                of.map_or(Vec::new(), |types| types.iter().map(ToString::to_string).collect())
            };
            step.push(TracedCall {
                name: time.name,
                op: call.node.map_or(call.name, |node| graph.nodes()[node].op.name()),
                node: call.node,
                part,
                phase: call.node.map(|node| known.phases[node].clone()),
                span: time.span.clone(),
                flops,
                bytes: call.bytes,
                inputs: types(shapes.as_ref().map(|s| &s.inputs)),
                outputs: types(shapes.as_ref().map(|s| &s.outputs)),
                parameters: call
                    .node
                    .map_or(Vec::new(), |node| known.plan.parameters_of(node).into_iter().map(String::from).collect()),
            });
        }
    }
    step
}

/// Floating-point operations of each call. What an op's dispatches do not say is theirs counts with the longest of those
/// that say nothing.
fn flops(known: &Known, run: &[Timed]) -> Vec<u64> {
    let call = |i: usize| known.calls.get(run[i].call);
    let mut flops: Vec<u64> = (0..run.len()).map(|i| call(i).map_or(0, |call| call.flops)).collect();
    let mut of_node: HashMap<usize, Vec<usize>> = HashMap::new();
    for i in 0..run.len() {
        if let Some(node) = call(i).and_then(|call| call.node) {
            of_node.entry(node).or_default().push(i);
        }
    }
    for (node, calls) in of_node {
        let all = known.plan.graph().nodes()[node].op.flops(&known.plan.shapes(node));
        let rest = all.saturating_sub(calls.iter().map(|&i| flops[i]).sum());
        let longest = |a: &&usize, b: &&usize| run[**a].seconds().total_cmp(&run[**b].seconds());
        let silent = calls.iter().filter(|&&i| flops[i] == 0).max_by(longest);
        if let Some(&i) = silent.or_else(|| calls.iter().max_by(longest)) {
            flops[i] += rest;
        }
    }
    flops
}

/// Calls, seconds, floating-point operations and bytes of a group.
struct Total {
    calls: usize,
    seconds: f64,
    flops: u64,
    bytes: u64,
}

/// Totals by group: seconds are the median over the steps, the rest is the same in each.
fn totals<K: Eq + Hash>(steps: &[Vec<TracedCall>], key: impl Fn(&TracedCall) -> Option<K>) -> HashMap<K, Total> {
    let mut groups: HashMap<K, (Total, Vec<f64>)> = HashMap::new();
    for (which, calls) in steps.iter().enumerate() {
        for call in calls {
            let Some(key) = key(call) else { continue };
            let fresh = || (Total { calls: 0, seconds: 0.0, flops: 0, bytes: 0 }, vec![0.0; steps.len()]);
            let (total, seconds) = groups.entry(key).or_insert_with(fresh);
            seconds[which] += call.seconds();
            if which == 0 {
                total.calls += 1;
                total.bytes += call.bytes;
                total.flops += call.flops;
            }
        }
    }
    let close = |(key, (total, seconds)): (K, (Total, Vec<f64>))| (key, Total { seconds: median(&seconds), ..total });
    groups.into_iter().map(close).collect()
}
