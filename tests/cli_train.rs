//! `leyden train` through the binary: it trains, writes a run that others can read, repeats itself bit for bit, overfits
//! when it should, and refuses bad input with one clear line.

#[path = "common/program.rs"]
mod program;

use leyden::dataset::Dataset;
use program::leyden;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fs;
use std::path::Path;

/// A model small enough for tests.
const SMALL: [&str; 18] = [
    "--set",
    "model.layers=1",
    "--set",
    "model.hidden=32",
    "--set",
    "model.embedding=24",
    "--set",
    "model.feed_forward=48",
    "--set",
    "generator.layers=1",
    "--set",
    "generator.hidden=16",
    "--set",
    "generator.feed_forward=24",
    "--set",
    "training.evaluation_examples=8",
    "--set",
    "training.log_every=1",
];

fn train(run: &Path, more: &[&str]) -> String {
    let mut command = leyden();
    command.args(["train", "--device", "cpu", "--run"]).arg(run).args(SMALL).args(more);
    String::from_utf8(command.assert().success().get_output().stdout.clone()).unwrap()
}

fn metrics(run: &Path) -> Vec<Value> {
    let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The lines of training intervals without what the clock decides.
fn intervals(run: &Path) -> Vec<Value> {
    let mut lines: Vec<Value> = metrics(run).into_iter().filter(|line| line.get("held_out").is_none()).collect();
    for line in &mut lines {
        let line = line.as_object_mut().unwrap();
        assert!(line.remove("seconds").is_some() && line.remove("tokens_per_second").is_some());
    }
    lines
}

#[test]
fn short_runs_are_told_what_serves_an_encoder_better() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text.txt");
    let line = |i: usize| format!("word{} comes before word{} and behind word{}\n\n", i % 30, i % 7, i * 7 % 90);
    fs::write(&text, (0..400).map(line).collect::<String>()).unwrap();
    let text = ["--text", text.to_str().unwrap()];
    let told = |name: &str, more: &[&str]| -> bool {
        let mut command = leyden();
        command
            .args(["train", "--device", "cpu", "--steps", "2", "--batch", "2", "--run"])
            .arg(folder.path().join(name));
        let output = command.args(SMALL).args(more).assert().success().get_output().stderr.clone();
        String::from_utf8(output).unwrap().contains("tokens are few")
    };
    assert!(told("electra", &text));
    assert!(!told("sample", &[]));
    assert!(!told("unigram", &[&text[..], &["--set", "objective.replaced_by=unigram"]].concat()));
}

#[test]
fn trains_on_the_sample_and_repeats_itself() {
    let folder = tempfile::tempdir().unwrap();
    let flags = ["--steps", "6", "--batch", "4", "--set", "model.vocabulary=300"];
    let (a, b, c) = (folder.path().join("a"), folder.path().join("b"), folder.path().join("c"));
    let shown = train(&a, &flags);
    for part in ["generator loss", "discriminator AUC", "held-out sentences", "leyden probe", "baselines"] {
        assert!(shown.contains(part), "no {part:?} in\n{shown}");
    }
    assert!(!shown.contains('\x1b'), "colour codes without a terminal");

    let lines = metrics(&a);
    assert_eq!(lines.len(), 8, "six intervals, and the held-out text before and after");
    let at = |line: &Value, key: &str| line[key].as_f64().unwrap();
    assert!((at(&lines[1], "generator_loss") - 300f64.ln()).abs() < 0.3, "starts near a uniform guess");
    assert!(lines.last().unwrap()["held_out"]["auc"].is_f64());
    let config = fs::read_to_string(a.join("config.toml")).unwrap();
    assert!(config.contains("vocabulary = 300") && config.contains("bias_correction = true"), "{config}");

    for half in ["generator", "discriminator"] {
        let folder = a.join("checkpoints/step-000006").join(half);
        for file in ["config.json", "model.safetensors", "tokenizer.json", "vocab.txt", "tokenizer_config.json"] {
            assert!(folder.join(file).is_file(), "no {file} in {half}");
        }
    }
    assert!(!a.join("checkpoints/step-000006.partial").exists());

    train(&b, &flags);
    train(&c, &[&flags[..], &["--seed", "2"]].concat());
    let weights = |run: &Path| fs::read(run.join("checkpoints/step-000006/discriminator/model.safetensors")).unwrap();
    assert_eq!(intervals(&a), intervals(&b), "the same seed gives the same metrics");
    assert!(weights(&a) == weights(&b), "the same seed gives the same weights");
    assert!(weights(&a) != weights(&c), "another seed gives other weights");
}

#[test]
fn a_stopped_run_goes_on_as_if_it_never_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, parts) = (folder.path().join("whole"), folder.path().join("parts"));
    let text = folder.path().join("text.txt");
    let line = "one two three four five six seven eight nine ten eleven twelve .\n";
    fs::write(&text, format!("{}\n", line.repeat(9)).repeat(30)).unwrap();
    let flags = [
        "--text",
        text.to_str().unwrap(),
        "--steps",
        "9",
        "--batch",
        "4",
        "--set",
        "model.vocabulary=60",
        "--set",
        "model.dropout=0.1",
        "--set",
        "training.checkpoint_every=2",
        "--set",
        "training.keep_checkpoints=2",
    ];
    train(&whole, &flags);
    let shown = train(&parts, &[&flags[..], &["--stop-after", "5"]].concat());
    assert!(shown.contains("stopped at step 5 of 9"), "{shown}");

    // What a kill leaves: a checkpoint half written, and metrics beyond the last whole one with a torn line.
    fs::create_dir_all(parts.join("checkpoints/step-000007.partial/generator")).unwrap();
    let metrics_file = parts.join("metrics.jsonl");
    let metrics_text = fs::read_to_string(&metrics_file).unwrap();
    fs::write(&metrics_file, format!("{metrics_text}{{\"step\":6,\"generator_loss\":1}}\n{{\"step\":7,\"tok")).unwrap();

    let go_on = |more: &[&str]| {
        let mut command = leyden();
        command.args(["train", "--device", "cpu", "--run"]).arg(&parts).args(more);
        command
    };
    let output = go_on(&["--seed", "3"]).assert().code(2).get_output().clone();
    assert!(String::from_utf8(output.stderr).unwrap().contains("leave --seed out"));
    go_on(&["--stop-after", "1"]).assert().success();
    go_on(&[]).assert().success();
    assert_eq!(intervals(&whole), intervals(&parts));
    for file in ["generator/model.safetensors", "discriminator/model.safetensors", "optimizer.safetensors"] {
        let read = |run: &Path| fs::read(run.join("checkpoints/step-000009").join(file)).unwrap();
        assert!(read(&whole) == read(&parts), "{file} differs");
    }
    let kept = fs::read_dir(whole.join("checkpoints")).unwrap().count();
    assert_eq!(kept, 2, "checkpoints that are kept");

    let done = go_on(&[]).assert().success().get_output().stdout.clone();
    assert!(String::from_utf8(done).unwrap().contains("is done, 9 steps"));
    go_on(&["--steps", "11"]).assert().success();
    assert!(parts.join("checkpoints/step-000011/discriminator/model.safetensors").is_file());

    let state = parts.join("checkpoints/step-000011/state.json");
    fs::write(&state, "{").unwrap();
    let output = go_on(&["--steps", "12"]).assert().code(2).get_output().clone();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("state.json") && error.trim_end().lines().count() == 1, "{error}");
}

/// Standard error of going on with a run.
fn go_on(run: &Path, more: &[&str], code: i32) -> String {
    let mut command = leyden();
    command.args(["train", "--device", "cpu", "--run"]).arg(run).args(more);
    String::from_utf8(command.assert().code(code).get_output().stderr.clone()).unwrap()
}

/// The one line of a refusal to go on.
fn refuses_to_go_on(run: &Path, more: &[&str], expected: &[&str]) {
    let error = go_on(run, more, 2);
    for part in expected {
        assert!(error.contains(part), "{more:?}: no {part:?} in {error:?}");
    }
    // How the text was read may be said before.
    let lines = error.trim_end().lines().filter(|line| !line.starts_with("note: "));
    assert_eq!(lines.count(), 1, "{error:?}");
}

#[test]
fn a_run_goes_on_where_it_and_its_text_were_moved() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let line = "one two three four five six seven eight nine ten eleven twelve .\n";
    fs::write(path("text.txt"), format!("{}\n", line.repeat(9)).repeat(30)).unwrap();
    let text = path("text.txt");
    let flags = ["--text", text.to_str().unwrap(), "--steps", "6", "--batch", "4", "--set", "model.vocabulary=60"];
    let whole = path("whole");
    train(&whole, &flags);
    train(&path("first"), &[&flags[..], &["--stop-after", "3"]].concat());

    fs::create_dir(path("elsewhere")).unwrap();
    let (run, moved) = (path("elsewhere/run"), path("elsewhere/the text.txt"));
    fs::rename(path("first"), &run).unwrap();
    fs::rename(&text, &moved).unwrap();
    refuses_to_go_on(&run, &[], &["text.txt", "is not there", "elsewhere/run --text PATH"]);
    fs::write(path("other.txt"), format!("{}\n", line.repeat(9)).repeat(31)).unwrap();
    let other = path("other.txt");
    let config = fs::read(run.join("config.toml")).unwrap();
    let expected = ["other.txt is not the text that the run in", "elsewhere/run", "--init-from"];
    refuses_to_go_on(&run, &["--text", other.to_str().unwrap()], &expected);
    refuses_to_go_on(&run, &["--text", "no such file"], &["no such file"]);
    refuses_to_go_on(&run, &["--data", folder.path().to_str().unwrap()], &["is trained on text", "with --text"]);
    assert!(fs::read(run.join("config.toml")).unwrap() == config, "a refusal changed the settings");

    // A path from where one stands, and from then on without it.
    let mut command = leyden();
    command.current_dir(path("elsewhere")).args(["train", "--device", "cpu", "--run", "run", "--stop-after", "1"]);
    command.args(["--text", "the text.txt"]).assert().success();
    let kept = fs::read_to_string(run.join("config.toml")).unwrap();
    assert!(kept.contains("elsewhere/the text.txt"), "{kept}");
    let events = fs::read_to_string(run.join("events.jsonl")).unwrap();
    assert!(events.contains("text moved") && events.contains("the text.txt"), "{events}");
    go_on(&run, &[], 0);
    assert_eq!(intervals(&whole), intervals(&run));
    let weights = |run: &Path| fs::read(run.join("checkpoints/step-000006/discriminator/model.safetensors")).unwrap();
    assert!(weights(&whole) == weights(&run), "a move changed the weights");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Makes a checkpoint's state say something else of its text.
fn rename_text(checkpoint: &Path, fingerprint: &str) {
    let path = checkpoint.join("state.json");
    let mut sealed: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    sealed["state"]["text"] = fingerprint.into();
    sealed["sha256"] = hex(&Sha256::digest(sealed["state"].to_string())).into();
    fs::write(path, sealed.to_string()).unwrap();
}

#[test]
fn a_dataset_may_be_moved_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let text = |name: &str, words: &str| {
        fs::write(path(name), format!("{}\n\n", format!("{words}\n").repeat(5)).repeat(40)).unwrap();
        let out = path(&format!("{name}.data"));
        let mut command = leyden();
        command.arg("prepare").arg(path(name)).args(["--vocab-size", "60", "--length", "32", "--out"]).arg(&out);
        command.assert().success();
        out
    };
    let data = text("a.txt", "one two three four five six seven eight nine ten .");
    let other = text("b.txt", "one two three four five six seven eight ten nine .");
    let run = path("run");
    train(&run, &["--data", data.to_str().unwrap(), "--steps", "4", "--batch", "4", "--stop-after", "2"]);
    let moved = path("moved");
    fs::rename(&data, &moved).unwrap();
    refuses_to_go_on(&run, &[], &["a.txt.data", "is not there", "--data PATH"]);
    let file = path("a.txt");
    refuses_to_go_on(&run, &["--text", file.to_str().unwrap()], &["is trained on a dataset", "with --data"]);
    let error = go_on(&run, &["--data", other.to_str().unwrap()], 2);
    assert!(error.contains("b.txt.data") && error.lines().count() == 1, "{error}");
    // Made again of the same text, which lies elsewhere; and as versions that told datasets by the text's files' names kept it.
    let again = text("c.txt", "one two three four five six seven eight nine ten .");
    go_on(&run, &["--data", again.to_str().unwrap(), "--stop-after", "1"], 0);
    rename_text(&run.join("checkpoints/step-000003"), Dataset::open(&moved).unwrap().former_fingerprint());
    let error = go_on(&run, &["--data", again.to_str().unwrap()], 2);
    assert!(error.contains("is not the text that the run in"), "{error}");
    go_on(&run, &["--data", moved.to_str().unwrap()], 0);
    assert!(run.join("checkpoints/step-000004").is_dir());
    // A run that is done is told too, and tells another.
    fs::rename(&moved, &data).unwrap();
    let error = go_on(&run, &["--data", other.to_str().unwrap()], 2);
    assert!(error.contains("b.txt.data"), "{error}");
    go_on(&run, &["--data", data.to_str().unwrap()], 0);
    let kept = fs::read_to_string(run.join("config.toml")).unwrap();
    assert!(kept.contains("a.txt.data"), "{kept}");
}

#[test]
fn a_run_that_was_never_saved_tells_another_text_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let line = "one two three four five six seven eight nine ten eleven twelve .\n";
    for (name, times) in [("text.txt", 30), ("other.txt", 33)] {
        fs::write(path(name), format!("{}\n", line.repeat(9)).repeat(times)).unwrap();
    }
    let (text, other, run) = (path("text.txt"), path("other.txt"), path("run"));
    let flags = ["--text", text.to_str().unwrap(), "--steps", "3", "--batch", "4", "--set", "model.vocabulary=60"];
    train(&run, &flags);
    fs::remove_dir_all(run.join("checkpoints")).unwrap();
    refuses_to_go_on(&run, &["--text", other.to_str().unwrap()], &["other.txt is not the text"]);
    go_on(&run, &["--text", text.to_str().unwrap()], 0);
    fs::remove_dir_all(run.join("checkpoints")).unwrap();
    fs::rename(&other, &text).unwrap();
    refuses_to_go_on(&run, &[], &["the text has changed"]);
}

#[test]
fn a_run_with_lines_of_another_program_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    train(&run, &["--steps", "2", "--batch", "4", "--set", "model.vocabulary=300"]);
    let log = run.join("metrics.jsonl");
    let mixed = fs::read_to_string(&log).unwrap() + "{\"step\":9,\"loss\":2.5}\n";
    fs::write(&log, &mixed).unwrap();
    let number = format!("line {}", mixed.lines().count());
    refuses_to_go_on(&run, &["--steps", "3"], &["metrics.jsonl", &number, "has no generator_loss or", "move it away"]);
    assert_eq!(fs::read_to_string(&log).unwrap(), mixed);
    fs::remove_file(&log).unwrap();
    go_on(&run, &["--steps", "3"], 0);
}

#[test]
fn a_short_run_is_warned() {
    let folder = tempfile::tempdir().unwrap();
    let warned = |name: &str, more: &[&str]| {
        let run = folder.path().join(name);
        let mut command = leyden();
        command.args(["train", "--device", "cpu", "--batch", "4", "--set", "model.vocabulary=300", "--run"]);
        command.arg(&run).args(SMALL).args(more);
        let error = String::from_utf8(command.assert().success().get_output().stderr.clone()).unwrap();
        let events = fs::read_to_string(run.join("events.jsonl")).unwrap();
        assert_eq!(error.matches("warning:").count(), events.matches("\"warning\"").count(), "{error}{events}");
        error
    };
    let error = warned("still", &["--steps", "60", "--learning-rate", "1e-9", "--set", "optimizer.warmup=10"]);
    assert!(error.contains("has learnt nothing: over 60 steps") && error.matches("warning:").count() == 1, "{error}");
    let error = warned("wild", &["--steps", "40", "--learning-rate", "5", "--set", "optimizer.warmup=0"]);
    assert!(error.contains("training diverges") && error.contains("smaller --learning-rate (now 5)"), "{error}");
    assert!(!error.contains("larger"), "{error}");
    let error = warned("warm", &["--steps", "20", "--set", "optimizer.warmup=10000"]);
    assert!(error.contains("the warm-up of 10,000 steps is longer than the run of 20"), "{error}");
    let error = warned("well", &["--steps", "80", "--set", "optimizer.warmup=10", "--learning-rate", "5e-3"]);
    assert!(!error.contains("warning:"), "{error}");
}

#[test]
fn little_memory_changes_the_parts_and_not_the_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, parts) = (folder.path().join("whole"), folder.path().join("parts"));
    let flags = ["--steps", "4", "--batch", "5", "--set", "model.vocabulary=300", "--set", "model.dropout=0.1"];
    assert!(!train(&whole, &flags).contains(" parts of "));
    let shown = train(&parts, &[&flags[..], &["--memory", "820kB"]].concat());
    assert!(shown.contains("5 examples in 3 parts of 2"), "{shown}");
    for (found, expected) in metrics(&parts).iter().zip(&metrics(&whole)) {
        let pair = |key: &str| match found.get("held_out") {
            Some(held_out) => (held_out[key].as_f64(), expected["held_out"][key].as_f64()),
            None => (found[key].as_f64(), expected[key].as_f64()),
        };
        for key in ["generator_loss", "discriminator_loss", "sampled_accuracy", "replaced_rate"] {
            let (Some(f), Some(e)) = pair(key) else { panic!("no {key} in {found}") };
            assert!((f - e).abs() < 1e-4 * e.abs().max(1.0), "{key}: {found}, at once {expected}");
        }
    }
    // Going on with other parts is no other run.
    let mut command = leyden();
    command.args(["train", "--device", "cpu", "--steps", "6", "--run"]).arg(&parts).assert().success();
    refuses(&["--device", "cpu", "--memory", "9kB"], &["one example at a time", "8.8 KiB", "--memory"]);
    refuses(&["--memory", "lots"], &["--memory lots", "2GB"]);
}

#[test]
fn a_trained_model_is_started_from() {
    let folder = tempfile::tempdir().unwrap();
    let (first, both, half) = (folder.path().join("first"), folder.path().join("both"), folder.path().join("half"));
    train(&first, &["--steps", "4", "--batch", "4", "--set", "model.vocabulary=300"]);
    let held_out = |run: &Path, at: fn(&[Value]) -> &Value| at(&metrics(run))["held_out"].clone();
    // Sizes and vocabulary come with the weights, whatever the preset says.
    let more = |run: &Path, from: &Path| {
        let flags = ["--steps", "2", "--batch", "4", "--set", "training.evaluation_examples=8", "--init-from"];
        let mut command = leyden();
        command.args(["train", "--device", "cpu", "--run"]).arg(run).args(flags).arg(from);
        String::from_utf8(command.assert().success().get_output().stdout.clone()).unwrap()
    };
    let shown = more(&both, &first);
    assert!(shown.contains("generator of ") && shown.contains("300 words"), "{shown}");
    assert_eq!(held_out(&both, |l| &l[0]), held_out(&first, |l| l.last().unwrap()));
    more(&half, &first.join("checkpoints/step-000004/discriminator"));
    assert_ne!(held_out(&half, |l| &l[0]), held_out(&both, |l| &l[0]));
    refuses(&["--init-from", folder.path().to_str().unwrap()], &["holds no model"]);
}

#[test]
fn a_model_that_transformers_saved_is_started_from() {
    let folder = tempfile::tempdir().unwrap();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    for (published, half) in [("probe", "discriminator"), ("probe_generator", "generator")] {
        let run = folder.path().join(half);
        let mut command = leyden();
        // A learning rate of 0 leaves the weights as they were found.
        command.args(["train", "--device", "cpu", "--steps", "1", "--batch", "2", "--learning-rate", "0"]);
        command.args(["--set", "training.evaluation_examples=4", "--init-from"]).arg(golden.join(published));
        command.arg("--run").arg(&run).assert().success();
        let file = |folder: &Path| fs::read(folder.join("model.safetensors")).unwrap();
        let (before, after) = (file(&golden.join(published)), file(&run.join("checkpoints/step-000001").join(half)));
        let read = |bytes| safetensors::SafeTensors::deserialize(bytes).unwrap();
        let (before, after) = (read(&before), read(&after));
        let names: Vec<&str> = before.names().into_iter().filter(|name| !name.ends_with("position_ids")).collect();
        assert!(names.len() > 30);
        for name in names {
            let (expected, found) = (before.tensor(name).unwrap(), after.tensor(name).unwrap());
            assert_eq!(expected.shape(), found.shape(), "{name}");
            assert!(expected.data() == found.data(), "{half}: {name} is another");
        }
    }
}

#[test]
fn learns_a_small_text_by_heart() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text.txt");
    // Forty documents that are all one of two, so that the held-out part is known as well.
    let (a, b) = (
        "the cat sat on the mat and looked at the red moon .\nthen it slept until the sun came up over the hill .\n",
        "seven ships sailed west with salt and silver .\nno wind could stop them and no storm could sink them .\n",
    );
    fs::write(&text, format!("{a}\n{b}\n").repeat(20)).unwrap();
    let run = folder.path().join("run");
    let text = text.to_str().unwrap();
    let flags = [
        "--text",
        text,
        "--steps",
        "1200",
        "--batch",
        "8",
        "--length",
        "32",
        "--learning-rate",
        "7e-3",
        "--set",
        "model.vocabulary=80",
        "--set",
        "training.log_every=50",
        "--set",
        "generator.hidden=32",
        "--set",
        "optimizer.warmup=100",
        "--set",
        "objective.discriminator_weight=5",
    ];
    train(&run, &flags);
    let lines = intervals(&run);
    let loss = |i: usize, key: &str| lines[i][key].as_f64().unwrap();
    let last = lines.len() - 1;
    assert!(loss(0, "generator_loss") > 2.5, "{}", lines[0]);
    assert!(loss(last, "generator_loss") < 0.1, "{}", lines[last]);
    assert!(loss(last, "discriminator_loss") < 0.05, "{}", lines[last]);
}

#[test]
fn trains_on_a_gpu_as_on_the_cpu() {
    let folder = tempfile::tempdir().unwrap();
    let device = std::env::var("LEYDEN_TEST_DEVICE").unwrap_or_else(|_| "llvmpipe".into());
    let flags = ["--steps", "3", "--batch", "4", "--set", "model.vocabulary=300", "--set", "model.dropout=0.1"];
    let (cpu, gpu) = (folder.path().join("cpu"), folder.path().join("gpu"));
    train(&cpu, &[&flags[..], &["--precision", "f32"]].concat());
    let mut command = leyden();
    command.args(["train", "--device", &device, "--run"]).arg(&gpu).args(SMALL).args(flags);
    let shown = String::from_utf8(command.assert().success().get_output().stdout.clone()).unwrap();
    assert!(!shown.contains("on CPU ("), "{shown}");
    for (found, expected) in intervals(&gpu).iter().zip(&intervals(&cpu)) {
        for key in ["generator_loss", "discriminator_loss", "gradient_norm"] {
            let (f, e) = (found[key].as_f64().unwrap(), expected[key].as_f64().unwrap());
            assert!((f - e).abs() < 1e-3 * e.abs().max(1.0), "{key}: {found}, on the CPU {expected}");
        }
    }
}

#[test]
fn numbers_that_are_none_are_never_saved() {
    let folder = tempfile::tempdir().unwrap();
    for (name, flags) in [
        ("loss", ["--steps", "5", "--set", "optimizer.epsilon=1e-6"]),
        ("weights", ["--steps", "1", "--set", "optimizer.epsilon=0"]),
    ] {
        let run = folder.path().join(name);
        let mut command = leyden();
        command.args(["train", "--device", "cpu", "--batch", "4", "--run"]).arg(&run).args(SMALL).args(flags);
        command.args(["--learning-rate", "1e6", "--set", "optimizer.warmup=0"]);
        let output = command.assert().code(1).get_output().clone();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.contains("--learning-rate"), "{error}");
        assert!(!run.join("checkpoints").exists());
    }
}

#[test]
fn more_memory_than_there_is_is_said_before_it_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = leyden();
    // Batches of 1,048,576 x 4,096 tokens are too large for any machine's memory, in however many parts.
    command.args(["train", "--device", "cpu", "--batch", "1048576", "--length", "4096", "--run"]);
    let output = command.arg(folder.path().join("run")).assert().code(2).get_output().clone();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("memory") && error.contains("--batch"), "{error}");
}

/// Runs with bad arguments: exit code 2 and one line on standard error that says `expected`.
fn refuses(arguments: &[&str], expected: &[&str]) {
    let output = leyden().arg("train").args(arguments).assert().code(2).get_output().clone();
    let error = String::from_utf8(output.stderr).unwrap();
    for part in expected {
        assert!(error.contains(part), "{arguments:?}: no {part:?} in {error:?}");
    }
    assert_eq!(error.trim_end().lines().count(), 1, "{error:?}");
}

#[test]
fn refuses_bad_settings() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
    refuses(&["--preset", "huge"], &["huge", "tiny", "base"]);
    refuses(&["--set", "model.layer=2"], &["layer"]);
    refuses(&["--set", "model.layers"], &["KEY=VALUE"]);
    refuses(&["--set", "model.heads=3"], &["model.heads", "divisor"]);
    refuses(&["--steps", "0"], &["training.steps"]);
    refuses(&["--learning-rate", "nan"], &["learning_rate"]);
    refuses(&["--learning-rate", "-1"], &["learning_rate is -1"]);
    refuses(&["--hours", "-1"], &["training.hours is -1"]);
    refuses(&["--config", &path("none.toml")], &["none.toml"]);
    fs::write(path("bad.toml"), "[model]\nhiden = 3\n").unwrap();
    refuses(&["--config", &path("bad.toml")], &["bad.toml", "hiden"]);
    refuses(&["--set", "model.types=1"], &["model.types", "at least 2"]);
    refuses(&["--set", "preset=\"small\""], &["--preset"]);
    refuses(&["--set", "model.hidden=1048576"], &["model.hidden", "4096"]);
    refuses(&["--seed", "18446744073709551615"], &["seed"]);
    fs::write(path("named.toml"), "preset = \"huge\"\n").unwrap();
    refuses(&["--config", &path("named.toml")], &["huge", "tiny"]);
    refuses(&["--device", "no such device"], &["no such device", "leyden devices"]);
}

#[test]
fn refuses_bad_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
    refuses(&["--text", &path("none.txt")], &["none.txt"]);
    fs::write(path("empty.txt"), "").unwrap();
    refuses(&["--text", &path("empty.txt")], &["empty.txt"]);
    fs::write(path("latin1.txt"), b"one line\ncaf\xe9 au lait\n").unwrap();
    refuses(&["--text", &path("latin1.txt")], &["latin1.txt", "UTF-8", "2"]);
    fs::write(path("short.txt"), "hello\n").unwrap();
    refuses(&["--text", &path("short.txt")], &["text"]);
    refuses(&["--run", &path("short.txt")], &["short.txt is a file; expected the folder of a run"]);
    refuses(&["--run", &path("short.txt/run")], &["short.txt is a file"]);
    // A run with so few words could begin, but never go on.
    fs::write(path("few.txt"), "the cat sat on the mat . it was a good cat .\n").unwrap();
    let few = ["--text", &path("few.txt"), "--steps", "1", "--device", "cpu", "--run", &path("few")];
    refuses(&few, &["few.txt: a vocabulary of 23 words, expected 32", "more text"]);
    assert!(!Path::new(&path("few")).exists());
    refuses(&["--data", &path("none")], &["--data ", "none does not exist; expected the folder of a dataset"]);
    fs::create_dir(path("taken")).unwrap();
    fs::write(path("taken/notes.txt"), "mine").unwrap();
    refuses(&["--run", &path("taken")], &["taken", "not empty"]);
    assert_eq!(fs::read_to_string(path("taken/notes.txt")).unwrap(), "mine");
}
