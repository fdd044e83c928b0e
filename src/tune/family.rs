//! The choice of a family of kernels: one for all attention of a plan, and one for its vocabulary.

use super::{Compared, FamilyChoice, LeftOut, MARGIN, Tried};
use crate::op::KernelFamily;

/// Chooses among `families` for `ops`. `time` gives the seconds of all of them without and with a family, `check` how a
/// family's results compare with the general ones; either may give a reason why it cannot be run.
pub(super) fn choose_family(
    ops: Vec<String>,
    families: &[KernelFamily],
    time: &mut dyn FnMut(KernelFamily) -> Result<[f64; 2], String>,
    check: &mut dyn FnMut(KernelFamily) -> Result<Compared, String>,
) -> FamilyChoice {
    let mut choice = FamilyChoice::untried(ops, None);
    for &kernel in families {
        let mut out = |reason| choice.left_out.push(LeftOut { kernel, reason });
        let (base, seconds) = match time(kernel) {
            Ok([base, seconds]) => (base, seconds),
            Err(reason) => {
                out(reason);
                continue;
            }
        };
        let Compared { error, wrong } = match check(kernel) {
            Ok(compared) => compared,
            Err(reason) => {
                out(reason);
                continue;
            }
        };
        if seconds.is_finite() {
            choice.tried.push(Tried { kernel, seconds, error: Some(error).filter(|error| error.is_finite()) });
        }
        if let Some(reason) = wrong {
            out(reason);
            continue;
        }
        let best = choice.seconds.unwrap_or(base);
        // A reading that is not a number wins nothing.
        if seconds > 0.0 && seconds < best * (1.0 - MARGIN) {
            (choice.kernel, choice.base_seconds, choice.seconds) = (Some(kernel), Some(base), Some(seconds));
        }
    }
    choice
}

#[cfg(test)]
mod tests {
    use super::*;
    use KernelFamily::{Cooperative, Tiles};

    fn chosen(times: [Result<[f64; 2], &str>; 2], wrong: Option<KernelFamily>) -> FamilyChoice {
        let mut times = times.into_iter();
        choose_family(
            vec!["attention".into()],
            &[Tiles, Cooperative],
            &mut |_| times.next().unwrap().map_err(String::from),
            &mut |kernel| Ok(Compared { error: 1e-4, wrong: (wrong == Some(kernel)).then(|| "gives 1".into()) }),
        )
    }

    #[test]
    fn the_fastest_family_that_agrees_wins() {
        let choice = chosen([Ok([1.0, 0.8]), Ok([1.0, 0.5])], None);
        assert_eq!((choice.kernel, choice.gain()), (Some(Cooperative), Some(2.0)));
        let tried: Vec<(KernelFamily, f64)> = choice.tried.iter().map(|tried| (tried.kernel, tried.seconds)).collect();
        assert_eq!((tried, choice.tried[0].error), (vec![(Tiles, 0.8), (Cooperative, 0.5)], Some(1e-4)));
        let choice = chosen([Ok([1.0, 0.8]), Ok([1.0, 0.5])], Some(Cooperative));
        assert_eq!((choice.kernel, choice.left_out.len()), (Some(Tiles), 1));
        let choice = chosen([Ok([1.0, 0.98]), Err("refused")], None);
        assert_eq!((choice.kernel, choice.left_out[0].reason.as_str()), (None, "refused"));
        assert_eq!(chosen([Ok([1.0, f64::NAN]), Ok([1.0, 0.0])], None).kernel, None);
    }
}
