//! Kernels that are wrong, refused or slow, on trial.

use super::*;
use crate::gpu::{Choice, choose};
use crate::graph::{DType, GraphError, Node};
use crate::op::{Dispatch, Operand, Twin, no_second_derivative};
use timing::steady;

/// A copy by two kernels, the second of which a test can spoil.
#[derive(Debug)]
struct Copies(fn(Dispatch) -> Dispatch);

const BASE: DeviceTraits = DeviceTraits::FLOOR;
/// Asks for the second kernel.
const OTHER: DeviceTraits = DeviceTraits { invocations: 1, ..BASE };

impl Op for Copies {
    fn name(&self) -> &'static str {
        "copies"
    }

    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, GraphError> {
        Ok(vec![inputs[0].clone()])
    }

    fn backward(&self, _: &mut Graph, _: &Node, _: &[Option<Tensor>]) -> Result<Vec<Option<Tensor>>, GraphError> {
        no_second_derivative("copies")
    }

    fn dispatches(&self, shapes: &Shapes, device: &DeviceTraits) -> Vec<Dispatch> {
        let (x, len) = (&shapes.inputs[0], shapes.inputs[0].len());
        let copy = Dispatch::new("gather_rows")
            .constant("columns", len as u32)
            .element("X", x.dtype)
            .element("Out", x.dtype)
            .read(Operand::Input(0))
            .read(Operand::Input(1))
            .write(Operand::Output(0))
            .elements(len, 256)
            .word(len)
            .word(1);
        vec![if *device == OTHER { self.0(copy) } else { copy }]
    }

    fn twin_f32(&self, _: Twin<'_, f32>) {}
    fn twin_f64(&self, _: Twin<'_, f64>) {}
}

const LEN: usize = 1_003;

fn subject(spoil: fn(Dispatch) -> Dispatch, dtype: DType) -> Subject {
    let (x, positions) = (TensorType::new(dtype, &[1, LEN]), TensorType::u32(&[1, 1]));
    let shapes = Shapes { outputs: vec![x.clone()], inputs: vec![x, positions] };
    Subject { op: Arc::new(Copies(spoil)), shapes, whole: 0, scale: 1.0 }
}

fn trials() -> Trials {
    let name = std::env::var("LEYDEN_TEST_DEVICE").unwrap_or_else(|_| "llvmpipe".into());
    let adapter = choose(&Choice::Named(name)).unwrap_or_else(|error| panic!("{error}"));
    Trials::new(&adapter.expect("a named choice"))
}

#[test]
fn a_kernel_that_is_wrong_is_found_out() {
    let mut trials = trials();
    let f16 = trials.adapter.info().f16;
    for dtype in [DType::F32, DType::F16].into_iter().filter(|&dtype| f16 || dtype == DType::F32) {
        let mut wrong = |spoil| {
            let compared = trials.compare(&subject(spoil, dtype), &BASE, &OTHER, 1e-5);
            let compared = compared.unwrap_or_else(|error| panic!("{error}"));
            // A glance sees the same, and that the base agrees with itself.
            let glance = trials.glance(&subject(spoil, dtype), &[BASE, OTHER, BASE], &[1e-5; 3]);
            let glance = glance.unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(glance.len(), 3);
            assert!(glance[0].seconds > 0.0 && glance[2].seconds > 0.0, "{glance:?}");
            for base in [&glance[0], &glance[2]] {
                assert_eq!(base.compared, Compared { error: 0.0, wrong: None });
            }
            assert_eq!(glance[1].compared.wrong.is_some(), compared.wrong.is_some(), "{glance:?}");
            assert_eq!(glance[1].compared.error, compared.error);
            compared.wrong
        };
        assert_eq!(wrong(|good| good), None);
        let found = wrong(|mut short| {
            short.uniform[0] -= 5;
            short
        });
        assert!(
            found.as_deref().is_some_and(|text| text.contains("gives -1234") && text.contains("[0, 998]")),
            "{found:?}"
        );
        let found = wrong(|mut long| {
            long.uniform[0] += 3;
            long
        });
        assert!(found.as_deref().is_some_and(|text| text.contains("3 elements beyond")), "{found:?}");
        let found = wrong(|good| Dispatch { workgroups: [0, 1, 1], ..good });
        assert!(found.as_deref().is_some_and(|text| text.contains("[0, 0]")), "{found:?}");
    }
}

#[test]
fn a_kernel_that_is_refused_leaves_the_others_be() {
    let mut trials = trials();
    let refused = subject(|_| Dispatch::new("nonsense"), DType::F32);
    let error = trials.time(&refused, &[BASE, OTHER]).expect_err("no such shader").to_string();
    assert!(error.contains("nonsense"), "{error}");
    assert!(trials.compare(&refused, &BASE, &OTHER, 1e-5).is_err());
    assert!(trials.glance(&refused, &[BASE, OTHER], &[1e-5; 2]).is_err());
    // What is compiled ahead and refused is told by whoever needs it.
    trials.compile(&refused, &[OTHER]);
    assert!(trials.time(&refused, &[OTHER]).is_err());
    trials.compile(&subject(|good| good, DType::F32), &[BASE, OTHER]);
    assert!(trials.time(&refused, &[BASE]).is_ok());
}

#[test]
fn rounds_of_another_clock_do_not_count() {
    let round = |first: f64| vec![first, 2.0 * first];
    let firsts = |all: Vec<Vec<f64>>| all.iter().map(|round| round[0]).collect::<Vec<_>>();
    let all: Vec<Vec<f64>> = [1.0, 1.05, 1.5, 0.98, 0.6].map(round).to_vec();
    assert_eq!(firsts(steady(all.clone(), 3)), [1.0, 1.05, 0.98]);
    // Too few would be left, so that all must do.
    assert_eq!(steady(all.clone(), 4), all);
    let nothing = vec![vec![0.0; 2]; 3];
    assert_eq!(steady(nothing.clone(), 3), nothing);

    let mut times = [1.0, 2.0, 2.0].into_iter();
    let mut taken = 0;
    let found = unmoved(|| {
        taken += 1;
        let first = times.next().unwrap_or(9.0);
        Ok((taken, vec![first, 7.0, 2.0]))
    });
    assert_eq!(found, Ok((2, vec![2.0, 7.0, 2.0])));
    let mut taken = 0.0;
    let restless = unmoved(|| {
        taken += 1.0;
        Ok(((), vec![taken, 0.0, 9.0 * taken]))
    });
    assert_eq!(restless.map(|(_, times)| times[0]), Ok(2.0));
    let quiet = unmoved(|| Ok(((), vec![1.0, 0.0, 1.05])));
    assert_eq!(quiet.map(|(_, times)| times[2]), Ok(1.05));
}

#[test]
fn every_way_is_timed_with_and_without_timestamps() {
    let mut trials = trials();
    for timestamps in [trials.timestamps, false] {
        trials.timestamps = timestamps;
        let times = trials.time(&subject(|good| good, DType::F32), &[BASE, OTHER, BASE]);
        let times = times.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(times.len(), 3);
        let glance = trials.glance(&subject(|good| good, DType::F32), &[BASE, OTHER], &[1e-5; 2]);
        let glance = glance.unwrap_or_else(|error| panic!("{error}"));
        assert!(glance.len() == 2 && glance.iter().all(|one| one.seconds > 0.0 && one.compared.wrong.is_none()));
        for seconds in times {
            assert!(seconds.len() >= ROUNDS.0 && seconds.iter().all(|s| s.is_finite() && *s >= 0.0), "{seconds:?}");
        }
    }
}
