//! Training on batches of several lengths: as good as batches padded to the longest, the same bits wherever a run was stopped, a
//! length's steps loaded once, and memory for the longest alone is enough.

mod common;

use common::small_config;
use leyden::batch::{Batch, Batches, Evaluation, LENGTHS, MASKED_TEXT, MaskedText, Shape, Source};
use leyden::config::Config;
use leyden::corpus::{Examples, SpecialTokens};
use leyden::cpu::CpuEngine;
use leyden::graph::{Bank, Recompute, Tensor};
use leyden::measure::Values;
use leyden::op::StepState;
use leyden::plan::{Engine, EngineError, Fetched, Limits, Plan, Program, Target};
use leyden::random::Random;
use leyden::train::{
    Data, Event, Fit, MicroBatches, Plans, Recipe, Resources, Snapshot, Trainer, TrainingStep, fit, flops_a_step,
};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

const LONGEST: usize = 64;
const BATCH: usize = 6;
const STEPS: u64 = 24;

/// Text whose examples say how long they are, or do not.
#[derive(Debug)]
struct Text {
    masked: MaskedText,
    lengths: Vec<usize>,
    says: bool,
}

impl Source for Text {
    fn examples(&self) -> usize {
        self.masked.examples()
    }

    fn length(&self) -> usize {
        self.masked.length()
    }

    fn tokens(&self, index: usize) -> Option<usize> {
        self.says.then(|| self.lengths[index])
    }

    fn empty(&self, rows: usize, length: usize) -> Batch {
        self.masked.empty(rows, length)
    }

    fn fill(&self, batch: &mut Batch, row: usize, index: usize, random: &mut Random) {
        self.masked.fill(batch, row, index, random);
    }
}

/// 71 examples of 5 to 60 tokens.
fn text(says: bool) -> Arc<Text> {
    let mut examples = Examples::new(LONGEST);
    let lengths: Vec<usize> = (0..71).map(|i| 5 + (i * 37 + i * i) % 56).collect();
    for (i, &length) in lengths.iter().enumerate() {
        let mut ids: Vec<u32> = (0..length).map(|j| 5 + ((31 * i + 7 * j) % 190) as u32).collect();
        (ids[0], ids[length - 1]) = (2, 3);
        examples.push(&ids, length);
    }
    let special = SpecialTokens { pad: 0, unk: 1, cls: 2, sep: 3, mask: 4 };
    let masking = recipe().objective.masking().unwrap();
    Arc::new(Text { masked: MaskedText::of(Arc::new(examples), (special, (5..200).collect()), masking), lengths, says })
}

fn recipe() -> Recipe {
    let settings = [
        "model.dropout=0.0",
        "model.attention_dropout=0.0",
        "training.steps=24",
        "training.log_every=5",
        "training.evaluation_examples=60",
        "optimizer.warmup=2",
    ];
    let mut config: Config = small_config(&settings).with_objective("mlm").unwrap();
    (config.training.batch, config.data.length, config.model.positions) = (BATCH, LONGEST, LONGEST);
    Recipe::new(&config)
}

fn on_cpu() -> Box<dyn Engine> {
    Box::new(CpuEngine::<f32>::new(recipe().model.table.len()))
}

fn trainer_with(engine: Box<dyn Engine>, target: Target, resources: Resources) -> Trainer {
    let data = Data { training: text(true), held_out: text(true), scorer: None };
    Trainer::new(engine, target, recipe(), data, resources).unwrap()
}

fn trainer() -> Trainer {
    trainer_with(on_cpu(), Target::Cpu, Resources::default())
}

/// What was reported up to a step, and the state there.
fn until(trainer: &mut Trainer, step: u64) -> (Vec<Event>, Snapshot) {
    let mut events = Vec::new();
    while trainer.started() < step {
        events.extend(trainer.advance().unwrap());
    }
    events.extend(trainer.finish().unwrap());
    (events, trainer.snapshot().unwrap())
}

fn losses(events: &[Event]) -> Vec<f64> {
    let loss = |values: &Values| values.iter().next().unwrap().1;
    events.iter().filter_map(|e| if let Event::Step { values, .. } = e { Some(loss(values)) } else { None }).collect()
}

/// The batches that training sees.
fn batches() -> Vec<Batch> {
    let batches = Batches::new(text(true), BATCH, recipe().seed);
    (0..STEPS).map(|step| batches.batch(step)).collect()
}

fn shapes(batches: impl IntoIterator<Item = Batch>) -> BTreeSet<Shape> {
    batches.into_iter().map(|batch| Shape { examples: BATCH, ..batch.shape() }).collect()
}

/// The same rows with more padding.
fn wider(batch: &Batch) -> Batch {
    let mut wide = text(true).empty(batch.shape().examples, LONGEST);
    for column in MASKED_TEXT {
        let (to, from) = (column.width(wide.shape()), column.width(batch.shape()));
        for (to, from) in wide.column_mut(column.name).chunks_mut(to).zip(batch.column(column.name).chunks(from)) {
            to[..from.len()].copy_from_slice(from);
        }
    }
    wide
}

fn close(found: f64, expected: f64, what: &str) {
    assert!((found - expected).abs() < 2e-5 * expected.abs().max(1.0), "{what}: {found}, expected {expected}");
}

/// Trains on several lengths, and on the same batches padded to the longest.
fn as_padded_to_the_longest(new: impl Fn() -> (Box<dyn Engine>, Target)) {
    let (engine, target) = new();
    let mut trainer = trainer_with(engine, target, Resources::default());
    let (events, last) = until(&mut trainer, STEPS);
    let held_out = trainer.evaluate().unwrap();

    let recipe = recipe();
    let (mut engine, target) = new();
    let fit = Fit { micro_batches: MicroBatches::new(BATCH, 1), recompute: Recompute::Off };
    let mut step = TrainingStep::load(&mut *engine, &Plans::new(&recipe, fit, target).unwrap()).unwrap();
    engine.write_bank(Bank::Parameters, &recipe.model.initial(recipe.seed)).unwrap();
    for ((t, batch), found) in (0..).zip(batches()).zip(losses(&events)) {
        step.submit(&mut *engine, &wider(&batch), &recipe.step_state(t)).unwrap();
        let out = step.collect(&mut *engine, BATCH, true).unwrap().unwrap();
        close(found, step.losses(&out).iter().next().unwrap().1, &format!("loss of step {t}"));
    }
    let weights = engine.read_bank(Bank::Parameters).unwrap();
    for (&found, &expected) in last.weights.iter().zip(&weights) {
        close(f64::from(found), f64::from(expected), "a weight");
    }

    let (engine, target) = new();
    let data = Data { training: text(false), held_out: text(false), scorer: None };
    let mut alike = Trainer::new(engine, target, recipe, data, Resources::default()).unwrap();
    alike.resume(&last, 1).unwrap();
    for ((name, found), (_, expected)) in held_out.iter().zip(alike.evaluate().unwrap().iter()) {
        close(found, expected, name);
    }
}

#[test]
fn batches_of_their_own_lengths_train_as_those_padded_to_the_longest() {
    as_padded_to_the_longest(|| (on_cpu(), Target::Cpu));
}

#[test]
fn batches_of_their_own_lengths_train_as_those_padded_to_the_longest_on_a_gpu() {
    as_padded_to_the_longest(|| {
        let gpu = common::gpu(recipe().model.table.len());
        let target = Target::Gpu(gpu.traits());
        (Box::new(gpu), target)
    });
}

#[test]
fn batches_are_as_long_as_their_rows_and_cut_into_parts_alike() {
    let all = batches();
    assert!(shapes(all.clone()).len() > 2, "{:?}", shapes(all));
    let batches = Batches::new(text(true), BATCH, recipe().seed);
    for (step, whole) in (0..).zip(&all) {
        let longest = *whole.column(LENGTHS.name).iter().max().unwrap() as usize;
        assert_eq!(whole.shape().length, leyden::batch::padded(longest, LONGEST));
        for part in [0..1, 1..4, 4..6] {
            let found = batches.rows(step, part.clone());
            assert_eq!(found.shape(), Shape { examples: part.len(), ..whole.shape() });
            for column in MASKED_TEXT {
                let width = column.width(whole.shape());
                let expected = &whole.column(column.name)[part.start * width..part.end * width];
                assert_eq!(found.column(column.name), expected);
            }
        }
    }
    // Backwards, and by another hand.
    let other = Batches::new(text(true), BATCH, 99).with_seed(recipe().seed);
    all.iter().enumerate().rev().for_each(|(step, batch)| assert_eq!(&other.batch(step as u64), batch, "step {step}"));
    assert_ne!(other.with_seed(99).batch(0), all[0]);
}

#[test]
fn held_out_examples_come_by_length_and_each_once() {
    let drawn = |says, size, limit| -> (Vec<Batch>, Vec<Vec<u32>>) {
        let batches: Vec<Batch> = Evaluation::new(text(says), size, limit, 3).iter().collect();
        // Every row with its own padding cut off: ids, masked ids.
        let row = |batch: &Batch, row: usize| {
            let (wide, length) = (batch.shape().length, batch.column(LENGTHS.name)[row] as usize);
            let of = |name| &batch.column(name)[row * wide..][..length];
            [of("ids"), of("masked_ids")].concat()
        };
        let rows = batches.iter().flat_map(|batch| (0..size).map(|at| row(batch, at)).collect::<Vec<_>>());
        let mut rows: Vec<_> = rows.filter(|row| !row.is_empty()).collect();
        rows.sort();
        (batches, rows)
    };
    for (size, limit) in [(4, 71), (7, 30), (32, 500)] {
        let (batches, rows) = drawn(true, size, limit);
        assert_eq!(rows, drawn(false, 5, limit).1, "the same examples are drawn, and masked alike");
        assert!(batches.is_sorted_by_key(|batch| batch.shape().length) && batches[0].shape().length < LONGEST);
        assert!(batches.iter().all(|batch| {
            let longest = *batch.column(LENGTHS.name).iter().max().unwrap() as usize;
            batch.shape().length == leyden::batch::padded(longest, LONGEST)
        }));
    }
}

#[test]
fn a_run_that_is_stopped_anywhere_goes_on_as_if_it_never_was() {
    let (events, whole) = until(&mut trainer(), STEPS);
    for stop in [1, 11, 12, 20] {
        let (_, snapshot) = until(&mut trainer(), stop);
        let mut after = trainer();
        // It has been elsewhere before.
        until(&mut after, 3);
        after.resume(&snapshot, after.recipe().seed).unwrap();
        let (rest, last) = until(&mut after, STEPS);
        assert_eq!(last, whole, "stopped after {stop} steps");
        assert_eq!(losses(&rest), losses(&events)[stop as usize..]);
    }
}

#[test]
fn operations_are_those_of_each_step() {
    let mut trainer = trainer();
    let (_, last) = until(&mut trainer, STEPS);
    let recipe = recipe();
    let of = |shape| flops_a_step(&Recipe { shape, ..recipe.clone() }).unwrap() as f64;
    let expected: f64 = batches().iter().map(|batch| of(batch.shape())).sum();
    assert_eq!((trainer.flops(), last.flops), (expected, Some(expected)));
    assert!(expected < 0.9 * STEPS as f64 * of(recipe.shape));
}

/// What an engine did.
#[derive(Debug, Default)]
struct Seen {
    loads: usize,
    refused: usize,
    unloads: usize,
    most: usize,
}

/// An engine that has only so much memory.
struct Narrow {
    engine: Box<dyn Engine>,
    room: Rc<RefCell<usize>>,
    seen: Rc<RefCell<Seen>>,
}

impl Engine for Narrow {
    fn describe(&self) -> String {
        self.engine.describe()
    }
    fn limits(&self) -> Limits {
        self.engine.limits()
    }
    fn reset(&mut self) {
        self.engine.reset();
    }
    fn load(&mut self, plan: Plan) -> Result<Program, EngineError> {
        let program = self.engine.load(plan)?;
        let mut seen = self.seen.borrow_mut();
        if self.engine.allocated() > *self.room.borrow() {
            seen.refused += 1;
            self.engine.unload(program)?;
            return Err(EngineError::OutOfMemory { adapter: self.describe(), needed: 1 });
        }
        (seen.loads, seen.most) = (seen.loads + 1, seen.most.max(self.engine.allocated()));
        Ok(program)
    }
    fn unload(&mut self, program: Program) -> Result<(), EngineError> {
        self.seen.borrow_mut().unloads += 1;
        self.engine.unload(program)
    }
    fn write(&mut self, program: Program, input: Tensor, words: &[u32]) {
        self.engine.write(program, input, words);
    }
    fn submit(&mut self, program: Program, state: &StepState, fetch: bool) -> Result<(), EngineError> {
        self.engine.submit(program, state, fetch)
    }
    fn collect(&mut self, wait: bool) -> Result<Option<Fetched>, EngineError> {
        self.engine.collect(wait)
    }
    fn read_bank(&mut self, bank: Bank) -> Result<Vec<f32>, EngineError> {
        self.engine.read_bank(bank)
    }
    fn write_bank(&mut self, bank: Bank, data: &[f32]) -> Result<(), EngineError> {
        self.engine.write_bank(bank, data)
    }
    fn allocated(&self) -> usize {
        self.engine.allocated()
    }
}

/// A trainer on an engine that is watched, and whose room can be changed.
fn watched(
    engine: Box<dyn Engine>,
    target: Target,
    resources: Resources,
) -> (Trainer, Rc<RefCell<usize>>, Rc<RefCell<Seen>>) {
    let (room, seen) = (Rc::new(RefCell::new(usize::MAX)), Rc::new(RefCell::new(Seen::default())));
    let engine = Narrow { engine, room: room.clone(), seen: seen.clone() };
    (trainer_with(Box::new(engine), target, resources), room, seen)
}

#[test]
fn the_steps_of_a_length_are_loaded_once() {
    let (mut trainer, _, seen) = watched(on_cpu(), Target::Cpu, Resources::default());
    assert_eq!(seen.borrow().loads, 2, "the longest");
    until(&mut trainer, STEPS / 2);
    trainer.evaluate().unwrap();
    let snapshot = until(&mut trainer, STEPS).1;
    trainer.evaluate().unwrap();
    trainer.resume(&snapshot, 2).unwrap();
    trainer.evaluate().unwrap();
    let mut all = shapes(batches());
    all.extend(shapes(Evaluation::new(text(true), BATCH, 60, 0x00e1_ec72_a000).iter()));
    all.insert(recipe().shape);
    assert_eq!((seen.borrow().loads, seen.borrow().unloads), (2 * all.len(), 0), "{all:?}");
}

/// Training on a device that has no room for more than the longest, against one that has.
fn little_room(new: impl Fn() -> (Box<dyn Engine>, Target)) {
    let run = |trainer: &mut Trainer| {
        let (mut events, _) = until(trainer, STEPS / 2);
        let held_out = trainer.evaluate().unwrap();
        let (more, last) = until(trainer, STEPS);
        events.extend(more);
        (losses(&events), events.len(), held_out, last)
    };
    let (engine, target) = new();
    let (mut plenty, _, seen) = watched(engine, target, Resources::default());
    let expected = run(&mut plenty);
    let (most, loads) = (seen.borrow().most, seen.borrow().loads);

    // The device says so.
    let (engine, target) = new();
    let (mut little, room, seen) = watched(engine, target, Resources::default());
    *room.borrow_mut() = little.allocated() + 9_000;
    assert_eq!(run(&mut little), expected);
    let Seen { refused, unloads, .. } = *seen.borrow();
    assert!(refused > 0 && unloads > 0, "{refused} loads were refused, {unloads} unloaded");

    // It was asked for.
    let (engine, target) = new();
    let limits = engine.limits();
    let recipe = recipe();
    let memory = |memory| Resources { memory: Some(memory), recompute: Some(Recompute::Off) };
    let whole =
        |bytes: &u64| fit(&recipe, target, memory(*bytes), limits).is_ok_and(|fit| fit.micro_batches.count == 1);
    let least = (100_000u64..).step_by(2_000).find(whole).unwrap();
    let (mut little, _, seen) = watched(engine, target, memory(least));
    assert_eq!(run(&mut little), expected);
    let seen = seen.borrow();
    assert!(seen.most as u64 <= least && seen.most < most, "{seen:?}, {least} allowed, {most} taken otherwise");
    assert!(seen.unloads > 0 && seen.loads > loads && seen.refused == 0, "{seen:?}, {loads} loads with plenty");
}

#[test]
fn memory_for_the_longest_alone_is_enough() {
    little_room(|| (on_cpu(), Target::Cpu));
}

#[test]
fn memory_for_the_longest_alone_is_enough_on_a_gpu() {
    little_room(|| {
        let gpu = common::gpu(recipe().model.table.len());
        let target = Target::Gpu(gpu.traits());
        (Box::new(gpu), target)
    });
}

#[test]
fn micro_batches_of_several_lengths_add_up() {
    let (_, whole) = until(&mut trainer(), STEPS);
    let recipe = recipe();
    let limits = on_cpu().limits();
    let memory = |memory| Resources { memory: Some(memory), recompute: Some(Recompute::Off) };
    let split =
        |bytes: &u64| fit(&recipe, Target::Cpu, memory(*bytes), limits).is_ok_and(|f| f.micro_batches.count == 2);
    let least = (100_000u64..).step_by(2_000).find(split).unwrap();
    let mut parts = trainer_with(on_cpu(), Target::Cpu, memory(least));
    assert_eq!(parts.micro_batches().count, 2);
    let (_, found) = until(&mut parts, STEPS);
    for (&found, &expected) in found.weights.iter().zip(&whole.weights) {
        close(f64::from(found), f64::from(expected), "a weight");
    }
    assert_eq!(found.flops, whole.flops);
}
