//! Comparisons through the binary: at equal cost, seed by seed, gone on with, and added to.

#[path = "common/program.rs"]
mod program;

use program::leyden;
use serde_json::Value;
use std::fs;
use std::path::Path;

const SMALL: [&str; 24] = [
    "--device",
    "cpu",
    "--batch",
    "4",
    "--set",
    "model.layers=1",
    "--set",
    "model.hidden=32",
    "--set",
    "model.embedding=24",
    "--set",
    "model.vocabulary=300",
    "--set",
    "training.evaluation_examples=8",
    "--steps",
    "60",
    "--points",
    "2",
    "--examples",
    "40",
    "--epochs",
    "1",
    "--precision",
    "f32",
];

fn compare(out: &Path, more: &[&str]) -> String {
    let output = leyden().arg("compare").args(SMALL).arg("--out").arg(out).args(more).assert().success();
    // What is said of short runs is for who begins one.
    assert!(!String::from_utf8_lossy(&output.get_output().stderr).contains("tokens are few"));
    String::from_utf8(output.get_output().stdout.clone()).unwrap()
}

fn refuses(arguments: &[&str], expected: &str) {
    let output = leyden().arg("compare").args(arguments).assert().failure().code(2).get_output().clone();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains(expected), "{arguments:?}: {error}");
}

fn results(out: &Path) -> Vec<Value> {
    let text = fs::read_to_string(out.join("results.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn objectives_are_compared_at_equal_cost_and_more_is_added() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("table");
    let list = ["--objectives", "electra,mlm", "--seeds", "2"];
    let shown = compare(&out, &list);
    for part in ["4 of 4 runs to train", "8 fine-tunings", "random weights", "to electra", "half its 95 % interval"] {
        assert!(shown.contains(part), "no {part:?} in\n{shown}");
    }
    let found = results(&out);
    // Both points of each run, and once a seed the network before any of it.
    assert_eq!(found.len(), 2 * (2 * 2 + 1));
    let ends =
        |arm: &str| -> Vec<Value> { found.iter().filter(|f| f["arm"] == arm && f["end"] == true).cloned().collect() };
    let cost = |arm: &str| ends(arm)[0]["flops"].as_f64().unwrap();
    assert_eq!(ends("electra")[0]["step"], 60);
    assert!(ends("mlm")[0]["step"].as_u64().unwrap() > 60, "{found:?}");
    // No further apart than a step.
    assert!((cost("electra") / cost("mlm") - 1.0).abs() < 1.0 / 60.0, "{} {}", cost("electra"), cost("mlm"));
    let table: Value = serde_json::from_slice(&fs::read(out.join("table.json")).unwrap()).unwrap();
    assert_eq!(table["compared"][1]["name"], "mlm");
    assert!(table["compared"][1]["tasks"][0]["difference"]["half_interval"].is_f64(), "{table}");
    assert!(fs::read_to_string(out.join("table.md")).unwrap().contains("| mlm |"));
    assert!(fs::read(out.join("compare.png")).unwrap().starts_with(b"\x89PNG"));

    // Its curves are drawn like runs.
    let picture = folder.path().join("curves.svg");
    let mut command = leyden();
    command.arg("plot").arg(&out).arg("--out").arg(&picture).assert().success();
    let drawn = fs::read_to_string(&picture).unwrap();
    assert!(drawn.contains("polygon") && drawn.contains("\nmlm\n") && drawn.contains("FLOP"), "{drawn}");

    // Where another process is at work nothing is touched.
    let before = fs::read(out.join("compare.json")).unwrap();
    let lock = fs::File::options().write(true).open(out.join("runs/lock")).unwrap();
    lock.lock().unwrap();
    let three = ["--objectives", "electra,mlm", "--seeds", "3", "--out", out.to_str().unwrap()];
    refuses(&[&SMALL[..], &three].concat(), "another leyden compare is at work in it");
    let dearer: Vec<&str> = SMALL.iter().map(|&flag| if flag == "60" { "70" } else { flag }).collect();
    refuses(&[&dearer[..], &three].concat(), "another leyden compare is at work in it");
    assert_eq!(fs::read(out.join("compare.json")).unwrap(), before);
    drop(lock);

    // What is there is not done again, even where only the small results were kept; more seeds and objectives are added.
    fs::remove_dir_all(out.join("runs")).unwrap();
    let again = compare(&out, &list);
    assert!(again.contains("0 of 4 runs to train"), "{again}");
    assert_eq!(results(&out), found);
    let more = compare(&out, &["--objectives", "electra,mlm,electra:over=selected", "--seeds", "2"]);
    assert!(more.contains("2 of 6 runs to train"), "{more}");
    assert_eq!(results(&out)[..found.len()], found[..]);
    assert_eq!(results(&out).len(), found.len() + 4);

    let other: Vec<&str> = SMALL.iter().map(|&flag| if flag == "40" { "50" } else { flag }).collect();
    refuses(&[&other, &list[..], &["--out", out.to_str().unwrap()]].concat(), "with examples 40, not 50");
}

#[test]
fn every_budget_is_a_run_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("crossing");
    let small: Vec<&str> =
        SMALL[..SMALL.len() - 10].iter().copied().chain(["--examples", "40", "--epochs", "1"]).collect();
    let compare = |flops: &str| {
        let list = ["--objectives", "electra,mlm", "--seeds", "1", "--precision", "f32"];
        let list = list.into_iter().chain(["--flops", flops].into_iter().filter(|_| !flops.is_empty()));
        let output = leyden().arg("compare").args(&small).args(list).arg("--out").arg(&out).assert().success();
        String::from_utf8(output.get_output().stdout.clone()).unwrap()
    };
    let shown = compare("2e9,1e9");
    assert!(shown.contains("4 of 4 runs to train") && shown.contains("4 fine-tunings"), "{shown}");
    let found = results(&out);
    assert_eq!(found.len(), 5);
    let ends = |arm: &str| -> Vec<(f64, f64)> {
        let number = |f: &Value, key: &str| f[key].as_f64().unwrap();
        let of = found.iter().filter(|f| f["arm"] == arm);
        of.map(|f| (number(f, "budget"), number(f, "flops"))).collect()
    };
    for arm in ["electra", "mlm"] {
        let [(1e9, less), (2e9, more)] = ends(arm)[..] else { panic!("{found:?}") };
        assert!(less <= 1e9 && less > 0.8e9 && more <= 2e9 && more > 1.8e9, "{found:?}");
    }
    let table: Value = serde_json::from_slice(&fs::read(out.join("table.json")).unwrap()).unwrap();
    let budgets: Vec<f64> =
        table["compared"].as_array().unwrap().iter().map(|row| row["budget"].as_f64().unwrap()).collect();
    assert_eq!(budgets, [1e9, 1e9, 2e9, 2e9, 0.0]);
    // More budgets are added to those that are there, and none stands for them.
    assert!(compare("1e9,2e9,3e9").contains("2 of 6 runs to train"));
    assert_eq!(results(&out)[..5], found[..]);
    assert!(compare("").contains("0 of 6 runs to train"));

    // What was begun with one budget has more points along it, and so has what is added.
    let out = folder.path().join("added");
    let compare = |flops: &str| {
        let list = ["--objectives", "mlm", "--seeds", "1", "--precision", "f32", "--flops", flops, "--points", "2"];
        let list = &list[..list.len() - if flops == "2e9" { 0 } else { 2 }];
        leyden().arg("compare").args(&small).args(list).arg("--out").arg(&out).assert().success();
    };
    compare("2e9");
    compare("1e9");
    assert_eq!(
        results(&out).iter().map(|f| f["budget"].as_f64().unwrap()).collect::<Vec<_>>(),
        [0.0, 2e9, 2e9, 1e9, 1e9]
    );
}

#[test]
fn a_comparison_knows_its_dataset_wherever_it_was_made() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("table");
    let made = |name: &str, words: usize| {
        let (text, data) = (folder.path().join(name), folder.path().join(name).with_extension("data"));
        let line = |i: usize| format!("word{} comes before word{} .\n\n", i % words, (i * 7 + 1) % words);
        fs::write(&text, (0..600).map(line).collect::<String>()).unwrap();
        let mut command = leyden();
        command.arg("prepare").arg(&text).args(["--vocab-size", "300", "--length", "16", "--out"]).arg(&data);
        command.assert().success();
        data
    };
    let of = |data: &Path| {
        let list = ["--objectives", "mlm", "--seeds", "1", "--set", "data.length=16", "--data", data.to_str().unwrap()];
        let small: Vec<&str> = SMALL.iter().copied().filter(|flag| *flag != "model.vocabulary=300").collect();
        let at = small.windows(2).position(|two| two == ["--set", "--set"]).unwrap();
        [&small[..at], &small[at + 1..], &list[..], &["--out", out.to_str().unwrap()]].concat().join("\n")
    };
    let runs = |data: &Path| {
        let assert = leyden().arg("compare").args(of(data).split('\n')).assert().success();
        String::from_utf8(assert.get_output().stdout.clone()).unwrap()
    };
    let first = made("a.txt", 90);
    assert!(runs(&first).contains("1 of 1 runs to train"));
    let found = results(&out);
    assert!(runs(&made("b.txt", 90)).contains("0 of 1 runs to train"));
    assert_eq!(results(&out), found);
    // As earlier versions wrote it, which told datasets by the text's files' names.
    let path = out.join("compare.json");
    let mut identity: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    identity["text"] = leyden::dataset::Dataset::open(&first).unwrap().former_fingerprint().into();
    fs::write(&path, identity.to_string()).unwrap();
    let others = [folder.path().join("b.data"), made("c.txt", 80)];
    for other in &others {
        refuses(&of(other).split('\n').collect::<Vec<_>>(), "holds a comparison with another text");
    }
    assert!(runs(&first).contains("0 of 1 runs to train"));
}

#[test]
fn what_is_of_another_text_or_cannot_learn_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let (out, text) = (folder.path().join("rates"), folder.path().join("words.txt"));
    let line = |i: usize| format!("word{i} comes before word{} and behind word{}\n\n", i + 1, i * 7 % 90);
    fs::write(&text, (0..400).map(line).collect::<String>()).unwrap();
    let list = ["--vary", "optimizer.learning_rate=1e-3,1e3", "--seeds", "1", "--points", "1"];
    let small = SMALL.iter().copied().filter(|flag| !["--points", "2"].contains(flag));
    // So large steps of so large weights leave no number.
    let large = ["optimizer.warmup=0", "optimizer.clip_norm=1e6", "optimizer.weight_decay=1"];
    let small: Vec<&str> = small.chain(large.iter().flat_map(|setting| ["--set", setting])).collect();
    let arguments = [&small, &list[..], &["--out", out.to_str().unwrap()]].concat();
    let output = leyden().arg("compare").args(&arguments).assert().failure().code(1).get_output().clone();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("without a result") && error.contains("optimizer.learning_rate=1e3 seed 1"), "{error}");
    // The other one has its result, and its picture.
    assert!(results(&out).iter().any(|f| f["arm"] == "optimizer.learning_rate=1e-3" && f["end"] == true));
    assert!(out.join("compare.png").is_file() && out.join("values.png").is_file());

    let other = [&arguments[..], &["--text", text.to_str().unwrap()]].concat();
    refuses(&other, "holds a comparison with another text");
    refuses(&[&small[..], &["--set", "objective.masked_fraction=0.3"]].concat(), "write them behind the name");
    refuses(&[&small[..], &["--set", "training.patience=3"]].concat(), "training.patience is set");
    // What lies where a run is to be is not taken for it.
    let stale = folder.path().join("stale");
    fs::create_dir_all(&stale).unwrap();
    fs::rename(out.join("runs"), stale.join("runs")).unwrap();
    let list =
        ["--vary", "optimizer.learning_rate=1e-3", "--seeds", "1", "--points", "1", "--set", "optimizer.beta1=0.8"];
    refuses(&[&small, &list[..], &["--out", stale.to_str().unwrap()]].concat(), "holds a run of other settings");
}

#[test]
fn a_setting_is_varied_on_a_task_of_ones_own() {
    let folder = tempfile::tempdir().unwrap();
    let files = folder.path().join("reviews");
    fs::create_dir(&files).unwrap();
    let row = |i: usize| format!("{} film\t{}\n", ["a fine", "a bad", "a good", "a poor"][i % 4], i % 2);
    fs::write(files.join("train.tsv"), format!("sentence\tlabel\n{}", (0..40).map(row).collect::<String>())).unwrap();
    let out = folder.path().join("sizes");
    let task = format!("sst2={}", files.display());
    let shown = compare(&out, &["--vary", "generator=1/4,1", "--seeds", "1", "--task", &task]);
    assert!(shown.contains("generator=1/4") && shown.contains("sst2"), "{shown}");
    assert!(shown.contains("one seed: whatever lies close is not told apart"), "{shown}");
    let steps: Vec<u64> =
        results(&out).iter().filter(|f| f["end"] == true).map(|f| f["step"].as_u64().unwrap()).collect();
    // Random weights, the cheaper and the dearer.
    assert!(steps[0] == 0 && steps[1] == 60 && steps[2] < 60, "{steps:?}");

    let at = files.to_str().unwrap();
    refuses(&["--task", at], "expected NAME=DIR");
    refuses(&["--task", &format!("films={at}")], "--task films=");
    refuses(&["--task", "sst2=nowhere/there"], "nowhere/there is neither a folder nor a file");
    refuses(&["--objectives", "electra,bert"], "no objective \"bert\"");
    refuses(&["--vary", "tying=most", "--device", "cpu"], "unknown variant `most`");
    refuses(&["--flops", "1e3", "--device", "cpu"], "use a larger --flops");
    refuses(&["--seeds", "0"], "--seeds is 0, expected 1 to 100");
}
