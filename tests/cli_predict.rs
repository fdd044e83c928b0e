//! `leyden predict` through the binary: what `transformers` says of the same texts with the same folders, lines as they come,
//! and what cannot be answered. `golden/make_tasks.py` makes the numbers.

#[path = "common/fine_tuned.rs"]
mod fine_tuned;
#[path = "common/program.rs"]
mod program;

use fine_tuned::{golden, model};
use program::leyden;
use serde_json::Value;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

fn expected(name: &str) -> Value {
    let all: Value =
        serde_json::from_str(&fs::read_to_string(golden().join("task_predictions.json")).unwrap()).unwrap();
    all[name].clone()
}

fn says(folder: &TempDir, arguments: &[&str], lines: &str) -> String {
    let mut command = leyden();
    command.arg("predict").arg(folder.path()).args(["--device", "cpu"]).args(arguments).write_stdin(lines);
    String::from_utf8(command.assert().success().get_output().stdout.clone()).unwrap()
}

fn objects(folder: &TempDir, lines: &str) -> Vec<Value> {
    let text = says(folder, &["--json"], lines);
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect()
}

fn reals(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn close(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-5, "{found}, expected {expected}");
}

#[test]
fn texts_are_classified_as_transformers_does() {
    for name in ["single", "linear", "multi", "regression"] {
        let (folder, expected) = (model(name), expected(name));
        let expected = expected.as_array().unwrap();
        let lines: String = expected.iter().map(|e| format!("{}\n", e["text"].as_str().unwrap())).collect();
        let found = objects(&folder, &lines);
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert_eq!(found["text"], expected["text"]);
            let logits = reals(&expected["logits"]);
            if name == "regression" {
                close(found["value"].as_f64().unwrap(), logits[0]);
                continue;
            }
            let config: Value =
                serde_json::from_str(&fs::read_to_string(folder.path().join("config.json")).unwrap()).unwrap();
            let label = |i: usize| config["id2label"][i.to_string()].as_str().unwrap();
            let total: f64 = logits.iter().map(|x| x.exp()).sum();
            let p = |x: f64| if name == "multi" { 1.0 / (1.0 + (-x).exp()) } else { x.exp() / total };
            for (i, &logit) in logits.iter().enumerate() {
                close(found["probabilities"][label(i)].as_f64().unwrap(), p(logit));
            }
            let best = (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap();
            match name {
                "multi" => {
                    let said = found["labels"].as_array().unwrap();
                    assert_eq!(said.len(), logits.iter().filter(|&&x| x > 0.0).count());
                    assert!(logits[best] <= 0.0 || said[0] == label(best), "{found}");
                }
                _ => assert_eq!(found["label"], label(best)),
            }
        }
        // One at a time, and as words on the command line, it is the same.
        let first = expected[0]["text"].as_str().unwrap();
        assert_eq!(says(&folder, &["--json", first], ""), says(&folder, &["--json"], &format!("{first}\n")));
        let plain = says(&folder, &[], &lines);
        assert_eq!(plain.lines().count(), expected.len());
        if name == "single" {
            let mut fields = plain.lines().next().unwrap().split('\t');
            assert_eq!(fields.next(), found[0]["label"].as_str());
            assert!(fields.next().unwrap().parse::<f64>().is_ok() && fields.next().is_none(), "{plain}");
        }
    }
}

#[test]
fn words_are_tagged_and_questions_answered_as_transformers_does() {
    let (folder, tags) = (model("tokens"), expected("tokens"));
    let text = tags["text"].as_str().unwrap();
    let found = &objects(&folder, &format!("{text}\n"))[0];
    assert_eq!(found["tags"], tags["tags"]);
    assert_eq!(found["tokens"].as_array().unwrap().len(), text.split(' ').count());
    let plain = says(&folder, &[text], "");
    assert_eq!(plain.lines().count(), text.split(' ').count() + 1);
    // A sentence of many windows has a tag a word.
    let long = objects(&folder, &format!("{}\n", "the cat ".repeat(40)));
    assert_eq!(long[0]["tags"].as_array().unwrap().len(), 80);

    let (folder, answer) = (model("span"), expected("span"));
    let found = &objects(&folder, &format!("{}\n", answer["text"].as_str().unwrap()))[0];
    assert_eq!(found["answer"], answer["answer"]);
    close(found["n_best"][0]["score"].as_f64().unwrap(), answer["score"].as_f64().unwrap());
    let context = "the cat sat on a jar and the dog ran over it again . ".repeat(6);
    let found = &objects(&folder, &format!("who ran\t{context}\n"))[0];
    assert!(context.contains(found["answer"].as_str().unwrap()), "{found}");
}

#[test]
fn what_cannot_be_answered_is_named_and_the_rest_is_answered() {
    let refused = |folder: &Path, lines: &[u8], code: i32| {
        let mut command = leyden();
        command.arg("predict").arg(folder).args(["--device", "cpu", "--json"]).write_stdin(lines);
        let output = command.assert().code(code).get_output().clone();
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (shown, error) = refused(model("span").path(), b"who sat\nwho sat\tthe cat sat\nwho\t \n", 2);
    assert_eq!(shown.lines().count(), 3);
    assert!(shown.lines().nth(1).unwrap().contains("\"answer\":\""), "{shown}");
    for part in ["line 1: it has no text behind its question", "line 3", "2 of 3 lines could not be answered"] {
        assert!(error.contains(part), "{error}");
    }
    let (shown, error) = refused(model("tokens").path(), b"the cat\n\n", 2);
    assert!(shown.contains("\"tags\"") && error.contains("line 2: it has no word to be tagged"), "{error}");
    let (shown, error) = refused(model("single").path(), b"good\nb\xff\nbetter\n", 2);
    assert!(shown.lines().filter(|line| line.contains("\"label\"")).count() == 2, "{shown}");
    assert!(error.contains("line 2: byte 2 is not UTF-8"), "{error}");
    let (_, error) = refused(&golden().join("probe"), b"a\n", 2);
    assert!(error.contains("ElectraForPreTraining; expected a fine-tuned model"), "{error}");
    let (_, error) = refused(Path::new("no/such/model"), b"a\n", 2);
    assert!(error.contains("no/such/model does not exist"), "{error}");
}

#[test]
fn a_file_is_answered_with_its_ids() {
    let folder = model("single");
    let (file, out) = (folder.path().join("test.csv"), folder.path().join("said.tsv"));
    fs::write(&file, "number,review\n7,the cat sat\n9,\"a dog, ran\"\n").unwrap();
    let predict = |more: &[&str], code: i32| {
        let mut command = leyden();
        command.arg("predict").arg(folder.path()).args(["--device", "cpu", "--input"]).arg(&file).args(more);
        let output = command.assert().code(code).get_output().clone();
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let columns = ["--text", "review", "--id", "number"];
    let shown = predict(&columns, 0).0;
    let alone = says(&folder, &["the cat sat"], "");
    assert!(shown.starts_with(&format!("7\t{alone}")) && shown.lines().nth(1).unwrap().starts_with("9\t"), "{shown}");
    let (nothing, said) = predict(&[&columns[..], &["--out", out.to_str().unwrap()]].concat(), 0);
    assert!(nothing.is_empty() && said.contains("said.tsv: 2 answers"), "{said}");
    assert_eq!(fs::read_to_string(&out).unwrap(), shown);
    let lines = predict(&[&columns[..], &["--json"]].concat(), 0).0;
    let second: Value = serde_json::from_str(lines.lines().nth(1).unwrap()).unwrap();
    assert_eq!((&second["id"], &second["text"]), (&"9".into(), &"a dog, ran".into()));
    let error = predict(&["--text", "nothing"], 2).1;
    assert!(error.contains("no column \"nothing\"; there are number, review"), "{error}");
    assert!(predict(&["--out", "no/such/folder/x.tsv", "--text", "review"], 1).1.contains("no/such/folder"));
}

fn evaluated(folder: &TempDir, file: &Path, more: &[&str]) -> Value {
    let mut command = leyden();
    command.arg("evaluate").arg(folder.path()).args(["--device", "cpu", "--json", "--dev"]).arg(file).args(more);
    serde_json::from_slice(&command.assert().success().get_output().stdout).unwrap()
}

#[test]
fn classes_are_held_against_labels() {
    let folder = model("single");
    let file = folder.path().join("dev.csv");
    let texts = ["the storm was large .", "the cat sat", "a dog ran", "one two three"];
    let said: Vec<String> = objects(&folder, &(texts.join("\n") + "\n"))
        .iter()
        .map(|found| found["label"].as_str().unwrap().to_string())
        .collect();
    // The last is labelled otherwise.
    let other = if said[3] == "maybe" { "no" } else { "maybe" };
    let write = |label: &dyn Fn(&str) -> String| {
        let labelled = [&said[0], &said[1], &said[2], other];
        let rows: String = texts.iter().zip(labelled).map(|(text, l)| format!("{text},{}\n", label(l))).collect();
        fs::write(&file, format!("review,stars\n{rows}")).unwrap();
    };
    let columns = ["--text", "review", "--label", "stars"];
    write(&str::to_string);
    let found = evaluated(&folder, &file, &columns);
    assert_eq!((&found["count"], &found["scores"]["accuracy"]), (&4.into(), &0.75.into()), "{found}");
    let counts: Vec<u64> = found["confusion"]["counts"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|row| row.as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect::<Vec<_>>())
        .collect();
    assert_eq!(counts.iter().sum::<u64>(), 4);
    let mistake = &found["mistakes"][0];
    assert_eq!(
        (&mistake["line"], &mistake["expected"], &mistake["said"]),
        (&5.into(), &other.into(), &said[3].clone().into())
    );
    // For people.
    let mut command = leyden();
    command.arg("evaluate").arg(folder.path()).args(["--device", "cpu", "--dev"]).arg(&file).args(columns);
    let shown = String::from_utf8(command.assert().success().get_output().stdout.clone()).unwrap();
    for part in ["4 records", "accuracy", "0.7500", "Matthews", "the worst mistakes", "line 5: one two three"] {
        assert!(shown.contains(part), "no {part:?} in\n{shown}");
    }
    // Numbers are taken in the model's order, if there are as many.
    let places = |label: &str| ["no", "yes", "maybe"].iter().position(|name| *name == label).unwrap().to_string();
    write(&places);
    fs::write(&file, fs::read_to_string(&file).unwrap() + "the jar,0\nthe mat,1\nthe hat,2\n").unwrap();
    let found = evaluated(&folder, &file, &columns);
    assert_eq!(found["count"], 7);
    assert!(found["confusion"]["labels"] == serde_json::json!(["no", "yes", "maybe"]), "{found}");

    let refused = |file: &Path, more: &[&str]| {
        let mut command = leyden();
        command.arg("evaluate").arg(folder.path()).args(["--device", "cpu", "--dev"]).arg(file).args(more);
        String::from_utf8(command.assert().code(2).get_output().stderr.clone()).unwrap()
    };
    write(&|label| format!("{label}!"));
    let error = refused(&file, &columns);
    assert!(error.contains("the model's labels are no, yes, maybe, the file's are"), "{error}");
    let error = refused(&file, &[]);
    assert!(error.contains("no column \"text\"; there are review, stars"), "{error}");
    let error = refused(&file, &["--task", "wnli"]);
    assert!(error.contains("wnli is not offered"), "{error}");
    assert!(refused(&folder.path().join("none.csv"), &columns).contains("none.csv"));
}

#[test]
fn tags_answers_and_numbers_are_held_against_labels() {
    let folder = model("tokens");
    let file = folder.path().join("dev.conll");
    let text = "the cat sat on the jar .";
    let found = &objects(&folder, &format!("{text}\n"))[0];
    let tags: Vec<&str> = found["tags"].as_array().unwrap().iter().map(|tag| tag.as_str().unwrap()).collect();
    // What it says, and a word that it takes for more than it is.
    let lines: Vec<String> = text.split(' ').zip(&tags).map(|(word, tag)| format!("{word} {tag}")).collect();
    fs::write(&file, format!("{}\n\njar O\n", lines.join("\n"))).unwrap();
    let found = evaluated(&folder, &file, &[]);
    assert_eq!(found["count"], 2);
    // An I- without a B- begins a span, so that all spans are found, and one more than there is.
    assert_eq!(found["scores"]["recall"], 1.0, "{found}");
    assert!(found["scores"]["precision"].as_f64().unwrap() < 1.0 && found["scores"]["accuracy"].is_f64(), "{found}");

    let (folder, answer) = (model("span"), expected("span"));
    let file = folder.path().join("dev.json");
    let (question, context) = answer["text"].as_str().unwrap().split_once('\t').unwrap();
    let squad = |text: &str| {
        let start = context.find(text).unwrap();
        let answers = serde_json::json!([{ "text": text, "answer_start": start }]);
        let qas = serde_json::json!([{ "id": "a", "question": question, "answers": answers, "is_impossible": false }]);
        let paragraphs = serde_json::json!([{ "context": context, "qas": qas }]);
        let data = serde_json::json!([{ "title": "t", "paragraphs": paragraphs }]);
        fs::write(&file, serde_json::json!({ "version": "1.1", "data": data }).to_string()).unwrap();
    };
    squad(answer["answer"].as_str().unwrap());
    for more in [&[][..], &["--task", "squad2"]] {
        let found = evaluated(&folder, &file, more);
        assert_eq!((&found["scores"]["exact"], &found["scores"]["F1"]), (&1.0.into(), &1.0.into()), "{found}");
    }
    squad("it");
    let found = evaluated(&folder, &file, &[]);
    assert!(found["scores"]["exact"] == 0.0 && found["mistakes"][0]["expected"] == "it", "{found}");

    let folder = model("regression");
    let file = folder.path().join("dev.jsonl");
    let line =
        |e: &Value| format!("{}\n", serde_json::json!({ "text": e["text"], "label": reals(&e["logits"])[0] + 1.0 }));
    let all = expected("regression");
    let rows: String =
        all.as_array().unwrap().iter().filter(|e| !e["text"].as_str().unwrap().contains('\t')).map(line).collect();
    fs::write(&file, rows).unwrap();
    let found = evaluated(&folder, &file, &[]);
    close(found["scores"]["Pearson"].as_f64().unwrap(), 1.0);
    close(found["scores"]["Spearman"].as_f64().unwrap(), 1.0);
    close(found["scores"]["squared error"].as_f64().unwrap(), 1.0);
}
