//! The choice made on a device.

use super::family::choose_family;
use super::trial::{Compared, Glance, Subject, Trials};
use super::{Cache, Device, FamilyChoice, KernelChoices, Look, MatmulChoice, Measure, Refusal, Task, tolerance};
use crate::gpu::Adapter;
use crate::graph::TensorType;
use crate::numbers::median;
use crate::op::{DeviceTraits, FamilyOf, KernelFamily, MatmulKernel, MatmulShape, Op, Shapes, Tuning};
use crate::ops::kernels::Matmul;
use crate::plan::{EngineError, Plan, Step};
use std::collections::HashMap;
use std::sync::Arc;
use web_time::{Duration, Instant};

/// How far results with cooperative matrices may be from those without: attention's probabilities, and gradients of the
/// vocabulary's logits, are rounded to half precision, which moves each by up to 2^-11 of itself.
const FAMILY_TOLERANCE: f32 = 4.0 / 2_048.0;
/// What the vocabulary's random numbers are multiplied by, so that no logit is far from the others: e^logit is a number in half
/// precision.
const VOCABULARY_SCALE: f32 = 0.25;

/// Trials of what some plans compute.
pub(super) struct OnDevice {
    trials: Trials,
    traits: DeviceTraits,
    /// For each multiplication the first op that does it.
    subjects: HashMap<MatmulShape, Subject>,
    /// When the first trial began.
    start: Option<Instant>,
    /// Whether a family has brought the device down.
    lost: bool,
    /// Where choices are kept as they are made.
    cache: Option<(Cache, Device)>,
    /// Whether kernels may be compiled while others are timed: the device has cores and a clock of its own.
    ahead: bool,
}

impl OnDevice {
    pub(super) fn new(adapter: &Adapter, traits: DeviceTraits) -> Self {
        let (trials, ahead) = (Trials::new(adapter), !adapter.info().software() && adapter.info().timestamps);
        Self { trials, traits, subjects: HashMap::new(), start: None, lost: false, cache: None, ahead }
    }

    /// Keeps choices in `cache` as they are made.
    pub(super) fn keep_in(&mut self, cache: &Cache, device: &Device) {
        self.cache = Some((cache.clone(), device.clone()));
    }

    /// Whether a family has brought the device down.
    pub(super) fn lost(&self) -> bool {
        self.lost
    }

    /// Whether the device can run `kernel` for this multiplication, be it a candidate or not.
    pub(super) fn can_run(&self, shape: &MatmulShape, kernel: &MatmulKernel) -> bool {
        Matmul::can_run(shape, kernel, &self.traits)
    }

    /// Why a family could not be run.
    fn family_refused(&mut self, error: EngineError) -> String {
        let Refusal { reason, lost } = refusal(error);
        self.lost |= lost;
        reason
    }

    /// The device's traits with each of the kernels for a multiplication.
    fn ways<'a>(&self, shape: &MatmulShape, kernels: impl IntoIterator<Item = &'a MatmulKernel>) -> Vec<DeviceTraits> {
        kernels.into_iter().map(|&kernel| with_kernel(&self.traits, *shape, kernel)).collect()
    }

    fn begin(&mut self, shape: &MatmulShape) -> Result<Subject, Refusal> {
        self.start.get_or_insert_with(Instant::now);
        let unknown = || Refusal { reason: "no plan has it".into(), lost: false };
        self.subjects.get(shape).cloned().ok_or_else(unknown)
    }
}

impl Measure for OnDevice {
    fn look(&mut self, task: &Task, kernels: &[MatmulKernel]) -> Result<Vec<Look>, Refusal> {
        let subject = self.begin(&task.shape)?;
        let all = || task.candidates.first().into_iter().chain(kernels);
        let tolerances: Vec<f32> = all().map(|kernel| tolerance(task.shape.k, kernel)).collect();
        let ways = self.ways(&task.shape, all());
        let glances = self.trials.glance(&subject, &ways, &tolerances).map_err(refusal)?;
        let look = |Glance { seconds, compared: Compared { error, wrong } }| Look { seconds, error, wrong };
        Ok(glances.into_iter().skip(1).map(look).collect())
    }

    fn time(&mut self, task: &Task, kernels: &[MatmulKernel]) -> Result<Vec<Vec<f64>>, Refusal> {
        let subject = self.begin(&task.shape)?;
        let ways = self.ways(&task.shape, kernels);
        self.trials.time(&subject, &ways).map_err(refusal)
    }

    fn check(&mut self, task: &Task, kernel: MatmulKernel) -> Result<Option<String>, Refusal> {
        let subject = self.begin(&task.shape)?;
        let [base, other] = [task.candidates[0], kernel].map(|k| with_kernel(&self.traits, task.shape, k));
        let compared = self.trials.compare(&subject, &base, &other, tolerance(task.shape.k, &kernel));
        compared.map(|compared| compared.wrong).map_err(refusal)
    }

    fn next(&mut self, task: &Task, kernels: &[MatmulKernel]) {
        // Elsewhere, what compiling takes would be taken for the kernels' time.
        if self.ahead
            && let Some(subject) = self.subjects.get(&task.shape)
        {
            let ways = self.ways(&task.shape, kernels);
            self.trials.compile(subject, &ways);
        }
    }

    fn keep(&mut self, choice: &MatmulChoice) {
        if let Some((cache, device)) = self.cache.as_ref().filter(|_| choice.untried.is_none()) {
            let mut choices = KernelChoices::new(device.clone());
            choices.matmul.push(choice.clone());
            // Whoever adds all of them in the end is told what is wrong with the folder.
            cache.add(choices, &mut Vec::new());
        }
    }

    fn elapsed(&self) -> Duration {
        self.start.map_or(Duration::ZERO, |start| start.elapsed())
    }
}

fn refusal(error: EngineError) -> Refusal {
    Refusal { lost: matches!(error, EngineError::DeviceLost { .. }), reason: reason(error) }
}

/// Why a kernel could not be run, without advice that is meant for a run.
fn reason(error: EngineError) -> String {
    match error {
        EngineError::Kernel { what, reason, .. } => format!("{what}: {reason}"),
        EngineError::DeviceLost { reason, .. } => format!("the device was lost: {reason}"),
        EngineError::OutOfMemory { .. } => "the device has no memory for it".into(),
        other => other.to_string(),
    }
}

impl OnDevice {
    /// The multiplications of `plans` for which there is a choice, each once.
    pub(super) fn tasks(&mut self, plans: &[(Plan, usize)]) -> Vec<Task> {
        let mut tasks: Vec<Task> = Vec::new();
        for (op, shapes, times) in nodes(plans) {
            for shape in op.matmuls(&shapes) {
                let work = shape.flops() * times as u64;
                if let Some(task) = tasks.iter_mut().find(|task| task.shape == shape) {
                    task.work += work;
                    continue;
                }
                let candidates = Matmul::candidates(&shape, &self.traits);
                if candidates.len() > 1 {
                    let subject = || {
                        let alone = op.matmul_alone(&shape, &shapes);
                        let (op, shapes) = alone.unwrap_or_else(|| (op.clone(), shapes.clone()));
                        Subject { op, shapes, whole: 0, scale: 1.0 }
                    };
                    self.subjects.entry(shape).or_insert_with(subject);
                    tasks.push(Task { shape, candidates, work });
                }
            }
        }
        tasks
    }

    /// The ops of `plans` that other families would change, each kind once.
    pub(super) fn heads(&self, plans: &[(Plan, usize)], of: FamilyOf, families: &[KernelFamily]) -> Heads {
        let mut heads = Heads { of, families: families.to_vec(), ops: Vec::new() };
        for (op, shapes, times) in nodes(plans) {
            let with = |family| op.dispatches(&shapes, &of.set(&self.traits, family));
            if families.is_empty() || families.iter().all(|&family| with(Some(family)) == with(None)) {
                continue;
            }
            let name = describe(op.name(), &shapes);
            if let Some((_, _, count)) = heads.ops.iter_mut().find(|(known, _, _)| *known == name) {
                *count += times;
                continue;
            }
            let (whole, scale) = match of {
                // Every example is as long as it can be, which is the most work.
                FamilyOf::Attention => ((shapes.inputs[0].rows() / shapes.inputs[1].len().max(1)) as u32, 1.0),
                // Every target is the last word.
                FamilyOf::Vocabulary => (shapes.inputs[1].rows() as u32 - 1, VOCABULARY_SCALE),
            };
            heads.ops.push((name, Subject { op: op.clone(), whole, scale, shapes }, times));
        }
        heads
    }

    /// Chooses for all of them together.
    pub(super) fn choose_family(&mut self, heads: &Heads) -> FamilyChoice {
        self.start.get_or_insert_with(Instant::now);
        // One device, two uses of it in turns.
        let this = std::cell::RefCell::new(self);
        choose_family(
            heads.ops(),
            heads.families(),
            &mut |kernel| this.borrow_mut().time_family(heads, kernel),
            &mut |kernel| this.borrow_mut().check_family(heads, kernel),
        )
    }

    fn time_family(&mut self, heads: &Heads, kernel: KernelFamily) -> Result<[f64; 2], String> {
        let ways = [None, Some(kernel)].map(|family| heads.of.set(&self.traits, family));
        let mut sums = [0.0; 2];
        for (_, subject, count) in &heads.ops {
            let times = self.trials.time(subject, &ways).map_err(|error| self.family_refused(error))?;
            for (sum, times) in sums.iter_mut().zip(&times) {
                *sum += median(times) * *count as f64;
            }
        }
        Ok(sums)
    }

    /// How far a family is from kernels that need no trial for any of them, and what is wrong with it, if anything is.
    pub(super) fn check_family(&mut self, heads: &Heads, kernel: KernelFamily) -> Result<Compared, String> {
        self.start.get_or_insert_with(Instant::now);
        // The simplest are what everything else is held against.
        let base = match heads.of {
            FamilyOf::Attention => KernelFamily::General,
            FamilyOf::Vocabulary => KernelFamily::Tiles,
        };
        let [base, other] = [base, kernel].map(|kernel| heads.of.set(&self.traits, Some(kernel)));
        let what = match heads.of {
            FamilyOf::Attention => "tokens",
            FamilyOf::Vocabulary => "as target",
        };
        let mut all = Compared { error: 0.0, wrong: None };
        for (name, subject, _) in &heads.ops {
            // Of full length, and with keys that do not count behind one that does; the last word, and another.
            for whole in [subject.whole, subject.whole - subject.whole / 3] {
                let subject = Subject { whole, ..subject.clone() };
                let compared = self.trials.compare(&subject, &base, &other, FAMILY_TOLERANCE);
                let Compared { error, wrong } = compared.map_err(|error| self.family_refused(error))?;
                all.error = all.error.max(error);
                if let Some(wrong) = wrong {
                    all.wrong = Some(format!("{name} with {whole} {what} {wrong}"));
                    return Ok(all);
                }
            }
        }
        Ok(all)
    }
}

/// Ops that there are families for: what each is, how it is tried, and how often it runs in a step.
#[derive(Debug)]
pub(super) struct Heads {
    of: FamilyOf,
    families: Vec<KernelFamily>,
    ops: Vec<(String, Subject, usize)>,
}

impl Heads {
    pub(super) fn of(&self) -> FamilyOf {
        self.of
    }

    /// What there is to choose among beside kernels that need no trial.
    pub(super) fn families(&self) -> &[KernelFamily] {
        &self.families
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// By which a choice is known.
    pub(super) fn ops(&self) -> Vec<String> {
        self.ops.iter().map(|(name, _, count)| format!("{count} {name}")).collect()
    }
}

/// Every node of some plans: its op, its tensors, and how often it runs in a step.
fn nodes(plans: &[(Plan, usize)]) -> impl Iterator<Item = (&Arc<dyn Op>, Shapes, usize)> {
    plans.iter().flat_map(|(plan, times)| {
        let node = |step: &Step| if let Step::Run { node, .. } = step { Some(*node) } else { None };
        let nodes = plan.steps().iter().filter_map(node);
        nodes.map(move |node| (&plan.graph().nodes()[node].op, plan.shapes(node), *times))
    })
}

/// The traits under which `shape` runs on `kernel`, and everything else on its base kernel.
fn with_kernel(traits: &DeviceTraits, shape: MatmulShape, kernel: MatmulKernel) -> DeviceTraits {
    DeviceTraits { tuning: Tuning::new(vec![(shape, kernel)]), ..*traits }
}

/// An op with the types of its tensors, in a line.
fn describe(name: &str, shapes: &Shapes) -> String {
    let list = |types: &[TensorType]| types.iter().map(|ty| ty.to_string()).collect::<Vec<_>>().join(" ");
    format!("{name} {} -> {}", list(&shapes.inputs), list(&shapes.outputs))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::preset;
    use crate::gpu::{Choice, choose};
    use crate::graph::Recompute;
    use crate::plan::Target;
    use crate::train::{Fit, MicroBatches, Plans, Recipe};
    use crate::tune::record::check_again;

    fn adapter() -> Adapter {
        let name = std::env::var("LEYDEN_TEST_DEVICE").unwrap_or_else(|_| "llvmpipe".into());
        choose(&Choice::Named(name)).unwrap_or_else(|error| panic!("{error}")).expect("a named choice")
    }

    /// The training step of a small model.
    fn plans(traits: DeviceTraits, precision: &str) -> [(Plan, usize); 1] {
        let settings =
            ["model.layers=1", "model.hidden=32", "model.embedding=32", "model.heads=1", "model.vocabulary=99"];
        let settings = settings.iter().chain(&["data.length=36", "generator.hidden=32", "generator.layers=1"]);
        let config = settings.chain([&precision]).fold(preset("tiny").unwrap(), |c, setting| c.set(setting).unwrap());
        let fit = Fit { micro_batches: MicroBatches { count: 1, examples: 2 }, recompute: Recompute::Off };
        let plans = Plans::new(&Recipe::new(&config), fit, Target::Gpu(traits)).unwrap();
        [(plans.training.plan, 1)]
    }

    /// The vocabulary has no other family than that of cooperative matrices, which the tests' device may not have: what is tried
    /// all the same is left out, and it is said why.
    #[test]
    fn a_family_that_the_device_cannot_run_is_left_out() {
        let traits = DeviceTraits { f16: true, workgroup_memory: 32_768, cooperative: Some(16), ..DeviceTraits::FLOOR };
        let plans = plans(traits, "training.precision=mixed");
        let mut device = OnDevice::new(&adapter(), traits);
        let families = KernelFamily::on_trial(FamilyOf::Vocabulary, &traits);
        assert_eq!(families, [KernelFamily::Cooperative]);
        let heads = device.heads(&plans, FamilyOf::Vocabulary, &families);
        assert_eq!(heads.ops().len(), 2, "{:?}", heads.ops());
        // The random numbers that they are given make numbers of all results.
        let compared = device.check_family(&heads, KernelFamily::Tiles).unwrap();
        assert!(compared.wrong.is_none() && compared.error == 0.0, "{compared:?}");
        if adapter().info().cooperative_matrices.is_none() {
            let choice = device.choose_family(&heads);
            assert_eq!((choice.kernel, choice.left_out.len()), (None, 1), "{choice:?}");
            assert!(choice.left_out[0].reason.contains("vocabulary_cooperative_16"), "{choice:?}");
        }
    }

    /// It would not end on the same bits with what has become faster since.
    #[test]
    fn a_run_of_before_there_was_a_family_goes_on_without() {
        let traits = DeviceTraits { f16: true, workgroup_memory: 32_768, cooperative: Some(16), ..DeviceTraits::FLOOR };
        let mut device = OnDevice::new(&adapter(), traits);
        let of = FamilyOf::Vocabulary;
        let heads = device.heads(&plans(traits, "training.precision=mixed"), of, &KernelFamily::on_trial(of, &traits));
        let now = Device::of(adapter().info());
        let before = Device { sources: "of before".into(), ..now.clone() };
        let mut choices = KernelChoices::new(now);
        let ops = heads.ops();
        check_again(&mut choices, &before, &[], &[heads], &mut device);
        let [choice] = &choices.vocabulary[..] else { panic!("{choices:?}") };
        assert!(choice.ops == ops && choice.kernel.is_none() && choice.untried.is_some(), "{choice:?}");
    }

    /// Cooperative matrices are nothing that the tests' device has; the general kernels in place of tiles are the same kind
    /// of choice.
    #[test]
    fn attention_is_tried_on_the_device() {
        let traits = DeviceTraits::FLOOR;
        let plans = plans(traits, "training.precision=f32");
        let mut device = OnDevice::new(&adapter(), traits);
        assert!(device.heads(&plans, FamilyOf::Attention, &[]).is_empty());
        let families = [KernelFamily::General];
        let heads = device.heads(&plans, FamilyOf::Attention, &families);
        let ops = heads.ops();
        assert!(ops.iter().any(|op| op.starts_with("2 attention ")), "{ops:?}");
        let choice = device.choose_family(&heads);
        assert!(choice.left_out.is_empty() && choice.untried.is_none() && choice.ops == ops, "{choice:?}");
        let tiles = KernelFamily::Tiles;
        let compared = device.check_family(&heads, tiles).unwrap();
        assert!(compared.wrong.is_none() && compared.error < FAMILY_TOLERANCE, "{compared:?}");
        let [base, general] = device.time_family(&heads, KernelFamily::General).unwrap();
        assert!(base > 0.0 && general > 0.0);
    }
}
