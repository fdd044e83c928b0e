//! Everything that is read from outside, damaged at random: what is read is refused with an error or is what it was,
//! and nothing panics. `PROPTEST_CASES=100000 cargo test --release --test mutations` tries for longer.

use leyden::config::{Config, preset};
use leyden::corpus::{SAMPLE, Tokenizer, VocabularyOptions};
use leyden::history::TextFacts;
use leyden::measure::Better;
use leyden::model::Architecture;
use leyden::model::Model;
use leyden::objective::electra::measures::before;
use leyden::run::{Identity, Run, RunStatus};
use leyden::train::Snapshot;
use leyden::transformers::{self, Pretrained};
use proptest::prelude::*;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// One change to a file; places are shares of its length.
#[derive(Debug, Clone)]
enum Change {
    Flip(f64, u8),
    Set(f64, u8),
    Cut(f64),
    Remove(f64, usize),
    Insert(f64, Vec<u8>),
    Repeat(f64, usize),
}

/// What parsers stumble over.
const AWKWARD: [&str; 16] = [
    "18446744073709551616",
    "-1",
    "1e999",
    "null",
    "\"\"",
    "{}",
    "[]",
    "\\ud800",
    "\u{0}",
    "[[[[[[[[[[[[[[[[",
    "9999999999999",
    "NaN",
    ",",
    "\n\n",
    "##",
    "[MASK]",
];

fn change() -> impl Strategy<Value = Change> {
    let place = 0.0..1.0f64;
    prop_oneof![
        3 => (place.clone(), any::<u8>()).prop_map(|(at, bit)| Change::Flip(at, bit % 8)),
        2 => (place.clone(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        1 => place.clone().prop_map(Change::Cut),
        2 => (place.clone(), 1usize..40).prop_map(|(at, n)| Change::Remove(at, n)),
        1 => (place.clone(), prop::collection::vec(any::<u8>(), 1..20)).prop_map(|(at, b)| Change::Insert(at, b)),
        3 => (place.clone(), prop::sample::select(AWKWARD.to_vec()))
            .prop_map(|(at, text)| Change::Insert(at, text.as_bytes().to_vec())),
        1 => (place, 1usize..200).prop_map(|(at, n)| Change::Repeat(at, n)),
    ]
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    prop::collection::vec(change(), 1..4)
}

fn damaged(good: &[u8], changes: &[Change]) -> Vec<u8> {
    let mut bytes = good.to_vec();
    for change in changes {
        let len = bytes.len();
        let place = |at: f64| (at * len as f64) as usize;
        match change {
            _ if len == 0 => {}
            Change::Flip(at, bit) => bytes[place(*at)] ^= 1 << bit,
            Change::Set(at, byte) => bytes[place(*at)] = *byte,
            Change::Cut(at) => bytes.truncate(place(*at)),
            Change::Remove(at, n) => drop(bytes.drain(place(*at)..(place(*at) + n).min(len))),
            Change::Insert(at, what) => drop(bytes.splice(place(*at)..place(*at), what.iter().copied())),
            Change::Repeat(at, n) => {
                let piece = bytes[place(*at)..(place(*at) + n).min(len)].to_vec();
                bytes.splice(place(*at)..place(*at), piece);
            }
        }
    }
    bytes
}

struct Folder {
    _folder: tempfile::TempDir,
    path: PathBuf,
    config: Config,
    model: Model,
    tokenizer: Tokenizer,
    snapshot: Snapshot,
}

fn config() -> Config {
    let mut config = preset("tiny").unwrap();
    for setting in [
        "model.layers=1",
        "model.hidden=8",
        "model.embedding=8",
        "model.heads=2",
        "model.feed_forward=8",
        "generator.hidden=8",
        "generator.feed_forward=8",
        "model.vocabulary=120",
    ] {
        config = config.set(setting).unwrap();
    }
    config
}

/// A run with a checkpoint.
fn run() -> Folder {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config();
    let options = VocabularyOptions { size: config.model.vocabulary, ..VocabularyOptions::default() };
    let tokenizer = Tokenizer::train([&SAMPLE[..20_000]], &options).unwrap();
    config.model.vocabulary = tokenizer.size();
    let model = Model::new(&config);
    let facts = TextFacts { documents: 1, tokens: 9, unigram_entropy: 5.0 };
    let path = folder.path().join("run");
    let mut run = Run::create(&path, &config, &tokenizer, &facts).unwrap();
    for step in 1..5 {
        run.log(&serde_json::json!({"step": step, "tokens": 9, "generator_loss": 1.5})).unwrap();
    }
    let bank = model.initial(1);
    let moment2 = bank.iter().map(|x| x * x).collect();
    let snapshot = Snapshot {
        step: 3,
        phase: 0,
        weights: bank.clone(),
        moment1: bank,
        moment2,
        flops: Some(1e12),
        loss_scale: None,
    };
    let standing =
        RunStatus { seed: 1, seconds: 0.1 + 0.2, held_out: Some(1.0 / 3.0), better: Better::Lower, since_best: 0 };
    let identity = Identity { config: &config, model: &model, tokenizer: &tokenizer, text: "text" };
    run.checkpoint(&snapshot, &standing, identity).unwrap();
    Folder { _folder: folder, path, config, model, tokenizer, snapshot }
}

static RUN: LazyLock<Folder> = LazyLock::new(run);

/// A copy of the good file's folder with one damaged file.
fn with_damage<T>(file: &str, changes: &[Change], look: impl Fn(&Path) -> T) -> (bool, T) {
    let folder = tempfile::tempdir().unwrap();
    copy(&RUN.path, folder.path());
    let path = folder.path().join(file);
    let good = fs::read(&path).unwrap();
    let bad = damaged(&good, changes);
    fs::write(&path, &bad).unwrap();
    (good == bad, look(folder.path()))
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

const HALF: &str = "checkpoints/step-000003/discriminator";

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn checkpoints(
        file in prop::sample::select(vec![
            "state.json", "optimizer.safetensors", "generator/model.safetensors", "generator/config.json",
            "discriminator/model.safetensors", "discriminator/vocab.txt", "discriminator/tokenizer.json",
        ]),
        changes in changes(),
    ) {
        let file = format!("checkpoints/step-000003/{file}");
        let (_, found) = with_damage(&file, &changes, |folder| {
            Run::open(folder).unwrap().newest(&RUN.config, &RUN.model)
        });
        match found {
            // White space of state.json is all that may change.
            Ok(found) => prop_assert_eq!(&found.unwrap().0, &RUN.snapshot),
            Err(error) => prop_assert!(!error.to_string().contains('\n'), "{}", error),
        }
    }

    #[test]
    fn run_settings(changes in changes()) {
        let (_, found) = with_damage("config.toml", &changes, Run::config);
        match found {
            Ok(found) => prop_assert_eq!(found, Some(RUN.config.clone())),
            Err(error) => prop_assert!(!error.to_string().contains('\n'), "{}", error),
        }
    }

    #[test]
    fn settings_by_hand(changes in changes()) {
        let text = damaged(RUN.config.to_toml().as_bytes(), &changes);
        let text = String::from_utf8_lossy(&text);
        for found in [Config::from_toml(&text, "it"), Config::merge(&RUN.config, &text, "it")] {
            match found.and_then(|config| config.check().map(|()| config)) {
                // What is in range is written and read back.
                Ok(config) => prop_assert_eq!(Config::from_toml(&config.to_toml(), "it").unwrap(), config),
                Err(error) => prop_assert!(!error.to_string().contains('\n'), "{}", error),
            }
        }
    }

    #[test]
    fn metrics(changes in changes(), step in 0u64..6) {
        let (_, found) = with_damage("metrics.jsonl", &changes, |folder| {
            let mut run = Run::open(folder).unwrap();
            let rewound = run.rewind(step, &before(None, None));
            rewound.map(|()| {
                run.log(&serde_json::json!({"step": 9})).unwrap();
                let _ = leyden::history::Recorded::read(folder);
                let text = fs::read_to_string(folder.join("metrics.jsonl")).unwrap();
                let value = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["step"].as_u64();
                assert!(text.lines().all(|line| value(line).is_some_and(|s| s <= step || s == 9)), "{text}");
            })
        });
        if let Err(error) = found {
            prop_assert!(error.to_string().contains("metrics.jsonl"), "{}", error);
        }
    }

    #[test]
    fn tokenizers(name in prop::sample::select(vec!["tokenizer.json", "vocab.txt"]), changes in changes()) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, damaged(&fs::read(RUN.path.join(name)).unwrap(), &changes)).unwrap();
        if let Ok(tokenizer) = Tokenizer::load(&path) {
            let text = "The people, and THE ünïon 中文 of [MASK] states \u{0} 12345.";
            if let Ok(ids) = tokenizer.encode(text) {
                prop_assert!(ids.iter().all(|&id| (id as usize) < tokenizer.size()));
                let _ = tokenizer.decode(&ids);
            }
            tokenizer.files(128).unwrap();
        }
    }

    #[test]
    fn published_folders(
        file in prop::sample::select(vec!["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]),
        changes in changes(),
    ) {
        let (same, found) = with_damage(&format!("{HALF}/{file}"), &changes, |folder| {
            Pretrained::load(&folder.join(HALF), Architecture::PreTraining).map(|found| found.weights.len())
        });
        if same {
            prop_assert!(found.is_ok());
        }
    }

    #[test]
    fn weights(bytes in prop::collection::vec(any::<u8>(), 0..400), changes in changes()) {
        let generator = RUN.model.network("generator").unwrap();
        let good = transformers::to_bytes(&RUN.model, generator, &RUN.snapshot.weights).unwrap();
        let mut bank = vec![0.0; RUN.model.table.len()];
        prop_assert!(transformers::from_bytes(&RUN.model, generator, bytes.clone(), &mut bank).is_err());
        if transformers::from_bytes(&RUN.model, generator, damaged(&good, &changes), &mut bank).is_ok() {
            prop_assert!(bank.iter().all(|x| x.is_finite()));
        }
        let _ = transformers::read_config_json(&String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn the_good_run_is_good() {
    let folder = tempfile::tempdir().unwrap();
    copy(&RUN.path, folder.path());
    let run = Run::open(folder.path()).unwrap();
    let (snapshot, state) = run.newest(&RUN.config, &RUN.model).unwrap().unwrap();
    assert_eq!((&snapshot, state.seconds, state.held_out), (&RUN.snapshot, 0.1 + 0.2, Some(1.0 / 3.0)));
    assert_eq!(
        Pretrained::load(&folder.path().join(HALF), Architecture::PreTraining).unwrap().tokenizer.size(),
        RUN.tokenizer.size()
    );
}
