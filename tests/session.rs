//! A session survives what happens to long runs: a device that goes away, losses that are no numbers, a text that was
//! changed, a clock that decides the schedule.

mod common;

use common::small_config;
use leyden::batch::MaskedText;
use leyden::config::Config;
use leyden::corpus::{self, ExampleOptions, SAMPLE, Tokenizer, VocabularyOptions};
use leyden::cpu::CpuEngine;
use leyden::graph::{Bank, Tensor};
use leyden::history::TextFacts;
use leyden::model::Model;
use leyden::op::StepState;
use leyden::plan::{Engine, EngineError, Fetched, Limits, Plan, Program, Target};
use leyden::run::Run;
use leyden::session::{Report, Session, SessionError, Setup};
use leyden::train::{Data, Recipe, Resources};
use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

/// What goes wrong, and when: steps submitted since the device was first opened.
#[derive(Default)]
struct Trouble {
    submitted: u64,
    opened: u64,
    lost_at: Vec<u64>,
    /// From this submission on, weights of the next step are ruined, once.
    ruined_at: Option<u64>,
}

/// The CPU engine with trouble.
struct Flaky {
    inner: CpuEngine<f32>,
    trouble: Rc<RefCell<Trouble>>,
}

impl Engine for Flaky {
    fn describe(&self) -> String {
        "a flaky device".into()
    }

    fn load(&mut self, plan: Plan) -> Result<Program, EngineError> {
        self.inner.load(plan)
    }

    fn unload(&mut self, program: Program) -> Result<(), EngineError> {
        self.inner.unload(program)
    }

    fn write(&mut self, program: Program, input: Tensor, words: &[u32]) {
        self.inner.write(program, input, words);
    }

    fn submit(&mut self, program: Program, state: &StepState, fetch: bool) -> Result<(), EngineError> {
        let mut trouble = self.trouble.borrow_mut();
        trouble.submitted += 1;
        let now = trouble.submitted;
        if trouble.lost_at.contains(&now) {
            return Err(EngineError::DeviceLost { adapter: self.describe(), reason: "the lid was closed".into() });
        }
        if trouble.ruined_at == Some(now) {
            let mut weights = self.inner.read_bank(Bank::Parameters)?;
            weights.fill(f32::NAN);
            self.inner.write_bank(Bank::Parameters, &weights)?;
        }
        self.inner.submit(program, state, fetch)
    }

    fn collect(&mut self, wait: bool) -> Result<Option<Fetched>, EngineError> {
        self.inner.collect(wait)
    }

    fn read_bank(&mut self, bank: Bank) -> Result<Vec<f32>, EngineError> {
        self.inner.read_bank(bank)
    }

    fn write_bank(&mut self, bank: Bank, data: &[f32]) -> Result<(), EngineError> {
        self.inner.write_bank(bank, data)
    }

    fn limits(&self) -> Limits {
        self.inner.limits()
    }

    fn reset(&mut self) {
        self.inner.reset();
    }

    fn allocated(&self) -> usize {
        self.inner.allocated()
    }
}

fn config() -> Config {
    small_config(&["training.steps=12", "training.evaluate_every=6", "training.checkpoint_every=3"])
}

fn setup(config: Config, trouble: &Rc<RefCell<Trouble>>) -> Setup {
    let text = &SAMPLE[..40_000];
    let tokenizer =
        Tokenizer::train([text], &VocabularyOptions { size: config.model.vocabulary, ..Default::default() }).unwrap();
    let options = ExampleOptions { length: config.data.length, held_out: 0.1, seed: config.seed };
    let corpus = corpus::build(&corpus::documents(text), &tokenizer, &options).unwrap();
    let (bank, trouble) = (Model::new(&config).table.len(), trouble.clone());
    let source =
        |examples| Arc::new(MaskedText::new(Arc::new(examples), &tokenizer, config.objective.masking().unwrap()));
    Setup {
        data: Data { training: source(corpus.training), held_out: source(corpus.held_out), scorer: None },
        recipe: Recipe::new(&config),
        measures: config.measures(corpus.statistics.unigram_entropy),
        tokenizer,
        fingerprint: "the text".into(),
        facts: TextFacts { documents: 1, tokens: 9, unigram_entropy: corpus.statistics.unigram_entropy },
        initial: None,
        resources: Resources::default(),
        open: Box::new(move || {
            trouble.borrow_mut().opened += 1;
            let engine = Flaky { inner: CpuEngine::new(bank), trouble: trouble.clone() };
            Box::pin(std::future::ready(Ok((Box::new(engine) as Box<dyn Engine>, Target::Cpu))))
        }),
        rollback: false,
        stop_after: None,
        config,
    }
}

fn to_the_end(session: &mut Session) -> Result<Vec<Report>, SessionError> {
    let mut all = Vec::new();
    while !session.has_ended() {
        all.extend(session.advance(false)?);
    }
    Ok(all)
}

fn weights(folder: &Path, step: u64) -> Vec<u8> {
    let file = format!("checkpoints/step-{step:06}/discriminator/model.safetensors");
    std::fs::read(folder.join(file)).unwrap()
}

/// metrics.jsonl without what the clock decides.
fn metrics(folder: &Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(folder.join("metrics.jsonl")).unwrap();
    let clockless = |line: &str| {
        let mut line: serde_json::Value = serde_json::from_str(line).unwrap();
        line.as_object_mut().unwrap().retain(|key, _| key != "seconds" && key != "tokens_per_second");
        line
    };
    text.lines().map(clockless).collect()
}

fn undisturbed(folder: &Path) {
    to_the_end(&mut Session::create(folder, setup(config(), &Rc::default())).unwrap()).unwrap();
}

#[test]
fn a_lost_device_is_opened_again_and_nothing_is_different() {
    let folder = tempfile::tempdir().unwrap();
    let (calm, rough) = (folder.path().join("calm"), folder.path().join("rough"));
    undisturbed(&calm);
    let trouble = Rc::new(RefCell::new(Trouble { lost_at: vec![9, 20], ..Trouble::default() }));
    let mut session = Session::create(&rough, setup(config(), &trouble)).unwrap();
    let reports = to_the_end(&mut session).unwrap();
    let reopened = reports.iter().filter(|r| matches!(r, Report::Reopened { .. })).count();
    assert_eq!((reopened, trouble.borrow().opened), (2, 3));
    assert_eq!(metrics(&calm), metrics(&rough));
    let all = 12.0 * leyden::train::flops_a_step(&Recipe::new(&config())).unwrap() as f64;
    assert_eq!(metrics(&rough).last().unwrap()["flops"].as_f64(), Some(all));
    assert!(weights(&calm, 12) == weights(&rough, 12));
    let events = std::fs::read_to_string(rough.join("events.jsonl")).unwrap();
    assert!(events.contains("the lid was closed"), "{events}");
}

#[test]
fn a_device_that_stays_away_ends_the_run_at_its_last_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let trouble = Rc::new(RefCell::new(Trouble { lost_at: (9..99).collect(), ..Trouble::default() }));
    let mut session = Session::create(folder.path(), setup(config(), &trouble)).unwrap();
    let error = to_the_end(&mut session).unwrap_err().to_string();
    assert!(error.contains("a flaky device was lost") && error.contains("step-0000"), "{error}");
    assert_eq!(error.lines().count(), 1);
}

#[test]
fn numbers_that_are_none_end_the_run_or_send_it_back() {
    let folder = tempfile::tempdir().unwrap();
    for rollback in [false, true] {
        let place = folder.path().join(rollback.to_string());
        let trouble = Rc::new(RefCell::new(Trouble { ruined_at: Some(12), ..Trouble::default() }));
        let mut session = Session::create(&place, Setup { rollback, ..setup(config(), &trouble) }).unwrap();
        let result = to_the_end(&mut session);
        if !rollback {
            let error = result.unwrap_err().to_string();
            assert!(error.contains("generator loss NaN") && error.contains("step-000006"), "{error}");
            continue;
        }
        let back = result.unwrap().into_iter().find_map(|report| match report {
            Report::RolledBack { step, seed, .. } => Some((step, seed)),
            _ => None,
        });
        let Some((6, seed)) = back else { panic!("{back:?}") };
        assert_ne!(seed, 1);
        assert!(metrics(&place).iter().all(|line| line["step"].as_u64() <= Some(12)));
        // A run that was rolled back is continued with the seed that it got then.
        drop(session);
        let longer = config().set("training.steps=14").unwrap();
        let run = Run::open(&place).unwrap();
        run.rewrite_config(&longer).unwrap();
        let mut session = Session::resume(run, setup(longer.clone(), &Rc::default())).unwrap();
        to_the_end(&mut session).unwrap();
        let run = session.run();
        let (_, state) = run.newest(&longer, &Model::new(&longer)).unwrap().unwrap();
        assert_eq!((state.step, state.seed), (14, seed));
    }
}

#[test]
fn the_best_checkpoint_is_kept_whatever_its_age() {
    let folder = tempfile::tempdir().unwrap();
    // The learning rate ruins what the first evaluation after training has found.
    let mut config = config();
    for setting in ["optimizer.learning_rate=5", "optimizer.warmup=0", "training.keep_checkpoints=2"] {
        config = config.set(setting).unwrap();
    }
    config.training.evaluate_every = 1;
    let mut session = Session::create(folder.path(), setup(config, &Rc::default())).unwrap();
    let reports = to_the_end(&mut session).unwrap();
    let best = reports.iter().rev().find_map(|r| match r {
        Report::HeldOut { step, best: true, .. } => Some(*step),
        _ => None,
    });
    let best = best.unwrap();
    assert_eq!(session.run().best().unwrap().map(|(step, _)| step), Some(best));
    let mut kept: Vec<String> = std::fs::read_dir(folder.path().join("checkpoints"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    kept.sort();
    assert!(kept.contains(&format!("step-{best:06}")) && kept.contains(&"step-000012".into()), "{best}: {kept:?}");
    assert!(kept.len() <= 3, "{kept:?}");
}

#[test]
fn the_clock_decides_the_schedule_where_it_is_asked_to() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config();
    config.training.hours = Some(1.5 / 3_600.0);
    config.optimizer.warmup = 0;
    let mut session = Session::create(folder.path(), setup(config, &Rc::default())).unwrap();
    let reports = to_the_end(&mut session).unwrap();
    let Some(Report::Ended(ending)) = reports.last() else { panic!("no end") };
    assert!(ending.complete && ending.seconds >= 1.5 && ending.step > 12, "{ending:?}");
    let rates: Vec<f64> = metrics(folder.path()).iter().filter_map(|line| line["learning_rate"].as_f64()).collect();
    assert!(rates.is_sorted_by(|a, b| a >= b), "{rates:?}");
    assert!(rates[0] > 1e-3 && rates[rates.len() - 1] < 2e-4, "{rates:?}");
}

#[test]
fn a_text_that_was_changed_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let short = Setup { stop_after: Some(3), ..setup(config(), &Rc::default()) };
    to_the_end(&mut Session::create(folder.path(), short).unwrap()).unwrap();
    let other = Setup { fingerprint: "another text".into(), ..setup(config(), &Rc::default()) };
    let error = Session::resume(Run::open(folder.path()).unwrap(), other).err().unwrap().to_string();
    assert!(error.contains("text has changed"), "{error}");
}
