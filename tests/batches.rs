//! Batches: what they hold, their order, and that they depend on seed and step alone.

use leyden::batch::{
    Ahead, Batch, Batches, Evaluation, IDS, LENGTHS, MASKED_IDS, MASKED_TEXT, MaskedText, Masking, Shape, TARGETS,
    TYPES, WEIGHTS,
};
use leyden::corpus::{Examples, SpecialTokens};
use std::sync::Arc;

const SPECIAL: SpecialTokens = SpecialTokens { pad: 0, unk: 1, cls: 2, sep: 3, mask: 4 };
const LENGTH: usize = 16;

/// Example i holds the ids 100 * (i + 1) + position.
fn examples(count: usize) -> Arc<Examples> {
    let mut examples = Examples::new(LENGTH);
    for example in 0..count as u32 {
        let words = 3 + example % 8;
        let word = |position| 100 * (example + 1) + position;
        let mut ids = vec![SPECIAL.cls];
        ids.extend((0..words).map(word));
        ids.push(SPECIAL.sep);
        let boundary = ids.len();
        if example % 2 == 0 {
            ids.extend([word(90), word(91), SPECIAL.sep]);
        }
        examples.push(&ids, boundary);
    }
    Arc::new(examples)
}

fn text(examples: Arc<Examples>) -> Arc<MaskedText> {
    Arc::new(MaskedText::of(examples, (SPECIAL, (5..9_999).collect()), Masking::default()))
}

fn batches(count: usize, batch_size: usize, seed: u64) -> Batches {
    Batches::new(text(examples(count)), batch_size, seed)
}

/// The example in each row that is not empty.
fn rows(batch: &Batch) -> Vec<u32> {
    let filled = (0..batch.shape().examples).filter(|&row| batch.column(LENGTHS.name)[row] > 0);
    filled.map(|row| batch.column(IDS.name)[row * LENGTH + 1] / 100 - 1).collect()
}

fn check(batch: &Batch) {
    let Shape { examples: b, length: l, slots: k } = batch.shape();
    let [ids, types, lengths, masked_ids, positions, targets, _] = MASKED_TEXT.map(|column| batch.column(column.name));
    let weights = batch.reals(WEIGHTS.name);
    assert_eq!([ids.len(), masked_ids.len(), types.len()], [b * l; 3]);
    assert_eq!([positions.len(), targets.len(), weights.len()], [b * k; 3]);
    for row in 0..b {
        let length = lengths[row] as usize;
        for position in 0..l {
            let at = row * l + position;
            let slot =
                (row * k..(row + 1) * k).find(|&slot| weights[slot] == 1.0 && positions[slot] as usize == position);
            match slot {
                Some(slot) => {
                    assert!(ids[at] >= 100, "only words are selected");
                    assert_eq!(targets[slot], ids[at]);
                    assert!([ids[at], SPECIAL.mask].contains(&masked_ids[at]));
                }
                None => assert_eq!(masked_ids[at], ids[at]),
            }
            assert_eq!(ids[at] == SPECIAL.pad, position >= length);
            if position >= length {
                assert_eq!(types[at], 0);
            }
        }
        let used = weights[row * k..(row + 1) * k].iter().filter(|&&weight| weight == 1.0).count();
        let k_row = (0.15 * length as f64).round_ties_even() as usize;
        assert_eq!(used, if length == 0 { 0 } else { k_row.clamp(1, k) });
        for slot in row * k + used..(row + 1) * k {
            assert_eq!((positions[slot], targets[slot], weights[slot]), (0, 0, 0.0));
        }
    }
    let selected: f32 = weights.iter().sum();
    assert_eq!((batch.total(WEIGHTS.name), batch.total(LENGTHS.name)), (selected, batch.tokens() as f32));
    assert_eq!(Batch::bytes(batch.shape(), &MASKED_TEXT), 4 * b * (3 * l + 3 * k + 1));
    assert!(batch.column("labels").is_empty() && batch.total("labels") == 0.0);
}

#[test]
fn a_batch_is_what_it_says() {
    let batches = batches(10, 4, 7);
    for step in 0..50 {
        check(&batches.batch(step));
    }
}

#[test]
fn segment_b_has_type_1() {
    let batch = batches(10, 10, 7).batch(0);
    for (row, example) in rows(&batch).into_iter().enumerate() {
        let types = &batch.column(TYPES.name)[row * LENGTH..(row + 1) * LENGTH];
        let first = types.iter().position(|&kind| kind == 1);
        if example % 2 == 0 {
            assert_eq!(first, Some(batch.column(LENGTHS.name)[row] as usize - 3));
            assert_eq!(types.iter().sum::<u32>(), 3);
        } else {
            assert_eq!(first, None);
        }
    }
}

#[test]
fn every_epoch_has_every_example_once_in_a_new_order() {
    let batches = batches(10, 4, 3);
    let order: Vec<u32> = (0..15).flat_map(|step| rows(&batches.batch(step))).collect();
    let epochs: Vec<&[u32]> = order.chunks(10).collect();
    for epoch in &epochs {
        let mut sorted = epoch.to_vec();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..10).collect::<Vec<u32>>());
    }
    assert_ne!(epochs[0], epochs[1]);
    assert_eq!(batches.steps_per_epoch(), 2.5);
}

#[test]
fn a_batch_larger_than_the_corpus_goes_round() {
    let batch = batches(3, 8, 0).batch(0);
    check(&batch);
    for example in 0..3 {
        assert!(rows(&batch).iter().filter(|&&found| found == example).count() >= 2);
    }
}

#[test]
fn batches_depend_on_seed_and_step_alone() {
    let (one, other) = (batches(10, 4, 3), batches(10, 4, 3));
    let forwards: Vec<Batch> = (0..20).map(|step| one.batch(step)).collect();
    for step in (0..20).rev() {
        assert_eq!(other.batch(step), forwards[step as usize]);
    }
    assert_ne!(batches(10, 4, 4).batch(0), forwards[0]);
    // The same examples, a later epoch: other masks.
    let whole = batches(10, 10, 3);
    let masks = |step| {
        let batch = whole.batch(step);
        let mut masks: Vec<(u32, Vec<u32>)> =
            rows(&batch).into_iter().zip(batch.column(MASKED_IDS.name).chunks(LENGTH).map(<[u32]>::to_vec)).collect();
        masks.sort();
        masks
    };
    assert_ne!(masks(0), masks(1));
}

#[test]
fn parts_make_up_the_whole() {
    let batches = batches(10, 6, 3);
    let whole = batches.batch(4);
    for part in [0..2, 2..5, 5..6] {
        let found = batches.rows(4, part.clone());
        check(&found);
        assert_eq!(
            found.column(MASKED_IDS.name),
            &whole.column(MASKED_IDS.name)[part.start * LENGTH..part.end * LENGTH]
        );
        let k = whole.shape().slots;
        assert_eq!(found.column(TARGETS.name), &whole.column(TARGETS.name)[part.start * k..part.end * k]);
    }
}

#[test]
fn a_batch_is_cut_into_parts_of_one_size() {
    let batches = batches(10, 5, 3);
    let whole = batches.batch(4);
    for rows in [1, 2, 3, 5, 7] {
        for index in 0..5usize.div_ceil(rows) {
            let here = index * rows..((index + 1) * rows).min(5);
            let part = whole.micro_batch(index, rows);
            check(&part);
            // The rows that are there, and empty ones.
            let expected = batches.rows(4, here.clone());
            assert_eq!(part.shape().examples, rows);
            assert_eq!(part.micro_batch(0, here.len()), expected);
            assert!(part.column(LENGTHS.name)[here.len()..].iter().all(|&length| length == 0));
        }
    }
    assert_eq!(whole.micro_batch(0, 5), whole);
}

#[test]
fn batches_prepared_ahead_are_the_same() {
    let batches = batches(10, 4, 3);
    let mut ahead = Ahead::new(batches.clone());
    // In order, again, further on, and back.
    for step in (0..9).chain([8, 8, 20, 21, 3, 4, 5, u64::from(u32::MAX)]) {
        assert_eq!(ahead.batch(step), batches.batch(step), "step {step}");
    }
    // One that was never asked, and one whose thread waits for room.
    drop(Ahead::new(batches.clone()));
    drop(ahead);
}

#[test]
fn evaluation_is_the_same_every_time() {
    let evaluation = |batch_size, limit| Evaluation::new(text(examples(10)), batch_size, limit, 1);
    let found: Vec<Batch> = evaluation(4, 100).iter().collect();
    assert_eq!(found.len(), 3);
    found.iter().for_each(check);
    assert_eq!(found, evaluation(4, 100).iter().collect::<Vec<Batch>>());
    assert_eq!(found[2].column(LENGTHS.name)[2..], [0, 0]);
    let mut seen: Vec<u32> = found.iter().flat_map(rows).collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..10).collect::<Vec<u32>>());
    // Another batch size: the same rows.
    let wide = evaluation(10, 100).batch(0);
    assert_eq!(&wide.column(MASKED_IDS.name)[..4 * LENGTH], found[0].column(MASKED_IDS.name));
    assert_eq!(evaluation(4, 5).iter().flat_map(|batch| rows(&batch)).count(), 5);
    assert!(evaluation(4, 100).batch(3).column(LENGTHS.name).iter().all(|&length| length == 0));
}

#[test]
fn no_examples_make_empty_rows() {
    let none = Arc::new(Examples::new(LENGTH));
    let batch = Batches::new(text(none.clone()), 2, 0).batch(9);
    check(&batch);
    assert_eq!((batch.column(LENGTHS.name), batch.tokens()), ([0, 0].as_slice(), 0));
    let evaluation = Evaluation::new(text(none), 2, 10, 0);
    assert!(evaluation.is_empty());
    assert_eq!(evaluation.batch(0).tokens(), 0);
}
