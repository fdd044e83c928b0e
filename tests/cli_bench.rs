//! `leyden bench` as a person or a script calls it.

#[path = "common/fine_tuned.rs"]
mod fine_tuned;
#[path = "common/program.rs"]
mod program;

use serde_json::Value;

const SMALL: [&str; 11] =
    ["bench", "--device", "cpu", "--batch", "2", "--length", "16", "--steps", "2", "--set", "model.vocabulary=200"];

fn leyden(more: &[&str]) -> assert_cmd::assert::Assert {
    program::leyden().args(SMALL).args(more).assert()
}

fn stdout(assert: assert_cmd::assert::Assert) -> String {
    String::from_utf8(assert.success().get_output().stdout.clone()).unwrap()
}

#[test]
fn json_says_what_was_measured() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("trace.json");
    let line = stdout(leyden(&["--json", "--profile", "--trace", file.to_str().unwrap()]));
    let report: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        (report["batch"].as_u64(), report["length"].as_u64(), report["steps"].as_u64()),
        (Some(2), Some(16), Some(2))
    );
    let number = |v: &serde_json::Value| v.as_f64().unwrap();
    let rate = number(&report["tokens_per_second"]) * number(&report["median_step"]);
    assert!((rate - 32.0).abs() < 1e-6, "{rate} tokens a step");
    assert!(number(&report["peak"]["gflops"]) > 0.0);
    let profile = &report["profile"];
    let kernels = profile["kernels"].as_array().unwrap();
    let linear = kernels.iter().find(|k| k["name"] == "linear").unwrap();
    // Tiny has two and one layers of four linear layers, two projections, and three linear layers in the heads.
    assert_eq!(number(&linear["calls"]), 17.0);
    assert!(number(&linear["flops"]) > 0.0 && number(&linear["seconds"]) > 0.0);
    let work: f64 = kernels.iter().map(|k| number(&k["flops"])).sum();
    let whole = number(&report["gflops"]) * number(&report["median_step"]) * 1e9;
    assert!((work / whole - 1.0).abs() < 1e-6, "kernels do {work} operations, a step {whole}");
    let sum: f64 = kernels.iter().map(|k| number(&k["seconds"])).sum();
    assert!(sum > 0.0 && number(&profile["step"]) > 0.0);
    // The CPU engine has no dispatches that drain.
    assert!(profile["dispatches"] == 0 && profile["drain"].is_null(), "{profile}");
    assert!(profile["gaps"] == profile["bubbles"] && number(&profile["bubbles"]) > 0.0, "{profile}");
    assert!((number(&profile["sum"]) + number(&profile["gaps"])) / number(&profile["extent"]) > 0.5, "{profile}");
    let phases: f64 = profile["phases"].as_array().unwrap().iter().map(|p| number(&p["flops"])).sum();
    assert_eq!(phases, work);
    trace_is_of_one_step(&std::fs::read(&file).unwrap(), kernels);
}

/// The trace's events are the table's calls, one after the other, each on its phase's track.
fn trace_is_of_one_step(file: &[u8], kernels: &[Value]) {
    let trace: Value = serde_json::from_slice(file).unwrap();
    let events = trace["traceEvents"].as_array().unwrap();
    let of = |kind: &str| events.iter().filter(|e| e["ph"] == kind).collect::<Vec<_>>();
    let (calls, names) = (of("X"), of("M"));
    let total: u64 = kernels.iter().map(|k| k["calls"].as_u64().unwrap()).sum();
    assert_eq!(calls.len() as u64, total);
    let mut end = 0.0;
    for call in &calls {
        let (begin, duration) = (call["ts"].as_f64().unwrap(), call["dur"].as_f64().unwrap());
        assert!(begin >= end - 1e-3 && duration >= 0.0, "{call} begins before {end}");
        end = begin + duration;
    }
    let track = |name: &str| names.iter().find(|n| n["args"]["name"] == name).map(|n| n["tid"].clone());
    let on = |name: &str, op: &str| {
        let track = track(name).unwrap_or_else(|| panic!("no track {name}"));
        calls.iter().filter(|c| c["tid"] == track && c["args"]["op"] == op).count()
    };
    let halves = ["generator", "discriminator"];
    assert_eq!(halves.map(|half| on(&format!("forward, {half}"), "attention")), [1, 2]);
    assert_eq!(halves.map(|half| on(&format!("backward, {half}"), "attention_backward")), [1, 2]);
    assert_eq!(on("update", "adamw"), 1);
    let query =
        calls.iter().find(|c| c["args"]["parameters"].to_string().contains("attention.self.qkv.weight")).unwrap();
    assert!(query["args"]["outputs"][0].as_str().unwrap().starts_with("f32[32, "), "{query}");
    assert!(query["args"]["bytes"].as_u64() > Some(0) && query["args"]["flops"].as_u64() > Some(0));
}

#[test]
fn gaps_are_what_dispatches_and_submissions_take() {
    let device = std::env::var("LEYDEN_TEST_DEVICE").unwrap_or_else(|_| "llvmpipe".into());
    let args = ["bench", "--device", &device, "--kernels", "base", "--batch", "2", "--length", "16", "--steps", "1"];
    let measure = || -> Value {
        let mut command = program::leyden();
        let report = stdout(command.args(args).args(["--set", "model.vocabulary=200", "--profile", "--json"]).assert());
        serde_json::from_str(&report).unwrap()
    };
    // A drain is a slope, which has no sign on a machine that is busy with something else.
    let mut reports = std::iter::repeat_with(measure).take(4);
    let report = reports.find(|report| report["profile"]["drain"].is_f64()).expect("a drain in four measurements");
    let profile = &report["profile"];
    let number = |key: &str| profile[key].as_f64().unwrap_or_else(|| panic!("no {key} in {profile}"));
    let (drain, bubbles, gaps) = (number("drain"), number("bubbles"), number("gaps"));
    assert_eq!(profile["dispatches"], report["dispatches"]);
    assert!(drain > 0.0 && bubbles >= 0.0, "{profile}");
    assert!((gaps / (drain * number("dispatches") + bubbles) - 1.0).abs() < 1e-9, "{profile}");
    assert!((number("share") / (gaps / number("extent")) - 1.0).abs() < 1e-9, "{profile}");
    // Between the end of the step before and its own end there are its kernels, one after the other, and the bubbles.
    assert!(number("sum") + bubbles <= 1.2 * number("extent"), "{profile}");
}

#[test]
fn table_names_the_kernels_and_their_share() {
    let text = stdout(leyden(&["--profile"]));
    for word in [
        "tokens/s",
        "linear_weight_gradient",
        "attention_backward",
        "adamw",
        "GFLOP/s",
        "peak",
        "forward, generator",
        "while profiled",
        "bubbles",
        "gaps",
    ] {
        assert!(text.contains(word), "{word} is missing:\n{text}");
    }
}

#[test]
fn wrong_input_is_said_in_one_line() {
    for (more, expected) in [
        (&["--against", "torch", "--python", "no/such/python", "--set", "generator.layers=2"][..], "no/such/python"),
        (&["--steps", "0"], "at least 1"),
        (&["--targets", "--python", "no/such/python"], "no/such/python"),
        (&["--against", "burn", "--torch-modes", "eager-fp32"], "PyTorch's"),
        (&["--profile", "--trace", "no/such/folder/trace.json"], "no/such/folder"),
    ] {
        let args: Vec<&str> = if more[0] == "--steps" {
            vec!["bench", "--device", "cpu", "--steps", "0"]
        } else {
            SMALL.iter().chain(more).copied().collect()
        };
        let assert = program::leyden().args(args).assert().code(2);
        let text = String::from_utf8(assert.get_output().stderr.clone()).unwrap();
        assert!(text.contains(expected) && text.trim().lines().count() == 1, "{text}");
    }
}

#[cfg(not(feature = "burn"))]
#[test]
fn a_build_without_burn_says_how_to_get_one_with_it() {
    let assert = leyden(&["--against", "burn"]).code(2);
    let text = String::from_utf8(assert.get_output().stderr.clone()).unwrap();
    assert!(text.contains("cargo run --release --features burn -- bench --against burn"), "{text}");
    assert_eq!(text.trim().lines().count(), 1, "{text}");
}

#[test]
fn tokenizing_is_held_against_the_library() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text.txt");
    std::fs::write(&text, &leyden::corpus::SAMPLE[..leyden::corpus::SAMPLE.floor_char_boundary(60_000)]).unwrap();
    let mut command = program::leyden();
    let assert = command.args(["bench", "--json", "--tokenize"]).arg(&text).assert();
    let report: serde_json::Value = serde_json::from_str(&stdout(assert)).unwrap();
    assert!(report["ids"].as_u64() > Some(10_000) && report["encode_batch"].as_f64() > Some(0.0), "{report}");
    assert_eq!(report["rounds"].as_array().unwrap().len(), 1);
    let mut command = program::leyden();
    command.args(["bench", "--tokenize", "no/such/file.txt"]).assert().code(2);
}

/// A "Python" that speaks the protocol without PyTorch: steps of half a second, a mode that fails, one that answers wrongly.
#[cfg(unix)]
const PEER: &str = r#"#!/bin/sh
folder=$(dirname "$0")
mode=
while [ $# -gt 0 ]; do
    [ "$1" = --mode ] && mode=$2
    [ "$1" = --batch ] && batch=$2
    [ "$1" = --products ] && mode=products
    shift
done
echo "loading" >&2
case $mode in
compiled-fp32)
    echo "Traceback (most recent call last):" >&2
    echo "RuntimeError: no compiler for $batch examples" >&2
    exit 1 ;;
esac
echo '{"torch": "9.9", "device": "a fake", "more": 1}'
while read -r word steps; do
    echo "$mode $word $steps" >> "$folder/told"
    case $mode in
    eager-tf32) echo '{"steps": [0.5]}' ;;
    compiled-bf16) echo 'warming up' ;;
    autotuned-bf16) echo "RuntimeError: out of memory" >&2; exit 1 ;;
    products) echo '{"seconds": 0.5}' ;;
    *) echo '{"steps": [0.5, 0.25]}' ;;
    esac
done
echo "$mode ended" >> "$folder/told"
"#;

#[cfg(unix)]
fn fake_python(folder: &std::path::Path) -> String {
    script(folder, PEER)
}

/// Writes a program into `folder`.
#[cfg(unix)]
fn script(folder: &std::path::Path, text: &str) -> String {
    use std::os::unix::fs::PermissionsExt as _;
    let python = folder.join("python");
    std::fs::write(&python, text).unwrap();
    std::fs::set_permissions(&python, std::fs::Permissions::from_mode(0o755)).unwrap();
    python.to_str().unwrap().into()
}

#[test]
#[cfg(unix)]
fn targets_are_measured_line_by_line() {
    let folder = tempfile::tempdir().unwrap();
    let python = fake_python(folder.path());
    let targets = ["--targets", "--set", "generator.layers=2"];
    let lines = stdout(leyden(&[&targets[..], &["--python", &python, "--json"]].concat()));
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let line = |what: &str| {
        let found: Vec<&Value> = lines.iter().filter(|line| line["what"] == what).collect();
        assert_eq!(found.len(), 1, "{what} in {lines:?}");
        found[0]
    };
    assert!(line("f32, training")["found"].as_f64() > Some(0.0));
    let memory = line("f32, planned memory within 2 GB");
    assert!(memory["at_most"] == 2.0 && memory["met"] == true && memory["found"].as_f64() < Some(0.5), "{memory}");
    let gaps = line("f32, gaps of the step");
    assert_eq!(gaps["met"], gaps["found"].as_f64() <= Some(10.0), "{gaps}");
    // The fake takes half a second for what takes us milliseconds.
    let product = line("f32, dy^T x 1024x256x2048 of PyTorch's");
    assert!(product["found"].as_f64() > Some(200.0) && product["met"].is_null(), "{product}");
    let torch = line("f32, against PyTorch eager-fp32");
    assert!(torch["met"] == true && torch["how"].as_str().unwrap().contains("PyTorch 9.9"), "{torch}");
    // Two examples fit into half the memory of two, or it is said that they do not.
    assert!(lines.iter().any(|line| line["what"] == "f32, speed at half the memory"));
    let text = stdout(leyden(&targets));
    for words in ["f32, planned memory within 2 GB", "at most 2.00 GB", "met"] {
        assert!(text.contains(words), "{words} is missing:\n{text}");
    }
    assert!(!text.contains("PyTorch"), "{text}");
}

#[test]
#[cfg(unix)]
fn every_mode_of_pytorch_has_a_row() {
    let folder = tempfile::tempdir().unwrap();
    let python = fake_python(folder.path());
    let python = python.as_str();
    let modes = "eager-fp32,eager-tf32,compiled-fp32,compiled-bf16,autotuned-bf16,eager-bf16,graphs-bf16";
    let torch = ["--set", "generator.layers=1", "--against", "torch", "--python", python];
    let report = stdout(leyden(&[&torch[..], &["--torch-modes", modes, "--json"]].concat()));
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!([&report["torch"]["version"], &report["torch"]["device"]], ["9.9", "a fake"]);
    let rows = report["torch"]["modes"].as_array().unwrap();
    assert_eq!(rows.iter().map(|r| r["mode"].as_str().unwrap()).collect::<Vec<_>>().join(","), modes);
    for row in [&rows[0], &rows[5], &rows[6]] {
        let number = |key: &str| row[key].as_f64().unwrap();
        // 32 tokens in the middle of half a second and a quarter.
        assert!((number("tokens_per_second") - 32.0 / 0.375).abs() < 1e-9, "{row}");
        let ratio = number("leyden_tokens_per_second") / number("tokens_per_second");
        assert!((number("ratio") / ratio - 1.0).abs() < 1e-9, "{row}");
        assert_eq!(row["rounds"].as_array().unwrap().len(), 3);
    }
    for (row, error) in [
        (&rows[1], "expected the seconds of 2 steps, found [0.5]"),
        (&rows[2], "RuntimeError: no compiler for 2 examples"),
        (&rows[3], "\"warming up\""),
        (&rows[4], "RuntimeError: out of memory"),
    ] {
        assert!(row["error"].as_str().unwrap().contains(error), "{row}");
    }
    // The first mode, three rounds of two steps, before the next one was begun.
    let told = std::fs::read_to_string(folder.path().join("told")).unwrap();
    let told: Vec<&str> = told.lines().filter(|line| !line.ends_with("ended")).collect();
    let rounds = |mode: &str| vec![format!("{mode} go 2"); 3];
    let one = |mode: &str| format!("{mode} go 2");
    let failing = ["eager-tf32", "compiled-bf16", "autotuned-bf16"].map(one).into();
    let expected = [rounds("eager-fp32"), failing, rounds("eager-bf16"), rounds("graphs-bf16")];
    assert_eq!(told, expected.concat());

    let text = stdout(leyden(&torch));
    assert!(text.contains("Against PyTorch 9.9 on a fake") && text.contains("eager-fp32"), "{text}");
    for words in ["eager-bf16", "compiled-bf16", "times its best mode, eager-"] {
        assert!(text.contains(words), "{words} is missing:\n{text}");
    }
    assert!(!text.contains("tf32"), "TF32 is a GPU's:\n{text}");
    let alone = leyden(&[&torch[..], &["--torch-modes", "compiled-fp32"]].concat()).code(1);
    let error = String::from_utf8(alone.get_output().stderr.clone()).unwrap();
    assert!(error.contains("no compiler") && error.contains("it needs torch") && error.lines().count() == 1, "{error}");
}

/// A "Python" that hangs: in one mode before it is ready, in another when it is asked, and beside a file when its version is
/// asked for. What it starts keeps its pipes open when it is ended itself.
#[cfg(unix)]
const SILENT: &str = r#"#!/bin/sh
folder=$(dirname "$0")
if [ "$1" = --version ]; then
    [ -e "$folder/slow" ] && sleep 100
    exit 0
fi
mode=
while [ $# -gt 0 ]; do
    [ "$1" = --mode ] && mode=$2
    shift
done
[ "$mode" = eager-fp32 ] && sleep 100
echo '{"torch": "9.9", "device": "a fake"}'
while read -r word steps; do
    [ "$mode" = compiled-fp32 ] && sleep 100
    echo '{"steps": [0.5, 0.25]}'
done
"#;

#[test]
#[cfg(unix)]
fn a_python_that_does_not_answer_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let python = script(folder.path(), SILENT);
    let torch = ["--set", "generator.layers=1", "--against", "torch", "--python", &python, "--peer-seconds", "2"];
    let start = std::time::Instant::now();
    let report =
        stdout(leyden(&[&torch[..], &["--torch-modes", "eager-fp32,compiled-fp32,eager-bf16", "--json"]].concat()));
    let report: Value = serde_json::from_str(&report).unwrap();
    let rows = report["torch"]["modes"].as_array().unwrap();
    for (row, what) in [(&rows[0], "starting and warming up"), (&rows[1], "the answer to \"go 2\"")] {
        let error = row["error"].as_str().unwrap();
        assert_eq!(error, format!("{what} took more than 2 s; --peer-seconds N waits longer"));
    }
    assert!(rows[2]["ratio"].as_f64() > Some(0.0), "the others go on: {report}");
    leyden(&["--against", "torch", "--peer-seconds", "0"]).code(2);
    let alone = leyden(&[&torch[..], &["--torch-modes", "eager-fp32"]].concat()).code(1);
    let error = String::from_utf8(alone.get_output().stderr.clone()).unwrap();
    assert!(error.contains("--peer-seconds") && error.lines().count() == 1, "{error}");
    std::fs::write(folder.path().join("slow"), "").unwrap();
    let targets = leyden(&["--targets", "--python", &python, "--peer-seconds", "1"]).code(2);
    let error = String::from_utf8(targets.get_output().stderr.clone()).unwrap();
    assert!(error.contains("--version took more than 1 s") && error.lines().count() == 1, "{error}");
    assert!(start.elapsed().as_secs() < 80, "nobody waits for what a Python started");
}

/// Fine-tunes a small model on ten texts, in batches of two.
fn fine_tuning(folder: &std::path::Path, more: &[&str]) -> assert_cmd::assert::Assert {
    let texts = folder.join("texts.txt");
    let lines: String = (0..10).map(|i| format!("{}\n\n", "the people ".repeat(i + 1))).collect();
    std::fs::write(&texts, lines).unwrap();
    let model = fine_tuned::model("single");
    let mut command = program::leyden();
    let batch = if more.contains(&"--batch") { &[][..] } else { &["--batch", "2"] };
    command.args(["bench", "--device", "cpu"]).args(batch).arg("--fine-tune").arg(model.path());
    command.arg("--texts").arg(&texts).args(more).assert()
}

/// A "Python" that fine-tunes without PyTorch, a mode that forgets the tokens, and one that cannot predict.
#[cfg(unix)]
const FINE_TUNER: &str = r#"#!/bin/sh
folder=$(dirname "$0")
flags="$*"
mode=
while [ $# -gt 0 ]; do
    [ "$1" = --mode ] && mode=$2
    [ "$1" = --texts ] && cp "$2" "$folder/given"
    shift
done
for flag in --serve "--batch 2" "--length 12" "--dropout 0.1" "--warmup 2" "--device cpu"; do
    case $flags in *"$flag"*) ;; *) echo "no $flag in $flags" >&2; exit 1 ;; esac
done
echo '{"torch": "9.9", "device": "a fake"}'
while read -r word steps; do
    echo "$mode $word $steps" >> "$folder/told"
    case "$mode $word $steps" in
    "eager-tf32 go "*) echo '{"steps": [0.5, 0.25], "tokens": [60]}' ;;
    "graphs-bf16 predict unsorted") echo "RuntimeError: no pipeline" >&2; exit 1 ;;
    *" go "*) echo '{"steps": [0.5, 0.25], "tokens": [60, 30]}' ;;
    *" predict sorted") echo '{"seconds": 0.5, "texts": 6}' ;;
    *" predict unsorted") echo '{"seconds": 0.75, "texts": 6}' ;;
    esac
done
"#;

#[test]
#[cfg(unix)]
fn fine_tuning_and_predicting_are_held_against_pytorch() {
    let folder = tempfile::tempdir().unwrap();
    let python = script(folder.path(), FINE_TUNER);
    let asked = ["--length", "12", "--steps", "2", "--against", "torch", "--python", &python];
    let modes = ["--torch-modes", "eager-fp32,eager-tf32,graphs-bf16", "--json"];
    let report = stdout(fine_tuning(folder.path(), &[&asked[..], &modes].concat()));
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!([&report["texts"], &report["batch"], &report["length"], &report["steps"]], [6, 2, 12, 2]);
    assert!(report["seconds_by_op"][0][1].as_f64() > Some(0.0), "{report}");
    let rows = report["torch"]["modes"].as_array().unwrap();
    for (part, expected) in [("training", 120.0), ("prediction", 12.0), ("prediction_unsorted", 8.0)] {
        let number = |key: &str| rows[0][part][key].as_f64().unwrap();
        assert!((number("torch") - expected).abs() < 1e-9, "{rows:?}");
        assert!((number("ratio") / (number("leyden") / number("torch")) - 1.0).abs() < 1e-9, "{rows:?}");
        assert_eq!(rows[0][part]["rounds"].as_array().unwrap().len(), 3);
    }
    let speed = |key: &str| report[key].as_f64().unwrap();
    assert!(speed("tokens_per_second") > 0.0 && speed("texts_per_second") > 0.0);
    assert!(rows[1]["error"].as_str().unwrap().contains("tokens of 2 steps"), "{}", rows[1]);
    assert_eq!(rows[2]["error"], "RuntimeError: no pipeline");
    let told = std::fs::read_to_string(folder.path().join("told")).unwrap();
    let told: Vec<&str> = told.lines().map(str::trim).collect();
    let three = |words: &'static str| [words; 3];
    let expected = [
        &three("eager-fp32 go 2")[..],
        &three("eager-fp32 predict sorted"),
        &three("eager-fp32 predict unsorted"),
        &["eager-tf32 go 2"],
        &three("graphs-bf16 go 2"),
        &three("graphs-bf16 predict sorted"),
        &["graphs-bf16 predict unsorted"],
    ];
    assert_eq!(told, expected.concat());
    // From all over the file, and not left lying about.
    let given = std::fs::read_to_string(folder.path().join("given")).unwrap();
    assert_eq!(given.lines().map(|line| line.len() / 11 + 1).collect::<Vec<_>>(), [1, 2, 4, 6, 7, 9]);

    let text = stdout(fine_tuning(folder.path(), &asked));
    for words in ["Against PyTorch 9.9 on a fake", "eager-fp32", "eager-bf16", "its tokens/s", "its texts/s"] {
        assert!(text.contains(words), "{words} is missing:\n{text}");
    }
}

#[test]
fn fine_tuning_that_cannot_be_measured_says_why() {
    let folder = tempfile::tempdir().unwrap();
    for (more, expected) in [
        (&["--length", "100000"][..], "at most"),
        (&["--batch", "11"], "10 texts"),
        (&["--batch", "0"], "at least 1"),
        (&["--steps", "0"], "at least 1"),
        (&["--against", "burn"], "expected --against torch"),
        (&["--preset", "small"], "--preset"),
    ] {
        let assert = fine_tuning(folder.path(), more).code(2);
        let text = String::from_utf8(assert.get_output().stderr.clone()).unwrap();
        assert!(text.contains(expected), "{text}");
    }
    let alone = stdout(fine_tuning(folder.path(), &["--json"]));
    let report: Value = serde_json::from_str(&alone).unwrap();
    // Five batches an epoch, and a round of whole ones.
    assert!((report["steps"].as_u64().unwrap() + 1).is_multiple_of(5) && report["torch"].is_null(), "{report}");
}
