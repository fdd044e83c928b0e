//! `leyden bench` as a person or a script calls it.

use assert_cmd::Command;

const SMALL: [&str; 11] =
    ["bench", "--device", "cpu", "--batch", "2", "--length", "16", "--steps", "2", "--set", "model.vocabulary=200"];

fn leyden(more: &[&str]) -> assert_cmd::assert::Assert {
    Command::cargo_bin("leyden").unwrap().env_remove("CLICOLOR_FORCE").args(SMALL).args(more).assert()
}

fn stdout(assert: assert_cmd::assert::Assert) -> String {
    String::from_utf8(assert.success().get_output().stdout.clone()).unwrap()
}

#[test]
fn json_says_what_was_measured() {
    let line = stdout(leyden(&["--json", "--profile"]));
    let report: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        (report["batch"].as_u64(), report["length"].as_u64(), report["steps"].as_u64()),
        (Some(2), Some(16), Some(2))
    );
    let number = |v: &serde_json::Value| v.as_f64().unwrap();
    let rate = number(&report["tokens_per_second"]) * number(&report["median_step"]);
    assert!((rate - 32.0).abs() < 1e-6, "{rate} tokens a step");
    assert!(number(&report["peak"]["gflops"]) > 0.0);
    let kernels = report["kernels"].as_array().unwrap();
    let linear = kernels.iter().find(|k| k["name"] == "linear").unwrap();
    // Tiny has two and one layers of four linear layers, two projections, and three linear layers in the heads.
    assert_eq!(number(&linear["calls"]), 17.0);
    assert!(number(&linear["flops"]) > 0.0 && number(&linear["seconds"]) > 0.0);
    let work: f64 = kernels.iter().map(|k| number(&k["flops"])).sum();
    let whole = number(&report["gflops"]) * number(&report["median_step"]) * 1e9;
    assert!((work / whole - 1.0).abs() < 1e-6, "kernels do {work} operations, a step {whole}");
}

#[test]
fn table_names_the_kernels_and_their_share() {
    let text = stdout(leyden(&["--profile"]));
    for word in ["tokens/s", "linear_weight_gradient", "attention_backward", "adamw", "GFLOP/s", "peak"] {
        assert!(text.contains(word), "{word} is missing:\n{text}");
    }
}

#[test]
fn wrong_input_is_said_in_one_line() {
    for (more, expected) in [
        (&["--against", "torch", "--python", "no/such/python", "--set", "generator.layers=2"][..], "no/such/python"),
        (&["--steps", "0"], "at least 1"),
        (&["--against", "torch", "--set", "generator.layers=1"], "generator.layers"),
    ] {
        let args: Vec<&str> = if more[0] == "--steps" {
            vec!["bench", "--device", "cpu", "--steps", "0"]
        } else {
            SMALL.iter().chain(more).copied().collect()
        };
        let assert = Command::cargo_bin("leyden").unwrap().args(args).assert().code(2);
        let text = String::from_utf8(assert.get_output().stderr.clone()).unwrap();
        assert!(text.contains(expected) && text.trim().lines().count() == 1, "{text}");
    }
}

#[test]
fn tokenizing_is_held_against_the_library() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text.txt");
    std::fs::write(&text, &leyden::corpus::SAMPLE[..leyden::corpus::SAMPLE.floor_char_boundary(60_000)]).unwrap();
    let mut command = Command::cargo_bin("leyden").unwrap();
    let assert = command.args(["bench", "--json", "--tokenize"]).arg(&text).assert();
    let report: serde_json::Value = serde_json::from_str(&stdout(assert)).unwrap();
    assert!(report["ids"].as_u64() > Some(10_000) && report["encode_batch"].as_f64() > Some(0.0), "{report}");
    assert_eq!(report["rounds"].as_array().unwrap().len(), 1);
    let mut command = Command::cargo_bin("leyden").unwrap();
    command.args(["bench", "--tokenize", "no/such/file.txt"]).assert().code(2);
}
