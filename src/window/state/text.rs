//! A text that a fine-tuned network is asked about: what is typed, what came back, and how that fits what a person said of it.

use crate::config::Config;
use crate::numbers::{counted, fixed};
use crate::task::features::Found;
use crate::task::score::answers::{Version, compare};
use crate::task::{Input, Label, LabelNames, Prediction, Task, TaskKind};
use crate::window::worker::{Example, Question, Said};

/// Shares that are shown; further ones are counted.
const MOST: usize = 8;
/// Answers that are shown beside the best.
const ANSWERS: usize = 5;
/// What a multi-label network says is so, from this probability on.
const SAID: f32 = 0.5;
/// What is said where no answer is.
pub const NO_ANSWER: &str = "(no answer)";

/// The fields that a text is typed into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fields {
    /// One text.
    #[default]
    Text,
    /// Words with spaces between them.
    Words,
    /// Two texts.
    Pair,
    /// A question, and the text that answers it.
    Question,
}

impl Fields {
    /// Those of a run's task.
    fn of(config: &Config) -> Self {
        let pairs = |task: &crate::config::TaskConfig| Task::named(&task.name).is_ok_and(|one| one.reads_pairs(task));
        match config.objective.task_kind() {
            Some(TaskKind::Tagging) => Self::Words,
            Some(TaskKind::Answering(_)) => Self::Question,
            _ if config.task.as_ref().is_some_and(pairs) => Self::Pair,
            _ => Self::Text,
        }
    }

    /// What they are called, and what may be typed.
    pub fn names(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Text => &[("Text", "type a text, then Enter")],
            Self::Words => &[("Words", "type words with spaces between them, punctuation too, then Enter")],
            Self::Pair => &[("Text", "type the first text"), ("Second text", "and the second, then Enter")],
            Self::Question => &[("Question", "type a question"), ("Text", "and the text that answers it, then Enter")],
        }
    }
}

/// What is said, with how likely it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Share {
    /// A class, a label or an answer.
    pub name: String,
    /// Its probability.
    pub p: f32,
    /// Whether the network says it.
    pub said: bool,
    /// Whether a person said it.
    pub labelled: bool,
}

/// The likeliest of what may be said.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Shares {
    /// The likeliest first.
    pub shown: Vec<Share>,
    /// How many there are beside those.
    pub others: usize,
    /// Those others' probabilities together, of classes.
    pub rest: Option<f32>,
}

/// The pane: a text of the held-out ones or typed, and the newest answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TextPane {
    /// What is typed into.
    pub fields: Fields,
    /// The names of classes, labels or tags.
    pub labels: Vec<String>,
    /// Texts to choose from.
    pub examples: Vec<Example>,
    /// What is being typed, a field each.
    pub typed: [String; 2],
    /// Why it is these weights that answer; `None` for those of a run that is trained.
    pub chosen: Option<String>,
    /// What came back last.
    pub answer: Option<Said>,
    /// After how many steps.
    pub step: u64,
    asked: String,
    next: usize,
}

impl TextPane {
    /// Of a run of `config` with these texts to choose from; the first is asked about.
    pub fn new(config: &Config, examples: Vec<Example>, chosen: Option<String>) -> Self {
        let (fields, labels) = (Fields::of(config), config.objective.labels().to_vec());
        let mut pane = Self { fields, labels, examples, chosen, ..Self::default() };
        pane.next_text();
        pane
    }

    /// Takes the next of the held-out texts.
    pub fn next_text(&mut self) {
        if let Some(example) = self.examples.get(self.next % self.examples.len().max(1)) {
            let text = example.text.clone();
            self.next += 1;
            self.take(&text);
        }
    }

    /// Takes what was typed; whether it is all that is needed.
    pub fn take_typed(&mut self) -> bool {
        let [first, second] = self.typed.each_ref().map(|text| text.trim());
        let line = match self.fields {
            Fields::Text | Fields::Words => first.replace('\t', " "),
            // A line between tabs may have been pasted.
            _ if second.is_empty() => first.to_string(),
            _ => format!("{}\t{second}", first.replace('\t', " ")),
        };
        let enough = !line.is_empty() && (self.fields != Fields::Question || line.contains('\t'));
        if enough {
            self.take(&line);
        }
        enough
    }

    fn take(&mut self, line: &str) {
        self.asked = line.into();
        let (first, second) = match self.fields {
            Fields::Text | Fields::Words => (line, ""),
            Fields::Pair | Fields::Question => line.split_once('\t').unwrap_or((line, "")),
        };
        self.typed = [first, second].map(str::to_string);
    }

    /// What is asked, once there is something.
    pub fn question(&self) -> Option<Question> {
        (!self.asked.is_empty()).then(|| Question::Text(self.asked.clone()))
    }

    /// What a person said of the text that was answered, where that is known.
    pub fn label(&self) -> Option<&Label> {
        let text = self.answer.as_ref()?.input.as_typed();
        self.examples.iter().find(|example| example.text == text)?.label.as_ref()
    }

    /// Classes, labels or answers with their probabilities; none of numbers and tags.
    pub fn shares(&self) -> Shares {
        let label = self.label();
        match self.answer.as_ref().map(|said| &said.prediction) {
            Some(Prediction::Class(p)) => {
                let ranked = by_probability(p);
                let mut shares = self.shares_of(&ranked, p, |place, rank| {
                    (rank == 0, matches!(label, Some(Label::Class(class)) if *class == place))
                });
                shares.rest = (shares.others > 0).then(|| ranked[MOST..].iter().map(|&place| p[place]).sum());
                shares
            }
            Some(Prediction::Labels(p)) => self.shares_of(&by_probability(p), p, |place, _| {
                (p[place] > SAID, matches!(label, Some(Label::Classes(all)) if all.contains(&place)))
            }),
            Some(Prediction::Answer(found)) => answers(found, label),
            _ => Shares::default(),
        }
    }

    fn shares_of(&self, ranked: &[usize], p: &[f32], of: impl Fn(usize, usize) -> (bool, bool)) -> Shares {
        let share = |(rank, &place): (usize, &usize)| {
            let (said, labelled) = of(place, rank);
            Share { name: self.name(place).into(), p: p[place], said, labelled }
        };
        // All that is said is shown.
        let count = MOST.max(ranked.iter().enumerate().filter(|(rank, place)| of(**place, *rank).0).count());
        let shown: Vec<Share> = ranked.iter().enumerate().take(count).map(share).collect();
        Shares { others: ranked.len() - shown.len(), shown, rest: None }
    }

    /// A class, label or tag by its place.
    pub fn name(&self, place: usize) -> &str {
        self.labels.get(place).map_or("", String::as_str)
    }

    /// What is said in words, what a person said, and whether they are the same where both are known.
    pub fn summary(&self) -> (String, Option<bool>) {
        let Some(Said { prediction, input, .. }) = &self.answer else {
            return ("waiting for the network…".into(), None);
        };
        let label = self.label();
        let percent = |p: f64| format!("{:.1} %", 100.0 * p);
        let (said, right) = match (prediction, label) {
            (Prediction::Class(p), label) => {
                let best = by_probability(p).first().copied().unwrap_or_default();
                let right = label.map(|label| *label == Label::Class(best));
                (format!("{}, {}", self.name(best), percent(p.get(best).copied().unwrap_or_default().into())), right)
            }
            (Prediction::Labels(p), label) => {
                let said: Vec<usize> = (0..p.len()).filter(|&place| p[place] > SAID).collect();
                let names: Vec<&str> = said.iter().map(|&place| self.name(place)).collect();
                let right = label.map(|label| *label == Label::Classes(said.clone()));
                (if names.is_empty() { "none of the labels".into() } else { names.join(", ") }, right)
            }
            (Prediction::Values(values), _) => {
                (values.iter().map(|x| fixed(f64::from(*x), 3)).collect::<Vec<_>>().join(", "), None)
            }
            (Prediction::Tags(tags), Some(Label::Tags(labelled))) => {
                let same = tags.iter().zip(labelled).filter(|(said, label)| said == label).count();
                return (
                    format!("{same} of {} tagged as a person did", counted(tags.len() as u64, "word")),
                    (same == tags.len()).then_some(true),
                );
            }
            (Prediction::Tags(tags), _) => {
                let tagged = tags.iter().filter(|&&tag| self.name(tag) != "O").count();
                (format!("{tagged} of {} tagged", counted(tags.len() as u64, "word")), None)
            }
            (Prediction::Answer(found), label) => {
                let said = found.said();
                let right = label.map(|label| fits(label, said.map_or("", |best| &best.text)));
                (said.map_or(NO_ANSWER.into(), |best| format!("“{}”, {}", best.text, percent(best.probability))), right)
            }
            (Prediction::None, _) => return (format!("nothing is said of {:?}", input.as_typed()), None),
        };
        let labelled = label.map(|label| match label {
            Label::Value(value) => fixed(*value, 3),
            label => LabelNames::new(&self.labels).describe(label),
        });
        (labelled.map_or(said.clone(), |labelled| format!("{said}; labelled {labelled}")), right)
    }

    /// Whose answer it is.
    pub fn about(&self) -> String {
        let step = crate::numbers::grouped(self.step);
        match &self.chosen {
            Some(chosen) => format!("by the checkpoint of step {step}, {chosen}"),
            None => format!("after {step} steps"),
        }
    }

    /// The words of a sentence with their tags, and those that a person gave them where these are others.
    pub fn tagged(&self) -> Vec<(&str, &str, Option<&str>)> {
        let Some(Said { input: Input::Words(words), prediction: Prediction::Tags(tags), .. }) = &self.answer else {
            return Vec::new();
        };
        let label = self.label();
        let labelled = |at: usize| match label {
            Some(Label::Tags(all)) => all.get(at).filter(|tag| Some(*tag) != tags.get(at)).map(|&tag| self.name(tag)),
            _ => None,
        };
        words
            .iter()
            .zip(tags)
            .enumerate()
            .map(|(at, (word, &tag))| (word.as_str(), self.name(tag), labelled(at)))
            .collect()
    }
}

/// Whether an answer is one of the right ones.
fn fits(label: &Label, said: &str) -> bool {
    let Label::Answers(answers) = label else { return false };
    let right: Vec<&str> = answers.iter().map(|answer| answer.text.as_str()).collect();
    compare(said, &right, Version::Two).exact == 1.0
}

/// The best answers, and none of them where that may be.
fn answers(found: &Found, label: Option<&Label>) -> Shares {
    let said = found.said().map(|best| best.text.as_str());
    let is_labelled = |text: &str| label.is_some_and(|label| fits(label, text));
    let answer = |c: &crate::task::features::Candidate| Share {
        name: c.text.clone(),
        p: c.probability as f32,
        said: said == Some(&c.text),
        labelled: is_labelled(&c.text),
    };
    let mut shown: Vec<Share> = found.best.iter().take(ANSWERS).map(answer).collect();
    if found.threshold.is_some() {
        let p = 1.0 - found.best.iter().map(|c| c.probability).sum::<f64>();
        let share = Share { name: NO_ANSWER.into(), p: p as f32, said: said.is_none(), labelled: is_labelled("") };
        shown.insert(shown.partition_point(|other| other.p >= share.p), share);
    }
    Shares { shown, others: found.best.len().saturating_sub(ANSWERS), rest: None }
}

/// Places, the likeliest first.
fn by_probability(p: &[f32]) -> Vec<usize> {
    let mut places: Vec<usize> = (0..p.len()).collect();
    places.sort_by(|&a, &b| p[b].total_cmp(&p[a]));
    places
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::fine_tuning;
    use crate::objective::ObjectiveConfig;
    use crate::task::Answer;
    use crate::task::features::Candidate;

    fn pane(task: &str, labels: &[&str], examples: &[(&str, Label)]) -> TextPane {
        let mut config = fine_tuning(&Task::named(task).unwrap());
        let labels = labels.iter().map(|label| label.to_string()).collect();
        match &mut config.objective {
            ObjectiveConfig::Classification(objective) => objective.labels = labels,
            ObjectiveConfig::Tagging(objective) => objective.labels = labels,
            _ => {}
        }
        let example = |(text, label): &(&str, Label)| Example { text: text.to_string(), label: Some(label.clone()) };
        TextPane::new(&config, examples.iter().map(example).collect(), None)
    }

    /// The pane once its question has this answer.
    fn answered(mut pane: TextPane, input: Input, prediction: Prediction) -> TextPane {
        pane.answer = Some(Said { input, prediction, remarks: Vec::new() });
        pane
    }

    fn text(text: &str) -> Input {
        Input::Text { text: text.into(), pair: None }
    }

    fn asks(pane: &TextPane) -> String {
        match pane.question() {
            Some(Question::Text(line)) => line,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn texts_come_round_and_are_typed_as_the_task_has_them() {
        let mut one = pane("sst2", &["bad", "good"], &[("a b", Label::Class(1)), ("c", Label::Class(0))]);
        assert_eq!((one.fields, asks(&one)), (Fields::Text, "a b".into()));
        one.next_text();
        one.next_text();
        assert_eq!(asks(&one), "a b");
        one.typed[0] = " my\town ".into();
        assert!(one.take_typed());
        assert_eq!((asks(&one), one.typed[0].as_str()), ("my own".into(), "my own"));
        one.typed[0] = "  ".into();
        assert!(!one.take_typed());
        let mut two = pane("rte", &["yes", "no"], &[("a\tb", Label::Class(1))]);
        assert_eq!((two.fields, &two.typed), (Fields::Pair, &["a".to_string(), "b".to_string()]));
        two.typed = ["x".into(), String::new()];
        assert!(two.take_typed());
        two.typed = ["from a\ttable".into(), String::new()];
        assert!(two.take_typed());
        assert_eq!(two.typed, ["from a", "table"]);
        let mut question = pane("squad2", &[], &[]);
        assert_eq!((question.fields, question.question()), (Fields::Question, None));
        question.typed = ["who?".into(), " ".into()];
        assert!(!question.take_typed());
        question.typed[1] = "they".into();
        assert!(question.take_typed());
        assert_eq!(asks(&question), "who?\tthey");
        assert_eq!(pane("ner", &["O"], &[]).fields, Fields::Words);
    }

    #[test]
    fn classes_are_ranked_and_the_others_counted() {
        let labels: Vec<String> = (0..12).map(|i| format!("c{i}")).collect();
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        let p: Vec<f32> = (0..12).map(|i| if i == 3 { 0.45 } else { 0.05 }).collect();
        let pane = answered(pane("classify", &labels, &[("a", Label::Class(0))]), text("a"), Prediction::Class(p));
        let Shares { shown, others, rest } = pane.shares();
        assert_eq!((shown.len(), others), (8, 4));
        assert_eq!((shown[0].name.as_str(), shown[0].said, shown[0].labelled), ("c3", true, false));
        assert!(shown[1].labelled && !shown[1].said && (rest.unwrap() - 0.2).abs() < 1e-6);
        assert_eq!(pane.summary(), ("c3, 45.0 %; labelled c0".into(), Some(false)));
        // Of a text that nobody labelled.
        let typed = answered(pane, text("b"), Prediction::Class(vec![0.75, 0.25]));
        assert_eq!(typed.summary(), ("c0, 75.0 %".into(), None));
    }

    #[test]
    fn labels_are_said_from_a_half_on_and_numbers_as_they_are() {
        let labels = ["war", "peace", "tax"];
        let pane = pane("multi-label", &labels, &[("a", Label::Classes(vec![0, 2]))]);
        let all = answered(pane.clone(), text("a"), Prediction::Labels(vec![0.9, 0.2, 0.6]));
        assert_eq!(all.summary(), ("war, tax; labelled war, tax".into(), Some(true)));
        let shares = all.shares();
        let said: Vec<(&str, bool)> = shares.shown.iter().map(|share| (share.name.as_str(), share.said)).collect();
        assert_eq!((said, shares.rest), (vec![("war", true), ("tax", true), ("peace", false)], None));
        let none = answered(pane, text("b"), Prediction::Labels(vec![0.1; 3]));
        assert_eq!(none.summary().0, "none of the labels");
        let number = self::pane("regress", &["price"], &[("a", Label::Value(2.5))]);
        let number = answered(number, text("a"), Prediction::Values(vec![2.25]));
        assert_eq!(number.summary(), ("2.250; labelled 2.500".into(), None));
        assert_eq!(number.shares(), Shares::default());
    }

    #[test]
    fn words_have_their_tags_and_a_person_s_where_these_are_others() {
        let words = Input::Words(["the", "war"].map(String::from).to_vec());
        let pane = pane("ner", &["O", "B-X"], &[("the war", Label::Tags(vec![0, 1]))]);
        let said = answered(pane.clone(), words.clone(), Prediction::Tags(vec![1, 1]));
        assert_eq!(said.tagged(), [("the", "B-X", Some("O")), ("war", "B-X", None)]);
        assert_eq!(said.summary(), ("1 of 2 words tagged as a person did".into(), None));
        let typed = answered(pane, Input::Words(vec!["war".into()]), Prediction::Tags(vec![1]));
        assert_eq!(typed.summary(), ("1 of 1 word tagged".into(), None));
    }

    #[test]
    fn an_answer_is_one_of_the_right_ones_or_none() {
        let context = "The war ended in 1945.";
        let candidate = |text: &str, probability: f64| {
            let start = context.find(text).unwrap();
            let score = (20.0 * probability) as f32;
            Candidate { text: text.into(), bytes: start..start + text.len(), score, probability }
        };
        let answer = Answer { text: "1945".into(), bytes: None };
        let asked = format!("when?\t{context}");
        let pane = pane("squad2", &[], &[(&asked, Label::Answers(vec![answer]))]);
        let input = Input::Question { question: "when?".into(), context: context.into() };
        let best = vec![candidate("1945", 0.5), candidate("in 1945", 0.125)];
        let found = Found { best, null: 0.0, threshold: Some(0.0) };
        let said = answered(pane.clone(), input.clone(), Prediction::Answer(found.clone()));
        assert_eq!(said.summary(), ("“1945”, 50.0 %; labelled 1945".into(), Some(true)));
        let names: Vec<String> = said.shares().shown.into_iter().map(|share| share.name).collect();
        assert_eq!(names, ["1945", NO_ANSWER, "in 1945"]);
        let silent = Found { null: 99.0, ..found.clone() };
        let silent = answered(pane.clone(), input.clone(), Prediction::Answer(silent));
        assert_eq!(silent.summary(), ("(no answer); labelled 1945".into(), Some(false)));
        let always = Found { threshold: None, ..found };
        let always = answered(pane, input, Prediction::Answer(always));
        assert_eq!(always.shares().shown.len(), 2);
    }
}
