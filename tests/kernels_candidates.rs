//! Kernels that draw words and choose among them against their CPU twins, and the gradients against finite differences.

mod common;

use common::{Input, Tolerance, check, check_gradient, check_halves, check_with};
use leyden::graph::{DType, Graph, GraphError, ParameterTable, Tensor};
use leyden::ops::{self, MOST_CANDIDATES, MOST_DRAWN};

/// x [M, E], the words' matrix [V, E], their bias, and a word a row.
fn head(m: usize, e: usize, v: usize) -> [Input; 4] {
    [Input::real(&[m, e]), Input::parameter(&[v, e]), Input::parameter(&[v]).scaled(2.0), Input::words(&[m], v as u32)]
}

fn drawn(
    count: usize,
    repeats: bool,
    excludes: bool,
) -> impl Fn(&mut Graph, &[Tensor]) -> Result<Vec<Tensor>, GraphError> {
    move |g, t| {
        let excluded = excludes.then_some(t[3]);
        // Two ops of one graph draw differently.
        let draw = |g: &mut Graph| ops::sample_words(g, t[0], (t[1], t[2]), excluded, (count, repeats));
        Ok(vec![draw(g)?, draw(g)?])
    }
}

#[test]
fn sample_words() {
    let cases =
        [(1, 1, 2, 1), (3, 5, 7, 4), (19, 16, 64, 9), (38, 20, 131, 5), (5, 24, 700, 3), (7, 3, 97, MOST_DRAWN)];
    for (m, e, v, count) in cases {
        for (repeats, excludes) in [(true, false), (true, true), (false, true), (false, false)] {
            check(&format!("sample_words, {count} of {v}"), &head(m, e, v), drawn(count, repeats, excludes));
        }
    }
}

#[test]
fn words_of_many_rows_whose_logits_come_in_pieces() {
    // 2,100 rows of 6,101 words are more than 32 MiB. A dozen words share the odds: of so many draws among thousands of words some would
    // fall so near a border between two that rounding decides.
    let (m, v) = (2_100, 6_101);
    let bias: Vec<f32> = (0..v).map(|i| if i % 509 == 100 { (i % 7) as f32 / 4.0 } else { -60.0 }).collect();
    let [x, word, _, words] = head(m, 2, v);
    let inputs = [x, word.scaled(0.5), Input::values(&[v], &bias), words];
    check_with("sample_words", &inputs, Tolerance::default(), &[4, 5], drawn(2, false, true));
}

#[test]
fn words_beside_one_that_is_all_but_sure() {
    let (m, v) = (67, 300);
    let bias: Vec<f32> = (0..v).map(|i| if i == 20 { 250.0 } else { (i % 7) as f32 / 4.0 }).collect();
    for never in [20, 3] {
        let inputs = [
            Input::real(&[m, 4]).scaled(0.1),
            Input::parameter(&[v, 4]).scaled(0.1),
            Input::values(&[v], &bias),
            Input::exactly(&[m], &vec![never; m]),
        ];
        check("sample_words", &inputs, drawn(3, false, true));
    }
}

#[test]
fn no_more_words_are_drawn_than_there_are() {
    let error = |count| {
        let mut g = Graph::new(ParameterTable::new(Vec::new()).into());
        let mut input = |name, shape: &[usize]| g.input(name, DType::F32, shape);
        let (x, word, bias) = (input("x", &[2, 3]), input("word", &[5, 3]), input("bias", &[5]));
        ops::sample_words(&mut g, x, (word, bias), None, (count, false)).map_err(|error| error.to_string())
    };
    assert!(error(4).is_ok());
    assert!(error(5).unwrap_err().contains("more than 5 words"), "{:?}", error(5));
}

#[test]
fn candidates() {
    for (m, c) in [(1, 1), (5, 4), (257, 9)] {
        let inputs = [Input::words(&[m, c], 1_000), Input::words(&[m], 1_000), Input::words(&[m], 2)];
        check("candidates", &inputs, |g, t| {
            Ok(vec![ops::candidates(g, t[0], t[1], None)?, ops::candidates(g, t[0], t[1], Some(t[2]))?])
        });
    }
}

/// Candidates, some of them alike, the options that are right, and what speaks for rejecting them.
fn choice(m: usize, e: usize, v: usize, c: usize) -> Vec<Input> {
    let words = [Input::words(&[m, c], v as u32), Input::words(&[m], c as u32), Input::parameter(&[m, 1]).scaled(2.0)];
    let [_, word, bias, _] = head(m, e, v);
    [Input::parameter(&[m, e]), word, bias].into_iter().chain(words).collect()
}

fn chosen(g: &mut Graph, t: &[Tensor]) -> Result<Vec<Tensor>, GraphError> {
    let out = ops::candidate_nll(g, t[0], (t[1], t[2]), (t[3], t[4]), None)?;
    Ok(vec![out.nll])
}

fn chosen_or_rejected(g: &mut Graph, t: &[Tensor]) -> Result<Vec<Tensor>, GraphError> {
    let out = ops::candidate_nll(g, t[0], (t[1], t[2]), (t[3], t[4]), Some(t[5]))?;
    Ok(vec![out.nll])
}

#[test]
fn candidate_nll() {
    for (m, e, v, c) in [(1, 1, 2, 1), (3, 5, 7, 4), (70, 33, 50, 5), (300, 8, 509, 9), (9, 4, 300, MOST_CANDIDATES)] {
        for scale in [1.0, 30.0] {
            let mut inputs = choice(m, e, v, c);
            inputs[0] = Input::parameter(&[m, e]).scaled(scale);
            let tolerance = Tolerance { absolute: 1e-5 * scale as f32, relative: 1e-4 };
            check_with("candidate_nll", &inputs, tolerance, &[1, 2], chosen);
            check_with("candidate_nll", &inputs, tolerance, &[1, 2], chosen_or_rejected);
        }
    }
    let plain = choice(7, 5, 11, 3);
    check_gradient("candidate_nll", &plain[..5], chosen);
    check_gradient("candidate_nll", &plain, chosen_or_rejected);
}

#[test]
fn probabilities_of_candidates() {
    check("candidate_nll", &choice(40, 6, 30, 5), |g, t| {
        let without = ops::candidate_nll(g, t[0], (t[1], t[2]), (t[3], t[4]), None)?;
        let with = ops::candidate_nll(g, t[0], (t[1], t[2]), (t[3], t[4]), Some(t[5]))?;
        let total = ops::add(g, without.probabilities, without.probabilities)?;
        Ok(vec![total, with.probabilities])
    });
}

#[test]
fn sample_words_from_halves() {
    let [_, word, bias, words] = head(30, 8, 90);
    let inputs = [Input::half(&[30, 8]), word, bias, words];
    check_halves("sample_words", &inputs, Tolerance::HALVES, &[1], |g, t| {
        let drawn = ops::sample_words(g, t[0], (t[1], t[2]), Some(t[3]), (4, false))?;
        Ok(vec![drawn, ops::vocabulary_nll(g, t[0], (t[1], t[2]), t[3])?.nll])
    });
}
