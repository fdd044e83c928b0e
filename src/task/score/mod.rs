//! Scores of labelled tasks, as scikit-learn, scipy and the official scripts count them. All are shares or correlations, not
//! per cent; what nothing was measured for is NaN.
//!
//! | | counts | as |
//! |---|---|---|
//! | [`Confusion`] | one class an example: accuracy, F1, macro F1, Matthews | scikit-learn |
//! | [`MultiLabel`] | any number of labels an example | scikit-learn |
//! | [`pearson`], [`spearman`] | numbers | scipy |
//! | [`answers`] | SQuAD's exact match and F1, the best null threshold | evaluate-v1.1.py, evaluate-v2.0.py |
//! | [`SpanCounts`] | spans of BIO tags | conlleval, seqeval |

pub mod answers;
mod classes;
mod multi_label;
mod numbers;
mod spans;

pub use classes::Confusion;
pub use multi_label::MultiLabel;
pub use numbers::{pearson, spearman};
pub use spans::{SpanCounts, SpanScores, TagSpan, tag_spans};

/// The harmonic mean of precision and recall from what was found, 0 where there was nothing to find and nothing was said.
fn f1(both: u64, truth: u64, said: u64) -> f64 {
    ratio(2 * both, truth + said)
}

/// A share, 0 of none.
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Numbers that other programs made: `tests/golden/make_scores.py`.
#[cfg(test)]
fn golden(part: &str) -> Vec<serde_json::Value> {
    let all: serde_json::Value =
        serde_json::from_str(include_str!("../../../tests/golden/scores.json")).expect("the file is JSON");
    all[part].as_array().cloned().expect("the part is there")
}

/// Fails unless a number is the golden one to rounding, null being NaN.
#[cfg(test)]
fn assert_close(found: f64, expected: &serde_json::Value, about: &str) {
    let expected = expected.as_f64().unwrap_or(f64::NAN);
    let same = (found.is_nan() && expected.is_nan()) || (found - expected).abs() <= 1e-12 * expected.abs().max(1.0);
    assert!(same, "{about}: found {found}, expected {expected}");
}
