//! The commands of a step, and how they are recorded and cut into submissions.

use std::ops::Range;

/// Most dispatches in one submission.
const MOST_DISPATCHES: usize = 256;

/// Most work in one submission, in floating-point operations: about 200 ms on a slow GPU (Windows resets one that is
/// busy for 2 s) and about a second on a software driver.
const MOST_WORK: [u64; 2] = [200_000_000_000, 10_000_000_000];

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

/// Cuts the commands into submissions, none of which keeps a device busy for long.
pub(super) fn split(commands: &[Command], software: bool) -> Vec<Range<usize>> {
    let most = MOST_WORK[usize::from(software)];
    let mut ranges = Vec::new();
    let (mut start, mut work) = (0, 0);
    for (i, command) in commands.iter().enumerate() {
        let next = if let Command::Dispatch(dispatch) = command { dispatch.work } else { 0 };
        if i > start && (i - start >= MOST_DISPATCHES || work + next > most) {
            ranges.push(start..i);
            (start, work) = (i, 0);
        }
        work += next;
    }
    ranges.push(start..commands.len());
    ranges
}
