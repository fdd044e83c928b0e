//! The commands of a step, and how they are recorded and cut into submissions.

use std::time::Duration;

/// Most dispatches in one submission.
const MOST_DISPATCHES: usize = 256;

/// Work in a submission, in floating-point operations, of a GPU whose speed is not known: an eighth of a second on the slowest.
const UNKNOWN: u64 = 20_000_000_000;
/// The same on a software driver, about a second. Nobody resets one, so that its speed need not be known.
const SOFTWARE: u64 = 10_000_000_000;
/// Least and most that it comes to once the speed is known.
const RANGE: [u64; 2] = [2_000_000_000, 2_000_000_000_000];
/// How long a submission should keep a GPU busy. Drivers reset one that answers nobody for 2 s (Windows) or .64 s (Intel's on
/// Linux), and the screen is drawn in between.
const BUSY: Duration = Duration::from_millis(100);
/// Submissions whose time is taken, at most.
const READINGS: usize = 8;

/// How much work a submission may have: little at first, and what the device does in a tenth of a second once a few were timed.
#[derive(Debug, Clone)]
pub(super) struct Pace {
    most: u64,
    /// Readings to come.
    readings: usize,
}

impl Pace {
    /// `times` says whether submissions can be timed at all.
    pub fn new(software: bool, times: bool) -> Self {
        let most = if software { SOFTWARE } else { UNKNOWN };
        Self { most, readings: if software || !times { 0 } else { READINGS } }
    }

    /// Most work of the next submission.
    pub fn most(&self) -> u64 {
        self.most
    }

    /// Whether the time of a submission with so much work should be taken: what is short says nothing about the speed.
    pub fn wants(&self, work: u64) -> bool {
        self.readings > 0 && work >= self.most / 4
    }

    /// Takes a reading. The first ones after a driver's start are slow, so one alone changes little.
    pub fn read(&mut self, work: u64, took: Duration) {
        self.readings = self.readings.saturating_sub(1);
        let speed = work as f64 / took.as_secs_f64().max(1e-9);
        let aim = (speed * BUSY.as_secs_f64()) as u64;
        let next = aim.clamp(self.most / 4, self.most.saturating_mul(4)).clamp(RANGE[0], RANGE[1]);
        if next.abs_diff(self.most) < self.most / 4 {
            // It has settled.
            self.readings = 0;
        }
        self.most = next;
    }
}

/// One dispatch with everything bound.
#[derive(Debug)]
pub(super) struct Work {
    pub shader: &'static str,
    pub pipeline: wgpu::ComputePipeline,
    pub group: wgpu::BindGroup,
    pub workgroups: [u32; 3],
    /// How much there is to do, in floating-point operations.
    pub work: u64,
}

/// One command of a step.
#[derive(Debug)]
pub(super) enum Command {
    Dispatch(Work),
    Copy { from: (wgpu::Buffer, u64), to: (wgpu::Buffer, u64), bytes: u64 },
}

impl Command {
    /// For errors.
    pub fn name(&self) -> &'static str {
        match self {
            Command::Dispatch(work) => work.shader,
            Command::Copy { .. } => "copy",
        }
    }

    /// Records a copy; nothing for a dispatch.
    pub fn copy(&self, encoder: &mut wgpu::CommandEncoder) {
        if let Command::Copy { from, to, bytes } = self {
            encoder.copy_buffer_to_buffer(&from.0, from.1, &to.0, to.1, Some(*bytes));
        }
    }

    /// Records a dispatch; nothing for a copy. Group 1 must be set.
    pub fn dispatch(&self, pass: &mut wgpu::ComputePass<'_>) {
        if let Command::Dispatch(work) = self {
            let [x, y, z] = work.workgroups;
            pass.set_pipeline(&work.pipeline);
            pass.set_bind_group(0, &work.group, &[]);
            pass.dispatch_workgroups(x, y, z);
        }
    }
}

/// Records commands into an encoder, in as few passes as copies allow. `step` is group 1.
pub(super) fn record(encoder: &mut wgpu::CommandEncoder, commands: &[Command], step: &wgpu::BindGroup) {
    let mut rest = commands;
    while let Some(first) = rest.first() {
        let copies = matches!(first, Command::Copy { .. });
        let same = |command: &Command| matches!(command, Command::Copy { .. }) == copies;
        let end = rest.iter().position(|command| !same(command)).unwrap_or(rest.len());
        if copies {
            rest[..end].iter().for_each(|command| command.copy(encoder));
        } else {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            pass.set_bind_group(1, step, &[]);
            for command in &rest[..end] {
                command.dispatch(&mut pass);
            }
        }
        rest = &rest[end..];
    }
}

/// How many of the commands make the next submission, at least one where there are any, and their work: no more than keeps a
/// device busy for long.
pub(super) fn next_submission(commands: &[Command], most: u64) -> (usize, u64) {
    let mut work = 0;
    for (i, command) in commands.iter().enumerate() {
        let next = if let Command::Dispatch(dispatch) = command { dispatch.work } else { 0 };
        if i > 0 && (i >= MOST_DISPATCHES || work + next > most) {
            return (i, work);
        }
        work += next;
    }
    (commands.len(), work)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The work of submissions on a device that does so much in a second, until it settles.
    fn paced(speed: f64) -> Vec<u64> {
        let (mut pace, mut all) = (Pace::new(false, true), vec![UNKNOWN]);
        while pace.wants(pace.most()) {
            let work = pace.most();
            pace.read(work, Duration::from_secs_f64(work as f64 / speed));
            all.push(pace.most());
        }
        all
    }

    #[test]
    fn submissions_come_to_a_tenth_of_a_second() {
        // A fast GPU, one that is as slow as they come, one in between, and one that is slower still.
        assert_eq!(paced(1e13), [20, 80, 320, 1_000, 1_000].map(|giga| giga * 1_000_000_000));
        assert_eq!(paced(2e11), [UNKNOWN; 2]);
        assert_eq!(
            paced(1e12),
            [20, 80, 100].map(|giga| giga * 1_000_000_000).into_iter().chain([100_000_000_000]).collect::<Vec<_>>()
        );
        assert_eq!(paced(5e10).last(), Some(&5_000_000_000));
        assert_eq!(paced(1e16).last(), Some(&RANGE[1]));
        assert_eq!(paced(1.0).last(), Some(&RANGE[0]));
        assert!(paced(1e18).len() <= READINGS + 1);
    }

    #[test]
    fn what_is_short_and_software_is_not_timed() {
        let pace = Pace::new(false, true);
        assert!(pace.wants(UNKNOWN / 4) && !pace.wants(UNKNOWN / 4 - 1));
        let software = Pace::new(true, true);
        assert!(!software.wants(SOFTWARE) && software.most() == SOFTWARE);
        // No time at all, as of a clock that is too coarse.
        let mut pace = Pace::new(false, true);
        pace.read(UNKNOWN, Duration::ZERO);
        assert_eq!(pace.most(), 4 * UNKNOWN);
    }
}
