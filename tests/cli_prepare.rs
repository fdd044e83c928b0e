//! `leyden prepare`, `inspect` and `train --data` through the binary: every format says the same, and what cannot be used is
//! refused in one clear line.

#[path = "common/program.rs"]
mod program;

use leyden::corpus::SAMPLE;
use leyden::dataset::Dataset;
use program::leyden;
use serde_json::Value;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

const SHARD: &str = "training-00000.safetensors";

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/parquet").join(name)
}

fn prepare(inputs: &[&Path], out: &Path, more: &[&str]) -> assert_cmd::assert::Assert {
    let mut command = leyden();
    command.arg("prepare").args(inputs).arg("--out").arg(out).args(["--vocab-size", "100", "--length", "32"]);
    command.args(more).assert()
}

/// The one line on standard error of a command that refuses its input.
fn refusal(assert: assert_cmd::assert::Assert) -> String {
    let text = String::from_utf8(assert.code(2).get_output().stderr.clone()).unwrap();
    assert_eq!(text.trim().lines().count(), 1, "{text}");
    text
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(content).unwrap();
    packed.finish().unwrap()
}

fn zstd(content: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(content, ruzstd::encoding::CompressionLevel::Fastest)
}

fn xz(content: &[u8]) -> Vec<u8> {
    let mut packed = lzma_rust2::XzWriter::new(Vec::new(), lzma_rust2::XzOptions::with_preset(1)).unwrap();
    packed.write_all(content).unwrap();
    packed.finish().unwrap()
}

/// tests/golden/parquet/rows.txt as lines of JSON, with the rows' missing one.
fn json_lines() -> String {
    let rows = fs::read_to_string(golden("rows.txt")).unwrap();
    let line = |row: &str| serde_json::json!({ "id": 1, "text": row, "more": { "text": ["no"] } }).to_string() + "\n";
    rows.lines().map(line).collect::<String>() + "{\"text\": null}\n\n"
}

#[test]
fn every_format_gives_the_same_examples() {
    let folder = tempfile::tempdir().unwrap();
    let json = json_lines();
    let mut files: Vec<PathBuf> = ["none", "snappy", "snappy_v2", "zstd", "zstd_v2", "gzip", "lz4"]
        .map(|name| golden(&format!("{name}.parquet")))
        .into();
    for (name, content) in [
        ("a.jsonl", json.clone().into_bytes()),
        ("b.jsonl.gz", gzip(json.as_bytes())),
        ("c.jsonl.zst", zstd(json.as_bytes())),
        ("d.jsonl.xz", xz(json.as_bytes())),
        ("e.JSONL", json.clone().into_bytes()),
    ] {
        fs::write(folder.path().join(name), content).unwrap();
        files.push(folder.path().join(name));
    }
    let shards: Vec<Vec<u8>> = files
        .iter()
        .enumerate()
        .map(|(index, file)| {
            let out = folder.path().join(format!("out-{index}"));
            prepare(&[file], &out, &[]).success();
            let dataset = Dataset::open(&out).unwrap();
            assert_eq!(dataset.manifest.counts().documents, 59, "{}", file.display());
            fs::read(out.join(SHARD)).unwrap()
        })
        .collect();
    for (file, shard) in files.iter().zip(&shards) {
        assert!(*shard == shards[0], "{} differs", file.display());
    }
}

#[test]
fn files_members_folders_and_standard_input_make_one_text() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = SAMPLE.split_at(SAMPLE.find("\n\n").unwrap() + 2);
    let second = &second[..second.floor_char_boundary(100_000)];
    let texts = folder.path().join("texts");
    fs::create_dir_all(texts.join("deep")).unwrap();
    fs::write(texts.join("a.txt.gz"), [gzip(&first.as_bytes()[..1_000]), gzip(&first.as_bytes()[1_000..])].concat())
        .unwrap();
    fs::write(
        texts.join("deep/b.txt.zst"),
        [zstd(&second.as_bytes()[..70_000]), zstd(&second.as_bytes()[70_000..])].concat(),
    )
    .unwrap();
    fs::write(texts.join("readme.md"), "not this").unwrap();
    fs::write(texts.join(".hidden.txt"), "nor this").unwrap();
    let outs = ["folder", "files", "stdin", "loaded"].map(|name| folder.path().join(name));
    prepare(&[&texts], &outs[0], &[]).success();
    fs::write(folder.path().join("1.txt"), first).unwrap();
    fs::write(folder.path().join("2.txt.xz"), xz(second.as_bytes())).unwrap();
    prepare(&[&folder.path().join("1.txt"), &folder.path().join("2.txt.xz")], &outs[1], &[]).success();
    let mut piped = leyden();
    piped.args(["prepare", "-", "--vocab-size", "100", "--length", "32", "--out"]).arg(&outs[2]);
    piped.write_stdin(format!("{first}{second}")).assert().success();
    let mut piped = leyden();
    piped.args(["prepare", "-", "--length", "32", "--out"]).arg(&outs[3]).arg("--tokenizer").arg(&outs[0]);
    piped.write_stdin(format!("{first}{second}")).assert().success();
    let shard = |out: &PathBuf| fs::read(out.join(SHARD)).unwrap();
    for out in &outs[1..] {
        assert!(shard(out) == shard(&outs[0]), "{} differs", out.display());
        assert_eq!(fs::read(out.join("vocab.txt")).unwrap(), fs::read(outs[0].join("vocab.txt")).unwrap());
        assert!(!out.join("standard-input").exists());
    }
}

#[test]
fn inspect_and_train_read_a_dataset() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("text.txt"), &SAMPLE[..SAMPLE.floor_char_boundary(200_000)]).unwrap();
    let shown = prepare(&[&path("text.txt")], &path("data"), &["--cased"]).success();
    let shown = String::from_utf8(shown.get_output().stdout.clone()).unwrap();
    assert!(shown.contains("leyden train --data") && shown.contains("100 words"), "{shown}");

    let inspect = |more: &[&str]| {
        let assert = leyden().arg("inspect").arg(path("data")).args(more).assert().success();
        String::from_utf8(assert.get_output().stdout.clone()).unwrap()
    };
    let text = inspect(&[]);
    for part in ["--verify", "padding", "unigram entropy", "most frequent", "[CLS]", "held out", "lengths"] {
        assert!(text.contains(part), "no {part:?} in\n{text}");
    }
    assert!(inspect(&["--verify"]).contains("every SHA-256"));
    let report: Value = serde_json::from_str(&inspect(&["--json", "--verify", "--examples", "5"])).unwrap();
    let dataset = Dataset::open(&path("data")).unwrap();
    assert_eq!(report["fingerprint"], dataset.fingerprint());
    assert_eq!(report["training"]["counts"]["examples"], dataset.training.len());
    assert_eq!(report["examples"].as_array().unwrap().len(), 5);
    let histogram: u64 = report["training"]["histogram"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).sum();
    assert_eq!(histogram, dataset.training.len() as u64);
    let full = dataset.training.tokens() as f64 / (dataset.training.len() * 32) as f64;
    assert!((report["training"]["padding"].as_f64().unwrap() - (1.0 - full)).abs() < 1e-12);

    let train = |more: &[&str]| {
        let mut command = leyden();
        command.args(["train", "--device", "cpu", "--run"]).arg(path("run")).args(more);
        command.assert()
    };
    let data = path("data");
    let small = ["--set", "model.layers=1", "--set", "generator.layers=1", "--set", "training.evaluation_examples=8"];
    let flags = [&["--data", data.to_str().unwrap(), "--steps", "4", "--batch", "2"], &small[..]].concat();
    assert!(refusal(train(&[&flags[..], &["--length", "64"]].concat())).contains("--length 64"));
    train(&[&flags[..2], &["--text", "x.txt"]].concat()).code(2);
    train(&[&flags[..], &["--length", "32", "--stop-after", "2"]].concat()).success();
    let config = fs::read_to_string(path("run").join("config.toml")).unwrap();
    assert!(config.contains("vocabulary = 100") && config.contains("length = 32"), "{config}");
    assert!(config.contains(&format!("dataset = {:?}", data.to_str().unwrap())), "{config}");
    train(&[]).success();
    assert!(refusal(train(&["--data", "elsewhere"])).contains("--data"));

    let shard = path("data").join(SHARD);
    let mut content = fs::read(&shard).unwrap();
    let last = content.len() - 1;
    content[last] ^= 1;
    fs::write(&shard, content).unwrap();
    let assert = leyden().args(["train", "--data"]).arg(path("data")).assert();
    assert!(refusal(assert).contains(SHARD));
    let assert = leyden().arg("inspect").arg(path("data")).arg("--verify").assert();
    assert!(refusal(assert).contains("SHA-256"));
}

/// What a command that did its work said on standard error.
fn said(assert: assert_cmd::assert::Assert) -> String {
    String::from_utf8(assert.success().get_output().stderr.clone()).unwrap()
}

#[test]
fn text_of_another_encoding_is_refused_or_decoded_and_never_garbage() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let mut text = SAMPLE.as_bytes()[..30_000].to_vec();
    let line = 1 + text[..9_000].iter().filter(|&&byte| byte == b'\n').count();
    text[9_000] = 0xe9;
    fs::write(path("text.txt"), &text).unwrap();
    let refused = refusal(prepare(&[&path("text.txt")], &path("refused"), &[]));
    assert!(refused.contains(&format!("byte 9000, on line {line}")) && refused.contains("--encoding"), "{refused}");
    assert!(!path("refused").exists() && !path("refused.partial").exists());
    prepare(&[&path("text.txt")], &path("latin"), &["--encoding", "windows-1252"]).success();
    let shard = |name: &str| fs::read(path(name).join(SHARD)).unwrap();

    let plain = String::from_utf8_lossy(&text).replace('\u{fffd}', "é");
    fs::write(path("utf8.txt"), &plain).unwrap();
    let wide: Vec<u8> = "\u{feff}".encode_utf16().chain(plain.encode_utf16()).flat_map(u16::to_be_bytes).collect();
    fs::write(path("wide.txt"), &wide).unwrap();
    for name in ["utf8", "wide"] {
        prepare(&[&path(&format!("{name}.txt"))], &path(name), &[]).success();
        assert!(shard(name) == shard("latin"), "{name}");
    }
    fs::write(path("bare.txt"), &wide[2..]).unwrap();
    assert!(refusal(prepare(&[&path("bare.txt")], &path("out"), &[])).contains("UTF-16 without a byte-order mark"));
    prepare(&[&path("bare.txt")], &path("named"), &["--encoding", "utf-16be"]).success();
    assert!(shard("named") == shard("latin"));
    fs::write(path("torn.txt"), &wide[..wide.len() - 1]).unwrap();
    assert!(refusal(prepare(&[&path("torn.txt")], &path("out"), &[])).contains("not UTF-16BE: byte"));
    let unknown = prepare(&[&path("utf8.txt")], &path("out"), &["--encoding", "klingon"]).code(2);
    assert!(String::from_utf8_lossy(&unknown.get_output().stderr).contains("expected utf-8, utf-16le, windows-1252"));
}

#[test]
fn a_bad_record_costs_itself_and_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let mut lines: Vec<String> = json_lines().lines().map(String::from).collect();
    lines.insert(3, "{\"text\": \"lost \\ud83d half\"}".into());
    lines.insert(9, "{\"score\": NaN, \"text\": \"not a number\"}".into());
    lines.insert(20, "{\"body\": \"no text\"}".into());
    lines.insert(30, "{\"text\": 3}".into());
    fs::write(path("a.jsonl"), lines.join("\n")).unwrap();
    let told = said(prepare(&[&path("a.jsonl")], &path("data"), &[]));
    assert!(told.contains("4 records could not be read and were left out"), "{told}");
    assert!(told.contains("line 4 (") && told.contains("line 10 (") && told.contains("line 21 (no field"), "{told}");
    assert!(!told.contains("line 31"), "{told}");
    let manifest = Dataset::open(&path("data")).unwrap().manifest;
    assert_eq!((manifest.counts().documents, manifest.skipped()), (59, 4));
    let refused = refusal(prepare(&[&path("a.jsonl")], &path("strict"), &["--strict"]));
    assert!(refused.contains("line 4") && refused.contains("--strict"), "{refused}");

    let assert = prepare(&[&path("a.jsonl")], &path("json"), &["--json", "--dedup"]);
    let report: Value = serde_json::from_slice(&assert.success().get_output().stdout).unwrap();
    assert_eq!(report["reading"]["skipped"], 4);
    // A line of any length makes no long message.
    let long = format!("{{\"{}\": \"{}\"}}\n", "k".repeat(5_000), "x".repeat(50_000));
    fs::write(path("long.jsonl"), long.repeat(3)).unwrap();
    let refused = refusal(prepare(&[&path("long.jsonl")], &path("out"), &[]));
    assert!(refused.contains("no field \"text\"") && refused.len() < 400 + path("").as_os_str().len(), "{refused}");
}

#[test]
fn folders_say_what_was_passed_over_and_repeated_documents_are_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::create_dir(path("texts")).unwrap();
    let rows = fs::read_to_string(golden("rows.txt")).unwrap();
    let mut seen = std::collections::HashSet::new();
    let documents: Vec<&str> = rows.lines().filter(|row| !row.trim().is_empty() && seen.insert(*row)).collect();
    fs::write(path("texts/a.txt"), documents.join("\n\n")).unwrap();
    let spaced = documents[0].replace(' ', "  ");
    fs::write(path("texts/b.txt"), format!("{spaced}\n\n{}\n", documents[1])).unwrap();
    for name in ["x.docx", "y.docx", "page.html"] {
        fs::write(path("texts").join(name), "x").unwrap();
    }
    let told = said(prepare(&[&path("texts"), &path("texts/a.txt")], &path("all"), &[]));
    assert!(told.contains("3 files passed over: 2 .docx, 1 .html; 1 file named twice and read once"), "{told}");
    let told = said(prepare(&[&path("texts")], &path("once"), &["--dedup"]));
    assert!(told.contains("2 documents were there before"), "{told}");
    let count = |name: &str| Dataset::open(&path(name)).unwrap().manifest.counts().documents;
    assert_eq!((count("all"), count("once")), (documents.len() as u64 + 2, documents.len() as u64));
}

#[test]
fn train_reads_what_prepare_reads() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("stories.txt"), json_lines()).unwrap();
    let mut table = csv_of(&["n", "story"]);
    for (n, row) in fs::read_to_string(golden("rows.txt")).unwrap().lines().enumerate() {
        table += &csv_of(&[&n.to_string(), row]);
    }
    fs::write(path("stories.csv.gz"), gzip(table.as_bytes())).unwrap();
    let train = |run: &str, input: &str, more: &[&str]| {
        let mut command = leyden();
        command.args(["train", "--device", "cpu", "--steps", "1", "--batch", "2", "--length", "32"]);
        for setting in
            ["model.layers=1", "generator.layers=1", "training.evaluation_examples=8", "model.vocabulary=200"]
        {
            command.args(["--set", setting]);
        }
        command.arg("--run").arg(path(run)).arg("--text").arg(path(input)).args(more).assert()
    };
    let assert = train("a", "stories.txt", &[]).success();
    let output = assert.get_output();
    let (told, shown) = (String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
    assert!(told.contains("holds lines of JSON and is read as such"), "{told}");
    assert!(shown.contains("59 documents"), "{shown}");
    let vocabulary = |run: &str| fs::read_to_string(path(run).join("vocab.txt")).unwrap();
    assert!(!vocabulary("a").lines().any(|piece| piece == "{"), "JSON's syntax was trained on");
    train("b", "stories.csv.gz", &["--field", "story"]).success();
    assert_eq!(vocabulary("a"), vocabulary("b"));
    let config = fs::read_to_string(path("b").join("config.toml")).unwrap();
    assert!(config.contains("field = \"story\"") && config.contains("documents = \"auto\""), "{config}");
    // It goes on with what config.toml says.
    leyden().args(["train", "--device", "cpu", "--steps", "2", "--run"]).arg(path("b")).assert().success();
    assert!(refusal(train("c", "stories.csv.gz", &[])).contains("there are n, story"));
    assert!(refusal(leyden().args(["train", "--text", "-"]).assert()).contains("leyden prepare -"));
    assert!(refusal(leyden().args(["train", "--dedup"]).assert()).contains("--dedup says how --text is read"));
}

/// A row of a table.
fn csv_of(cells: &[&str]) -> String {
    let quoted: Vec<String> = cells.iter().map(|cell| format!("\"{}\"", cell.replace('"', "\"\""))).collect();
    quoted.join(",") + "\n"
}

#[test]
fn wrong_input_is_said_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let json = json_lines();
    let cut = |content: Vec<u8>| content[..content.len() * 2 / 3].to_vec();
    let flipped = |mut content: Vec<u8>| {
        let middle = content.len() / 2;
        content[middle] ^= 0xff;
        content
    };
    let parquet = fs::read(golden("snappy.parquet")).unwrap();
    let broken = json.replace("{\"id\"", "{id").replace("{\"text\": null}", "{").into_bytes();
    let missing = json.replace("\"text\"", "\"body\"").into_bytes();
    let many = json.repeat(20);
    let cases: Vec<(&str, Vec<u8>, &[&str])> = vec![
        ("empty.txt", Vec::new(), &["no text"]),
        ("blank.jsonl", b"\n \n".to_vec(), &["no text"]),
        ("short.txt", b"One sentence.".to_vec(), &["too small"]),
        ("cut.txt.gz", cut(gzip(many.as_bytes())), &["cut.txt.gz", "gzip"]),
        ("cut.jsonl.zst", cut(zstd(many.as_bytes())), &["cut.jsonl.zst", "zstd"]),
        ("cut.txt.xz", cut(xz(many.as_bytes())), &["cut.txt.xz", "xz"]),
        ("flipped.txt.gz", flipped(gzip(many.as_bytes())), &["flipped.txt.gz", "gzip"]),
        ("flipped.txt.xz", flipped(xz(many.as_bytes())), &["flipped.txt.xz", "xz"]),
        ("none.txt.gz", b"plain text".to_vec(), &["none.txt.gz", "gzip", "at the start"]),
        ("none.txt.bz2", b"plain text".to_vec(), &["none.txt.bz2", "bzip2"]),
        ("wide.txt.zst", b"\x28\xb5\x2f\xfd\x00\xa8\0\0\0".to_vec(), &["window of 2048 MiB", "512 MiB", "--long"]),
        ("none.txt.br", b"\x0b\x02".to_vec(), &["brotli", "brotli -d"]),
        ("paper.txt", b"%PDF-1.7".to_vec(), &["a PDF", "pdftotext"]),
        ("paper.docx", b"PK\x03\x04".to_vec(), &[".docx", "plain text"]),
        ("page.txt", b"<!DOCTYPE html><p>Text".to_vec(), &["HTML"]),
        ("noise.txt", b"a\0b\0".to_vec(), &["binary", "--encoding"]),
        ("none.txt.zst", b"plain text".to_vec(), &["none.txt.zst", "zstd"]),
        ("none.txt.xz", b"plain text".to_vec(), &["none.txt.xz", "xz"]),
        ("broken.jsonl", broken, &["broken.jsonl", "not one of", "line 1", "broken JSON"]),
        ("missing.jsonl", missing, &["missing.jsonl", "there are body, id", "--field"]),
        ("number.jsonl", b"{\"text\": 2}\n{\"text\": 3}\n".to_vec(), &["not one of 2", "line 1", "invalid type"]),
        ("cut.parquet", cut(parquet.clone()), &["cut.parquet", "parquet"]),
        ("none.parquet", b"no".to_vec(), &["none.parquet", "parquet"]),
    ];
    for (name, content, expected) in cases {
        fs::write(path(name), content).unwrap();
        let said = refusal(prepare(&[&path(name)], &path("out"), &[]));
        assert!(expected.iter().all(|part| said.contains(part)), "{name}: {said}");
        assert!(!path("out").exists() && !path("out.partial").exists(), "{name} left something");
    }
    let rows = golden("snappy.parquet");
    for (more, expected) in [
        (&["--field", "body"][..], "no field \"body\"; there are id, text"),
        (&["--field", "id"], "not of text"),
        (&["--held-out", "0.7"], "0.5"),
        (&["--length", "5"], "8"),
        (&["--vocab-size", "7"], "32"),
    ] {
        let mut command = leyden();
        let assert = command.arg("prepare").arg(&rows).arg("--out").arg(path("out")).args(more).assert();
        let said = refusal(assert);
        assert!(said.contains(expected), "{more:?}: {said}");
    }
    assert!(refusal(prepare(&[&path("nowhere")], &path("out"), &[])).contains("does not exist"));
    fs::create_dir(path("bare")).unwrap();
    assert!(refusal(prepare(&[&path("bare")], &path("out"), &[])).contains("holds no file"));
    assert!(refusal(prepare(&[&rows], folder.path(), &[])).contains("not empty"));
    fs::write(path("vocab.txt"), "[PAD]\n[UNK]\n[CLS]\n[SEP]\nthe\n").unwrap();
    let mut command = leyden();
    command.arg("prepare").arg(&rows).arg("--out").arg(path("out")).arg("--tokenizer").arg(path("vocab.txt"));
    assert!(refusal(command.assert()).contains("[MASK]"));
    assert!(refusal(leyden().arg("inspect").arg(path("bare")).assert()).contains("not a dataset"));
    assert!(refusal(leyden().arg("inspect").arg(path("nowhere")).assert()).contains("does not exist"));
}

#[test]
fn marks_are_kept_and_what_was_lost_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("text.txt"), "कुल मिलाकर कल का दिन है। हिन्दी में NATO और Été\n\n".repeat(60)).unwrap();
    let changes = |out: &str, flags: &[&str], tokenizer: Option<&str>| {
        let mut command = leyden();
        command
            .args(["prepare", "--length", "32", "--json"])
            .arg(path("text.txt"))
            .arg("--out")
            .arg(path(out))
            .args(flags);
        if let Some(tokenizer) = tokenizer {
            command.arg("--tokenizer").arg(path(tokenizer));
        }
        let assert = command.assert().success();
        let notes = String::from_utf8(assert.get_output().stderr.clone()).unwrap();
        let report: Value = serde_json::from_slice(&assert.get_output().stdout).unwrap();
        (report["changes"]["altered"].as_u64().unwrap(), notes)
    };
    assert_eq!(changes("kept", &[], None).0, 0);
    let (altered, notes) = changes("stripped", &["--strip-accents"], None);
    assert!(
        altered > 0 && notes.contains("हिन्दी becomes हिनदी") && notes.contains("without --strip-accents"),
        "{notes}"
    );
    let inspect = |more: &[&str]| {
        let assert = leyden().arg("inspect").arg(path("stripped")).args(more).assert().success();
        String::from_utf8(assert.get_output().stdout.clone()).unwrap()
    };
    assert!(inspect(&[]).contains("कुल → कल (60)"), "{}", inspect(&[]));
    let report: Value = serde_json::from_str(&inspect(&["--json"])).unwrap();
    assert_eq!(report["changes"]["most"].as_array().unwrap().len(), 6);

    // A vocabulary of one's own, whose capitals and marks no lower-cased text reaches.
    fs::write(path("words.txt"), "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nNATO\nÉté\nकुल\nकल\nका\nहै\n").unwrap();
    let (altered, notes) = changes("lower", &[], Some("words.txt"));
    assert!(altered > 0 && notes.contains("can never be reached") && notes.contains("--cased"), "{notes}");
    let (altered, notes) = changes("cased", &["--cased"], Some("words.txt"));
    assert!(altered == 0 && !notes.contains("never be reached"), "{notes}");
    let config: Value = serde_json::from_slice(&fs::read(path("cased/tokenizer_config.json")).unwrap()).unwrap();
    assert_eq!(config["do_lower_case"], false);
    let mut both = leyden();
    both.args(["prepare", "--strip-accents", "--tokenizer", "x", "--out", "y"]).arg(path("text.txt"));
    both.assert().code(2);
}

#[test]
fn train_takes_the_same_choices() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("text.txt"), "Él vio la ciudad y Él habló con NATO.\n".repeat(200)).unwrap();
    let train = |run: &str, flags: &[&str]| {
        let mut command = leyden();
        command.args(["train", "--device", "cpu", "--steps", "1", "--batch", "2", "--set", "model.layers=1"]);
        command.args(["--set", "generator.layers=1", "--set", "training.evaluation_examples=2", "--text"]);
        command.arg(path("text.txt")).arg("--run").arg(path(run)).args(flags).assert().success();
        let words = fs::read_to_string(path(run).join("vocab.txt")).unwrap();
        let has = |word: &str| words.lines().any(|line| line == word);
        [has("él"), has("Él"), has("el"), has("El")]
    };
    assert_eq!(train("plain", &[]), [true, false, false, false]);
    assert_eq!(train("cased", &["--cased"]), [false, true, false, false]);
    assert_eq!(train("stripped", &["--strip-accents"]), [false, false, true, false]);
    assert_eq!(train("both", &["--cased", "--strip-accents"]), [false, false, false, true]);
    let config = fs::read_to_string(path("both/config.toml")).unwrap();
    assert!(config.contains("cased = true") && config.contains("strip_accents = true"), "{config}");
    // A run that goes on has its vocabulary.
    let mut again = leyden();
    again.args(["train", "--strip-accents", "--run"]).arg(path("plain"));
    assert!(refusal(again.assert()).contains("--strip-accents"));
}
