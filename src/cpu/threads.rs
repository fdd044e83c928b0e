//! On how many threads a program's steps run.
//!
//! A step has hundreds of ops, and at the end of each all threads wait for the slowest. Where another program keeps a core busy, a
//! thread now and then loses its core for milliseconds, and each time all others wait with it: on two cores of which one was busy a step
//! of `tiny` took a quarter longer on both than on one alone, and twice as long where both were. Since a step is the same bits on any
//! number of threads, fewer are tried once, again where steps have become slow, and more again later. Where many are no better than few,
//! fewer still are not tried.

use rayon::{ThreadPool, ThreadPoolBuilder};
use std::sync::OnceLock;

/// Steps whose median says how fast a number of threads is.
const STEPS: usize = 3;
/// Steps that take so much longer than they did are slow.
const SLOW: f64 = 1.25;
/// One step so much slower than the best median is enough.
const HOPELESS: f64 = 1.5;
/// Fewer threads must take less than this part of the time.
const BETTER: f64 = 0.95;
/// Seconds of steps before the first trial: what is over sooner is not worth one.
const FIRST: f64 = 3.0;
/// Least seconds of steps from one trial to the next.
const PAUSE: f64 = 5.0;
/// And at least so many times what the last one took.
const SHARE: f64 = 20.0;

/// Runs `f` on a pool of so many threads, or on all where there is none.
pub(super) fn run<T: Send>(threads: usize, f: impl FnOnce() -> T + Send) -> T {
    /// By how much fewer than all they have is halved or one; made when they are needed.
    static POOLS: OnceLock<Vec<(usize, OnceLock<Option<ThreadPool>>)>> = OnceLock::new();
    let pools = POOLS.get_or_init(|| counts().into_iter().skip(1).map(|count| (count, OnceLock::new())).collect());
    let found = pools.iter().find(|(count, _)| *count == threads);
    let pool = found.and_then(|(count, pool)| {
        pool.get_or_init(|| ThreadPoolBuilder::new().num_threads(*count).build().ok()).as_ref()
    });
    match pool {
        Some(pool) => pool.install(f),
        // From outside a pool, each op would hand its work over and wait.
        None => rayon::scope(|_| f()),
    }
}

/// Numbers of threads that may be tried, all first.
fn counts() -> Vec<usize> {
    let all = rayon::current_num_threads();
    let mut counts = vec![all, all - 1, all / 2, 1];
    counts.retain(|&count| count > 0);
    counts.dedup();
    counts
}

/// How fast a program's steps are, and on how many threads they run for it.
#[derive(Debug)]
pub(super) struct Pace {
    counts: Vec<usize>,
    /// The index of what its steps run on now.
    on: usize,
    /// Seconds of the steps on it that have not been judged.
    times: Vec<f64>,
    /// The fastest median on all threads since the last trial; 0 before the first one.
    fastest: f64,
    /// Medians by index, where a trial is under way.
    trial: Option<Trial>,
    /// Seconds of all steps so far.
    now: f64,
    /// When the next trial may begin.
    next: f64,
}

#[derive(Debug)]
struct Trial {
    since: f64,
    medians: Vec<Option<f64>>,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self::of(counts())
    }

    fn of(counts: Vec<usize>) -> Self {
        Self { counts, on: 0, times: Vec::new(), fastest: 0.0, trial: None, now: 0.0, next: FIRST }
    }

    /// The threads that the next step is to run on.
    pub(super) fn threads(&self) -> usize {
        self.counts[self.on]
    }

    /// Takes in how long a step took.
    pub(super) fn step(&mut self, seconds: f64) {
        if self.counts.len() < 2 {
            return;
        }
        self.times.push(seconds);
        self.now += seconds;
        let now = self.now;
        let best =
            self.trial.iter().flat_map(|trial| trial.medians.iter().flatten()).fold(f64::INFINITY, |a, &b| a.min(b));
        if self.times.len() < STEPS && seconds < best * HOPELESS {
            return;
        }
        self.times.sort_by(f64::total_cmp);
        let median = self.times[self.times.len() / 2];
        self.times.clear();
        if self.on == 0 {
            self.fastest = self.fastest.min(median);
        }
        match &mut self.trial {
            Some(trial) => trial.medians[self.on] = Some(median),
            // On fewer threads it looks from time to time whether more are better by now.
            None if now >= self.next && (self.on > 0 || median > self.fastest * SLOW) => {
                let mut medians = vec![None; self.counts.len()];
                medians[self.on] = Some(median);
                self.trial = Some(Trial { since: now, medians });
            }
            None => return,
        }
        let Some(trial) = &self.trial else { return };
        // Fewer threads than those would be slower still.
        let enough = median > best * SLOW && self.on > 0;
        if let Some(untried) = trial.medians.iter().position(Option::is_none).filter(|_| !enough) {
            self.on = untried;
            return;
        }
        let medians: Vec<f64> = trial.medians.iter().map(|median| median.unwrap_or(f64::INFINITY)).collect();
        let fewer = (0..medians.len()).filter(|&i| medians[i] < medians[0] * BETTER);
        self.on = fewer.min_by(|&a, &b| medians[a].total_cmp(&medians[b])).unwrap_or(0);
        if self.on == 0 {
            // It is not for want of cores: so fast are steps now.
            self.fastest = medians[0];
        }
        self.next = now + PAUSE.max(SHARE * (now - trial.since));
        self.trial = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes steps until `seconds` have passed, each as long as `of` says for its threads and when it began: how often each number of
    /// threads was taken.
    fn taken(pace: &mut Pace, now: &mut f64, seconds: f64, of: impl Fn(usize) -> f64) -> Vec<(usize, usize)> {
        let (end, mut counts) = (*now + seconds, Vec::new());
        while *now < end {
            let threads = pace.threads();
            let took = of(threads);
            *now += took;
            pace.step(took);
            match counts.iter_mut().find(|(count, _)| *count == threads) {
                Some((_, times)) => *times += 1,
                None => counts.push((threads, 1)),
            }
        }
        counts
    }

    #[test]
    fn all_threads_are_taken_unless_fewer_are_faster() {
        let (mut pace, mut now) = (Pace::of(vec![8, 7, 4, 1]), 0.0);
        let quiet = |threads: usize| 0.8 / threads as f64;
        let of = |counts: &[(usize, usize)], count: usize| {
            counts.iter().find(|(threads, _)| *threads == count).map_or(0, |(_, times)| *times)
        };
        assert_eq!(taken(&mut pace, &mut now, 2.0, quiet), [(8, 20)]);
        let counts = taken(&mut pace, &mut now, 30.0, quiet);
        assert!(pace.threads() == 8 && of(&counts, 8) > 280 && of(&counts, 4) == 1, "{counts:?}");
        assert_eq!(of(&counts, 1), 0, "{counts:?}");
        // One core is lent: whoever needs all eight waits for it.
        let busy = |threads: usize| if threads == 8 { 0.3 } else { 0.8 / threads as f64 };
        let counts = taken(&mut pace, &mut now, 60.0, busy);
        assert_eq!(pace.threads(), 7);
        assert!(of(&counts, 7) > 400 && of(&counts, 8) < 60 && of(&counts, 1) < 20, "{counts:?}");
        // And is back.
        taken(&mut pace, &mut now, 60.0, quiet);
        assert_eq!(pace.threads(), 8);
    }

    #[test]
    fn what_is_slower_for_another_reason_stays_on_all_threads() {
        let (mut pace, mut now) = (Pace::of(vec![2, 1]), 0.0);
        taken(&mut pace, &mut now, 10.0, |threads| 0.1 / threads as f64);
        // As a laptop that has become hot.
        let counts = taken(&mut pace, &mut now, 60.0, |threads| 0.2 / threads as f64);
        assert_eq!(pace.threads(), 2);
        assert!(counts.iter().any(|&(threads, times)| threads == 1 && times <= 5), "{counts:?}");
    }

    #[test]
    fn one_thread_has_nothing_to_choose() {
        let (mut pace, mut now) = (Pace::of(vec![1]), 0.0);
        assert_eq!(taken(&mut pace, &mut now, 1.0, |_| 0.1).len(), 1);
    }

    #[test]
    fn runs_on_as_many_threads_as_it_says() {
        for count in counts() {
            assert_eq!(run(count, rayon::current_num_threads), count);
        }
    }
}
