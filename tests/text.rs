//! Files of every kind to documents: the same text whatever it lies in, nothing read as what it is not.

use leyden::text::{DocumentRule, ReadError, Reading, Report, read_documents};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

fn read(path: &Path, reading: &Reading) -> Result<(Vec<String>, Report), ReadError> {
    let read = read_documents(&[path.to_path_buf()], reading)?;
    Ok((read.documents, read.report))
}

/// A file of this content in a folder of its own.
struct File {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl File {
    fn new(name: &str, content: impl AsRef<[u8]>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        Self { _folder: folder, path }
    }

    fn documents(&self) -> Vec<String> {
        read(&self.path, &Reading::default()).unwrap().0
    }

    fn field(&self, field: &str) -> Result<Vec<String>, String> {
        let reading = Reading { field: field.into(), ..Reading::default() };
        read(&self.path, &reading).map(|read| read.0).map_err(|e| e.to_string())
    }
}

const TEXTS: [&str; 3] = ["First, it \"rained\".\nThen not.", "Zweitens: süß; 中文", "Third.\tEnd"];

#[test]
fn every_container_gives_the_same_documents() {
    let record = |text: &&str| serde_json::json!({ "n": 1, "text": text, "meta": { "text": text } });
    let lines: String = TEXTS.iter().map(|text| record(text).to_string() + "\n").collect();
    let array = serde_json::to_string_pretty(&TEXTS.iter().map(record).collect::<Vec<_>>()).unwrap();
    let strings = serde_json::to_string(&TEXTS).unwrap();
    let packed = lines.lines().collect::<String>();
    let quoted = |separator: &str| -> String {
        let cell = |text: &&str| format!("1{separator}\"{}\"\r\n", text.replace('"', "\"\""));
        format!("n{separator}text\n") + &TEXTS.iter().map(cell).collect::<String>()
    };
    let mut bzip = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    bzip.write_all(lines.as_bytes()).unwrap();
    let bzip = bzip.finish().unwrap();
    for (name, content) in [
        ("a.jsonl", lines.as_bytes()),
        ("a.NDJSON", lines.as_bytes()),
        ("a.json", array.as_bytes()),
        ("b.json", lines.as_bytes()),
        ("c.json", strings.as_bytes()),
        ("d.json", packed.as_bytes()),
        ("array.jsonl", array.as_bytes()),
        // Content tells what a name hides.
        ("lines.txt", lines.as_bytes()),
        ("array", array.as_bytes()),
        ("a.jsonl.bz2", &bzip),
        ("packed.txt", &bzip),
        ("a.csv", quoted(",").as_bytes()),
        ("b.csv", quoted(";").as_bytes()),
    ] {
        assert_eq!(File::new(name, content).documents(), TEXTS, "{name}");
    }
    let bom = [b"\xef\xbb\xbf", lines.as_bytes()].concat();
    assert_eq!(File::new("bom.jsonl", bom).documents(), TEXTS);
    assert_eq!(File::new("nested.jsonl", &lines).field("meta.text").unwrap(), TEXTS);
    let tabs = File::new("a.tsv", "n\ttext\n1\tsaid \"yes\n2\t\"all \"\"of\"\" it\"\n");
    assert_eq!(tabs.documents(), ["said \"yes", "all \"of\" it"]);
}

#[test]
fn a_missing_field_names_those_there_are() {
    let stories = File::new("a.jsonl", "{\"id\": 1, \"meta\": {\"title\": \"x\"}}\n{\"id\": 2}\n");
    let error = stories.field("text").unwrap_err();
    assert!(error.contains("no field \"text\"; there are id, meta.title; choose one with --field"), "{error}");
    let error = File::new("a.tsv", "id\tbody\n1\tx\n").field("text").unwrap_err();
    assert!(error.contains("there are id, body"), "{error}");
    // A note about the files of a folder is none of them.
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("info.json"), "{\"features\": {\"n\": 1}}").unwrap();
    fs::write(folder.path().join("text.jsonl"), "{\"text\": \"x\"}\n").unwrap();
    let (documents, report) = read(folder.path(), &Reading::default()).unwrap();
    assert_eq!(documents, ["x"]);
    assert_eq!(report.remarks(), ["1 file passed over: 1 .json without \"text\""]);
}

#[test]
fn an_array_loses_only_its_broken_records() {
    let content = "[{\"text\": \"one\"},\n {\"text\": \"\\ud83d\"},\n {\"text\" \"two\"}, {\"text\": \"three\"}]";
    let (documents, report) = read(&File::new("a.json", content).path, &Reading::default()).unwrap();
    assert_eq!((documents, report.skipped()), (vec!["one".to_string(), "three".to_string()], 2));
    let remark = report.remarks().remove(0);
    assert!(remark.contains("a.json line 2 (") && remark.contains("a.json line 3 ("), "{remark}");
    let error = read(&File::new("b.jsonl", b"{\"text\": \"ok\"}\n{\"text\": \"\xe9\"}\n").path, &Reading::default())
        .unwrap_err();
    assert!(matches!(error, ReadError::NotUtf8 { line: 2, offset: 25, .. }), "{error}");
    for (name, content, offset) in [("c.json", &b"[{\"text\": \"\xff\"}]"[..], 11), ("d.csv", b"text\n\xff\n", 5)] {
        let error = read(&File::new(name, content).path, &Reading::default()).unwrap_err();
        assert!(matches!(error, ReadError::NotUtf8 { offset: found, .. } if found == offset), "{error}");
    }
}

#[test]
fn posts_are_documents_and_wrapped_paragraphs_are_joined_and_said() {
    let posts: Vec<String> = (0..200).map(|i| format!("Post number {i} has a few words.")).collect();
    let file = File::new("posts.txt", posts.join("\n\n"));
    let (documents, report) = read(&file.path, &Reading::default()).unwrap();
    assert_eq!(documents.iter().map(|d| d.trim()).collect::<Vec<_>>(), posts);
    assert!(report.remarks().is_empty());
    let book = "A paragraph that a book\nwraps at some width.\n\n".repeat(300);
    let file = File::new("book.txt", book);
    let (documents, report) = read(&file.path, &Reading::default()).unwrap();
    let expected = format!(
        "300 short blocks between blank lines were taken for paragraphs and joined into {} doc",
        documents.len()
    );
    assert!(documents.len() == 2 && report.remarks()[0].contains(&expected), "{:?}", report.remarks());
    let ruled = |documents| read(&file.path, &Reading { documents, ..Reading::default() }).unwrap();
    for (rule, count) in [(DocumentRule::BlankLines, 300), (DocumentRule::Lines, 600), (DocumentRule::Files, 1)] {
        let (documents, report) = ruled(rule);
        assert_eq!((documents.len(), report.remarks().len()), (count, 0), "{rule}");
    }
    assert_eq!(ruled(DocumentRule::Paragraphs).0, documents);
}

#[test]
fn articles_that_wikiextractor_wrote_are_documents() {
    let article = |n: u32| format!("<doc id=\"{n}\" url=\"u\" title=\"T\">\nTitle {n}\n\nOne.\n\nTwo.\n</doc>\n");
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("AA")).unwrap();
    fs::write(folder.path().join("AA/wiki_00"), article(1) + &article(2)).unwrap();
    fs::write(folder.path().join("AA/wiki_01"), "{\"id\": \"3\", \"text\": \"Title 3\"}\n").unwrap();
    let (documents, report) = read(folder.path(), &Reading::default()).unwrap();
    assert_eq!(documents, ["Title 1\n\nOne.\n\nTwo.\n", "Title 2\n\nOne.\n\nTwo.\n", "Title 3"]);
    assert!(report.remarks().is_empty(), "{:?}", report.remarks());
}

#[test]
fn nothing_there_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let error = |path: &Path| read(path, &Reading::default()).unwrap_err();
    assert!(matches!(error(folder.path()), ReadError::NoFiles { .. }));
    assert!(matches!(error(&folder.path().join("missing.txt")), ReadError::Missing { .. }));
    for (name, content) in [("blank.txt", " \n\t\n"), ("empty.jsonl", ""), ("null.json", "[{\"text\": null}]")] {
        assert!(matches!(error(&File::new(name, content).path), ReadError::Empty { .. }), "{name}");
    }
    let latin = error(&File::new("latin.txt", b"one\ntwo \xe9\n").path);
    assert!(matches!(latin, ReadError::NotUtf8 { line: 2, offset: 8, .. }), "{latin}");
    assert_eq!(File::new("notes.md", "named").documents(), ["named"]);
}
