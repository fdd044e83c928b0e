//! An objective in phases: what each trains, what is copied between them, schedules, and that a run which is stopped anywhere
//! goes on as if it had never been.

mod common;

use common::small_config;
use leyden::batch::{Batch, MASKED_IDS, MaskedText, Masking, POSITIONS, TARGETS, WEIGHTS};
use leyden::config::Config;
use leyden::corpus::{self, ExampleOptions, Examples, SAMPLE, SpecialTokens, Tokenizer, VocabularyOptions};
use leyden::cpu::CpuEngine;
use leyden::graph::{Graph, GraphError};
use leyden::history::TextFacts;
use leyden::measure::{Mean, Measure, Measures, Plot, Values};
use leyden::model::{Builder, Model, ModelConfig, Network, Tie};
use leyden::objective::{BadValue, Demonstration, Inputs, Mode, Objective, Outputs, Phase, Results, Setting, Tally};
use leyden::op::StepState;
use leyden::ops;
use leyden::plan::{Engine, Target};
use leyden::run::Run;
use leyden::session::{Report, Session, Setup};
use leyden::train::{Data, Event, Recipe, Resources, Snapshot, Trainer};
use leyden::transformers::entries;
use std::sync::Arc;

const STEPS: u64 = 10;
/// The step that the second phase begins with.
const SECOND: u64 = 4;

/// A first network learns; a second one begins as it, and learns while the first stays as it is.
#[derive(Debug)]
struct OneAfterTheOther;

impl Objective for OneAfterTheOther {
    fn title(&self) -> &'static str {
        "one after the other"
    }

    fn about(&self) -> &'static str {
        ""
    }

    fn check(&self, _: &ModelConfig) -> Result<(), BadValue> {
        Ok(())
    }

    fn networks(&self, b: &mut Builder, sizes: &ModelConfig) -> Vec<Network> {
        let mut first = b.network("first", sizes);
        let mut second = b.tied("second", &first, Tie::Embeddings, sizes);
        b.masked_lm(&mut first, true);
        b.masked_lm(&mut second, true);
        vec![first, second]
    }

    fn masking(&self) -> Option<Masking> {
        Some(Masking::default())
    }

    fn build(&self, g: &mut Graph, model: &Model, batch: &mut Inputs, mode: Mode) -> Result<Outputs, GraphError> {
        let name = ["first", "second"][mode.phase];
        let (network, ids, encoded) = (model.network(name)?, batch.column(g, MASKED_IDS), batch.encoded(g, mode));
        let head = network.masked_lm()?;
        let hidden = network.encode(g, ids, encoded)?;
        let positions = batch.column(g, POSITIONS);
        let selected = ops::gather_rows(g, hidden, positions)?;
        let x = head.hidden(g, selected)?;
        let words = (g.parameter(head.output), g.parameter(head.bias));
        let targets = batch.column(g, TARGETS);
        let nll = ops::vocabulary_nll(g, x, words, targets)?.nll;
        let (weights, total) = (batch.column(g, WEIGHTS), batch.total(g, WEIGHTS));
        let loss = ops::weighted_mean(g, nll, weights, total)?;
        Ok(Outputs::new(loss).sum(name, loss))
    }

    fn measures(&self, _: &Setting) -> Measures {
        Measures::new([Measure { plot: Plot::Main, selects: true, ..Measure::loss("first", "First", "nats") }])
    }

    fn tally(&self) -> Box<dyn Tally> {
        Box::new(Losses::default())
    }

    fn in_words(&self, _: &Values, _: &Values) -> String {
        String::new()
    }

    fn demonstration(&self) -> Demonstration {
        Demonstration::Masked { guesses: "best" }
    }

    fn phases(&self) -> Vec<Phase> {
        let phase = |name, share| Phase { name, share, restarts_schedule: true, ..Phase::WHOLE };
        vec![
            Phase { trains: Some(&["first"]), ..phase("first alone", 0.4) },
            Phase { trains: Some(&["second"]), copies: Some(("first", "second")), ..phase("second from it", 0.6) },
        ]
    }
}

#[derive(Debug, Default)]
struct Losses(Mean);

impl Tally for Losses {
    fn add(&mut self, _: &Batch, out: &Results) {
        self.0.add(out.mean("loss"), 1.0);
    }

    fn finish(&mut self) -> Values {
        Values::from([("first", std::mem::take(&mut self.0).value())])
    }
}

fn recipe() -> Recipe {
    let settings = ["training.steps=10", "training.log_every=3", "optimizer.warmup=2", "training.batch=4"];
    let config: Config = small_config(&settings);
    let objective = Arc::new(OneAfterTheOther);
    let mut b = Builder::default();
    let networks = objective.networks(&mut b, &config.model);
    Recipe { model: b.finish(networks), objective, ..Recipe::new(&config) }
}

fn trainer() -> Trainer {
    trainer_on(Box::new(CpuEngine::<f32>::new(recipe().model.table.len())), Target::Cpu)
}

fn trainer_on(engine: Box<dyn Engine>, target: Target) -> Trainer {
    let recipe = recipe();
    let mut examples = Examples::new(recipe.shape.length);
    for i in 0..9 {
        examples.push(&[2, 5 + i, 6 + 2 * i, 30 - i, 40 + i, 7, 8, 3], 8);
    }
    let special = SpecialTokens { pad: 0, unk: 1, cls: 2, sep: 3, mask: 4 };
    let source =
        Arc::new(MaskedText::of(Arc::new(examples), (special, (5..60).collect()), recipe.objective.masking().unwrap()));
    let data = Data { training: source.clone(), held_out: source, scorer: None };
    Trainer::new(engine, target, recipe, data, Resources::default()).unwrap()
}

/// Every number of a bank within a tolerance.
fn close(found: &[f32], expected: &[f32]) {
    let far = found.iter().zip(expected).map(|(f, e)| (f - e).abs()).fold(0.0, f32::max);
    assert!(found.len() == expected.len() && far < 1e-3, "off by {far}");
}

/// What was reported, and the state at the end.
fn to_the_end(trainer: &mut Trainer) -> (Vec<Event>, Snapshot) {
    let mut events = Vec::new();
    while trainer.started() < STEPS {
        events.extend(trainer.advance().unwrap());
    }
    events.extend(trainer.finish().unwrap());
    (events, trainer.snapshot().unwrap())
}

/// The elements of a bank that belong to one network alone, and those that both share.
fn windows<'a>(model: &Model, bank: &'a [f32], name: &str) -> (Vec<&'a [f32]>, Vec<&'a [f32]>) {
    let network = model.network(name).unwrap();
    let other = model.networks.iter().find(|network| network.name != name).unwrap();
    let shared: Vec<usize> = entries(model, other).iter().map(|e| e.offset).collect();
    let (tied, own): (Vec<_>, Vec<_>) = entries(model, network).into_iter().partition(|e| shared.contains(&e.offset));
    let of = |list: Vec<leyden::transformers::Entry>| list.into_iter().map(|e| &bank[e.range()]).collect();
    (of(own), of(tied))
}

#[test]
fn each_phase_trains_its_own_and_begins_as_it_says() {
    let mut trainer = trainer();
    let model = trainer.model().clone();
    let initial = model.initial(trainer.recipe().seed);
    for _ in 0..SECOND {
        trainer.advance().unwrap();
    }
    trainer.finish().unwrap();
    let first = trainer.snapshot().unwrap();
    assert_eq!((first.phase, trainer.next_phase()), (0, 1));
    let own = |bank, name| windows(&model, bank, name).0;
    assert_ne!(own(&first.weights, "first"), own(&initial, "first"));
    assert_eq!(own(&first.weights, "second"), own(&initial, "second"), "it is not trained yet");
    let (events, last) = to_the_end(&mut trainer);
    assert_eq!(last.phase, 1);
    assert_eq!(own(&last.weights, "first"), own(&first.weights, "first"), "it is trained no more");
    assert_eq!(own(&last.moment1, "first"), own(&first.moment1, "first"));
    assert_ne!(own(&last.weights, "second"), own(&first.weights, "first"), "it goes on from there");
    // What both share is trained in both.
    assert_ne!(windows(&model, &last.weights, "first").1, windows(&model, &first.weights, "first").1);
    let phase = Event::Phase { step: SECOND, name: "second from it" };
    assert_eq!(events.iter().filter(|event| matches!(event, Event::Phase { .. })).collect::<Vec<_>>(), [&phase]);
    // A line of metrics ends with a phase.
    let intervals: Vec<u64> = events
        .iter()
        .filter_map(|event| if let Event::Interval(interval) = event { Some(interval.step) } else { None })
        .collect();
    assert_eq!(intervals, [4, 6, 9, 10]);
}

#[test]
fn the_second_network_begins_as_the_first() {
    let mut trainer = trainer();
    for _ in 0..SECOND {
        trainer.advance().unwrap();
    }
    trainer.finish().unwrap();
    let first = trainer.snapshot().unwrap();
    // The schedule begins anew with a rate of 0, so the first step of the phase moves nothing.
    trainer.advance().unwrap();
    trainer.finish().unwrap();
    let then = trainer.snapshot().unwrap();
    let model = trainer.model();
    let own = |bank, name| windows(model, bank, name).0;
    assert_eq!(own(&then.weights, "second"), own(&first.weights, "first"));
    assert_ne!(own(&first.weights, "second"), own(&first.weights, "first"));
}

#[test]
fn a_gpu_changes_its_phase_as_the_cpu_does() {
    let gpu = common::gpu(recipe().model.table.len());
    let target = Target::Gpu(gpu.traits());
    let (events, found) = to_the_end(&mut trainer_on(Box::new(gpu), target));
    let (expected, on_cpu) = to_the_end(&mut trainer());
    assert_eq!((found.step, found.phase, events.len()), (on_cpu.step, on_cpu.phase, expected.len()));
    close(&found.weights, &on_cpu.weights);
}

#[test]
fn schedules_are_the_phases_own() {
    let recipe = recipe();
    let peak = recipe.optimizer.learning_rate;
    let rate = |phase, step: u64| f64::from(recipe.in_phase(phase).step_state(step).learning_rate) / peak;
    let close = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-6, "{found}, expected {expected}");
    for (phase, step, expected) in
        [(0, 0, 0.0), (0, 2, 0.5), (0, 3, 0.25), (1, 4, 0.0), (1, 6, 4.0 / 6.0), (1, 9, 1.0 / 6.0)]
    {
        close(rate(phase, step), expected);
    }
    let StepState { step, .. } = recipe.in_phase(1).step_state(7);
    assert_eq!(step, 7, "random numbers are those of the run's step");
}

#[test]
fn a_run_that_is_stopped_anywhere_goes_on_as_if_it_never_was() {
    let whole = to_the_end(&mut trainer()).1;
    for stop in [2, SECOND, SECOND + 1, 9] {
        let mut before = trainer();
        for _ in 0..stop {
            before.advance().unwrap();
        }
        before.finish().unwrap();
        let snapshot = before.snapshot().unwrap();
        let mut after = trainer();
        after.resume(&snapshot, after.recipe().seed).unwrap();
        assert_eq!(to_the_end(&mut after).1, whole, "stopped after {stop} steps");
    }
    // Back into the first phase, as a rollback goes.
    let mut back = trainer();
    let start = back.snapshot().unwrap();
    to_the_end(&mut back);
    back.resume(&start, back.recipe().seed).unwrap();
    assert_eq!(to_the_end(&mut back).1, whole);
}

#[test]
fn what_is_not_trained_costs_no_backward_pass() {
    let flops = |phase| leyden::train::flops_a_step(&recipe().in_phase(phase)).unwrap();
    assert_eq!(flops(0), flops(1), "the networks are alike");
    let mut trainer = trainer();
    to_the_end(&mut trainer);
    assert_eq!(trainer.flops(), (STEPS * flops(0)) as f64);
}

/// A session of it on the sample text.
fn setup(stop_after: Option<u64>) -> Setup {
    let recipe = recipe();
    let config = small_config(&["training.steps=10", "training.log_every=3", "training.batch=4"]);
    let text = &SAMPLE[..40_000];
    let options = VocabularyOptions { size: config.model.vocabulary, ..Default::default() };
    let tokenizer = Tokenizer::train([text], &options).unwrap();
    let options = ExampleOptions { length: config.data.length, held_out: 0.1, seed: config.seed };
    let corpus = corpus::build(&corpus::documents(text), &tokenizer, &options).unwrap();
    let source =
        |examples| Arc::new(MaskedText::new(Arc::new(examples), &tokenizer, recipe.objective.masking().unwrap()));
    let bank = recipe.model.table.len();
    let setting = Setting { vocabulary: 200, unigram_entropy: 5.0, learning_rate: 1e-3, clip_norm: 1.0 };
    Setup {
        data: Data { training: source(corpus.training), held_out: source(corpus.held_out), scorer: None },
        measures: recipe.objective.measures(&setting),
        recipe,
        tokenizer,
        fingerprint: "the text".into(),
        facts: TextFacts { documents: 1, tokens: 9, unigram_entropy: 5.0 },
        initial: None,
        resources: Resources::default(),
        open: Box::new(move || {
            let engine: Box<dyn Engine> = Box::new(CpuEngine::<f32>::new(bank));
            Box::pin(std::future::ready(Ok((engine, Target::Cpu))))
        }),
        rollback: false,
        stop_after,
        config,
    }
}

#[test]
fn a_session_saves_where_a_phase_ends_and_goes_on_from_there() {
    let folder = tempfile::tempdir().unwrap();
    let sit = |session: &mut Session| {
        let mut reports = Vec::new();
        while !session.has_ended() {
            reports.extend(session.advance(false).unwrap());
        }
        reports
    };
    let weights = |session: &mut Session| session.weights().unwrap();
    let mut whole = Session::create(&folder.path().join("whole"), setup(None)).unwrap();
    let reports = sit(&mut whole);
    assert!(reports.contains(&Report::Phase { step: SECOND, name: "second from it".into() }));
    let saved =
        reports.iter().filter_map(|report| if let Report::Saved { step, .. } = report { Some(*step) } else { None });
    assert_eq!(saved.collect::<Vec<_>>(), [SECOND, STEPS]);
    // The first phase's best says nothing of the second's.
    let best = reports
        .iter()
        .filter_map(|r| if let Report::HeldOut { step, best, .. } = r { Some((*step, *best)) } else { None });
    assert_eq!(best.collect::<Vec<_>>(), [(SECOND, true), (STEPS, true)]);
    let events = std::fs::read_to_string(folder.path().join("whole/events.jsonl")).unwrap();
    assert!(events.contains("second from it"), "{events}");
    for stop in [2, SECOND, SECOND + 2] {
        let place = folder.path().join(format!("stopped-{stop}"));
        sit(&mut Session::create(&place, setup(Some(stop))).unwrap());
        let mut on = Session::resume(Run::open(&place).unwrap(), setup(None)).unwrap();
        sit(&mut on);
        assert!(weights(&mut on) == weights(&mut whole), "stopped after {stop} steps");
    }
}
