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
    let kinds = [
        ("lower_case", r#"{"do_lower_case": true}"#),
        ("cased", r#"{"do_lower_case": false}"#),
        ("marks", r#"{"do_lower_case": true, "strip_accents": false}"#),
    ];
    for (name, config) in kinds {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("vocab.txt"), vocabulary_file(&golden)).unwrap();
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
    assert!(matches!(&error, Error::MissingSpecial { token } if token == "[MASK]"), "{error}");
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

/// As the tool found them in transformers: tests/tools/check_tokenizers.py --freeze.
#[test]
fn every_kind_of_tokenizer_has_the_ids_of_transformers() {
    let all: Value = serde_json::from_str(include_str!("golden/tokenizers.json")).unwrap();
    let (texts, kinds) = all.as_array().unwrap().split_first().unwrap();
    assert!(kinds.len() >= 20);
    let mut wrong = Vec::new();
    for kind in kinds {
        let name = kind["kind"].as_str().unwrap();
        let folder = tempfile::tempdir().unwrap();
        for (file, content) in kind["files"].as_object().unwrap() {
            fs::write(folder.path().join(file), content.as_str().unwrap()).unwrap();
        }
        let tokenizer = Tokenizer::load(folder.path()).unwrap();
        let saved = folder.path().join("saved");
        tokenizer.save(&saved, 128).unwrap();
        let again = [Tokenizer::load(&saved).unwrap(), Tokenizer::load_saved(&saved).unwrap()];
        let config: Value =
            serde_json::from_str(&fs::read_to_string(saved.join("tokenizer_config.json")).unwrap()).unwrap();
        assert_eq!(config["tokenizer_class"], kind["class"], "{name}");
        assert_eq!(saved.join("vocab.txt").exists(), kind["class"] == "ElectraTokenizer", "{name}");
        for (text, ids) in texts.as_array().unwrap().iter().zip(kind["ids"].as_array().unwrap()) {
            let text = text.as_str().unwrap();
            let expected: Vec<u32> = serde_json::from_value(ids.clone()).unwrap();
            for tokenizer in [&tokenizer, &again[0], &again[1]] {
                let found = tokenizer.encode_with_special(text, usize::MAX).unwrap();
                if found != expected {
                    wrong.push(format!("{name}: {text}\n  {found:?}\n  {expected:?}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A folder with these files.
fn folder_of(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        fs::write(folder.path().join(name), content).unwrap();
    }
    folder
}

const WORDS: &str =
    "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nriver\nRiver\nmuller\nmüller\nMüller\nstone\n.\n##s\n[\n]\nsep\nmask\npad\n";

/// A tokenizer.json of [`WORDS`].
fn words_json() -> Value {
    let folder = folder_of(&[("vocab.txt", WORDS)]);
    let tokenizer = Tokenizer::load(folder.path()).unwrap();
    tokenizer.save(folder.path(), 128).unwrap();
    serde_json::from_str(&fs::read_to_string(folder.path().join("tokenizer.json")).unwrap()).unwrap()
}

fn tokens(tokenizer: &Tokenizer, text: &str) -> String {
    let tokens = tokenizer.encode(text).unwrap().into_iter().map(|id| tokenizer.token(id).unwrap());
    tokens.collect::<Vec<_>>().join(" ")
}

#[test]
fn tokenizer_config_wins_over_tokenizer_json() {
    let json = words_json().to_string();
    let read = |config: &str| {
        let folder = folder_of(&[("tokenizer.json", &json), ("tokenizer_config.json", config)]);
        tokens(&Tokenizer::load(folder.path()).unwrap(), "River Müller stone.")
    };
    let lower = "river muller stone .";
    assert_eq!(read("{}"), lower);
    assert_eq!(read(r#"{"tokenizer_class": "ElectraTokenizer", "do_lower_case": false}"#), "River Müller stone .");
    assert_eq!(read(r#"{"do_lower_case": false}"#), "River Müller stone .");
    let marks = r#"{"tokenizer_class": "BertTokenizerFast", "strip_accents": false}"#;
    assert_eq!(read(marks), "river müller stone .");
    // Of this class transformers reads tokenizer.json alone.
    assert_eq!(read(r#"{"tokenizer_class": "PreTrainedTokenizerFast", "do_lower_case": false}"#), lower);

    // A class of BERT's leaves nothing of the rest, and says so.
    let mut other = words_json();
    other["normalizer"]["clean_text"] = false.into();
    let files = [("tokenizer.json", other.to_string())];
    let config = ("tokenizer_config.json", r#"{"tokenizer_class": "ElectraTokenizer"}"#);
    let folder = folder_of(&[(files[0].0, &files[0].1), config]);
    let tokenizer = Tokenizer::load(folder.path()).unwrap();
    assert_eq!(tokens(&tokenizer, "ri\u{200b}ver"), "river");
    assert!(tokenizer.notes()[0].contains("clean_text = false"), "{:?}", tokenizer.notes());
    // What leyden saved is what tokenizer.json says, whatever class an older program wrote.
    assert_eq!(tokens(&Tokenizer::load_saved(folder.path()).unwrap(), "ri\u{200b}ver"), "[UNK]");
    let alone = folder_of(&[(files[0].0, &files[0].1)]);
    assert_eq!(tokens(&Tokenizer::load(alone.path()).unwrap(), "ri\u{200b}ver"), "[UNK]");
    std::fs::create_dir(folder.path().join("half")).unwrap();
    for file in ["tokenizer.json", "tokenizer_config.json"] {
        fs::copy(folder.path().join(file), folder.path().join("half").join(file)).unwrap();
    }
    fs::write(folder.path().join("state.json"), "{}").unwrap();
    let ours = Tokenizer::load(&folder.path().join("half")).unwrap();
    assert_eq!(tokens(&ours, "ri\u{200b}ver"), "[UNK]");
    assert!(!ours.notes().iter().any(|note| note.contains("set aside")), "{:?}", ours.notes());
    // A model's config.json names the class where nothing else does.
    let model = folder_of(&[(files[0].0, &files[0].1), ("config.json", r#"{"model_type": "electra"}"#)]);
    assert_eq!(tokens(&Tokenizer::load(model.path()).unwrap(), "ri\u{200b}ver"), "river");
}

#[test]
fn classes_that_work_otherwise_are_refused_by_name() {
    for class in ["BertJapaneseTokenizer", "XLMRobertaTokenizer", "AlbertTokenizerFast", "MyTokenizer"] {
        let config = format!(r#"{{"tokenizer_class": "{class}", "word_tokenizer_type": "mecab"}}"#);
        let json = words_json().to_string();
        for file in [("vocab.txt", WORDS), ("tokenizer.json", json.as_str()), ("spiece.model", "")] {
            let folder = folder_of(&[file, ("tokenizer_config.json", &config)]);
            let error = Tokenizer::load(folder.path()).unwrap_err();
            assert!(matches!(error, Error::TokenizerClass { .. }), "{error}");
            assert!(error.to_string().contains(class), "{error}");
        }
    }
    let fast = r#"{"tokenizer_class": "PreTrainedTokenizerFast"}"#;
    let error =
        Tokenizer::load(folder_of(&[("vocab.txt", WORDS), ("tokenizer_config.json", fast)]).path()).unwrap_err();
    assert!(error.to_string().contains("which needs a tokenizer.json"), "{error}");
    let wrong = folder_of(&[("vocab.txt", WORDS), ("tokenizer_config.json", r#"{"do_lower_case": "no"}"#)]);
    let error = Tokenizer::load(wrong.path()).unwrap_err().to_string();
    assert!(error.contains("do_lower_case is no, expected true or false"), "{error}");
}

#[test]
fn added_tokens_count_wherever_they_are_listed() {
    let count = WORDS.lines().count();
    let decoder = |id: usize| {
        let token = r#"{"content": "<ent>", "special": false, "normalized": true, "lstrip": false, "rstrip": false, "single_word": false}"#;
        format!(r#"{{"added_tokens_decoder": {{"{id}": {token}}}}}"#)
    };
    let beside = format!(r#"{{"<ent>": {count}}}"#);
    let json = words_json().to_string();
    for base in [("vocab.txt", WORDS), ("tokenizer.json", json.as_str())] {
        for more in [("added_tokens.json", beside.as_str()), ("tokenizer_config.json", &decoder(count))] {
            let folder = folder_of(&[base, more]);
            let tokenizer = Tokenizer::load(folder.path()).unwrap();
            assert_eq!(tokens(&tokenizer, "river <ent>stone [SEP]"), "river <ent> stone [ sep ]");
            assert_eq!((tokenizer.id("<ent>"), tokenizer.size()), (Some(count as u32), count + 1));
            tokenizer.save(&folder.path().join("saved"), 128).unwrap();
            let again = Tokenizer::load(&folder.path().join("saved")).unwrap();
            assert_eq!(tokens(&again, "river <ent>stone"), "river <ent> stone");
        }
        // transformers numbers them itself: an id that it would not give is of another tokenizer.
        let error =
            Tokenizer::load(folder_of(&[base, ("tokenizer_config.json", &decoder(count + 5))]).path()).unwrap_err();
        assert!(error.to_string().contains("transformers gives it"), "{error}");
    }
}

#[test]
fn special_tokens_may_have_other_names() {
    let words = WORDS.replace("[PAD]", "<pad>").replace("[UNK]", "<unk>").replace("[CLS]", "<s>");
    let words = words.replace("[SEP]", "</s>").replace("[MASK]", "<mask>");
    let names = r#"{"pad_token": "<pad>", "unk_token": {"content": "<unk>", "__type": "AddedToken"}, "cls_token": "<s>", "sep_token": "</s>", "mask_token": "<mask>"}"#;
    let error = Tokenizer::load(folder_of(&[("vocab.txt", &words)]).path()).unwrap_err();
    assert!(error.to_string().contains("tokenizer_config.json may give them other names"), "{error}");
    for file in ["tokenizer_config.json", "special_tokens_map.json"] {
        let folder = folder_of(&[("vocab.txt", &words), (file, names)]);
        let tokenizer = Tokenizer::load(folder.path()).unwrap();
        assert_eq!(tokenizer.special(), SpecialTokens { pad: 0, unk: 1, cls: 2, sep: 3, mask: 4 });
        // The mask counts under its own name and under the one that everybody types.
        for text in ["river <mask> stone", "river [MASK] stone"] {
            assert_eq!(tokenizer.encode_with_special(text, 64).unwrap(), [2, 5, 4, 10, 3]);
        }
        tokenizer.save(&folder.path().join("saved"), 128).unwrap();
        let again = Tokenizer::load(&folder.path().join("saved")).unwrap();
        assert_eq!(again.special(), tokenizer.special());
        assert_eq!(again.encode("<zzz>").unwrap(), tokenizer.encode("<zzz>").unwrap());
    }
    let twice = names.replace("</s>", "<s>");
    let error =
        Tokenizer::load(folder_of(&[("vocab.txt", &words), ("tokenizer_config.json", &twice)]).path()).unwrap_err();
    assert!(matches!(error, Error::SpecialTwice { .. }), "{error}");
}

#[test]
fn special_tokens_in_a_text_are_text_but_for_the_mask_that_is_asked_about() {
    let tokenizer = Tokenizer::load(folder_of(&[("vocab.txt", WORDS)]).path()).unwrap();
    assert_eq!(tokens(&tokenizer, "[PAD][SEP] river[MASK]"), "[ pad ] [ sep ] river [ mask ]");
    let ids = tokenizer.encode_masked("[SEP] river[MASK]").unwrap();
    let shown: Vec<String> = ids.into_iter().map(|id| tokenizer.token(id).unwrap()).collect();
    assert_eq!(shown, ["[", "sep", "]", "river", "[MASK]"]);
}

#[test]
fn ids_that_make_no_sense_are_refused() {
    let far = |id: Value| {
        let mut json = words_json();
        json["model"]["vocab"]["far"] = id;
        Tokenizer::load(&folder_of(&[("tokenizer.json", &json.to_string())]).path().join("tokenizer.json"))
            .map_err(|error| error.to_string())
    };
    assert_eq!(far(200_000.into()).unwrap().size(), 200_001);
    for id in [4_294_967_295u64, 300_000_000, 1_048_575, u64::MAX] {
        let error = far(id.into()).unwrap_err();
        assert!(error.contains(&id.to_string()) && error.contains("1048575 words"), "{error}");
    }
    for id in [Value::from(-1), Value::from(1.5), Value::from("7"), Value::Null] {
        assert!(far(id).unwrap_err().contains("expected a whole number from 0"));
    }
    let error = far(5.into()).unwrap_err();
    assert!(error.contains("the id 5 is given twice") && error.contains("river"), "{error}");
    let mut json = words_json();
    json["added_tokens"][0]["id"] = 4_000_000_000u64.into();
    assert!(Tokenizer::load(folder_of(&[("tokenizer.json", &json.to_string())]).path()).is_err());
    let beside = folder_of(&[("vocab.txt", WORDS), ("added_tokens.json", r#"{"<ent>": 300000000}"#)]);
    assert!(Tokenizer::load(beside.path()).unwrap_err().to_string().contains("300000000"));
    // A vocabulary without the word for unknown ones would fail in the middle of a text.
    let mut json = words_json();
    json["model"]["unk_token"] = "<none>".into();
    let error = Tokenizer::load(folder_of(&[("tokenizer.json", &json.to_string())]).path()).unwrap_err();
    assert!(error.to_string().contains("<none>"), "{error}");
}

#[test]
fn words_that_no_text_reaches_are_noted() {
    let cased = WORDS.to_owned() + "London\nParis\n";
    let folder = folder_of(&[("vocab.txt", &cased)]);
    let tokenizer = Tokenizer::load(folder.path()).unwrap();
    let note = &tokenizer.notes()[0];
    assert!(note.contains("capitals or marks") && note.contains("River") && note.contains("--cased"), "{note}");
    let kept = Tokenizer::load_cased(folder.path()).unwrap();
    assert!(kept.notes().is_empty(), "{:?}", kept.notes());
    assert_eq!(tokens(&kept, "River Müller London"), "River Müller London");
    let lower: String = cased
        .lines()
        .filter(|word| word.is_ascii() && !word.contains(['R', 'M', 'L']))
        .fold(String::new(), |all, word| all + word + "\n");
    let lower = lower + "[MASK]\n[CLS]\n";
    assert!(
        Tokenizer::load(folder_of(&[("vocab.txt", &lower.replace("Paris\n", ""))]).path()).unwrap().notes().is_empty()
    );
}

#[test]
fn a_learnt_vocabulary_keeps_marks_unless_asked() {
    let text = "कुल कल हिन्दी में 한국어 강과 が か\u{3099} tiếng Việt Été ".repeat(20);
    let encode = |strip_accents: bool, cased: bool| {
        let options = VocabularyOptions { size: 400, cased, strip_accents, ..VocabularyOptions::default() };
        let tokenizer = Tokenizer::train([&text], &options).unwrap();
        let folder = tempfile::tempdir().unwrap();
        tokenizer.save(folder.path(), 128).unwrap();
        let read = |name: &str| -> Value {
            serde_json::from_str(&fs::read_to_string(folder.path().join(name)).unwrap()).unwrap()
        };
        let config = read("tokenizer_config.json");
        assert_eq!((&config["strip_accents"], &config["do_lower_case"]), (&strip_accents.into(), &(!cased).into()));
        let normalizer = &read("tokenizer.json")["normalizer"];
        assert_eq!((&normalizer["strip_accents"], &normalizer["lowercase"]), (&strip_accents.into(), &(!cased).into()));
        assert_eq!(config["tokenizer_class"], "ElectraTokenizer");
        tokens(&tokenizer, "कुल कल 강과 が Việt Été")
    };
    assert_eq!(encode(false, false), "कुल कल 강과 が việt été");
    assert_eq!(encode(false, true), "कुल कल 강과 が Việt Été");
    assert!(encode(true, false).starts_with("कल कल ") && encode(true, false).ends_with("viet ete"));
    assert!(encode(true, true).ends_with("Viet Ete"));
}

#[test]
fn scripts_without_spaces_are_learnt_in_clusters() {
    let text = "ประเทศไทยมีแม่น้ำเจ้าพระยา ພາສາລາວ ភាសាខ្មែរ မြန်မာစာ ".repeat(20);
    let tokenizer = Tokenizer::train([&text], &options(600, false)).unwrap();
    let line = "ประเทศไทยมีแม่น้ำเจ้าพระยา".repeat(20);
    assert!(!tokenizer.encode(&line).unwrap().contains(&tokenizer.special().unk));
    assert_eq!(tokens(&tokenizer, "แม่น้ำ မြန်မာ"), "แม่ น้ำ မြန် မာ");
    let folder = tempfile::tempdir().unwrap();
    tokenizer.save(folder.path(), 128).unwrap();
    let config: Value =
        serde_json::from_str(&fs::read_to_string(folder.path().join("tokenizer_config.json")).unwrap()).unwrap();
    assert_eq!(config["tokenizer_class"], "PreTrainedTokenizerFast");
    assert!(!folder.path().join("vocab.txt").exists());
    let again = Tokenizer::load(folder.path()).unwrap();
    assert_eq!(again.encode(&line).unwrap(), tokenizer.encode(&line).unwrap());
    // A name now and then is no reason to leave BERT's rules.
    let plain = Tokenizer::train([SAMPLE, "ไทย ไทย ไทย"], &options(600, false)).unwrap();
    plain.save(folder.path(), 128).unwrap();
    assert!(folder.path().join("vocab.txt").exists());
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
