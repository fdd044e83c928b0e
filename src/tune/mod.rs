//! Which kernels a device runs: found out by trying them once, and kept.
//!
//! No kernel is the fastest on every GPU. Where something can be computed in several ways, each is tried on the device
//! with random numbers ([`choose`]); one that is clearly faster than the base kernel and agrees with it is taken. Other
//! kernels add in another order, so their results differ in the last bits. For the same bits each time, a choice once
//! made stays: it is kept in a cache by adapter, backend, driver and the kernels' sources ([`Cache`]), and a run's folder
//! has its own, which it goes on with ([`Book`]).

mod attempt;
mod attention;
mod book;
mod cache;
mod choice;
mod device;

pub use attempt::Attempt;
pub use attention::AttentionChoice;
pub use book::{Book, Device};
pub use cache::Cache;
pub use choice::{LeftOut, Look, MARGIN, MatmulChoice, Measure, Refusal, Task, Tried, choose};

use crate::gpu::{Adapter, Compared};
use crate::op::{AttentionKernel, DeviceTraits, MatmulFamily, MatmulKernel, MatmulShape};
use crate::plan::Plan;
use attention::choose_attention;
use device::{Heads, OnDevice};
use std::fmt;
use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

/// Which kernels to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kernels {
    /// Those that every device can run.
    Base,
    /// The fastest that were found on the device.
    Tuned,
}

impl Kernels {
    /// What is taken where nobody has asked for either: a software driver's base kernels are what was found to be fast on
    /// software drivers, the same everywhere.
    pub fn default_for(device: &DeviceTraits) -> Self {
        if device.software { Self::Base } else { Self::Tuned }
    }
}

impl FromStr for Kernels {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        match s.to_ascii_lowercase().as_str() {
            "base" => Ok(Self::Base),
            "tuned" => Ok(Self::Tuned),
            _ => Err("expected base or tuned".into()),
        }
    }
}

impl fmt::Display for Kernels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Base => "base",
            Self::Tuned => "tuned",
        })
    }
}

/// Why something was not tried.
const NO_TIME: &str = "there was no time left to try others";

/// What trying may take before training, unless somebody says otherwise. Multiplications that are not reached, those with the
/// least to do, run on the base kernel, and are tried at another start.
pub const BUDGET: Duration = Duration::from_secs(8);

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
    pub record: Option<Book>,
    /// Where choices are kept.
    pub cache: Cache,
    /// What trying may take: [`BUDGET`].
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
    pub book: Book,
    /// What a person should know, a line each.
    pub remarks: Vec<String>,
}

/// Rounds of planning and choosing. Kernels may need other amounts of scratch memory, so that a batch is worked through in
/// other parts, which are multiplications of other shapes.
const MOST_ROUNDS: usize = 4;

/// Finds the kernels for some work on a device.
///
/// The result is a function of the record and of what is in the cache when this returns, but for what there was no time to
/// try: that runs on base kernels, is in the book and not in the cache. `say` is told before something that takes a while.
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
    let mut book = Book::new(device);
    if kernels.unwrap_or(Kernels::default_for(&traits)) == Kernels::Base {
        if record.is_some_and(|record| record.kernels() == Kernels::Tuned) {
            remarks.push(
                "the run was trained with tuned kernels, and goes on with base ones: not to the same bits".into(),
            );
        }
        book.base = true;
        return Ok(Tuned { book, remarks });
    }
    let mut attempt = cache.attempt(&book.device);
    let without = |traits: DeviceTraits| DeviceTraits { cooperative: None, ..traits };
    let (given, hopeless) = (traits.cooperative.is_some(), attempt.hopeless());
    let known = cache.read(&book.device, &mut remarks);
    let mut unordered = given && known.unordered;
    let whole = cache.clone();
    let mut search = Search { adapter, traits, on_trial: traits, cache, budget, attempt: &mut attempt, remarks, say };
    if given && (hopeless || unordered) {
        search.on_trial = without(traits);
        // What is chosen without them is kept for itself.
        search.cache = search.cache.plain();
    }
    let record = record.filter(|record| record.kernels() == Kernels::Tuned);
    let (mut book, tried) = search.run(book, record.clone(), work)?;
    // A software driver takes minutes for a step; only cooperative matrices are worth them, until it was seen once.
    let unsure = book.cooperative() && !known.ordered;
    let worth = unsure || tried && (book.cooperative() || !traits.software && !book.is_plain(&traits));
    let repeats = if worth { search.repeats(&book, work) } else { None };
    if repeats == Some(true) && book.cooperative() {
        whole.mark(&book.device, true, &mut search.remarks);
    }
    if repeats == Some(false) {
        if book.cooperative() {
            unordered = true;
            whole.mark(&book.device, false, &mut search.remarks);
            search.on_trial = without(traits);
            search.cache = whole.clone().plain();
            book = search.run(Book::new(book.device), None, work)?.0;
        } else {
            let line = "two equal steps did not end on the same bits: a run does not repeat to the bit on";
            search.remarks.push(format!("{line} {}", adapter.info().name));
        }
    }
    let mut remarks = search.remarks;
    // A run that was begun with them goes on with them.
    let told = given && !book.cooperative();
    if told && hopeless {
        remarks.extend(attempt.remark());
    } else if told && unordered {
        let path = whole
            .file(&book.device)
            .map_or(String::new(), |path| format!("; delete {} to have them tried again", path.display()));
        let line = "tensor cores are not used: two equal steps with them did not end on the same bits on this device";
        remarks.push(format!("{line}{path}"));
    }
    book.sort();
    Ok(Tuned { book, remarks })
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
    attempt: &'a mut Attempt,
    remarks: Vec<String>,
    say: &'a mut dyn FnMut(&str),
}

impl Search<'_> {
    fn begin(&mut self) {
        if self.on_trial.cooperative.is_some() {
            self.attempt.begin();
        }
    }

    /// Whether whole steps repeat.
    fn repeats<W: Work>(&mut self, book: &Book, work: &mut W) -> Option<bool> {
        (self.say)(&format!("checking that steps repeat to the bit on {}…", self.adapter.info().name));
        self.begin();
        work.repeats(book.traits(self.traits))
    }

    /// Completes `book`, which begins as the `record` of a run if there is one; and whether anything was tried.
    fn run<W: Work>(&mut self, mut book: Book, record: Option<Book>, work: &mut W) -> Result<(Book, bool), W::Error> {
        let name = self.adapter.info().name.clone();
        let mut given_up = Vec::new();
        let families = AttentionKernel::on_trial(&self.on_trial);
        let mut trials = OnDevice::new(self.adapter, self.on_trial);
        trials.keep_in(&self.cache, &book.device);
        let (mut stale, mut tried) = (None, false);
        if let Some(record) = record {
            // The kernels are still fine after a change, unless the new driver or the new source is wrong.
            stale = Some(record.device).filter(|before| *before != book.device);
            (book.matmul, book.attention) = (record.matmul, record.attention);
        }
        for _ in 0..MOST_ROUNDS {
            let plans = work.plans(book.traits(self.traits))?;
            let (all, heads) = (trials.tasks(&plans), trials.heads(&plans, &families));
            if let Some(before) = stale.take() {
                (self.say)(&format!("checking the run's kernels on {name}…"));
                self.begin();
                tried = true;
                self.remarks.extend(check_again(&mut book, &before, &all, &heads, &families, &mut trials));
            }
            let count = all.len();
            let missing: Vec<Task> = all.into_iter().filter(|task| book.get(&task.shape).is_none()).collect();
            let settled = heads.is_empty() || book.attention.last().is_some_and(|choice| choice.ops == heads.ops());
            if missing.is_empty() && settled {
                break;
            }
            let known = self.cache.read(&book.device, &mut self.remarks);
            let mut open = Vec::new();
            for task in missing {
                match known.get(&task.shape).filter(|choice| task.candidates.contains(&choice.kernel)) {
                    Some(choice) => book.matmul.push(choice.alone()),
                    None => open.push(task),
                }
            }
            let before = known.attention.iter().find(|choice| choice.ops == heads.ops()).filter(|_| !settled);
            book.attention.extend(before.map(AttentionChoice::alone));
            let try_attention = !settled && before.is_none();
            if open.is_empty() && !try_attention {
                continue;
            }
            (self.say)(&format!("trying kernels for {name} (once, up to {} s)…", self.budget.as_secs().max(1)));
            self.begin();
            let mut found = Book::new(book.device.clone());
            if try_attention {
                found.attention.push(match trials.elapsed() < self.budget {
                    true => trials.choose_attention(&heads, &families),
                    false => AttentionChoice::untried(heads.ops(), Some(NO_TIME.into())),
                });
            }
            if trials.lost() {
                given_up.push(MatmulFamily::Cooperative);
            }
            found.matmul = choose(open, self.budget, &known.matmul, &mut given_up, &mut trials);
            self.remarks.extend(about_left_out(&found));
            self.remarks.extend(about_late(&found, count, trials.elapsed()));
            // What could not be tried now is tried at another start.
            let mut late = Book::new(book.device.clone());
            late.matmul = found.matmul.extract_if(.., |choice| choice.untried.is_some()).collect();
            late.attention = found.attention.extract_if(.., |choice| choice.untried.is_some()).collect();
            tried |= !found.is_empty();
            for now in [self.cache.add(found, &mut self.remarks), late] {
                book.matmul.extend(now.matmul.iter().map(MatmulChoice::alone));
                book.attention.extend(now.attention.iter().map(AttentionChoice::alone));
            }
        }
        self.budget = self.budget.saturating_sub(trials.elapsed());
        Ok((book, tried))
    }
}

/// One line about what could not be tried, of `count` multiplications in all.
fn about_late(found: &Book, count: usize, took: Duration) -> Option<String> {
    let late = found.matmul.iter().filter(|choice| choice.untried.is_some()).count();
    let other = found.matmul.iter().find(|choice| choice.untried.as_deref().is_some_and(|why| why != NO_TIME));
    if let Some(choice) = other {
        let why = choice.untried.as_deref().unwrap_or_default();
        return Some(format!(
            "kernels could not be tried for {late} of {count} multiplications, which run on base kernels now and are tried at \
             another start: {} ({why})",
            choice.shape
        ));
    }
    (late > 0).then(|| {
        format!(
            "kernels were tried for {} of {count} multiplications in {:.0} s; the others run on base kernels and are tried at \
             another start (--tune-seconds gives them more time)",
            count - late,
            took.as_secs_f64()
        )
    })
}

/// Holds what a run was trained with before the driver or leyden changed against the base kernels once more.
fn check_again(
    book: &mut Book,
    before: &Device,
    tasks: &[Task],
    heads: &Heads,
    families: &[AttentionKernel],
    trials: &mut OnDevice,
) -> Option<String> {
    const GONE: &str = "is no kernel for this device any more";
    let (mut kept, mut dropped) = (0, Vec::new());
    // What the plans do not need any more is not checked, and not kept.
    book.matmul.retain(|choice| tasks.iter().any(|task| task.shape == choice.shape));
    for choice in &mut book.matmul {
        let Some(task) = tasks.iter().find(|task| task.shape == choice.shape) else { continue };
        let [base, ..] = task.candidates[..] else { continue };
        if choice.kernel == base {
            continue;
        }
        let known = task.candidates.contains(&choice.kernel);
        let check = |trials: &mut OnDevice| trials.check(task, choice.kernel).unwrap_or_else(|it| Some(it.reason));
        let wrong = if known { check(trials) } else { Some(GONE.into()) };
        match wrong {
            None => kept += 1,
            Some(reason) => {
                dropped.push(format!("{} for {}: {reason}", choice.kernel, choice.shape));
                choice.left_out.push(LeftOut { kernel: choice.kernel, reason });
                choice.kernel = base;
            }
        }
    }
    let attention = book.attention.drain(..).next_back().filter(|choice| choice.ops == heads.ops());
    if let Some(mut choice) = attention {
        if let Some(kernel) = choice.kernel {
            let known = families.contains(&kernel);
            let wrong = |compared: Result<Compared, String>| compared.map_or_else(Some, |compared| compared.wrong);
            match if known { wrong(trials.check_attention(heads, kernel)) } else { Some(GONE.into()) } {
                None => kept += 1,
                Some(reason) => {
                    dropped.push(format!("{kernel} attention: {reason}"));
                    choice.left_out.push(LeftOut { kernel, reason });
                    choice.kernel = None;
                }
            }
        }
        book.attention.push(choice);
    }
    let what = if before.driver == book.device.driver { "leyden's kernels have" } else { "the driver has" };
    Some(match dropped.first() {
        None => {
            format!("{what} changed since this run began; its {kept} tuned kernels still agree with the base kernels")
        }
        Some(first) => format!(
            "{what} changed since this run began: the base kernel takes the place of {} ({first}), so it does not go on to \
             the same bits",
            dropped.len()
        ),
    })
}

/// One line about the kernels that cannot be used.
fn about_left_out(found: &Book) -> Option<String> {
    fn line<K: Display>(LeftOut { kernel, reason }: &LeftOut<K>, what: &dyn Display) -> String {
        format!("{kernel} for {what}: {reason}")
    }
    let matmul = found.matmul.iter().flat_map(|choice| choice.left_out.iter().map(|out| line(out, &choice.shape)));
    let attention = found.attention.iter().flat_map(|choice| choice.left_out.iter().map(|out| line(out, &"attention")));
    let all: Vec<String> = attention.chain(matmul).collect();
    let first = all.first()?;
    let kernels = if all.len() == 1 { "1 kernel is".to_string() } else { format!("{} kernels are", all.len()) };
    Some(format!("{kernels} not used on this device: {first}; `leyden devices --kernels` lists what is used"))
}

/// How far a kernel's sums of k products may be from the base kernel's, relative to what they usually are
/// ([`crate::gpu::Trials::compare`]).
///
/// Another order of adding moves a sum by some units in the last place, 6e-8 of it each, to either side. Tensor cores cut off
/// where others round, always to the same side, which adds up over the k / 16 steps of a slice; slices are added up in single
/// precision. One product that is missing or taken twice moves the sum by about 1 / sqrt(k) of what it usually is, far more.
pub fn tolerance(k: usize, kernel: &MatmulKernel) -> f32 {
    let slice = k.div_ceil(kernel.slices.max(1).into());
    let cut_off = if kernel.family == MatmulFamily::Cooperative { 8e-9 * slice as f32 } else { 0.0 };
    1e-5 + 1e-7 * (k as f32).sqrt() + cut_off
}

/// How far attention with cooperative matrices may be from attention without: its probabilities and their gradients are
/// rounded to half precision, which moves each by up to 2^-11 of itself.
const ATTENTION_TOLERANCE: f32 = 4.0 / 2_048.0;

/// The traits under which `shape` runs on `kernel`, and everything else on its base kernel.
fn with_kernel(traits: &DeviceTraits, shape: MatmulShape, kernel: MatmulKernel) -> DeviceTraits {
    DeviceTraits { tuning: crate::op::Tuning::new(vec![(shape, kernel)]), ..*traits }
}
