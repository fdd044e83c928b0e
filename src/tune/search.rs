//! The search for the kernels of some work: what a run's record and the cache have not, trials find.

use super::matmul::choose;
use super::on_device::{Heads, OnDevice};
use super::record::check_again;
use super::remarks::{about_late, about_left_out};
use super::{
    Cache, CrashGuard, Device, FamilyChoice, KernelChoices, Kernels, MatmulChoice, Measure as _, NO_TIME, Task,
};
use crate::gpu::Adapter;
use crate::op::{DeviceTraits, FamilyOf, KernelFamily, MatmulFamily};
use crate::plan::Plan;
use std::time::Duration;

/// What [`tune`] works with.
#[derive(Debug)]
pub struct Tuner<'a> {
    /// The device.
    pub adapter: &'a Adapter,
    /// What its kernels are chosen by; the tuning in it does not count.
    pub traits: DeviceTraits,
    /// Which kernels were asked for; `None` leaves it to the record, and without one to the device.
    pub kernels: Option<Kernels>,
    /// What a run has been trained with so far.
    pub record: Option<KernelChoices>,
    /// Where choices are kept.
    pub cache: Cache,
    /// What trying may take: [`BUDGET`](super::BUDGET).
    pub budget: Duration,
}

/// What kernels are found for.
pub trait Work {
    /// Why it cannot be planned.
    type Error;

    /// The plans for a device with such traits; with each comes how often it runs in a step.
    ///
    /// # Errors
    /// Where they do not fit the device.
    fn plans(&mut self, traits: DeviceTraits) -> Result<Vec<(Plan, usize)>, Self::Error>;

    /// Whether whole steps with these kernels, taken twice from the same state, end on the same bits; none where they could not
    /// be taken, of which the work itself will say why.
    fn repeats(&mut self, traits: DeviceTraits) -> Option<bool>;
}

/// What [`tune`] found.
#[derive(Debug, Clone, PartialEq)]
pub struct Tuned {
    /// The kernels to run, and to go on with.
    pub choices: KernelChoices,
    /// What a person should know, a line each.
    pub remarks: Vec<String>,
}

/// Rounds of planning and choosing. Kernels may need other amounts of scratch memory, so that a batch is worked through in
/// other parts, which are multiplications of other shapes.
const MOST_ROUNDS: usize = 4;

/// Why a family was not tried behind one that brought the device down.
const LOST: &str = "another kernel brought the device down";

/// Finds the kernels for some work on a device.
///
/// The result is a function of the record and of what is in the cache when this returns, but for what there was no time to
/// try: that runs on base kernels, is in the choices and not in the cache. `say` is told before something that takes a while.
///
/// Where kernels were chosen now, whole steps are taken twice with them. naga declares the Vulkan memory model for cooperative
/// matrices but orders no access by it (gfx-rs/wgpu#8805), which no trial of one kernel can rule out: if the steps differ,
/// tensor cores are not used on this device, and that is kept.
///
/// # Errors
/// Those of [`Work::plans`]. Kernels that fail are left out, and a cache that cannot be used is no error.
pub fn tune<W: Work>(tuner: Tuner<'_>, work: &mut W, say: &mut dyn FnMut(&str)) -> Result<Tuned, W::Error> {
    let Tuner { adapter, traits, kernels, record, cache, budget } = tuner;
    let device = Device::of(adapter.info());
    let mut remarks = Vec::new();
    let record = record.filter(|record| {
        let same = record.device.is_same_adapter(&device);
        if !same && !record.matmul.is_empty() {
            remarks.push(format!("the run was trained on {}: other kernels are used on {}", record.device, device));
        }
        same
    });
    let kernels = kernels.or(record.as_ref().map(|record| record.kernels()));
    let mut choices = KernelChoices::new(device);
    if kernels.unwrap_or(Kernels::default_for(&traits)) == Kernels::Base {
        if record.is_some_and(|record| record.kernels() == Kernels::Tuned) {
            remarks.push(
                "the run was trained with tuned kernels, and goes on with base ones: not to the same bits".into(),
            );
        }
        choices.base = true;
        return Ok(Tuned { choices, remarks });
    }
    let mut guard = cache.guard(&choices.device);
    let without = |traits: DeviceTraits| DeviceTraits { cooperative: None, ..traits };
    let (given, hopeless) = (traits.cooperative.is_some(), guard.hopeless());
    let known = cache.read(&choices.device, &mut remarks);
    let mut unordered = given && known.unordered;
    let whole = cache.clone();
    let mut search = Search { adapter, traits, on_trial: traits, cache, budget, guard: &mut guard, remarks, say };
    if given && (hopeless || unordered) {
        search.on_trial = without(traits);
        // What is chosen without them is kept for itself.
        search.cache = search.cache.plain();
    }
    let record = record.filter(|record| record.kernels() == Kernels::Tuned);
    let (mut choices, tried) = search.run(choices, record.clone(), work)?;
    // A software driver takes minutes for a step; only cooperative matrices are worth them, until it was seen once.
    let unsure = choices.cooperative() && !known.ordered;
    let worth = unsure || tried && (choices.cooperative() || !traits.software && !choices.is_plain(&traits));
    let repeats = if worth { search.repeats(&choices, work) } else { None };
    if repeats == Some(true) && choices.cooperative() {
        whole.mark(&choices.device, true, &mut search.remarks);
    }
    if repeats == Some(false) {
        if choices.cooperative() {
            unordered = true;
            whole.mark(&choices.device, false, &mut search.remarks);
            search.on_trial = without(traits);
            search.cache = whole.clone().plain();
            choices = search.run(KernelChoices::new(choices.device), None, work)?.0;
        } else {
            let line = "two equal steps did not end on the same bits: a run does not repeat to the bit on";
            search.remarks.push(format!("{line} {}", adapter.info().name));
        }
    }
    let mut remarks = search.remarks;
    // A run that was begun with them goes on with them.
    let told = given && !choices.cooperative();
    if told && hopeless {
        remarks.extend(guard.remark());
    } else if told && unordered {
        let path = whole
            .file(&choices.device)
            .map_or(String::new(), |path| format!("; delete {} to have them tried again", path.display()));
        let line = "tensor cores are not used: two equal steps with them did not end on the same bits on this device";
        remarks.push(format!("{line}{path}"));
    }
    choices.sort();
    Ok(Tuned { choices, remarks })
}

/// The search for kernels on a device.
struct Search<'a> {
    adapter: &'a Adapter,
    /// The device's.
    traits: DeviceTraits,
    /// The same, or without cooperative matrices.
    on_trial: DeviceTraits,
    cache: Cache,
    budget: Duration,
    guard: &'a mut CrashGuard,
    remarks: Vec<String>,
    say: &'a mut dyn FnMut(&str),
}

impl Search<'_> {
    fn begin(&mut self) {
        if self.on_trial.cooperative.is_some() {
            self.guard.begin();
        }
    }

    /// Whether whole steps repeat.
    fn repeats<W: Work>(&mut self, choices: &KernelChoices, work: &mut W) -> Option<bool> {
        (self.say)(&format!("checking that steps repeat to the bit on {}…", self.adapter.info().name));
        self.begin();
        work.repeats(choices.traits(self.traits))
    }

    /// Completes `choices`, which begins as the `record` of a run if there is one; and whether anything was tried.
    fn run<W: Work>(
        &mut self,
        mut choices: KernelChoices,
        record: Option<KernelChoices>,
        work: &mut W,
    ) -> Result<(KernelChoices, bool), W::Error> {
        let name = self.adapter.info().name.clone();
        let mut given_up = Vec::new();
        let families = FamilyOf::ALL.map(|of| (of, KernelFamily::on_trial(of, &self.on_trial)));
        let mut trials = OnDevice::new(self.adapter, self.on_trial);
        trials.keep_in(&self.cache, &choices.device);
        let (mut stale, mut tried) = (None, false);
        if let Some(record) = record {
            // The kernels are still fine after a change, unless the new driver or the new source is wrong.
            stale = Some(record.device).filter(|before| *before != choices.device);
            (choices.matmul, choices.attention, choices.vocabulary) =
                (record.matmul, record.attention, record.vocabulary);
        }
        for _ in 0..MOST_ROUNDS {
            let plans = work.plans(choices.traits(self.traits))?;
            let all = trials.tasks(&plans);
            let heads = families.each_ref().map(|(of, families)| trials.heads(&plans, *of, families));
            if let Some(before) = stale.take() {
                (self.say)(&format!("checking the run's kernels on {name}…"));
                self.begin();
                tried = true;
                self.remarks.extend(check_again(&mut choices, &before, &all, &heads, &mut trials));
            }
            let count = all.len();
            let missing: Vec<Task> = all.into_iter().filter(|task| choices.get(&task.shape).is_none()).collect();
            let settled = |heads: &&Heads| {
                heads.is_empty() || choices.families(heads.of()).last().is_some_and(|choice| choice.ops == heads.ops())
            };
            let mut unsettled: Vec<&Heads> = heads.iter().filter(|heads| !settled(heads)).collect();
            if missing.is_empty() && unsettled.is_empty() {
                break;
            }
            let known = self.cache.read(&choices.device, &mut self.remarks);
            let mut open = Vec::new();
            for task in missing {
                match known.get(&task.shape).filter(|choice| task.candidates.contains(&choice.kernel)) {
                    Some(choice) => choices.matmul.push(choice.alone()),
                    None => open.push(task),
                }
            }
            unsettled.retain(|heads| {
                let before = known.families(heads.of()).iter().find(|choice| choice.ops == heads.ops());
                choices.families_mut(heads.of()).extend(before.map(FamilyChoice::alone));
                before.is_none()
            });
            if open.is_empty() && unsettled.is_empty() {
                continue;
            }
            (self.say)(&format!("trying kernels for {name} (once, up to {} s)…", self.budget.as_secs().max(1)));
            self.begin();
            let mut found = KernelChoices::new(choices.device.clone());
            for heads in unsettled {
                let why = if trials.lost() { Some(LOST) } else { (trials.elapsed() >= self.budget).then_some(NO_TIME) };
                found.families_mut(heads.of()).push(match why {
                    None => trials.choose_family(heads),
                    Some(why) => FamilyChoice::untried(heads.ops(), Some(why.into())),
                });
            }
            if trials.lost() {
                given_up.push(MatmulFamily::Cooperative);
            }
            found.matmul = choose(open, self.budget, &known.matmul, &mut given_up, &mut trials);
            self.remarks.extend(about_left_out(&found));
            self.remarks.extend(about_late(&found, count, trials.elapsed()));
            // What could not be tried now is tried at another start.
            let mut late = KernelChoices::new(choices.device.clone());
            late.matmul = found.matmul.extract_if(.., |choice| choice.untried.is_some()).collect();
            for of in FamilyOf::ALL {
                let untried = found.families_mut(of).extract_if(.., |choice| choice.untried.is_some());
                *late.families_mut(of) = untried.collect();
            }
            tried |= !found.is_empty();
            for now in [self.cache.add(found, &mut self.remarks), late] {
                choices.matmul.extend(now.matmul.iter().map(MatmulChoice::alone));
                for of in FamilyOf::ALL {
                    choices.families_mut(of).extend(now.families(of).iter().map(FamilyChoice::alone));
                }
            }
        }
        self.budget = self.budget.saturating_sub(trials.elapsed());
        Ok((choices, tried))
    }
}
