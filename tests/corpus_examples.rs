//! Examples from text: the layout, what is dropped, and the held-out part.

use leyden::corpus::{
    Corpus, Error, ExampleOptions, Examples, SAMPLE, Tokenizer, VocabularyOptions, build, documents, sentences,
};
use proptest::prelude::*;
use std::collections::HashSet;
use std::sync::LazyLock;

static TOKENIZER: LazyLock<Tokenizer> = LazyLock::new(|| {
    let options = VocabularyOptions { size: 400, ..VocabularyOptions::default() };
    Tokenizer::train([SAMPLE], &options).unwrap()
});

fn options(length: usize, held_out: f64, seed: u64) -> ExampleOptions {
    ExampleOptions { length, held_out, seed }
}

/// (ids, boundary) of every example.
fn rows(examples: &Examples) -> Vec<(Vec<u32>, usize)> {
    let mut row = vec![0; examples.length()];
    (0..examples.len())
        .map(|index| {
            let (length, boundary) = examples.copy(index, &mut row);
            (row[..length].to_vec(), boundary)
        })
        .collect()
}

/// The words of every example, without special tokens.
fn words(examples: &Examples) -> Vec<Vec<u32>> {
    let special = TOKENIZER.special();
    rows(examples)
        .into_iter()
        .map(|(ids, _)| ids.into_iter().filter(|&id| id != special.cls && id != special.sep).collect())
        .collect()
}

fn check_layout(examples: &Examples) {
    let special = TOKENIZER.special();
    for (ids, boundary) in rows(examples) {
        assert!(ids.len() >= 3 && ids.len() <= examples.length(), "{ids:?}");
        assert_eq!(ids[0], special.cls);
        assert_eq!(ids[ids.len() - 1], special.sep);
        assert_eq!(ids[boundary - 1], special.sep);
        let separators = ids.iter().filter(|&&id| id == special.sep).count();
        assert_eq!(separators, if boundary == ids.len() { 1 } else { 2 });
        assert!(boundary >= 3 && (boundary == ids.len() || ids.len() - boundary >= 2));
    }
}

/// Texts of documents, lines and words, with and without sentence ends, some lines very long.
fn any_text() -> impl Strategy<Value = String> {
    let word =
        prop::sample::select(vec!["the", "congress", "a.", "of", "peace!", "12", "é", "\u{4e2d}", "unspeakable"]);
    let line = prop_oneof![
        4 => prop::collection::vec(word.clone(), 0..12),
        1 => prop::collection::vec(word, 40..120),
    ];
    prop::collection::vec(line.prop_map(|words| words.join(" ")), 1..40).prop_map(|lines| lines.join("\n"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn examples_are_well_formed_and_lose_only_what_they_count(text in any_text(), length in 8usize..70, seed: u64) {
        let Ok(Corpus { training, held_out, dropped, statistics, .. }) =
            build(&documents(&text), &TOKENIZER, &options(length, 0.0, seed))
        else {
            prop_assert!(text.trim().is_empty());
            return Ok(());
        };
        check_layout(&training);
        prop_assert!(held_out.is_empty());
        let all = TOKENIZER.encode(&text).unwrap();
        prop_assert_eq!(statistics.tokens + dropped, all.len() as u64);
        // What is kept is kept in order: a subsequence of the text.
        let mut rest = all.iter();
        for id in words(&training).into_iter().flatten() {
            prop_assert!(rest.any(|&other| other == id));
        }
    }

    #[test]
    fn a_long_line_is_not_lost(words in 200usize..600, seed: u64) {
        let text = "congress ".repeat(words);
        let corpus = build(&documents(&text), &TOKENIZER, &options(64, 0.0, seed)).unwrap();
        let kept = corpus.statistics.tokens as f64;
        prop_assert!(kept > 0.6 * (kept + corpus.dropped as f64), "{} dropped {}", kept, corpus.dropped);
    }
}

#[test]
fn the_sample_fills_its_examples() {
    let corpus = build(&documents(SAMPLE), &TOKENIZER, &ExampleOptions::default()).unwrap();
    check_layout(&corpus.training);
    check_layout(&corpus.held_out);
    let count = corpus.training.len();
    let full = corpus.training.tokens() as f64 / (count * 128) as f64;
    assert!(full > 0.9, "{full}");
    let share = corpus.held_out.len() as f64 / (count + corpus.held_out.len()) as f64;
    assert!((0.03..0.08).contains(&share), "{share}");
    // One in ten by the rule, and the short ends of documents.
    let single = rows(&corpus.training).iter().filter(|(ids, boundary)| ids.len() == *boundary).count() as f64;
    assert!((0.07..0.16).contains(&(single / count as f64)), "{single} of {count}");
    // A twentieth have a random target, which is short in most of them.
    let short = rows(&corpus.training).iter().filter(|(ids, _)| ids.len() < 110).count() as f64;
    assert!((0.02..0.08).contains(&(short / count as f64)), "{short} of {count}");
    assert!(corpus.statistics.unigram_entropy > 4.0 && corpus.statistics.unigram_entropy < (400f64).ln());
    assert!(corpus.statistics.unknown_rate() < 0.001);
}

#[test]
fn the_same_seed_gives_the_same_examples() {
    let first = build(&documents(SAMPLE), &TOKENIZER, &options(64, 0.05, 1)).unwrap();
    assert_eq!(first, build(&documents(SAMPLE), &TOKENIZER, &options(64, 0.05, 1)).unwrap());
    let other = build(&documents(SAMPLE), &TOKENIZER, &options(64, 0.05, 2)).unwrap();
    assert_ne!(first.held_out, other.held_out);
}

#[test]
fn whole_documents_are_held_out() {
    // Document i repeats a word of its own.
    let own = ["peace", "war", "tax", "law", "farm", "trade", "labor", "school", "health", "world"];
    let text: Vec<String> = own.iter().map(|word| format!("{word} ").repeat(300)).collect();
    let corpus = build(&text, &TOKENIZER, &options(32, 0.1, 0)).unwrap();
    assert_eq!(corpus.documents, 10);
    let ids = |examples: &Examples| words(examples).into_iter().flatten().collect::<HashSet<u32>>();
    let first_id = |word: &&str| TOKENIZER.encode(word).unwrap()[0];
    let (training, held_out) = (ids(&corpus.training), ids(&corpus.held_out));
    let held: Vec<_> = own.iter().filter(|word| held_out.contains(&first_id(word))).collect();
    assert_eq!(held.len(), 1, "{held:?}");
    assert!(!training.contains(&first_id(held[0])));
}

#[test]
fn a_single_document_is_held_out_by_its_end() {
    let document = documents(SAMPLE)[3];
    let corpus = build(&[document], &TOKENIZER, &options(64, 0.1, 0)).unwrap();
    assert_eq!(corpus.documents, 1);
    let held = corpus.held_out.tokens() as f64 / (corpus.held_out.tokens() + corpus.training.tokens()) as f64;
    assert!((0.05..0.15).contains(&held), "{held}");
    let last = TOKENIZER.encode(sentences(document).last().unwrap()).unwrap();
    let kept = words(&corpus.held_out).last().unwrap().clone();
    assert!(kept.contains(&last[0]));

    let two = build(&["The first sentence. The second one."], &TOKENIZER, &options(32, 0.05, 0)).unwrap();
    assert_eq!((two.training.len(), two.held_out.len()), (1, 1));
}

#[test]
fn too_little_and_out_of_range_are_refused() {
    let refused = |text: &str, options: ExampleOptions| build(&documents(text), &TOKENIZER, &options).unwrap_err();
    let error = refused("One sentence.", options(32, 0.05, 0));
    assert!(matches!(error, Error::TooSmall { sentences: 1, .. }), "{error}");
    assert!(matches!(refused(" \n", options(32, 0.0, 0)), Error::TooSmall { sentences: 0, .. }));
    assert!(matches!(refused(SAMPLE, options(7, 0.05, 0)), Error::Length { found: 7, .. }));
    assert!(matches!(refused(SAMPLE, options(64, 0.6, 0)), Error::HeldOut { .. }));
    assert!(matches!(refused(SAMPLE, options(64, f64::NAN, 0)), Error::HeldOut { .. }));
}
