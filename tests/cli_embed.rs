//! `leyden embed` through the binary: the vectors of `transformers` for the same texts, as lines of JSON and as NumPy's file, of every
//! kind of folder. `golden/make_tasks.py` makes the numbers.

#[path = "common/fine_tuned.rs"]
mod fine_tuned;
#[path = "common/program.rs"]
mod program;

use fine_tuned::{golden, model};
use program::leyden;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Stdio;

fn expected() -> Vec<Value> {
    serde_json::from_str(&fs::read_to_string(golden().join("task_vectors.json")).unwrap()).unwrap()
}

fn reals(value: &Value) -> Vec<f64> {
    value.as_array().unwrap_or_else(|| panic!("{value}")).iter().map(|x| x.as_f64().unwrap()).collect()
}

fn close(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-5, "{found}, expected {expected}");
    }
}

/// What it prints and what it says beside that.
fn embed(folder: &Path, arguments: &[&str], lines: impl Into<Vec<u8>>, code: i32) -> (String, String) {
    let mut command = leyden();
    command.arg("embed").arg(folder).args(["--device", "cpu"]).args(arguments).write_stdin(lines);
    let output = command.assert().code(code).get_output().clone();
    (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}

fn objects(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect()
}

/// The numbers of an .npy file, and its shape.
fn npy(path: &Path) -> (Vec<f32>, String) {
    let bytes = fs::read(path).unwrap();
    let (header, numbers) = bytes.split_at(128);
    assert_eq!(&header[..10], b"\x93NUMPY\x01\x00\x76\x00");
    let text = std::str::from_utf8(&header[10..]).unwrap();
    assert!(text.starts_with("{'descr': '<f4', 'fortran_order': False, 'shape': (") && text.ends_with('\n'), "{text}");
    let shape = text.split(['(', ')']).nth(1).unwrap().to_string();
    (numbers.chunks(4).map(|x| f32::from_le_bytes(x.try_into().unwrap())).collect(), shape)
}

#[test]
fn vectors_are_those_of_transformers() {
    let folder = model("single");
    let expected = expected();
    let lines: String = expected.iter().map(|e| format!("{}\n", e["text"].as_str().unwrap())).collect();
    for pooling in ["mean", "cls"] {
        let (shown, said) = embed(folder.path(), &["--pooling", pooling], lines.as_str(), 0);
        let found = objects(&shown);
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found["text"], expected["text"]);
            close(&reals(&found["vector"]), &reals(&expected[pooling]));
        }
        // The last is longer than the model.
        assert!(said.contains("of 4 texts cut at 15 tokens"), "{said}");
        // As words on the command line, and in a file.
        let first = expected[0]["text"].as_str().unwrap();
        let alone = &objects(&embed(folder.path(), &["--pooling", pooling, first], "", 0).0)[0];
        close(&reals(&alone["vector"]), &reals(&found[0]["vector"]));
        let out = folder.path().join("vectors.npy");
        let (nothing, said) =
            embed(folder.path(), &["--pooling", pooling, "--out", out.to_str().unwrap()], lines.as_str(), 0);
        assert!(nothing.is_empty() && said.contains("vectors.npy: 4 vectors of 12 numbers"), "{said}");
        let (numbers, shape) = npy(&out);
        assert_eq!(shape, "4, 12");
        for (found, expected) in numbers.chunks(12).zip(&expected) {
            let found: Vec<f64> = found.iter().map(|&x| x.into()).collect();
            close(&found, &reals(&expected[pooling]));
        }
    }
}

#[test]
fn every_kind_of_folder_has_an_encoder() {
    let folder = model("single");
    let alone = embed(folder.path(), &["the cat sat"], "", 0).0;
    // A run's checkpoint, from its top.
    let run = tempfile::tempdir().unwrap();
    let inside = run.path().join("checkpoints/step-7/model");
    fs::create_dir_all(&inside).unwrap();
    for file in fs::read_dir(folder.path()).unwrap().flatten() {
        fs::copy(file.path(), inside.join(file.file_name())).unwrap();
    }
    assert_eq!(embed(run.path(), &["the cat sat"], "", 0).0, alone);
    assert_eq!(embed(&run.path().join("checkpoints/step-7"), &["the cat sat"], "", 0).0, alone);
    for name in ["tokens", "span", "regression", "multi"] {
        assert_eq!(objects(&embed(model(name).path(), &["the cat"], "", 0).0).len(), 1, "{name}");
    }
    for name in ["probe", "probe_generator"] {
        let (shown, said) = embed(&golden().join(name), &["the cat"], "", 0);
        assert!(objects(&shown).len() == 1 && said.is_empty(), "{said}");
    }
    let empty = tempfile::tempdir().unwrap();
    let error = embed(empty.path(), &["a"], "", 2).1;
    assert!(error.contains("holds no model; expected config.json"), "{error}");
    let error = embed(Path::new("no/such/model"), &["a"], "", 2).1;
    assert!(error.contains("no/such/model does not exist"), "{error}");
}

#[test]
fn a_table_is_read_with_its_ids() {
    let folder = model("single");
    let (file, out) = (folder.path().join("reviews.csv"), folder.path().join("vectors.jsonl"));
    fs::write(&file, "number,review,reply\n7,the cat sat,a dog ran\n9,\"a dog, ran\",\n").unwrap();
    let input = file.to_str().unwrap();
    let columns = ["--input", input, "--text", "review", "--id", "number"];
    let found = objects(&embed(folder.path(), &columns, "", 0).0);
    assert_eq!((&found[0]["id"], &found[1]["id"], &found[1]["text"]), (&"7".into(), &"9".into(), &"a dog, ran".into()));
    let alone = &objects(&embed(folder.path(), &["the cat sat"], "", 0).0)[0];
    close(&reals(&found[0]["vector"]), &reals(&alone["vector"]));
    let both = [&columns[..], &["--pair", "reply", "--out", out.to_str().unwrap()]].concat();
    let said = embed(folder.path(), &both, "", 0).1;
    assert!(said.contains("vectors.jsonl: 2 vectors of 12 numbers"), "{said}");
    let found = objects(&fs::read_to_string(&out).unwrap());
    let pair = &objects(&embed(folder.path(), &["the cat sat\ta dog ran"], "", 0).0)[0];
    close(&reals(&found[0]["vector"]), &reals(&pair["vector"]));
    assert_eq!(found[0]["text"], "the cat sat\ta dog ran");
    let error = embed(folder.path(), &["--input", input], "", 2).1;
    assert!(error.contains("no column \"text\"; there are number, review, reply"), "{error}");
    assert!(embed(folder.path(), &["--input", input, "a"], "", 2).1.contains("cannot be used with"));
    assert!(embed(folder.path(), &["--pair", "reply", "a"], "", 2).1.contains("cannot be used with"));
    assert!(embed(folder.path(), &["--pair", "reply"], "a\n", 2).1.contains("--input"));
}

#[test]
fn a_line_that_is_no_text_costs_its_own_vector_alone() {
    let folder = model("single");
    let lines = b"good\nb\xff\nbetter\n";
    let (shown, said) = embed(folder.path(), &[], lines, 2);
    let found = objects(&shown);
    assert_eq!((found.len(), &found[1]["line"], &found[2]["text"]), (3, &2.into(), &"better".into()), "{shown}");
    assert!(said.contains("line 2: byte 2 is not UTF-8") && said.contains("1 of 3 lines could not"), "{said}");
    let out = folder.path().join("v.npy");
    embed(folder.path(), &["--out", out.to_str().unwrap()], lines, 2);
    let (numbers, shape) = npy(&out);
    assert_eq!(shape, "3, 12");
    let finite: Vec<bool> = numbers.chunks(12).map(|row| row.iter().all(|x| x.is_finite())).collect();
    assert_eq!((finite, numbers[12].is_nan()), (vec![true, false, true], true));
    // Of nothing, nothing: and a file that says so.
    assert_eq!(embed(folder.path(), &[], "", 0).0, "");
    embed(folder.path(), &["--out", out.to_str().unwrap()], "", 0);
    assert_eq!(npy(&out), (Vec::new(), "0, 12".to_string()));
    // What cannot be written is said before anything is read, and what was there stays.
    let error = embed(folder.path(), &["--out", "vectors.txt", "a"], "", 2).1;
    assert!(error.contains("expected a name that ends in .npy or .jsonl"), "{error}");
    assert!(embed(folder.path(), &["--out", "no/such/folder/x.npy", "a"], "", 1).1.contains("no/such/folder/x.npy"));
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().flatten().map(|file| file.file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("partial")), "{left:?}");
}

#[test]
fn a_reader_may_leave_early() {
    let folder = model("single");
    let mut command = std::process::Command::new(leyden().get_program());
    command.arg("embed").arg(folder.path()).args(["--device", "cpu"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let mut lines = child.stdin.take().unwrap();
    // It may be gone before it has read them all.
    let _ = std::io::Write::write_all(&mut lines, "the cat sat\n".repeat(1_000).as_bytes());
    drop(lines);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}
