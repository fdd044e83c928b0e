//! `leyden probe` through the binary, held against what `transformers` says (`golden/make_probe.py`).

#[path = "common/program.rs"]
mod program;

use assert_cmd::Command;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Devices that must agree with `transformers`.
const DEVICES: [&str; 2] = ["cpu", "lavapipe"];

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn cases() -> Vec<Value> {
    serde_json::from_str(&fs::read_to_string(golden("probe.json")).unwrap()).unwrap()
}

fn text(case: &Value) -> String {
    case["text"].as_str().unwrap().to_string()
}

fn probe() -> Command {
    let mut command = program::leyden();
    command.arg("probe");
    command
}

/// Runs on the CPU and returns standard output.
fn answers(args: &[&str], input: impl Into<Vec<u8>>) -> String {
    let run = probe().args(args).args(["--device", "cpu"]).write_stdin(input).assert().success();
    String::from_utf8(run.get_output().stdout.clone()).unwrap()
}

/// The one line of a refusal.
fn refusal(folder: &Path) -> String {
    let run = probe().arg(folder).args(["A cat.", "--device", "cpu"]).assert().code(2);
    let (out, err) = (&run.get_output().stdout, String::from_utf8(run.get_output().stderr.clone()).unwrap());
    assert!(out.is_empty() && err.lines().count() == 1 && !err.contains("panicked"), "{err}");
    err
}

fn agree(answers: &str, cases: &[Value], device: &str) {
    let answers: Vec<Value> = answers.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), cases.len());
    let mut worst: f64 = 0.0;
    for (found, expected) in answers.iter().zip(cases) {
        for key in ["text", "tokens", "ids"] {
            assert_eq!(found[key], expected[key], "{device}: {key}");
        }
        let numbers = |v: &Value| -> Vec<f64> {
            v["p_replaced"].as_array().unwrap().iter().map(|p| p.as_f64().unwrap()).collect()
        };
        let (found, expected) = (numbers(found), numbers(expected));
        assert_eq!(found.len(), expected.len());
        worst = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(worst, f64::max);
    }
    assert!(worst < 1e-4, "{device}: probabilities differ by {worst:e}");
}

/// A copy of the golden discriminator in `to`.
fn copy(to: &Path) {
    copy_of("probe", to);
}

fn copy_of(name: &str, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(golden(name)).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn says_what_transformers_says() {
    let cases = cases();
    for device in DEVICES {
        let sentences = cases.iter().map(text);
        let run = probe().arg(golden("probe")).args(["--json", "--device", device]).args(sentences).assert().success();
        agree(std::str::from_utf8(&run.get_output().stdout).unwrap(), &cases, device);
    }
}

/// Compares guesses with what `transformers` guesses, and counts them.
fn same_guesses(answers: &str, cases: &[Value], device: &str) -> usize {
    let answers: Vec<Value> = answers.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), cases.len());
    let mut compared = 0;
    for (found, expected) in answers.iter().zip(cases) {
        for key in ["text", "ids"] {
            assert_eq!(found[key], expected[key], "{device}");
        }
        let masks = |case: &Value| case["masks"].as_array().unwrap().clone();
        assert_eq!(masks(found).len(), masks(expected).len(), "{device}");
        for (found, expected) in masks(found).iter().zip(masks(expected)) {
            assert_eq!(found["position"], expected["position"]);
            let guesses = |mask: &Value| mask["guesses"].as_array().unwrap().clone();
            assert_eq!(guesses(found).len(), 5);
            for (found, expected) in guesses(found).iter().zip(guesses(&expected)) {
                assert_eq!((&found["id"], &found["token"]), (&expected["id"], &expected["token"]), "{device}");
                let (a, b) = (found["p"].as_f64().unwrap(), expected["p"].as_f64().unwrap());
                assert!((a - b).abs() < 1e-5, "{device}: {a} and {b}");
                compared += 1;
            }
        }
    }
    compared
}

#[test]
fn guesses_what_transformers_guesses() {
    let cases: Vec<Value> = serde_json::from_str(&fs::read_to_string(golden("probe_masks.json")).unwrap()).unwrap();
    for device in DEVICES {
        let mut command = probe();
        command
            .arg(golden("probe_generator"))
            .args(["--mask", "--json", "--device", device])
            .args(cases.iter().map(text));
        let run = command.assert().success();
        let out = String::from_utf8(run.get_output().stdout.clone()).unwrap();
        assert_eq!(same_guesses(&out, &cases, device), 150, "{device}");
    }
}

#[test]
fn a_pickle_is_read_as_the_weights_that_it_was_made_of() {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("pickled");
    copy_of("probe_generator", &to);
    let question = ["--mask", "--json", "the [MASK] sat on a [MASK]."];
    let ask = || answers(&[&[to.to_str().unwrap()], &question[..]].concat(), "");
    let expected = ask();
    fs::remove_file(to.join("model.safetensors")).unwrap();
    fs::copy(golden("pickle/generator.bin"), to.join("pytorch_model.bin")).unwrap();
    assert_eq!(ask(), expected);
}

#[test]
fn other_activations_and_epsilons_are_those_of_transformers() {
    let folder = tempfile::tempdir().unwrap();
    let others: Vec<Value> = serde_json::from_str(&fs::read_to_string(golden("probe_others.json")).unwrap()).unwrap();
    for (device, other) in DEVICES.into_iter().flat_map(|device| others.iter().map(move |other| (device, other))) {
        for (name, key) in [("probe", "sentences"), ("probe_generator", "masked")] {
            let to = folder.path().join(name);
            copy_of(name, &to);
            let config = fs::read_to_string(to.join("config.json")).unwrap();
            let mut config: Value = serde_json::from_str(&config).unwrap();
            for key in ["hidden_act", "layer_norm_eps"] {
                config[key] = other[key].clone();
            }
            fs::write(to.join("config.json"), config.to_string()).unwrap();
            let cases = other[key].as_array().unwrap();
            let mut command = probe();
            command.arg(&to).args(["--json", "--device", device]).args(cases.iter().map(text));
            command.args((key == "masked").then_some("--mask"));
            let run = command.assert().success();
            let out = std::str::from_utf8(&run.get_output().stdout).unwrap();
            match key {
                "masked" => assert_eq!(same_guesses(out, cases, device), 25, "{other}"),
                _ => agree(out, cases, device),
            }
        }
    }
}

#[test]
fn people_read_guesses_under_a_sentence() {
    let folder = golden("probe_generator");
    let folder = folder.to_str().unwrap();
    let shown = answers(&[folder, "--mask", "--top", "2", "The [MASK] sat on a [MASK]."], "");
    let lines: Vec<&str> = shown.lines().collect();
    assert!(lines[1].contains("likeliest"), "{shown}");
    assert_eq!(lines[3], "the [MASK] sat on a [MASK] .");
    assert_eq!(lines.len(), 6, "{shown}");
    assert_eq!(lines[4].split_whitespace().count(), 4, "two masks, each with a probability and a word: {shown}");
    let run = tempfile::tempdir().unwrap();
    let newest = run.path().join("checkpoints/step-000010/generator");
    fs::create_dir_all(&newest).unwrap();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), newest.join(entry.file_name())).unwrap();
    }
    let lines = answers(&[run.path().to_str().unwrap(), "--mask", "--json"], "a [MASK]\nthe [MASK]\n");
    assert_eq!(lines.lines().count(), 2);
}

#[test]
fn lines_of_standard_input_are_sentences() {
    let cases = cases();
    let folder = golden("probe");
    let folder = folder.to_str().unwrap();
    let once: String = cases.iter().map(|case| text(case) + "\r\n").collect();
    agree(&answers(&[folder, "--json"], once), &cases, "lines");
    // Several batches, of several lengths, the last line without an end.
    let many: Vec<Value> = (0..5).flat_map(|_| cases.clone()).collect();
    let lines = many.iter().map(text).collect::<Vec<_>>().join("\n");
    agree(&answers(&[folder, "--json", "-"], lines), &many, "many lines");
    assert_eq!(answers(&[folder, "--json"], ""), "");
}

#[test]
fn answers_before_the_input_ends() {
    use std::io::{BufRead as _, BufReader, Write as _};
    let mut child = program::process()
        .args(["probe", golden("probe").to_str().unwrap(), "--json", "--device", "cpu"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    for case in &cases()[..3] {
        writeln!(input, "{}", text(case)).unwrap();
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        agree(&line, std::slice::from_ref(case), "one line");
    }
    drop(input);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_bad_line_costs_that_line() {
    let run = |folder: &str, more: &[&str], input: &[u8]| {
        let mut command = probe();
        command.arg(golden(folder)).args(["--device", "cpu"]).args(more).write_stdin(input);
        let output = command.assert().code(2).get_output().clone();
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let json = |out: &str| -> Vec<Value> { out.lines().map(|line| serde_json::from_str(line).unwrap()).collect() };
    let (out, error) = run("probe", &["--json"], b"the cat\nthe \xff dog\ntwo cats\n");
    let lines = json(&out);
    assert_eq!((lines.len(), &lines[0]["text"], &lines[2]["text"]), (3, &"the cat".into(), &"two cats".into()));
    assert_eq!(lines[1]["line"], 2);
    assert!(lines[1]["error"].as_str().unwrap().contains("byte 5 is not UTF-8"), "{out}");
    assert!(
        error.contains("line 2: byte 5") && error.contains("1 of 3 lines") && error.lines().count() == 2,
        "{error}"
    );
    let (out, _) = run("probe", &[], b"the \xff dog\nthe cat\n");
    assert!(out.contains("the cat") && !out.contains("dog"), "{out}");

    let long = "the ".repeat(400_000);
    let input = format!("a [MASK]\na cat\n\n{long}\nthe [MASK] .\n");
    let (out, error) = run("probe_generator", &["--mask", "--json"], input.as_bytes());
    let lines = json(&out);
    assert_eq!(lines.len(), 5);
    let bad: Vec<u64> = lines.iter().filter_map(|line| line.get("error").and(line["line"].as_u64())).collect();
    assert_eq!(bad, [2, 3, 4], "{error}");
    assert!(error.contains("line 2: \"a cat\" has no [MASK]") && error.contains("3 of 5 lines"), "{error}");
    assert!(error.lines().all(|line| line.len() < 300), "{error}");
    assert!(lines[4]["masks"].is_array());
    // Of several sentences too, but one alone is the command's fault.
    let (out, error) = run("probe_generator", &["--mask", "--json", "a cat", "a [MASK]"], b"");
    assert_eq!(json(&out)[0]["sentence"], 1);
    assert!(json(&out)[1]["masks"].is_array() && error.contains("sentence 1: "), "{out}{error}");
}

#[test]
fn of_a_long_line_no_more_is_read_than_the_model_takes() {
    let folder = golden("probe");
    let folder = folder.to_str().unwrap();
    let words = "The storm was large, and the cat sat on the jar. ";
    let short = words.repeat(9);
    let input = format!("{short}\n{}\nthe cat\n", words.repeat(60_000));
    let out = answers(&[folder, "--json"], input);
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 3);
    for key in ["ids", "tokens", "p_replaced"] {
        assert_eq!(lines[0][key], lines[1][key]);
    }
    let cut: Vec<bool> = lines.iter().map(|line| line["cut"].as_bool().unwrap()).collect();
    assert_eq!(cut, [true, true, false]);
    assert_eq!(lines[0]["text"], short);
    assert!(out.len() < 2_000_000, "{} bytes of answers", out.len());
}

#[test]
fn people_read_tokens_with_numbers_under_them() {
    let folder = golden("probe");
    let folder = folder.to_str().unwrap();
    let shown = answers(&[folder, "The cat sat on the jar.", "two cats", ""], "");
    let lines: Vec<&str> = shown.lines().collect();
    assert!(lines[0].contains("probe, ") && lines[0].contains("on CPU"), "{shown}");
    assert!(lines[1].contains("probability"), "{shown}");
    assert_eq!(lines[3..5], ["the cat sat on the jar .", "66* 46  21  6  26  15  13"], "{shown}");
    assert!(lines[6].contains("cat·"), "{shown}");
    assert_eq!(lines.last(), Some(&"(no tokens)"));
    assert_eq!(shown.matches("probability").count(), 1, "one legend");
    assert!(!shown.contains('\x1b'));

    let run = probe().args([folder, "The cat", "--device", "cpu"]).env("CLICOLOR_FORCE", "1").assert().success();
    assert!(String::from_utf8_lossy(&run.get_output().stdout).contains("\x1b["));
    let long = "the storm was large ".repeat(20);
    let run = probe().args([folder, &long, "--device", "cpu"]).env("COLUMNS", "40").assert().success();
    let shown = String::from_utf8(run.get_output().stdout.clone()).unwrap();
    assert!(shown.contains("cut to 40 tokens") && shown.lines().skip(2).all(|line| line.len() <= 40), "{shown}");
}

#[test]
fn a_run_is_probed_by_its_newest_checkpoint() {
    let run = tempfile::tempdir().unwrap();
    for step in ["step-000090", "step-000500", "step-1000000.new"] {
        copy(&run.path().join("checkpoints").join(step).join("discriminator"));
    }
    let newest = run.path().join("checkpoints/step-000500/discriminator");
    // The tokenizer of a run may lie in its own folder.
    fs::rename(newest.join("tokenizer.json"), run.path().join("tokenizer.json")).unwrap();
    fs::remove_file(newest.join("vocab.txt")).unwrap();
    let shown = answers(&[run.path().to_str().unwrap(), "the cat"], "");
    assert!(shown.lines().next().unwrap().contains("step-000500"), "{shown}");
    assert!(shown.contains("the cat"), "{shown}");

    let step = run.path().join("checkpoints/step-000090");
    let shown = answers(&[step.to_str().unwrap(), "the cat"], "");
    assert!(shown.lines().next().unwrap().contains("step-000090"), "{shown}");
    copy(&run.path().join("discriminator"));
    let shown = answers(&[run.path().to_str().unwrap(), "the cat"], "");
    assert!(!shown.lines().next().unwrap().contains("step-"), "{shown}");
}

#[test]
fn a_run_of_masked_language_modelling_is_asked_for_words() {
    let run = tempfile::tempdir().unwrap();
    copy_of("probe_generator", &run.path().join("checkpoints/step-000010/encoder"));
    let shown = answers(&[run.path().to_str().unwrap(), "a [MASK]", "--mask"], "");
    assert!(shown.contains("the encoder's likeliest words"), "{shown}");
    for folder in [run.path().to_path_buf(), run.path().join("checkpoints/step-000010/encoder")] {
        let error = refusal(&folder);
        assert!(error.contains("discriminator") && error.contains(" --mask"), "{error}");
    }
}

#[test]
fn what_cannot_be_probed_is_refused_in_a_line() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("model");
    let says = |error: String, words: &[&str]| {
        for word in words {
            assert!(error.contains(word), "{word:?} is not in {error}");
        }
    };
    says(refusal(&golden("probe_generator")), &["is a masked language model", "discriminator"]);
    let masked = |folder: &Path, sentence: &str| {
        let run = probe().arg(folder).args([sentence, "--mask", "--json", "--device", "cpu"]).assert().code(2);
        assert!(run.get_output().stdout.is_empty());
        String::from_utf8(run.get_output().stderr.clone()).unwrap()
    };
    says(masked(&golden("probe"), "a [MASK]"), &["is a discriminator", "folder of a generator"]);
    says(masked(&golden("probe_generator"), "a [mask]"), &["a [mask]", "no [MASK]", "capitals"]);
    let late = "the ".repeat(60) + "[MASK]";
    says(masked(&golden("probe_generator"), &late), &["no [MASK] within the model's positions"]);
    let half = temporary.path().join("half");
    copy(&half.join("discriminator"));
    says(masked(&half, "a [MASK]"), &["holds no generator and no encoder", "discriminator", "without --mask"]);
    let run = probe().arg(golden("probe")).args(["a", "--top", "3"]).assert().code(2);
    says(String::from_utf8_lossy(&run.get_output().stderr).into(), &["--mask"]);
    says(refusal(&folder), &["does not exist"]);
    fs::create_dir(&folder).unwrap();
    says(refusal(&folder), &["holds no model", "config.json"]);
    fs::write(folder.join("file"), "").unwrap();
    says(refusal(&folder.join("file")), &["holds no model"]);

    let edited = |file: &str, edit: &dyn Fn(Vec<u8>) -> Option<Vec<u8>>| {
        copy(&folder);
        let path = folder.join(file);
        match edit(fs::read(&path).unwrap()) {
            Some(bytes) => fs::write(&path, bytes).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        refusal(&folder)
    };
    let replaced = |from: &'static str, to: &'static str| {
        move |bytes: Vec<u8>| {
            let text = String::from_utf8(bytes).unwrap();
            assert!(text.contains(from));
            Some(text.replace(from, to).into_bytes())
        }
    };
    let weights = "model.safetensors";
    says(edited("config.json", &|_| None), &["config.json", "cannot read"]);
    says(edited("config.json", &|_| Some(b"{".to_vec())), &["config.json", "not JSON"]);
    says(edited("config.json", &replaced("\"electra\"", "\"bert\"")), &["model_type is bert"]);
    says(edited("config.json", &replaced("\"hidden_size\": 40", "\"hidden_size\": 44")), &["[44", "expected"]);
    let huge = replaced("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 16000000");
    says(edited("config.json", &huge), &["bytes", "config.json describes"]);
    let short = replaced("\"max_position_embeddings\": 40", "\"max_position_embeddings\": 1");
    says(edited("config.json", &short), &["max_position_embeddings is 1"]);
    let few = replaced("\"vocab_size\": 115", "\"vocab_size\": 114");
    says(edited("config.json", &few), &["word_embeddings"]);
    says(edited(weights, &|bytes| Some(bytes[..bytes.len() / 2].to_vec())), &[weights, "safetensors file"]);
    says(edited(weights, &|_| Some(Vec::new())), &[weights, "safetensors file"]);
    says(edited(weights, &|_| None), &["holds no model.safetensors"]);
    for (file, words) in [
        ("model.ckpt-1000.index", ["TensorFlow", "'./model.ckpt-1000'"]),
        ("tf_model.h5", ["load_tf2_checkpoint", "ElectraForPreTraining"]),
        ("flax_model.msgpack", ["load_flax_checkpoint", "transformers<5"]),
    ] {
        fs::write(folder.join(file), "").unwrap();
        says(edited(weights, &|_| None), &words);
        fs::remove_file(folder.join(file)).unwrap();
    }
    fs::write(folder.join("pytorch_model.bin"), "no pickle").unwrap();
    says(edited(weights, &|_| None), &["pytorch_model.bin", "not a readable PyTorch file"]);
    fs::remove_file(folder.join("pytorch_model.bin")).unwrap();
    for (from, to, word) in [
        ("\"vocab_size\": 115", "\"vocab_size\": \"115\"", "vocab_size is \"115\""),
        ("\"hidden_size\": 40", "\"hidden_size\": 40.0", "hidden_size is 40.0"),
        ("\"type_vocab_size\": 2", "\"type_vocab_size\": null", "type_vocab_size is null"),
        ("\"embedding_size\": 24", "\"embedding_size\": [24]", "embedding_size is [24]"),
        ("\"intermediate_size\": 72", "\"intermediate_size\": true", "intermediate_size is true"),
        ("\"num_hidden_layers\": 2", "\"num_hidden_layers\": -2", "num_hidden_layers is -2"),
        ("\"hidden_dropout_prob\": 0.1", "\"hidden_dropout_prob\": \"0.1\"", "hidden_dropout_prob is \"0.1\""),
        ("\"hidden_dropout_prob\": 0.1", "\"hidden_dropout_prob\": 1.5", "hidden_dropout_prob is 1.5"),
        ("\"initializer_range\": 0.02", "\"initializer_range\": null", "initializer_range is null"),
        ("\"tie_word_embeddings\": true", "\"tie_word_embeddings\": 1", "tie_word_embeddings is 1"),
        ("\"is_decoder\": false", "\"is_decoder\": true", "is_decoder is true"),
    ] {
        says(edited("config.json", &replaced(from, to)), &[word, "expected"]);
    }
    says(edited("tokenizer.json", &|_| Some(b"{}".to_vec())), &["tokenizer.json"]);
    let more = replaced("\"##le\": 114", "\"##le\": 114, \"more\": 115");
    says(edited("tokenizer.json", &more), &["116 tokens", "115"]);
    copy(&folder);
    fs::remove_file(folder.join("tokenizer.json")).unwrap();
    fs::remove_file(folder.join("vocab.txt")).unwrap();
    says(refusal(&folder), &["no tokenizer"]);
    let run = probe().arg(golden("probe")).args(["a", "--device", "no such GPU"]).assert().code(2);
    says(String::from_utf8_lossy(&run.get_output().stderr).into(), &["no such GPU", "leyden devices"]);
}

/// A tensor as a file holds it.
struct Raw(Dtype, Vec<usize>, Vec<u8>);

/// The tensors of the golden folder's weights.
fn tensors(name: &str) -> BTreeMap<String, Raw> {
    let bytes = fs::read(golden(name).join("model.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let raw = |view: TensorView<'_>| Raw(view.dtype(), view.shape().to_vec(), view.data().to_vec());
    file.iter().map(|(name, view)| (name.to_string(), raw(view))).collect()
}

fn write(path: &Path, tensors: &BTreeMap<String, Raw>) {
    let view = |Raw(dtype, shape, data): &'_ Raw| (*dtype, shape.clone(), data.clone());
    let owned: Vec<_> = tensors.iter().map(|(name, raw)| (name.clone(), view(raw))).collect();
    let views = owned.iter().map(|(name, (d, s, b))| (name.clone(), TensorView::new(*d, s.clone(), b).unwrap()));
    fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

/// Every number of 32 bits turned into bytes of another type.
fn cast(tensors: &mut BTreeMap<String, Raw>, dtype: Dtype, to: impl Fn(f32) -> Vec<u8>) {
    for Raw(kind, _, data) in tensors.values_mut() {
        *kind = dtype;
        *data = data.as_chunks::<4>().0.iter().flat_map(|x| to(f32::from_le_bytes(*x))).collect();
    }
}

fn p_replaced(answers: &str) -> Vec<f64> {
    let line: Value = serde_json::from_str(answers.lines().next().unwrap()).unwrap();
    line["p_replaced"].as_array().unwrap().iter().map(|p| p.as_f64().unwrap()).collect()
}

#[test]
fn weights_as_others_saved_them_are_the_same_weights() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    copy(folder);
    let (weights, config) = (folder.join("model.safetensors"), folder.join("config.json"));
    let ask = || answers(&[folder.to_str().unwrap(), "--json", "The cat sat on the jar."], "");
    let exact = ask();

    let mut all = tensors("probe");
    cast(&mut all, Dtype::F64, |x| f64::from(x).to_le_bytes().to_vec());
    write(&weights, &all);
    assert_eq!(ask(), exact, "F64");
    let near = |tolerance: f64, what: &str| {
        let (found, expected) = (ask(), p_replaced(&exact));
        let worst = p_replaced(&found).iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(worst > 0.0 && worst < tolerance, "{what}: {worst}");
    };
    let mut all = tensors("probe");
    cast(&mut all, Dtype::F16, |x| half::f16::from_f32(x).to_le_bytes().to_vec());
    write(&weights, &all);
    near(0.01, "F16");
    let mut all = tensors("probe");
    cast(&mut all, Dtype::BF16, |x| half::bf16::from_f32(x).to_le_bytes().to_vec());
    write(&weights, &all);
    near(0.1, "BF16");

    // TensorFlow's names of layer norms, and a tensor that nobody needs.
    let mut all: BTreeMap<String, Raw> = tensors("probe")
        .into_iter()
        .map(|(name, raw)| {
            let name = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta");
            (name, raw)
        })
        .collect();
    all.insert("extra.weight".into(), Raw(Dtype::F32, vec![1], vec![0; 4]));
    write(&weights, &all);
    let run = probe().arg(folder).args(["--json", "--device", "cpu", "The cat sat on the jar."]).assert().success();
    assert_eq!(String::from_utf8_lossy(&run.get_output().stdout), exact);
    let note = String::from_utf8_lossy(&run.get_output().stderr).into_owned();
    assert!(note.contains("extra.weight") && note.lines().count() == 1, "{note}");

    // Without a name, the tensors say what it is.
    write(&weights, &tensors("probe"));
    let text = fs::read_to_string(&config).unwrap();
    let unnamed = text.replace("\"ElectraForPreTraining\"", "");
    fs::write(&config, &unnamed).unwrap();
    assert_eq!(ask(), exact, "no architecture");

    // Shards, of which the index decides.
    fs::remove_file(&weights).unwrap();
    let (mut one, mut two) = (tensors("probe"), tensors("probe"));
    let mut map = serde_json::Map::new();
    for (i, name) in tensors("probe").into_keys().enumerate() {
        let (file, other) = if i % 2 == 0 { ("a.safetensors", &mut two) } else { ("b.safetensors", &mut one) };
        // What the index does not name there is not read.
        other.get_mut(&name).unwrap().2.fill(0);
        map.insert(name, file.into());
    }
    write(&folder.join("a.safetensors"), &one);
    write(&folder.join("b.safetensors"), &two);
    let index = serde_json::json!({ "metadata": {}, "weight_map": map });
    fs::write(folder.join("model.safetensors.index.json"), index.to_string()).unwrap();
    assert_eq!(ask(), exact, "shards");
    fs::remove_file(folder.join("b.safetensors")).unwrap();
    let error = refusal(folder);
    assert!(error.contains("b.safetensors is missing"), "{error}");
    fs::remove_file(folder.join("model.safetensors.index.json")).unwrap();

    // An encoder alone, and one under another head.
    let encoder: BTreeMap<String, Raw> = tensors("probe")
        .into_iter()
        .filter_map(|(name, raw)| Some((name.strip_prefix("electra.")?.to_string(), raw)))
        .collect();
    write(&weights, &encoder);
    let error = refusal(folder);
    assert!(error.contains("an encoder alone") && error.contains("--init-from"), "{error}");
    fs::write(&config, text.replace("ElectraForPreTraining", "ElectraForSequenceClassification")).unwrap();
    let error = refusal(folder);
    assert!(error.contains("fine-tuned") && error.contains("ElectraForSequenceClassification"), "{error}");
    fs::write(&config, text.replace("ElectraForPreTraining", "ElectraForMaskedLM")).unwrap();
    let error = refusal(folder);
    assert!(error.contains("is a masked language model"), "{error}");
}

#[test]
fn rows_without_a_word_are_not_guessed_and_an_own_output_matrix_counts() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    for entry in fs::read_dir(golden("probe_generator")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
    }
    let (weights, config) = (folder.join("model.safetensors"), folder.join("config.json"));
    let args = [folder.to_str().unwrap(), "--mask", "--json", "--top", "200", "the [MASK] sat"];
    let ids = |answer: &str| -> Vec<u64> {
        let line: Value = serde_json::from_str(answer.lines().next().unwrap()).unwrap();
        let guesses = line["masks"][0]["guesses"].as_array().unwrap();
        assert!(guesses.iter().all(|g| g["token"] != ""), "{answer}");
        guesses.iter().map(|g| g["id"].as_u64().unwrap()).collect()
    };
    let before = ids(&answers(&args, ""));
    // Two rows more, likelier than any word.
    let mut all = tensors("probe_generator");
    for (name, raw) in &mut all {
        if name.ends_with("word_embeddings.weight") || name.starts_with("generator_lm_head") {
            raw.1[0] += 2;
            let row = raw.1.get(1).copied().unwrap_or(1);
            let value: f32 = if name.ends_with("bias") { 50.0 } else { 0.0 };
            raw.2.extend(value.to_le_bytes().repeat(2 * row));
        }
    }
    write(&weights, &all);
    let text = fs::read_to_string(&config).unwrap().replace("\"vocab_size\": 115", "\"vocab_size\": 117");
    fs::write(&config, &text).unwrap();
    assert_eq!(ids(&answers(&args, "")), before);

    // The words' order turned round by a matrix of its own, whether config.json says so or not.
    let Raw(dtype, shape, data) = &all["electra.embeddings.word_embeddings.weight"];
    let turned = data.as_chunks::<4>().0.iter().flat_map(|x| (-f32::from_le_bytes(*x)).to_le_bytes()).collect();
    let own = Raw(*dtype, shape.clone(), turned);
    all.insert("generator_lm_head.weight".into(), own);
    let bias = all.get_mut("generator_lm_head.bias").unwrap();
    bias.2.fill(0);
    write(&weights, &all);
    let run = probe().args(args).args(["--device", "cpu"]).assert().success();
    let turned = ids(&String::from_utf8_lossy(&run.get_output().stdout));
    assert!(String::from_utf8_lossy(&run.get_output().stderr).contains("tie_word_embeddings"));
    let untied = text.replace("\"tie_word_embeddings\": true", "\"tie_word_embeddings\": false");
    fs::write(&config, &untied).unwrap();
    assert_eq!(ids(&answers(&args, "")), turned);
    all.remove("generator_lm_head.weight");
    write(&weights, &all);
    let run = probe().args(args).args(["--device", "cpu"]).assert().code(2);
    assert!(String::from_utf8_lossy(&run.get_output().stderr).contains("generator_lm_head.weight"));
    fs::write(&config, &text).unwrap();
    let mut tied = ids(&answers(&args, ""));
    tied.reverse();
    assert_eq!(tied, turned, "without a bias, the opposite order");
}

#[test]
#[cfg(unix)]
fn a_reader_may_leave() {
    let mut child = program::process()
        .args(["probe", golden("probe").to_str().unwrap(), "the cat", "--device", "cpu"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}
