//! Labelled rows as batches.

use super::features::{Features, Rows};
use super::{Input, Label, Part, Record, TaskKind};
use crate::batch::{
    Batch, CLASSES, Column, EXAMPLE_WEIGHTS, EXAMPLES, IDS, LENGTHS, NUMBERS, Shape, Source, TAG_WEIGHTS, TAGS,
    TARGETS, TYPES, WEIGHTS, padded,
};
use crate::corpus::{Examples, SpecialTokens};
use crate::files::sha256;
use crate::model::Problem;
use crate::random::Random;

/// How labels become targets.
#[derive(Debug, Clone, Copy)]
pub struct TargetOptions<'a> {
    /// [`Part::Train`]: rows with nothing to learn are left out. Of other parts every row stays, with a weight of 0.
    pub part: Part,
    /// C, the labels that the model knows.
    pub labels: usize,
    /// The place among them of each of the records' ([`matched`](super::evaluation::matched)).
    pub places: &'a [usize],
    /// What a number is divided by, so that it is in units of the head.
    pub scale: f64,
    /// Whether each class of one-of-C counts alike, however common it is: an example weighs n / (classes * those of its class).
    pub balanced: bool,
}

/// Rows with their targets, in memory. An example is a row: a question's window, or a part of a sentence that is longer than one. The
/// columns are IDS, TYPES, LENGTHS and EXAMPLES, and by what is asked:
///
/// | | |
/// |---|---|
/// | one of C classes | CLASSES, EXAMPLE_WEIGHTS |
/// | a number | NUMBERS, EXAMPLE_WEIGHTS |
/// | any of C labels | TARGETS [B, C], 1 where it has the label, and WEIGHTS |
/// | a class a word | TAGS, TAG_WEIGHTS: 1 at a word's first piece |
/// | an answer | TARGETS [B, 2], its first and last place, and WEIGHTS |
#[derive(Debug, Clone)]
pub struct Labelled {
    columns: Vec<Column>,
    /// K of every batch.
    slots: usize,
    pad: u32,
    length: usize,
    rows: Examples,
    targets: Vec<Target>,
    weights: Vec<f32>,
    records: usize,
    fingerprint: String,
}

/// What a row is to be called.
#[derive(Debug, Clone, PartialEq)]
enum Target {
    /// Nothing is known.
    None,
    Class(u32),
    Number(f32),
    /// Those that it has.
    Labels(Box<[u32]>),
    /// A place in the row and its class.
    Tags(Box<[(u32, u32)]>),
    /// The first and the last place.
    Answer([u32; 2]),
}

impl Labelled {
    /// The rows of `records`, which `features` are those of.
    pub fn new(records: &[Record], features: &Features, special: SpecialTokens, options: &TargetOptions<'_>) -> Self {
        let kind = features.kind();
        let (slots, targets) = match kind {
            TaskKind::Classification(Problem::SingleLabel) => (0, CLASSES),
            TaskKind::Classification(Problem::Regression) => (0, NUMBERS),
            TaskKind::Classification(Problem::MultiLabel) => (options.labels, TARGETS),
            TaskKind::Tagging => (0, TAGS),
            TaskKind::Answering(_) => (2, TARGETS),
        };
        let columns = vec![IDS, TYPES, LENGTHS, EXAMPLES, targets, weights(kind)];
        let all = (0..features.len()).map(|index| (index, target(records, features, index, options)));
        let wanted = |target: &Target| options.part != Part::Train || *target != Target::None;
        let kept: Vec<(usize, Target)> = all.filter(|(_, target)| wanted(target)).collect();
        let longest = kept.iter().map(|&(index, _)| features.row(index).ids.len()).max().unwrap_or_default();
        let length = padded(longest, features.length());
        let mut rows = Examples::new(length);
        let mut shown = 0;
        let mut last = None;
        for &(index, _) in &kept {
            let row = features.row(index);
            rows.push(&row.ids, row.types.iter().filter(|&&kind| kind == 0).count());
            shown += usize::from(last.replace(row.record) != Some(row.record));
        }
        let targets: Vec<Target> = kept.into_iter().map(|(_, target)| target).collect();
        let weights = row_weights(&targets, options);
        // Held-out answers are compared with every right one, not with the first alone.
        let compared = if options.part == Part::Train { &[] } else { records };
        let fingerprint = fingerprint((&rows, &targets, &weights), compared);
        Self { fingerprint, columns, slots, pad: special.pad, length, rows, targets, weights, records: shown }
    }

    /// Records of which there are rows.
    pub fn records(&self) -> usize {
        self.records
    }

    /// Tokens of all rows, special ones included.
    pub fn total_tokens(&self) -> usize {
        self.rows.tokens()
    }

    /// The SHA-256 of rows, targets and weights, and of the answers that held-out ones are compared with, in hexadecimal: other
    /// data have another.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
}

impl Source for Labelled {
    fn examples(&self) -> usize {
        self.rows.len()
    }

    fn length(&self) -> usize {
        self.length
    }

    fn tokens(&self, index: usize) -> Option<usize> {
        Some(self.rows.length_of(index))
    }

    fn empty(&self, rows: usize, length: usize) -> Batch {
        let mut batch = Batch::new(Shape { examples: rows, length, slots: self.slots }, &self.columns);
        batch.column_mut(IDS.name).fill(self.pad);
        batch
    }

    fn fill(&self, batch: &mut Batch, row: usize, index: usize, _: &mut Random) {
        let Shape { length: width, slots, .. } = batch.shape();
        let start = row * width;
        let (length, boundary) = self.rows.copy(index, &mut batch.column_mut(IDS.name)[start..start + width]);
        batch.column_mut(TYPES.name)[start + boundary..start + length].fill(1);
        let mut set = |column: Column, at: usize, word: u32| batch.column_mut(column.name)[at] = word;
        set(LENGTHS, row, length as u32);
        set(EXAMPLES, row, index as u32);
        let weight = self.weights[index].to_bits();
        match &self.targets[index] {
            Target::None => {}
            Target::Class(class) => {
                set(CLASSES, row, *class);
                set(EXAMPLE_WEIGHTS, row, weight);
            }
            Target::Number(number) => {
                set(NUMBERS, row, number.to_bits());
                set(EXAMPLE_WEIGHTS, row, weight);
            }
            Target::Labels(labels) => {
                labels.iter().for_each(|&label| set(TARGETS, row * slots + label as usize, 1));
                (0..slots).for_each(|slot| set(WEIGHTS, row * slots + slot, weight));
            }
            Target::Answer(places) => {
                for (slot, place) in places.iter().enumerate() {
                    set(TARGETS, row * slots + slot, *place);
                    set(WEIGHTS, row * slots + slot, weight);
                }
            }
            Target::Tags(tags) => {
                for &(place, tag) in tags {
                    set(TAGS, start + place as usize, tag);
                    set(TAG_WEIGHTS, start + place as usize, weight);
                }
            }
        }
    }
}

/// Pairs in both orders: the records, and behind them those that are pairs once more, the second text first.
pub fn swapped(mut records: Vec<Record>) -> Vec<Record> {
    let other_way = |record: &Record| match &record.input {
        Input::Text { text, pair: Some(pair) } => {
            Some(Record { input: Input::Text { text: pair.clone(), pair: Some(text.clone()) }, ..record.clone() })
        }
        _ => None,
    };
    let more: Vec<Record> = records.iter().filter_map(other_way).collect();
    records.extend(more);
    records
}

fn target(records: &[Record], features: &Features, index: usize, options: &TargetOptions<'_>) -> Target {
    let place = |label: usize| options.places[label] as u32;
    match (&features.rows, &records[features.row(index).record].label) {
        (Rows::Questions(windows, ..), _) => match windows[index].answer {
            Some((first, last)) => Target::Answer([first as u32, last as u32]),
            None => Target::None,
        },
        (Rows::Words(rows, _), _) => match &rows[index].tags {
            Some(tags) => {
                let tags = rows[index].asked.iter().zip(tags);
                Target::Tags(tags.map(|(&(at, _), &tag)| (at as u32, place(tag))).collect())
            }
            None => Target::None,
        },
        (Rows::Texts(.., Problem::SingleLabel), Some(Label::Class(class))) => Target::Class(place(*class)),
        (Rows::Texts(.., Problem::Regression), Some(Label::Value(value))) => {
            Target::Number((value / options.scale) as f32)
        }
        (Rows::Texts(.., Problem::MultiLabel), Some(Label::Classes(labels))) => {
            Target::Labels(labels.iter().map(|&label| place(label)).collect())
        }
        (Rows::Texts(..), _) => Target::None,
    }
}

/// The column that weighs the loss of a task of this kind.
pub fn weights(kind: TaskKind) -> Column {
    match kind {
        TaskKind::Classification(Problem::MultiLabel) | TaskKind::Answering(_) => WEIGHTS,
        TaskKind::Classification(_) => EXAMPLE_WEIGHTS,
        TaskKind::Tagging => TAG_WEIGHTS,
    }
}

/// What each row weighs.
fn row_weights(targets: &[Target], options: &TargetOptions<'_>) -> Vec<f32> {
    let mut counts = vec![0u64; options.labels];
    for target in targets {
        if let Target::Class(class) = target {
            counts[*class as usize] += 1;
        }
    }
    let classes = counts.iter().filter(|&&count| count > 0).count() as f64;
    let all = counts.iter().sum::<u64>() as f64;
    let weight = |target: &Target| match target {
        Target::None => 0.0,
        Target::Class(class) if options.balanced => (all / (classes * counts[*class as usize] as f64)) as f32,
        _ => 1.0,
    };
    targets.iter().map(weight).collect()
}

fn fingerprint((rows, targets, weights): (&Examples, &[Target], &[f32]), compared: &[Record]) -> String {
    let mut bytes = rows.fingerprint().to_vec();
    let mut put = |words: &[u32]| words.iter().for_each(|word| bytes.extend(word.to_le_bytes()));
    for (target, weight) in targets.iter().zip(weights) {
        match target {
            Target::None => put(&[0]),
            Target::Class(class) => put(&[1, *class]),
            Target::Number(number) => put(&[2, number.to_bits()]),
            Target::Labels(labels) => {
                put(&[3, labels.len() as u32]);
                put(labels);
            }
            Target::Tags(tags) => {
                put(&[4, tags.len() as u32]);
                tags.iter().for_each(|&(place, tag)| put(&[place, tag]));
            }
            Target::Answer([first, last]) => put(&[5, *first, *last]),
        }
        put(&[weight.to_bits()]);
    }
    for record in compared {
        if let Some(Label::Answers(answers)) = &record.label {
            bytes.extend((answers.len() as u32).to_le_bytes());
            answers.iter().for_each(|answer| bytes.extend(answer.text.bytes().chain([0])));
        }
    }
    sha256(&bytes)
}

#[cfg(test)]
mod tests {
    use super::super::features::FeatureOptions;
    use super::super::features::tests::tokenizer;
    use super::super::score::answers::Version;
    use super::super::{Answer, TaskKind};
    use super::*;
    use crate::batch::Batches;
    use std::sync::Arc;

    fn record(input: Input, label: Option<Label>) -> Record {
        Record { id: "0".into(), line: 1, input, label }
    }

    fn text(text: &str, label: Option<Label>) -> Record {
        record(Input::Text { text: text.into(), pair: None }, label)
    }

    fn labelled(
        records: &[Record],
        (kind, part): (TaskKind, Part),
        length: usize,
        change: impl Fn(&mut TargetOptions<'_>),
    ) -> Labelled {
        let tokenizer = tokenizer();
        let features = Features::of(records, &tokenizer, &FeatureOptions::of_length(length), kind).unwrap();
        let mut options = TargetOptions { part, labels: 3, places: &[2, 0, 1], scale: 1.0, balanced: false };
        change(&mut options);
        Labelled::new(records, &features, tokenizer.special(), &options)
    }

    /// Every example in a row of its own, and a row of length 0 behind them.
    fn filled(source: &Labelled) -> Batch {
        let mut batch = source.empty(source.examples() + 1, source.length());
        (0..source.examples()).for_each(|at| source.fill(&mut batch, at, at, &mut Random::new(0, 0, 0)));
        batch
    }

    const CLASS: TaskKind = TaskKind::Classification(Problem::SingleLabel);

    #[test]
    fn classes_are_rows_and_those_without_are_not_learnt() {
        let records = [
            text("the people", Some(Label::Class(0))),
            text("", Some(Label::Class(1))),
            text("of the United States", None),
            text("peace", Some(Label::Class(2))),
        ];
        let special = tokenizer().special();
        let dev = labelled(&records, (CLASS, Part::Dev), 64, |_| {});
        let batch = filled(&dev);
        assert_eq!((dev.examples(), dev.records(), dev.length()), (4, 4, 8));
        assert_eq!(batch.column(EXAMPLES.name), [0, 1, 2, 3, 0]);
        assert_eq!(batch.column(CLASSES.name), [2, 0, 0, 1, 0]);
        assert_eq!(batch.reals(EXAMPLE_WEIGHTS.name), [1.0, 1.0, 0.0, 1.0, 0.0]);
        let lengths = batch.column(LENGTHS.name);
        assert_eq!((lengths[1], lengths[4]), (2, 0));
        assert!((0..4).all(|at| dev.tokens(at) == Some(lengths[at] as usize)));
        assert_eq!(batch.column(IDS.name)[8..11], [special.cls, special.sep, special.pad]);
        assert!(batch.column(IDS.name)[32..].iter().all(|&id| id == special.pad));
        let train = labelled(&records, (CLASS, Part::Train), 64, |_| {});
        assert_eq!(filled(&train).column(CLASSES.name), [2, 0, 1, 0]);
        assert_eq!((train.examples(), train.records()), (3, 3));
        // As a source of batches, of any width that holds the rows.
        let batch = Batches::new(Arc::new(train), 2, 7).batch(0);
        assert_eq!(batch.reals(EXAMPLE_WEIGHTS.name), [1.0, 1.0]);
        let nothing = labelled(&records[2..3], (CLASS, Part::Train), 64, |_| {});
        assert_eq!((nothing.examples(), nothing.total_tokens()), (0, 0));
        assert_eq!(Batches::new(Arc::new(nothing), 2, 7).batch(3).tokens(), 0);
    }

    #[test]
    fn classes_count_alike_as_in_scikit_learn() {
        let classes = [0, 1, 1, 1, 1, 1, 0, 1];
        let records: Vec<Record> = classes.iter().map(|&class| text("a", Some(Label::Class(class)))).collect();
        let balanced = |records: &[Record]| {
            filled(&labelled(records, (CLASS, Part::Train), 64, |o| o.balanced = true))
                .reals(EXAMPLE_WEIGHTS.name)
                .to_vec()
        };
        // compute_class_weight("balanced", classes=[0, 1], y=classes) is [2, 2 / 3]; a class without examples is none.
        let expected: Vec<f32> = classes.iter().map(|&class| [2.0, 2.0 / 3.0][class]).chain([0.0]).collect();
        assert_eq!(balanced(&records), expected);
        assert_eq!(balanced(&swapped(records)), expected);
        assert_eq!(balanced(&[text("a", Some(Label::Class(2)))]), [1.0, 0.0]);
    }

    #[test]
    fn numbers_are_in_units_of_the_head() {
        let records = [text("a", Some(Label::Value(5.0))), text("b", None), text("c", Some(Label::Value(-1.0)))];
        let kind = TaskKind::Classification(Problem::Regression);
        let batch = filled(&labelled(&records, (kind, Part::Dev), 64, |o| o.scale = 4.0));
        assert_eq!(batch.reals(NUMBERS.name), [1.25, 0.0, -0.25, 0.0]);
        assert_eq!(batch.reals(EXAMPLE_WEIGHTS.name), [1.0, 0.0, 1.0, 0.0]);
    }

    #[test]
    fn labels_have_a_slot_each() {
        let records =
            [text("a", Some(Label::Classes(vec![0, 2]))), text("b", Some(Label::Classes(Vec::new()))), text("c", None)];
        let kind = TaskKind::Classification(Problem::MultiLabel);
        let batch = filled(&labelled(&records, (kind, Part::Dev), 64, |_| {}));
        assert_eq!(batch.column(TARGETS.name), [0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(batch.reals(WEIGHTS.name), [[1.0; 3], [1.0; 3], [0.0; 3], [0.0; 3]].concat());
        // None of its labels is something to learn.
        assert_eq!(labelled(&records, (kind, Part::Train), 64, |_| {}).examples(), 2);
    }

    #[test]
    fn words_are_tagged_at_their_first_piece() {
        let words = ["The", "zyxwv-utsr", "peace"].map(String::from).to_vec();
        let tagged = record(Input::Words(words.clone()), Some(Label::Tags(vec![0, 1, 2])));
        let empty = record(Input::Words(Vec::new()), Some(Label::Tags(Vec::new())));
        let records = [tagged, empty, record(Input::Words(words), None)];
        let source = labelled(&records, (TaskKind::Tagging, Part::Dev), 64, |_| {});
        let batch = filled(&source);
        let pieces = tokenizer().encode("zyxwv-utsr").unwrap().len();
        let (tags, weights) = (batch.column(TAGS.name), batch.reals(TAG_WEIGHTS.name));
        let row = source.length();
        let weighed: Vec<usize> = (0..weights.len()).filter(|&at| weights[at] > 0.0).collect();
        assert_eq!(weighed, [1, 2, 2 + pieces]);
        assert_eq!(weighed.iter().map(|&at| tags[at]).collect::<Vec<_>>(), [2, 0, 1]);
        assert!(tags[row..].iter().all(|&tag| tag == 0));
        assert_eq!(batch.column(LENGTHS.name)[1..], [2, batch.column(LENGTHS.name)[0], 0]);
        // In windows, each word once.
        let windows = labelled(&records, (TaskKind::Tagging, Part::Train), 4, |_| {});
        assert!(windows.examples() > 3 && windows.records() == 2);
        assert_eq!(filled(&windows).total(TAG_WEIGHTS.name), 3.0);
    }

    fn question(context: &str, answer: Option<&str>) -> Record {
        let place = |text: &str| context.find(text).map(|at| at..at + text.len());
        let answers = answer.map(|text| Answer { text: text.into(), bytes: place(text) });
        let input = Input::Question { question: "who".into(), context: context.into() };
        record(input, Some(Label::Answers(answers.into_iter().collect())))
    }

    #[test]
    fn answers_are_two_places_of_their_window() {
        let context = "the war was long and the people of the United States made peace in the end";
        let mut unknown = question(context, None);
        unknown.label = None;
        let records = [question(context, Some("people")), question(context, None), unknown, question("", None)];
        let kind = TaskKind::Answering(Version::Two);
        let options = FeatureOptions { length: 14, stride: 4, query: 4 };
        let features = Features::of(&records, &tokenizer(), &options, kind).unwrap();
        let targets = TargetOptions { part: Part::Dev, labels: 0, places: &[], scale: 1.0, balanced: false };
        let source =
            |part| Labelled::new(&records, &features, tokenizer().special(), &TargetOptions { part, ..targets });
        let (dev, train) = (source(Part::Dev), source(Part::Train));
        assert_eq!((dev.examples(), dev.length(), dev.records()), (features.len(), 14, 4));
        let Rows::Questions(windows, ..) = &features.rows else { unreachable!() };
        let batch = filled(&dev);
        let holding = |at: usize| windows[at].answer.is_some_and(|answer| answer != (0, 0));
        assert!((0..dev.examples()).any(holding));
        for (at, window) in windows.iter().enumerate() {
            let (first, last) = window.answer.unwrap_or_default();
            assert_eq!(batch.column(TARGETS.name)[2 * at..][..2], [first as u32, last as u32]);
            let weight = if window.answer.is_some() { 1.0 } else { 0.0 };
            assert_eq!(batch.reals(WEIGHTS.name)[2 * at..][..2], [weight; 2]);
            let types = &batch.column(TYPES.name)[14 * at..][..14];
            assert_eq!(types[..window.row.types.len()], window.row.types);
        }
        // A second right answer changes what is measured, and not what is learnt.
        let mut more = records.clone();
        if let Some(Label::Answers(answers)) = &mut more[0].label {
            answers.push(Answer { text: "The people".into(), bytes: None });
        }
        let of = |part| {
            Labelled::new(&more, &features, tokenizer().special(), &TargetOptions { part, ..targets }).fingerprint
        };
        assert_ne!(of(Part::Dev), dev.fingerprint);
        assert_eq!(of(Part::Train), train.fingerprint);
        let known = windows.iter().filter(|window| window.answer.is_some()).count();
        assert!(known < windows.len());
        assert_eq!((train.examples(), train.records()), (known, 3));
        assert!(filled(&train).reals(WEIGHTS.name)[..2 * known].iter().all(|&weight| weight == 1.0));
    }

    #[test]
    fn pairs_are_learnt_in_both_orders() {
        let pair = |a: &str, b: &str| Input::Text { text: a.into(), pair: Some(b.into()) };
        let records = vec![record(pair("a", "b"), Some(Label::Class(1))), text("c", None), record(pair("d", ""), None)];
        let found = swapped(records.clone());
        assert_eq!(found[..3], records);
        let both: Vec<(Input, Option<Label>)> = found[3..].iter().map(|r| (r.input.clone(), r.label.clone())).collect();
        assert_eq!(both, [(pair("b", "a"), Some(Label::Class(1))), (pair("", "d"), None)]);
    }

    #[test]
    fn other_data_have_another_fingerprint() {
        let records =
            |word: &str, class| [text("the people", Some(Label::Class(0))), text(word, Some(Label::Class(class)))];
        let of = |records: &[Record], balanced| {
            labelled(records, (CLASS, Part::Train), 64, |o| o.balanced = balanced).fingerprint().to_string()
        };
        let one = of(&records("peace", 1), false);
        assert_eq!(one, of(&records("peace", 1), false));
        assert_eq!(one.len(), 64);
        let mut more = records("peace", 1).to_vec();
        more.push(more[0].clone());
        for other in [of(&records("war", 1), false), of(&records("peace", 2), false), of(&more, false), of(&more, true)]
        {
            assert_ne!(one, other);
        }
        assert_ne!(of(&more, false), of(&more, true));
    }
}
