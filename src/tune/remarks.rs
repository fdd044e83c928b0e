//! What a person is told of a search, a line each.

use super::{KernelChoices, LeftOut, NO_TIME};
use crate::op::FamilyOf;
use std::fmt::Display;
use std::time::Duration;

/// One line about what could not be tried, of `count` multiplications in all.
pub(super) fn about_late(found: &KernelChoices, count: usize, took: Duration) -> Option<String> {
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

/// One line about the kernels that cannot be used.
pub(super) fn about_left_out(found: &KernelChoices) -> Option<String> {
    fn line<K: Display>(LeftOut { kernel, reason }: &LeftOut<K>, what: &dyn Display) -> String {
        format!("{kernel} for {what}: {reason}")
    }
    let matmul = found.matmul.iter().flat_map(|choice| choice.left_out.iter().map(|out| line(out, &choice.shape)));
    let families = FamilyOf::ALL.into_iter().flat_map(|of| {
        found.families(of).iter().flat_map(move |choice| choice.left_out.iter().map(move |out| line(out, &of)))
    });
    let all: Vec<String> = families.chain(matmul).collect();
    let first = all.first()?;
    let kernels = if all.len() == 1 { "1 kernel is".to_string() } else { format!("{} kernels are", all.len()) };
    Some(format!("{kernels} not used on this device: {first}; `leyden devices --kernels` lists what is used"))
}
