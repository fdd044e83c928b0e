//! The tokenizer against transformers' (golden ids), against itself after a save, and its errors.

use leyden::corpus::{Error, MINIMUM_VOCABULARY, SAMPLE, SPECIAL_TOKENS, SpecialTokens, Tokenizer, VocabularyOptions};
use serde_json::Value;
use std::fs;
use std::path::Path;

const TRICKY: [&str; 6] = [
    "Hello, world! It's 3.14, isn't it?",
    "Ünïcödé façade naïve résumé İstanbul",
    "中文字符 mixed with English",
    "the [MASK] of [CLS] 🙂 ☃",
    "\u{200b}zero\u{200d}width\ttab\u{a0}nbsp",
    "",
];

fn golden() -> Value {
    serde_json::from_str(include_str!("golden/tokenizer_cases.json")).unwrap()
}

fn vocabulary_file(golden: &Value) -> String {
    let pieces: Vec<&str> =
        golden["vocabulary"].as_array().unwrap().iter().map(|piece| piece.as_str().unwrap()).collect();
    pieces.join("\n") + "\n"
}

/// The script that made the numbers: tests/golden/make_tokenizer_cases.py.
#[test]
fn ids_equal_transformers() {
    let golden = golden();
    for (name, lower_case) in [("lower_case", true), ("cased", false)] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("vocab.txt"), vocabulary_file(&golden)).unwrap();
        let config = format!("{{\"do_lower_case\": {lower_case}}}");
        fs::write(folder.path().join("tokenizer_config.json"), config).unwrap();
        let tokenizer = Tokenizer::load(folder.path()).unwrap();
        let mut wrong = Vec::new();
        for case in golden[name].as_array().unwrap() {
            let text = case["text"].as_str().unwrap();
            let expected: Vec<u32> = serde_json::from_value(case["ids"].clone()).unwrap();
            let found = tokenizer.encode_with_special(text, 64).unwrap();
            if found != expected {
                wrong.push((text.to_owned(), found, expected));
            }
        }
        assert!(wrong.is_empty(), "{name}: {wrong:#?}");
    }
}

fn options(size: usize, cased: bool) -> VocabularyOptions {
    VocabularyOptions { size, cased, ..VocabularyOptions::default() }
}

/// FNV-1a.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The constants were found in other processes: a vocabulary must not depend on the process that learns it.
#[test]
fn the_same_text_gives_the_same_vocabulary() {
    for (cased, expected) in [(false, 0xe8986b756ad99289u64), (true, 0xd36a89f3952f0a21u64)] {
        let tokenizer = Tokenizer::train(SAMPLE.lines(), &options(1_000, cased)).unwrap();
        assert_eq!(tokenizer.size(), 1_000);
        let pieces: Vec<String> = (0..1_000).map(|id| tokenizer.token(id).unwrap()).collect();
        assert_eq!(pieces[..5], SPECIAL_TOKENS);
        let found = hash(pieces.join("\n").as_bytes());
        assert_eq!(found, expected, "{found:#x}");
    }
}

#[test]
fn a_saved_tokenizer_loads_the_same_from_either_file() {
    for cased in [false, true] {
        let tokenizer = Tokenizer::train([SAMPLE], &options(600, cased)).unwrap();
        let special = SpecialTokens { pad: 0, unk: 1, cls: 2, sep: 3, mask: 4 };
        assert_eq!(tokenizer.special(), special);
        let folder = tempfile::tempdir().unwrap();
        let saved = folder.path().join("made/on/the/way");
        tokenizer.save(&saved, 128).unwrap();
        let mut names: Vec<_> = fs::read_dir(&saved).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["special_tokens_map.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt"]);

        let from_json = Tokenizer::load(&saved).unwrap();
        fs::remove_file(saved.join("tokenizer.json")).unwrap();
        let from_vocabulary = Tokenizer::load(&saved).unwrap();
        for loaded in [&from_json, &from_vocabulary] {
            assert_eq!((loaded.size(), loaded.special()), (tokenizer.size(), special));
            for text in TRICKY.iter().copied().chain(SAMPLE.lines().take(40)) {
                assert_eq!(loaded.encode(text).unwrap(), tokenizer.encode(text).unwrap(), "{text}");
            }
        }
    }
}

#[test]
fn the_saved_files_say_what_transformers_needs() {
    let tokenizer = Tokenizer::train([SAMPLE], &options(300, true)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    tokenizer.save(folder.path(), 512).unwrap();
    let read =
        |name: &str| -> Value { serde_json::from_str(&fs::read_to_string(folder.path().join(name)).unwrap()).unwrap() };
    let config = read("tokenizer_config.json");
    assert_eq!(config["tokenizer_class"], "ElectraTokenizer");
    assert_eq!(config["do_lower_case"], false);
    assert_eq!(config["model_max_length"], 512);
    assert_eq!(config["mask_token"], "[MASK]");
    assert_eq!(read("special_tokens_map.json")["pad_token"], "[PAD]");
    let json = read("tokenizer.json");
    assert_eq!(json["normalizer"]["type"], "BertNormalizer");
    assert_eq!(json["pre_tokenizer"]["type"], "BertPreTokenizer");
    assert_eq!(json["model"]["type"], "WordPiece");
    assert_eq!(json["decoder"]["type"], "WordPiece");
    assert_eq!(json["post_processor"]["type"], "BertProcessing");
    assert_eq!(json["post_processor"]["sep"], serde_json::json!(["[SEP]", 3]));
    assert_eq!(json["added_tokens"].as_array().unwrap().len(), 5);
}

#[test]
fn text_comes_back() {
    let lower = Tokenizer::train([SAMPLE], &options(600, false)).unwrap();
    let cased = Tokenizer::train([SAMPLE], &options(600, true)).unwrap();
    let text = "The Congress of the United States met.";
    assert_eq!(cased.decode(&cased.encode(text).unwrap()).unwrap(), text);
    assert_eq!(lower.decode(&lower.encode(text).unwrap()).unwrap(), text.to_lowercase());
    assert_eq!(lower.token(4).as_deref(), Some("[MASK]"));
    assert_eq!(lower.id("[MASK]"), Some(4));
    assert_eq!(lower.token(600), None);
    assert_eq!(lower.encode_with_special(text, 4).unwrap().len(), 4);
    assert_eq!(lower.encode_with_special(text, 0).unwrap(), [2, 3]);
}

#[test]
fn errors_say_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &str| {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        path
    };
    assert!(matches!(Tokenizer::load(folder.path()), Err(Error::NoTokenizer { .. })));
    assert!(matches!(Tokenizer::load(Path::new("no/such/file")), Err(Error::Missing { .. })));
    assert!(matches!(Tokenizer::load(&write("a.json", "{\"model\": ")), Err(Error::Tokenizer { .. })));
    assert!(matches!(Tokenizer::load(&write("b.json", "{}")), Err(Error::Tokenizer { .. })));
    let without = "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\nb\n";
    let error = Tokenizer::load(&write("vocab.txt", without)).unwrap_err();
    assert!(matches!(error, Error::MissingSpecial { token: "[MASK]" }), "{error}");
    assert!(error.to_string().contains("[MASK]"));

    let small = Tokenizer::train(["a b c"], &options(MINIMUM_VOCABULARY - 1, false));
    assert!(matches!(small, Err(Error::VocabularySize { .. })));
    let nothing = Tokenizer::train([" \n "], &options(100, false));
    assert!(matches!(nothing, Err(Error::NoWords)));
}

#[test]
fn a_file_with_its_own_padding_and_truncation_is_read_without() {
    let tokenizer = Tokenizer::train([SAMPLE], &options(300, false)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    tokenizer.save(folder.path(), 128).unwrap();
    let path = folder.path().join("tokenizer.json");
    let mut json: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    json["truncation"] =
        serde_json::json!({"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0});
    fs::write(&path, json.to_string()).unwrap();
    let text = "a sentence that is longer than four tokens";
    assert_eq!(Tokenizer::load(&path).unwrap().encode(text).unwrap(), tokenizer.encode(text).unwrap());
}

#[test]
fn ids_that_a_file_leaves_out_keep_their_lines() {
    let tokenizer = Tokenizer::train([SAMPLE], &options(300, false)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    tokenizer.save(folder.path(), 128).unwrap();
    let path = folder.path().join("tokenizer.json");
    let mut json: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    json["model"]["vocab"]["far"] = serde_json::json!(310);
    fs::write(&path, json.to_string()).unwrap();
    let sparse = Tokenizer::load(&path).unwrap();
    assert_eq!(sparse.size(), 311);
    sparse.save(folder.path(), 128).unwrap();
    let dense = Tokenizer::load(&folder.path().join("vocab.txt")).unwrap();
    assert_eq!((dense.size(), dense.id("far")), (311, Some(310)));
}
