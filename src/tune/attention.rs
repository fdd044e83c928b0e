//! The choice of attention's kernels: one family for all attention of a plan.

use super::{LeftOut, MARGIN};
use crate::ops::AttentionKernel;
use serde::{Deserialize, Serialize};

/// What was found for the attention of some plans.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttentionChoice {
    /// The ops and the types of their tensors.
    pub ops: Vec<String>,
    /// The family to use; `None` for those that need no trial.
    pub kernel: Option<AttentionKernel>,
    /// Seconds of all the ops in a step, with the kernels that need no trial; none where they were not timed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_seconds: Option<f64>,
    /// Seconds with the family.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// Why nothing was tried, where it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub untried: Option<String>,
    /// Families that failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOut<AttentionKernel>>,
}

impl AttentionChoice {
    /// No trial.
    pub(super) fn untried(ops: Vec<String>, why: Option<String>) -> Self {
        Self { ops, kernel: None, base_seconds: None, seconds: None, untried: why, left_out: Vec::new() }
    }

    /// How many times as fast as the kernels that need no trial it is, where both were timed.
    pub fn gain(&self) -> Option<f64> {
        Some(self.base_seconds? / self.seconds?)
    }
}

/// Chooses among `families` for `ops`. `time` gives the seconds of all of them without and with a family, `check` what is
/// wrong with a family's results, if anything; either may give a reason why it cannot be run.
pub(super) fn choose_attention(
    ops: Vec<String>,
    families: &[AttentionKernel],
    time: &mut dyn FnMut(AttentionKernel) -> Result<[f64; 2], String>,
    check: &mut dyn FnMut(AttentionKernel) -> Result<Option<String>, String>,
) -> AttentionChoice {
    let mut choice = AttentionChoice::untried(ops, None);
    for &kernel in families {
        let mut out = |reason| choice.left_out.push(LeftOut { kernel, reason });
        match time(kernel) {
            Err(reason) => out(reason),
            Ok([base, seconds]) => {
                let best = choice.seconds.unwrap_or(base);
                // A reading that is not a number wins nothing.
                let faster = seconds > 0.0 && seconds < best * (1.0 - MARGIN);
                match if faster { check(kernel).unwrap_or_else(Some) } else { None } {
                    Some(reason) => out(reason),
                    None if faster => {
                        (choice.kernel, choice.base_seconds, choice.seconds) =
                            (Some(kernel), Some(base), Some(seconds));
                    }
                    None => {}
                }
            }
        }
    }
    choice
}

#[cfg(test)]
mod tests {
    use super::*;
    use AttentionKernel::{Cooperative, Tiles};

    fn chosen(times: [Result<[f64; 2], &str>; 2], wrong: Option<AttentionKernel>) -> AttentionChoice {
        let mut times = times.into_iter();
        choose_attention(
            vec!["attention".into()],
            &[Tiles, Cooperative],
            &mut |_| times.next().unwrap().map_err(String::from),
            &mut |kernel| Ok((wrong == Some(kernel)).then(|| "gives 1".into())),
        )
    }

    #[test]
    fn the_fastest_family_that_agrees_wins() {
        let choice = chosen([Ok([1.0, 0.8]), Ok([1.0, 0.5])], None);
        assert_eq!((choice.kernel, choice.gain()), (Some(Cooperative), Some(2.0)));
        let choice = chosen([Ok([1.0, 0.8]), Ok([1.0, 0.5])], Some(Cooperative));
        assert_eq!((choice.kernel, choice.left_out.len()), (Some(Tiles), 1));
        let choice = chosen([Ok([1.0, 0.98]), Err("refused")], None);
        assert_eq!((choice.kernel, choice.left_out[0].reason.as_str()), (None, "refused"));
        assert_eq!(chosen([Ok([1.0, f64::NAN]), Ok([1.0, 0.0])], None).kernel, None);
    }
}
