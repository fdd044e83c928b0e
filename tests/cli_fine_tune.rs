//! Fine-tuning through the binary: from a run of `leyden train` and a labelled file to a network that answers, stopped and gone on
//! with, asked, measured, and handed on.

#[path = "common/metrics.rs"]
mod metrics;
#[path = "common/program.rs"]
mod program;

use metrics::metrics;
use program::leyden;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// A run that was pre-trained for a few steps: what it knows does not matter here.
fn encoder() -> &'static Path {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    let made = FOLDER.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let mut command = leyden();
        command.args(["train", "--objective", "mlm", "--device", "cpu", "--batch", "4", "--steps", "2"]);
        for setting in ["model.layers=2", "model.hidden=32", "model.embedding=24", "model.vocabulary=300"] {
            command.args(["--set", setting]);
        }
        command.args(["--set", "training.evaluation_examples=8", "--run"]).arg(folder.path().join("run"));
        command.assert().success();
        folder
    });
    made.path()
}

fn fine_tune(out: &Path, more: &[&str]) -> String {
    let mut command = leyden();
    command.arg("fine-tune").arg(encoder().join("run")).args(["--device", "cpu", "--out"]).arg(out).args(more);
    String::from_utf8(command.assert().success().get_output().stdout.clone()).unwrap()
}

fn says(command: &str, run: &Path, more: &[&str]) -> String {
    let output = leyden().arg(command).arg(run).args(["--device", "cpu"]).args(more).assert().success();
    String::from_utf8(output.get_output().stdout.clone()).unwrap()
}

fn refuses(arguments: &[&str], expected: &str) {
    let output = leyden().args(arguments).assert().failure().code(2).get_output().clone();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains(expected) && error.trim().lines().count() == 1, "{arguments:?}: {error}");
}

/// Texts of one word, which says their class, long and short ones: whatever the machine rounds to, that is learnt.
fn classes(folder: &Path) -> PathBuf {
    let path = folder.join("reviews.csv");
    let mut text = "review,stars,price\n".to_string();
    for i in 0..120 {
        let (word, stars, price) = if i / 9 % 3 == 0 { ("peace", "good", 2_010) } else { ("war", "bad", 1_990) };
        text += &format!("{},{stars},{price}\n", vec![word; 3 + i % 9 * 2].join(" "));
    }
    fs::write(&path, text).unwrap();
    path
}

fn weights(run: &Path, step: u64) -> Vec<u8> {
    fs::read(run.join(format!("checkpoints/step-{step:06}/model/model.safetensors"))).unwrap()
}

const TABLE: [&str; 18] = [
    "--task",
    "classify",
    "--text",
    "review",
    "--label",
    "stars",
    "--steps",
    "60",
    "--batch",
    "8",
    "--learning-rate",
    "3e-3",
    "--layer-decay",
    "1",
    "--set",
    "model.dropout=0.05",
    "--seed",
    "2",
];

#[test]
fn narrow_networks_learn_faster_unless_told_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let table = classes(folder.path());
    let more = ["--train", table.to_str().unwrap(), "--task", "classify", "--text", "review", "--label", "stars"];
    let rate = |name: &str, asked: &[&str]| {
        let out = folder.path().join(name);
        fine_tune(&out, &[&more[..], &["--steps", "1"], asked].concat());
        let config: toml::Table = fs::read_to_string(out.join("config.toml")).unwrap().parse().unwrap();
        config["optimizer"]["learning_rate"].as_float().unwrap()
    };
    assert_eq!(rate("usual", &[]), 6e-4);
    assert_eq!(rate("asked", &["--learning-rate", "3e-4"]), 3e-4);
    assert_eq!([leyden::config::learning_rate(255), leyden::config::learning_rate(256)], [6e-4, 3e-4]);
}

#[test]
fn a_table_of_one_s_own_is_learnt_stopped_gone_on_with_asked_and_measured() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, parts) = (folder.path().join("whole"), folder.path().join("parts"));
    let table = classes(folder.path());
    let train = ["--train", table.to_str().unwrap()];
    let shown = fine_tune(&whole, &[&TABLE[..], &train].concat());
    for part in [
        "classification classify: ",
        "108 examples to learn from; 10 % of it, held out by the seed: 12 examples to measure by",
        "encoder of ",
        "held out   baselines",
        "always saying the commonest",
        "has the best accuracy on held-out texts, 1.000",
        "held-out texts: what it says",
        "transformers loads it",
        "leyden predict ",
    ] {
        assert!(shown.contains(part), "no {part:?} in\n{shown}");
    }
    // The head begins as large as the model began, as in transformers: `tiny` at .1, not at the usual .02.
    let config = fs::read_to_string(whole.join("config.toml")).unwrap();
    assert!(config.contains("initializer_range = 0.1\n"), "{config}");
    // Stopped twice, at a step that is no evaluation's.
    fine_tune(&parts, &[&TABLE[..], &train, &["--stop-after", "5"]].concat());
    for more in [&["--stop-after", "8"][..], &[]] {
        leyden().args(["fine-tune", "--device", "cpu", "--out"]).arg(&parts).args(more).assert().success();
    }
    assert_eq!(metrics(&whole), metrics(&parts));
    assert_eq!(weights(&whole, 60), weights(&parts, 60));
    assert!(says("predict", &whole, &["peace peace peace"]).starts_with("good\t"));
    let measured = says("evaluate", &whole, &["--dev", table.to_str().unwrap()]);
    assert!(measured.contains("accuracy") && measured.contains("120 records"), "{measured}");
    let drawn = folder.path().join("drawn.svg");
    leyden().arg("plot").arg(&whole).arg("--out").arg(&drawn).assert().success();
    assert!(fs::read_to_string(&drawn).unwrap().contains("Accuracy"));
    // Its own kind alone goes on with it, and only with its own data.
    let place = parts.to_str().unwrap();
    refuses(&["fine-tune", "--out", place, "--epochs", "3"], "leave --epochs out");
    fs::write(&table, "review,stars\npeace,good\nwar,bad\npeace,good\nwar,bad\n").unwrap();
    refuses(&["fine-tune", "--out", place, "--steps", "90", "--device", "cpu"], "has changed");
    fs::remove_file(&table).unwrap();
    refuses(&["fine-tune", "--out", place, "--steps", "90", "--device", "cpu"], "fine-tune --out");
}

#[test]
fn numbers_are_learnt_and_said_in_their_own_units() {
    let folder = tempfile::tempdir().unwrap();
    let (run, table) = (folder.path().join("run"), classes(folder.path()));
    let settings = ["--task", "regress", "--text", "review", "--label", "price", "--steps", "60", "--batch", "8"];
    let rates = ["--learning-rate", "3e-3", "--layer-decay", "1", "--train", table.to_str().unwrap()];
    let shown = fine_tune(&run, &[&settings[..], &rates].concat());
    assert!(shown.contains("always saying the mean"), "{shown}");
    let said: f64 = says("predict", &run, &["peace peace peace"]).trim().parse().unwrap();
    let other: f64 = says("predict", &run, &["war war war"]).trim().parse().unwrap();
    assert!((1_985.0..2_015.0).contains(&other) && said > other + 5.0, "{said} {other}");
    let config = fs::read_to_string(run.join("config.toml")).unwrap();
    assert!(config.contains("scale = 16.0"), "{config}");
    // Begun with its words alone.
    let scratch = fine_tune(
        &folder.path().join("scratch"),
        &[&settings[..6], &rates[4..], &["--steps", "1", "--from-scratch"]].concat(),
    );
    assert!(scratch.contains("weights at random"), "{scratch}");
}

#[test]
fn words_are_tagged_and_questions_answered() {
    let folder = tempfile::tempdir().unwrap();
    let words = folder.path().join("train.conll");
    let mut text = String::new();
    for i in 0..40 {
        let place = ["peace", "war", "union"][i % 3];
        text += &format!("the O\n{place} B-X\nof O\nthe O\npeople O\n\n");
    }
    fs::write(&words, text).unwrap();
    let tagged = folder.path().join("tagged");
    let rates = ["--steps", "60", "--batch", "8", "--learning-rate", "3e-3", "--layer-decay", "1"];
    let shown = fine_tune(&tagged, &[&["--task", "ner", "--train", words.to_str().unwrap()], &rates[..]].concat());
    assert!(shown.contains("span F1"), "{shown}");
    let said = says("predict", &tagged, &["the war of the people"]);
    assert_eq!(said, "the\tO\nwar\tB-X\nof\tO\nthe\tO\npeople\tO\n\n");

    let file = folder.path().join("squad.json");
    let paragraph = |i: usize| {
        let answer = ["war", "peace"][i % 2];
        let context = format!("the people of the union want {answer} in the year");
        serde_json::json!({"context": context, "qas": [
            {"id": format!("a{i}"), "question": "what do the people want", "answers": [{"text": answer, "answer_start": context.find(answer)}]},
            {"id": format!("b{i}"), "question": "who are they", "is_impossible": true, "answers": []},
        ]})
    };
    let all: Vec<Value> = (0..20).map(paragraph).collect();
    fs::write(&file, serde_json::json!({"data": [{"paragraphs": all}]}).to_string()).unwrap();
    let asked = folder.path().join("asked");
    let place = file.to_str().unwrap();
    let shown = fine_tune(&asked, &[&["--task", "squad2", "--train", place, "--dev", place], &rates[..]].concat());
    assert!(shown.contains("question answering squad2") && shown.contains("F1"), "{shown}");
    let said = says("predict", &asked, &["what do the people want\tthe people want war"]);
    assert!(!said.trim().is_empty());
    let config = fs::read_to_string(asked.join("checkpoints/step-000060/model/config.json")).unwrap();
    assert!(config.contains("ElectraForQuestionAnswering"), "{config}");
}

#[test]
fn what_cannot_be_is_said_in_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let table = classes(folder.path());
    let (table, run) = (table.to_str().unwrap(), encoder().join("run"));
    let (run, out) = (run.to_str().unwrap(), folder.path().join("out"));
    let all = |more: &[&'static str]| {
        [&["fine-tune", run, "--out", out.to_str().unwrap(), "--device", "cpu"][..], more]
            .concat()
            .into_iter()
            .map(str::to_string)
            .collect::<Vec<_>>()
    };
    let refused = |more: &[&'static str], train: bool, expected: &str| {
        let mut arguments = all(more);
        if train {
            arguments.extend(["--train".into(), table.into()]);
        }
        refuses(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), expected);
        assert!(!out.exists());
    };
    refused(&["--task", "wnli"], true, "wnli is not offered");
    refused(&["--task", "nothing"], true, "no task \"nothing\"");
    refused(&[], true, "--train needs --task");
    refused(&["--task", "sst2"], false, "needs the file to learn from");
    refused(&["--task", "classify"], true, "no column \"text\"");
    refused(&["--task", "classify", "--text", "review", "--label", "stars", "--epochs", "-1"], true, "--epochs is -1");
    refused(&["--task", "regress", "--text", "review", "--label", "stars"], true, "expected a number");
    refused(&["--task", "classify", "--text", "review", "--label", "stars", "--length", "900"], true, "data.length");
    refused(&["--task", "ner", "--head", "linear"], true, "--head linear");
    refuses(
        &[
            "fine-tune",
            folder.path().to_str().unwrap(),
            "--task",
            "classify",
            "--train",
            table,
            "--out",
            out.to_str().unwrap(),
        ],
        "holds no",
    );
}

#[test]
fn several_seeds_are_compared_and_the_best_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let (all, table) = (folder.path().join("all"), classes(folder.path()));
    let settings = [&TABLE[..16], &["--train", table.to_str().unwrap(), "--seeds", "2"]].concat();
    let shown = fine_tune(&all, &settings);
    let summary: Value = serde_json::from_slice(&fs::read(all.join("seeds.json")).unwrap()).unwrap();
    assert!(shown.contains("median  ") && shown.contains("Accuracy of each seed's best checkpoint"), "{shown}");
    let values: Vec<f64> =
        summary["runs"].as_array().unwrap().iter().map(|run| run["value"].as_f64().unwrap()).collect();
    assert_eq!(summary["median"], (values[0] + values[1]) / 2.0);
    let best = usize::from(values[1] > values[0]);
    assert_eq!(summary["best"], format!("seed-{}", best + 1));
    let output = leyden().arg("predict").arg(&all).args(["--device", "cpu", "peace peace peace"]).assert().success();
    let note = String::from_utf8(output.get_output().stderr.clone()).unwrap();
    assert!(note.contains(&format!("seed-{}", best + 1)) && note.contains("best by accuracy"), "{note}");
    let picture = folder.path().join("both.svg");
    let plot = leyden().arg("plot").arg(&all).arg("--out").arg(&picture).assert().success();
    assert!(String::from_utf8_lossy(&plot.get_output().stdout).contains("2 runs"));
    // The same command once more finds all of it done; another one is no part of it.
    assert!(fine_tune(&all, &settings).contains("is done, 60 steps"));
    let place = all.to_str().unwrap();
    let run = encoder().join("run");
    let other =
        [&["fine-tune", run.to_str().unwrap(), "--out", place, "--device", "cpu"], &settings[..10], &settings[12..]]
            .concat();
    refuses(&other, "holds a run of other settings");
}

#[test]
fn evaluations_that_are_no_better_end_a_run_and_more_steps_give_it_patience_again() {
    let folder = tempfile::tempdir().unwrap();
    let (run, table) = (folder.path().join("run"), classes(folder.path()));
    // Nothing is learnt at a rate of 0.
    let mut settings = [&TABLE[..10], &["--learning-rate", "0", "--patience", "2"]].concat();
    settings.extend(["--train", table.to_str().unwrap()]);
    let shown = fine_tune(&run, &settings);
    let held_out = |run: &Path| metrics(run).iter().filter(|line| line.get("held_out").is_some()).count();
    assert!(shown.contains("best  step 7 has"), "{shown}");
    // Before training, the best one, and two that are no better.
    assert_eq!((held_out(&run), metrics(&run).last().unwrap()["step"].as_u64()), (4, Some(21)));
    let again = |more: &[&str]| {
        let output = leyden().args(["fine-tune", "--device", "cpu", "--out"]).arg(&run).args(more).assert().success();
        String::from_utf8(output.get_output().stdout.clone()).unwrap()
    };
    assert!(again(&[]).contains("is done, 21 steps"));
    again(&["--steps", "90"]);
    assert_eq!(metrics(&run).last().unwrap()["step"].as_u64(), Some(35));
}

#[test]
fn every_checkpoint_of_a_run_gets_its_score() {
    let folder = tempfile::tempdir().unwrap();
    let (out, table) = (folder.path().join("scores"), classes(folder.path()));
    let score = |more: &[&str]| {
        let mut command = leyden();
        command.arg("score").arg(encoder().join("run")).args(["--device", "cpu", "--out"]).arg(&out);
        command.args(&TABLE[..16]).args(["--train", table.to_str().unwrap()]).args(more);
        String::from_utf8(command.assert().success().get_output().stdout.clone()).unwrap()
    };
    let shown = score(&["--seeds", "2"]);
    for part in
        ["random seed 1", "step-000002 seed 2", "Accuracy on held-out texts, by pre-training checkpoint", "score.png"]
    {
        assert!(shown.contains(part), "no {part:?} in\n{shown}");
    }
    assert!(fs::metadata(out.join("score.png")).unwrap().len() > 1_000);
    let lines = metrics(&out);
    let steps: Vec<u64> = lines.iter().map(|line| line["step"].as_u64().unwrap()).collect();
    assert_eq!((steps, lines[0]["flops"].as_f64()), (vec![0, 2], Some(0.0)));
    assert!(lines[1]["flops"].as_f64() > Some(0.0) && lines[1]["held_out"]["accuracy"].is_f64());
    // It is drawn beside others as a run is.
    let drawn = folder.path().join("drawn.svg");
    leyden().arg("plot").arg(&out).args(["--x", "flops", "--out"]).arg(&drawn).assert().success();
    let (tuned, place) = (out.join("random/seed-1"), out.to_str().unwrap());
    refuses(&["score", tuned.to_str().unwrap(), "--out", place], "is a fine-tuning run");
}
