//! A run's own kernels after a change of the driver or of leyden.

use super::on_device::{Heads, OnDevice};
use super::{Compared, Device, FamilyChoice, KernelChoices, LeftOut, Measure, Task};

/// Holds what a run was trained with before the driver or leyden changed against the base kernels once more.
pub(super) fn check_again(
    choices: &mut KernelChoices,
    before: &Device,
    tasks: &[Task],
    heads: &[Heads],
    trials: &mut OnDevice,
) -> Option<String> {
    const GONE: &str = "is no kernel for this device any more";
    const BEFORE: &str = "the run began before there was another";
    let (mut kept, mut dropped) = (0, Vec::new());
    // What the plans do not need any more is not checked, and not kept.
    choices.matmul.retain(|choice| tasks.iter().any(|task| task.shape == choice.shape));
    for choice in &mut choices.matmul {
        let Some(task) = tasks.iter().find(|task| task.shape == choice.shape) else { continue };
        let [base, ..] = task.candidates[..] else { continue };
        if choice.kernel == base {
            continue;
        }
        let known = trials.can_run(&task.shape, &choice.kernel);
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
    for heads in heads {
        let of = heads.of();
        if choices.families(of).is_empty() && !heads.is_empty() {
            // The run began before there was a choice, and goes on as it began.
            choices.families_mut(of).push(FamilyChoice::untried(heads.ops(), Some(BEFORE.into())));
            continue;
        }
        let last = choices.families_mut(of).drain(..).next_back().filter(|choice| choice.ops == heads.ops());
        let Some(mut choice) = last else { continue };
        if let Some(kernel) = choice.kernel {
            let known = heads.families().contains(&kernel);
            let wrong = |compared: Result<Compared, String>| compared.map_or_else(Some, |compared| compared.wrong);
            match if known { wrong(trials.check_family(heads, kernel)) } else { Some(GONE.into()) } {
                None => kept += 1,
                Some(reason) => {
                    dropped.push(format!("{kernel} {of}: {reason}"));
                    choice.left_out.push(LeftOut { kernel, reason });
                    choice.kernel = None;
                }
            }
        }
        choices.families_mut(of).push(choice);
    }
    let what = if before.driver == choices.device.driver { "leyden's kernels have" } else { "the driver has" };
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
