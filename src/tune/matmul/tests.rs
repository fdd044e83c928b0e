//! Choices on a device of plain data.

use super::*;

/// A device as plain data: seconds by kernel, what fails to run, and what is wrong with results.
#[derive(Default)]
struct Fake {
    seconds: Vec<(MatmulKernel, f64)>,
    refused: Vec<MatmulKernel>,
    /// Whether what is refused brings the device down.
    lost: bool,
    wrong: Vec<MatmulKernel>,
    /// What is right once and wrong later.
    unsteady: Vec<MatmulKernel>,
    /// Every timing takes so long.
    each: Duration,
    spent: Duration,
    checked: Vec<MatmulKernel>,
    order: Vec<MatmulShape>,
    looked: Vec<Vec<MatmulKernel>>,
    timed: Vec<Vec<MatmulKernel>>,
    next: Vec<(MatmulShape, Vec<MatmulKernel>)>,
    kept: Vec<MatmulChoice>,
}

impl Fake {
    fn of(&self, kernel: &MatmulKernel) -> f64 {
        self.seconds.iter().find(|(k, _)| k == kernel).map_or(1.0, |&(_, s)| s)
    }
}

impl Measure for Fake {
    fn look(&mut self, task: &Task, kernels: &[MatmulKernel]) -> Result<Vec<Look>, Refusal> {
        self.spent += self.each;
        self.order.push(task.shape);
        self.looked.push(kernels.to_vec());
        if kernels.iter().any(|kernel| self.refused.contains(kernel)) {
            return Err(Refusal { reason: "the driver refused it".into(), lost: self.lost });
        }
        let wrong =
            |kernel: &MatmulKernel| self.wrong.contains(kernel).then(|| "gives 1 where the base gives 2".into());
        let look = |kernel| Look { seconds: self.of(kernel), error: 1e-7, wrong: wrong(kernel) };
        Ok(kernels.iter().map(look).collect())
    }

    fn time(&mut self, _: &Task, kernels: &[MatmulKernel]) -> Result<Vec<Vec<f64>>, Refusal> {
        self.timed.push(kernels.to_vec());
        // One reading that somebody else's work made long.
        Ok(kernels.iter().map(|kernel| vec![self.of(kernel), 50.0, self.of(kernel)]).collect())
    }

    fn check(&mut self, _: &Task, kernel: MatmulKernel) -> Result<Option<String>, Refusal> {
        self.checked.push(kernel);
        Ok(self.unsteady.contains(&kernel).then(|| "gives other bits each time".into()))
    }

    fn next(&mut self, task: &Task, kernels: &[MatmulKernel]) {
        self.next.push((task.shape, kernels.to_vec()));
    }

    fn keep(&mut self, choice: &MatmulChoice) {
        self.kept.push(choice.clone());
    }

    fn elapsed(&self) -> Duration {
        self.spent
    }
}

fn kernel(slices: usize) -> MatmulKernel {
    let base: MatmulKernel = "tiles 64x64x16 8x4".parse().unwrap();
    base.split(slices)
}

fn task(m: usize) -> Task {
    let shape = format!("{m}x64x256 tn f32 f32 f32 f32").parse().unwrap();
    Task { shape, candidates: vec![kernel(1), kernel(2), kernel(3), kernel(4)], work: m as u64 }
}

const LONG: Duration = Duration::from_secs(1);

fn one(fake: &mut Fake) -> MatmulChoice {
    let mut choices = choose(vec![task(64)], LONG, &[], &mut Vec::new(), fake);
    assert_eq!(choices.len(), 1);
    choices.remove(0)
}

#[test]
fn the_fastest_that_agrees_wins() {
    let mut fake = Fake { seconds: vec![(kernel(2), 0.7), (kernel(3), 0.5), (kernel(4), 0.6)], ..Fake::default() };
    let choice = one(&mut fake);
    assert_eq!((choice.kernel, choice.gain()), (kernel(3), Some(2.0)));
    assert_eq!(fake.checked, [kernel(3)]);

    assert_eq!(fake.timed, [[kernel(1), kernel(3), kernel(4)]], "what was far behind is not timed again");
    let tried: Vec<(MatmulKernel, f64)> = choice.tried.iter().map(|tried| (tried.kernel, tried.seconds)).collect();
    assert_eq!(tried, [(kernel(1), 1.0), (kernel(2), 0.7), (kernel(3), 0.5), (kernel(4), 0.6)]);
    assert!(choice.tried.iter().all(|tried| tried.error == Some(1e-7)), "{choice:?}");
    assert!(choice.alone().tried.is_empty() && choice.alone().gain() == choice.gain());

    let mut fake = Fake { wrong: vec![kernel(3)], unsteady: vec![kernel(4)], ..fake };
    let choice = one(&mut fake);
    assert_eq!(choice.kernel, kernel(2));
    let out: Vec<MatmulKernel> = choice.left_out.iter().map(|out| out.kernel).collect();
    assert_eq!(out, [kernel(3), kernel(4)]);
    assert!(choice.left_out[0].reason.contains("the base gives"), "{choice:?}");
    assert!(choice.left_out[1].reason.contains("each time"), "{choice:?}");

    let mut fake = Fake { wrong: vec![kernel(2), kernel(3), kernel(4)], ..fake };
    let choice = one(&mut fake);
    assert_eq!((choice.kernel, choice.gain(), choice.left_out.len()), (kernel(1), Some(1.0), 3));
}

#[test]
fn a_little_faster_is_not_enough() {
    let mut fake =
        Fake { seconds: vec![(kernel(2), 0.98), (kernel(3), f64::NAN), (kernel(4), 0.0)], ..Fake::default() };
    assert_eq!(one(&mut fake).kernel, kernel(1));
    assert!(fake.checked.is_empty());
    let mut fake = Fake { seconds: vec![(kernel(2), 0.96)], ..Fake::default() };
    assert_eq!(one(&mut fake).kernel, kernel(2));
}

#[test]
fn what_the_driver_refuses_is_named_and_the_others_are_tried() {
    let seconds = vec![(kernel(2), 0.2), (kernel(4), 0.5)];
    let mut fake = Fake { seconds, refused: vec![kernel(2)], ..Fake::default() };
    let choice = one(&mut fake);
    assert_eq!(choice.kernel, kernel(4));
    let refused = LeftOut { kernel: kernel(2), reason: "the driver refused it".into() };
    assert_eq!(choice.left_out, [refused]);

    let mut fake = Fake { refused: vec![kernel(1)], ..Fake::default() };
    let choice = one(&mut fake);
    assert_eq!((choice.kernel, choice.untried.as_deref()), (kernel(1), Some("the driver refused it")));
}

#[test]
fn a_family_that_brings_the_device_down_is_not_tried_again() {
    let matrices: Vec<MatmulKernel> =
        ["32x32x32 16x32", "64x32x16 32x16"].map(|form| format!("cooperative {form}").parse().unwrap()).to_vec();
    let all = |m| Task { candidates: [&[kernel(1)], &matrices[..], &[kernel(2)]].concat(), ..task(m) };
    let mut fake = Fake { seconds: vec![(kernel(2), 0.5)], refused: matrices.clone(), lost: true, ..Fake::default() };
    let mut given_up = Vec::new();
    let choices = choose(vec![all(2), all(1)], LONG, &[], &mut given_up, &mut fake);
    assert_eq!(choices.iter().map(|c| c.kernel).collect::<Vec<_>>(), [kernel(2); 2]);
    // Together, then without the family, and never with it again.
    assert_eq!(fake.order.iter().map(|shape| shape.m).collect::<Vec<_>>(), [2, 2, 1]);
    assert_eq!((choices[0].left_out.len(), choices[1].left_out.len()), (1, 0));
    assert_eq!(given_up, [MatmulFamily::Cooperative]);
    // A refusal is no reset: each shows for itself.
    let mut fake = Fake { refused: matrices.clone(), ..Fake::default() };
    assert_eq!(choose(vec![all(2)], LONG, &[], &mut Vec::new(), &mut fake)[0].left_out.len(), 2);
}

#[test]
fn the_most_work_comes_first_and_what_is_left_keeps_the_base() {
    let mut fake = Fake { seconds: vec![(kernel(2), 0.5)], each: LONG / 2, ..Fake::default() };
    let tasks = vec![task(1), task(3), task(2), task(4)];
    let choices = choose(tasks, LONG, &[], &mut Vec::new(), &mut fake);
    let order: Vec<usize> = choices.iter().map(|choice| choice.shape.m).collect();
    assert_eq!(order, [4, 3, 2, 1]);
    assert_eq!(fake.order.len(), 2);
    assert_eq!(choices.iter().map(|c| c.kernel).collect::<Vec<_>>(), [kernel(2), kernel(2), kernel(1), kernel(1)]);
    assert!(choices[1].untried.is_none() && choices[2].untried.is_some());
    assert_eq!(fake.kept, choices[..2], "what was chosen is kept at once");
}

#[test]
fn what_was_slow_for_a_like_shape_is_not_tried_and_the_next_is_announced() {
    let seconds = vec![(kernel(1), 1.0), (kernel(2), 0.4), (kernel(3), 0.9), (kernel(4), 0.5)];
    // By form, whatever the slices: here each has its own.
    let form = |n: usize| -> MatmulKernel { format!("tiles 64x64x{} 4x4", 16 * n).parse().unwrap() };
    let task = |m: usize, layout: &str| Task {
        shape: format!("{m}x64x256 {layout} f32 f32 f32 f32").parse().unwrap(),
        candidates: vec![form(1), form(2), form(4), form(8)],
        work: m as u64,
    };
    let seconds =
        [form(1), form(2), form(4), form(8)].into_iter().zip(seconds).map(|(form, (_, s))| (form, s)).collect();
    let mut fake = Fake { seconds, ..Fake::default() };
    let tasks = vec![task(256, "nn"), task(128, "nn"), task(127, "nt"), task(64, "nn")];
    let choices = choose(tasks, LONG, &[], &mut Vec::new(), &mut fake);
    assert_eq!(choices.iter().map(|c| c.kernel).collect::<Vec<_>>(), [form(2); 4]);
    let all = vec![form(1), form(2), form(4), form(8)];
    let good = vec![form(1), form(2), form(8)];
    // One of another layout is tried with everything.
    assert_eq!(fake.looked, [all.clone(), good.clone(), all.clone(), good.clone()]);
    let next: Vec<usize> = fake.next.iter().map(|(shape, _)| shape.m).collect();
    assert_eq!(next, [128, 127, 64]);
    // What is known from before counts as well.
    let mut later = Fake { seconds: fake.seconds.clone(), ..Fake::default() };
    choose(vec![task(64, "nn")], LONG, &choices, &mut Vec::new(), &mut later);
    assert_eq!(later.looked, [good]);
    // Five times as large is another matter.
    let mut later = Fake { seconds: fake.seconds.clone(), ..Fake::default() };
    choose(vec![task(8_192, "nn")], LONG, &choices, &mut Vec::new(), &mut later);
    assert_eq!(later.looked, [all]);
}
