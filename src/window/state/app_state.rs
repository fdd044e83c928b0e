//! Everything that the window shows, and how it changes with what the trainer tells.

use super::{Compared, Form, FoundRun, Notice, Pace, Quiz, SentencePane, Source, TextPane, Track, View};
use crate::measure::{Measure, Measures, Plot};
use crate::session::{Ending, Report};
use crate::window::worker::{At, Begun, Demonstrates, News, PrepareProgress, Question};
use std::collections::{BTreeSet, VecDeque};
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What the trainer is doing.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Phase {
    /// Nothing was asked of it.
    #[default]
    Idle,
    /// It reads text, makes a dataset or opens the device.
    Preparing {
        /// What it does, in words.
        note: String,
        /// How far a dataset is.
        progress: Option<PrepareProgress>,
    },
    /// It trains.
    Training,
    /// It waits between two steps.
    Paused,
    /// It saves and ends.
    Stopping,
    /// The sitting is over, and saved.
    Done(Ending),
    /// A run's networks are there to be asked; nothing trains.
    Looking,
    /// It could not begin or go on.
    Failed(String),
}

impl Phase {
    /// Whether there is work that would be lost or has to be saved.
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Preparing { .. } | Self::Training | Self::Paused | Self::Stopping)
    }

    /// In a word or two.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Idle => "ready",
            Self::Preparing { .. } => "preparing",
            Self::Training => "training",
            Self::Paused => "paused",
            Self::Stopping => "saving",
            Self::Done(ending) if ending.complete => "done",
            Self::Done(_) => "stopped",
            Self::Looking => "loaded",
            Self::Failed(_) => "failed",
        }
    }
}

/// A page of the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Page {
    /// What to train.
    #[default]
    Start,
    /// Losses, sentence and control of a run.
    Run,
    /// Several runs over each other.
    Compare,
    /// The class against the discriminator.
    Quiz,
}

/// Notices that are kept.
const MOST_NOTICES: usize = 50;

/// The window's state.
#[derive(Default)]
pub struct AppState {
    /// The page that is shown.
    pub page: Page,
    /// The start page's fields.
    pub form: Form,
    /// The runs that the start page lists, the newest first.
    pub found: Vec<FoundRun>,
    /// What the trainer is doing.
    pub phase: Phase,
    /// What is known of the run since it began.
    pub begun: Option<Begun>,
    /// The run's curves.
    pub run: Option<Track>,
    /// Other runs, to compare with.
    pub others: Vec<Track>,
    /// A comparison at equal cost, in whose place runs are not compared.
    pub comparison: Option<Compared>,
    /// Where the session is.
    pub at: At,
    /// How fast it goes.
    pub pace: Pace,
    /// The step of the newest checkpoint.
    pub saved: Option<u64>,
    /// Seconds by operation so far, the most first.
    pub times: Vec<(String, f64)>,
    /// The sentence.
    pub sentence: SentencePane,
    /// In its place, where a network was fine-tuned: the text that it is asked about.
    pub text: Option<TextPane>,
    /// The quiz, once there is one.
    pub quiz: Option<Quiz>,
    /// How curves are looked at.
    pub view: View,
    /// The measures that are plotted beside the main ones, by name.
    pub shown: BTreeSet<Arc<str>>,
    /// What happened, the newest last.
    pub notices: VecDeque<Notice>,
}

impl AppState {
    /// Takes in what the trainer tells; whether the sentence should be asked for, since there are networks now.
    pub fn update(&mut self, news: News) -> bool {
        match news {
            News::Note(text) => {
                self.phase = Phase::Preparing { note: text.trim_end_matches('…').into(), progress: None }
            }
            News::Preparing(progress) => {
                self.phase = Phase::Preparing { note: "making a dataset".into(), progress: Some(progress) };
            }
            News::Begun(begun) => {
                self.begin(*begun);
                return true;
            }
            News::Reports { reports, at } => {
                for report in &reports {
                    self.report(report, at.seconds);
                }
                self.at = at;
                self.pace.note(at.seconds, at.progress);
            }
            News::Paused(paused) => self.phase = if paused { Phase::Paused } else { Phase::Training },
            News::Sentence { sentence, step } => (self.sentence.answer, self.sentence.step) = (Some(sentence), step),
            News::Said { said, step } => {
                if let Some(pane) = &mut self.text {
                    (pane.answer, pane.step) = (Some(said), step);
                }
            }
            News::Chosen { why, step } => {
                if let Some(pane) = &mut self.text {
                    (pane.chosen, pane.step, pane.answer) = (Some(why), step, None);
                }
            }
            News::Dataset(folder) => self.form.source = Source::Dataset(folder),
            News::Complaint(reason) => self.tell(true, &reason),
            News::Quiz(sentences) => {
                let quiz = Quiz::new(sentences);
                if quiz.is_empty() {
                    self.tell(true, "no sentence has a fake yet: train a little longer, then try again");
                }
                self.quiz = Some(quiz).filter(|quiz| !quiz.is_empty());
            }
            News::Times(mut times) => {
                times.sort_by(|a, b| b.1.total_cmp(&a.1));
                self.times = times;
            }
            News::Ended(ending) => {
                let how = if ending.complete { "done" } else { "stopped and saved" };
                self.tell(false, &format!("{how} after {} steps", crate::numbers::grouped(ending.step)));
                self.phase = Phase::Done(ending);
            }
            News::NoNetworks(reason) => {
                let but = if self.run.is_some() { "its curves are here, but its" } else { "its" };
                self.tell(true, &format!("{but} networks cannot be asked: {reason}"));
                self.phase = Phase::Idle;
            }
            News::Failed(reason) => {
                self.tell(true, &reason);
                self.phase = Phase::Failed(Notice::new(true, &reason).text);
            }
        }
        false
    }

    fn begin(&mut self, mut begun: Begun) {
        let looking = begun.device.is_none();
        (self.sentence, self.text) = match begun.demonstrates.clone() {
            Demonstrates::Sentences { sentences, masked_lm, fakes } => {
                (SentencePane::new(sentences, masked_lm, fakes), None)
            }
            Demonstrates::Texts { examples, chosen } => {
                (SentencePane::default(), Some(TextPane::new(&begun.config, examples, chosen)))
            }
        };
        self.quiz = None;
        self.times.clear();
        self.saved = begun.saved;
        self.pace = Pace::default();
        self.at = At { step: begun.step, ..At::default() };
        let recorded = begun.recorded.take();
        self.run = match &begun.measures {
            Some(measures) if !looking => {
                Some(Track::live(&begun.folder, recorded, &begun.config, measures, begun.step))
            }
            _ => recorded,
        };
        self.others.retain(|other| other.folder != begun.folder);
        self.phase = if looking { Phase::Looking } else { Phase::Training };
        // Who compares runs goes on comparing.
        if !looking || self.page != Page::Compare {
            self.page = Page::Run;
        }
        self.begun = Some(begun);
    }

    fn report(&mut self, report: &Report, seconds: f64) {
        if let Some(run) = &mut self.run {
            run.record(report, seconds);
        }
        match report {
            Report::Saved { step, .. } => self.saved = Some(*step),
            Report::Phase { step, name } => self.tell(false, &format!("phase: {name}, from step {step} on")),
            Report::Warning(warning) => self.tell(true, &warning.to_string()),
            Report::RolledBack { reason, step, .. } => self.tell(true, &format!("{reason}; going on from step {step}")),
            Report::Reopened { reason, step } => {
                self.tell(true, &format!("{reason}; opened again, going on from step {step}"));
            }
            Report::Step { .. } | Report::Interval { .. } | Report::HeldOut { .. } | Report::Ended(_) => {}
        }
    }

    /// Whether there can be a quiz: without a discriminator there is nobody to play against, and without a generator nothing to find.
    pub fn offers_quiz(&self) -> bool {
        self.text.is_none() && !self.sentence.masked_lm && !self.sentence.lacks_fakes
    }

    /// What the networks are to be asked now.
    pub fn question(&self) -> Option<Question> {
        match &self.text {
            Some(pane) => pane.question(),
            None => Some(Question::Sentence(self.sentence.request.clone())),
        }
    }

    /// Takes the next of the held-out sentences or texts.
    pub fn next_text(&mut self) {
        match &mut self.text {
            Some(pane) => pane.next_text(),
            None => self.sentence.next_sentence(),
        }
    }

    /// Forgets what the networks of the run that was shown have said.
    pub fn forget_answers(&mut self) {
        self.sentence.answer = None;
        self.text = None;
    }

    /// Puts a notice where it is seen.
    pub fn tell(&mut self, warning: bool, text: &str) {
        let notice = Notice::new(warning, text);
        // What is told again is not more of it.
        if self.notices.back() == Some(&notice) {
            return;
        }
        self.notices.push_back(notice);
        while self.notices.len() > MOST_NOTICES {
            self.notices.pop_front();
        }
    }

    /// Takes in a run that was read, to compare with; why it could not be is told.
    pub fn open<E: Display>(&mut self, read: Result<Track, E>) {
        match read {
            Ok(track) if self.tracks().any(|open| same(&open.folder, &track.folder)) => {
                self.tell(false, &format!("{} is open already", track.folder.display()));
            }
            Ok(track) => {
                if let Some(note) = &track.note {
                    self.tell(true, note);
                }
                self.others.push(track);
            }
            Err(error) => self.tell(true, &error.to_string()),
        }
    }

    /// Every run there is, the one that is trained or asked first.
    pub fn tracks(&self) -> impl Iterator<Item = &Track> {
        self.run.iter().chain(&self.others)
    }

    /// The measures of the first `runs` runs, each once: those that are always plotted, and the others.
    pub fn measures(&self, runs: usize) -> (Vec<Arc<Measure>>, Vec<Arc<Measure>>) {
        let objectives = self.tracks().take(runs).flat_map(|track| track.measures.iter());
        let of_runs = self.tracks().take(1).flat_map(|track| track.measures.of_run());
        Measures::merged(objectives.chain(of_runs)).into_iter().partition(|measure| measure.plot == Plot::Main)
    }

    /// The runs' names, which are told apart by their folders where two have the same.
    pub fn names(&self) -> Vec<String> {
        let short: Vec<String> = self.tracks().map(Track::name).collect();
        let unique = |name: &String| short.iter().filter(|other| *other == name).count() == 1;
        let name = |(track, name): (&Track, &String)| match unique(name) {
            true => name.clone(),
            false => track.folder.display().to_string(),
        };
        self.tracks().zip(&short).map(name).collect()
    }

    /// The runs that other processes have written to since they were read.
    pub fn stale(&self) -> Vec<PathBuf> {
        let idle = !self.phase.is_busy();
        let run = self.run.iter().filter(|_| idle);
        run.chain(&self.others).filter(|track| track.is_stale()).map(|track| track.folder.clone()).collect()
    }

    /// Takes in a run that was read again.
    pub fn refresh(&mut self, read: Track) {
        let idle = !self.phase.is_busy();
        let run = self.run.iter_mut().filter(|_| idle);
        if let Some(track) = run.chain(&mut self.others).find(|track| track.folder == read.folder) {
            track.renew(read);
        }
    }

    /// The folder of the run that is shown.
    pub fn folder(&self) -> Option<PathBuf> {
        let begun = self.begun.as_ref().map(|begun| begun.folder.clone());
        begun.or_else(|| self.run.as_ref().map(|run| run.folder.clone()))
    }
}

fn same(a: &Path, b: &Path) -> bool {
    a == b || a.canonicalize().ok().zip(b.canonicalize().ok()).is_some_and(|(a, b)| a == b)
}

#[cfg(test)]
mod tests {
    use super::super::sentence::tests::sentence;
    use super::*;
    use crate::config::preset;
    use crate::measure::{Values, tests::invented};
    use crate::probe::Request;

    fn begun(device: Option<&str>) -> Box<Begun> {
        Box::new(Begun {
            folder: "no such run".into(),
            config: preset("tiny").unwrap(),
            device: device.map(str::to_string),
            text: "sample".into(),
            measures: Some(invented()),
            parameters: 1,
            micro_batches: None,
            memory: 0,
            flops_by_op: Vec::new(),
            recorded: None,
            step: 3,
            saved: Some(3),
            demonstrates: Demonstrates::Sentences { sentences: vec!["a b c".into()], masked_lm: false, fakes: true },
        })
    }

    #[test]
    fn a_run_goes_from_preparing_to_done() {
        let mut state = AppState::default();
        assert!(!state.phase.is_busy());
        assert!(!state.update(News::Note("reading the text…".into())));
        assert_eq!(state.phase, Phase::Preparing { note: "reading the text".into(), progress: None });
        assert!(state.update(News::Begun(begun(Some("CPU")))));
        assert_eq!((state.page, state.phase.name(), state.at.step), (Page::Run, "training", 3));
        assert_eq!(state.sentence.request.text, "a b c");
        let step = Report::Step { step: 3, values: [("cost", 7.0)].into() };
        let saved = Report::Saved { step: 4, folder: "x".into() };
        let at = At { step: 4, seconds: 1.0, progress: 0.5 };
        state.update(News::Reports { reports: vec![step, saved], at });
        assert_eq!((state.run.as_ref().unwrap().steps.len(), state.saved, state.at), (1, Some(4), at));
        state.update(News::Paused(true));
        assert_eq!((state.phase.name(), state.phase.is_busy()), ("paused", true));
        state.update(News::Sentence { sentence: sentence(), step: 4 });
        assert!(state.sentence.answer.is_some() && state.sentence.step == 4);
        state.update(News::Complaint("no room; try a lower --learning-rate or --on-nan rollback".into()));
        assert_eq!(state.notices.back().unwrap().text, "no room; try a lower learning rate or another seed");
        assert_eq!(state.phase.name(), "paused");
        state.update(News::Dataset("d".into()));
        assert_eq!(state.form.source, Source::Dataset("d".into()));
        state.update(News::Times(vec![("a".into(), 1.0), ("b".into(), 2.0)]));
        assert_eq!(state.times[0].0, "b");
        let ending = Ending { step: 4, complete: true, seconds: 2.0, folder: "x".into() };
        state.update(News::Ended(ending));
        assert_eq!((state.phase.name(), state.phase.is_busy()), ("done", false));
        assert!(state.notices.back().unwrap().text.contains("4 steps"));
    }

    #[test]
    fn a_fine_tuned_network_is_asked_about_texts() {
        use crate::task::{Input, Prediction, Task};
        use crate::window::worker::{Example, Said};
        let mut state = AppState::default();
        assert!(state.offers_quiz());
        let config = crate::config::fine_tuning(&Task::named("sst2").unwrap());
        let examples = vec![Example { text: "a film".into(), label: None }];
        let demonstrates = Demonstrates::Texts { examples, chosen: None };
        state.update(News::Begun(Box::new(Begun { config, demonstrates, ..*begun(Some("CPU")) })));
        assert!(!state.offers_quiz());
        assert_eq!(state.question(), Some(Question::Text("a film".into())));
        let input = Input::Text { text: "a film".into(), pair: None };
        let said = Said { input, prediction: Prediction::Class(vec![0.5, 0.5]), remarks: Vec::new() };
        state.update(News::Said { said, step: 7 });
        assert_eq!(state.text.as_ref().map(|pane| (pane.step, pane.answer.is_some())), Some((7, true)));
        let about = |state: &AppState| state.text.as_ref().unwrap().about();
        assert_eq!(about(&state), "after 7 steps");
        state.update(News::Chosen { why: "the best accuracy: 0.812".into(), step: 5 });
        assert_eq!(about(&state), "by the checkpoint of step 5, the best accuracy: 0.812");
        // What was said before was not said by that one.
        assert_eq!(state.text.as_ref().unwrap().answer, None);
        state.forget_answers();
        assert_eq!(state.question(), Some(Question::Sentence(Request::default())));
        state.update(News::Begun(begun(Some("CPU"))));
        assert!(state.offers_quiz());
    }

    #[test]
    fn a_run_that_begins_has_nothing_of_what_lies_in_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(
            folder.path().join("metrics.jsonl"),
            "{\"step\":0,\"held_out\":{\"hits\":9}}\n{\"step\":1,\"hits\":8}\n",
        )
        .unwrap();
        std::fs::write(folder.path().join("measures.json"), invented().to_json().unwrap()).unwrap();
        let track = |step: u64, recorded: Option<Track>| {
            let mut state = AppState::default();
            let begun = Begun { folder: folder.path().into(), step, recorded, ..*begun(Some("CPU")) };
            state.update(News::Begun(Box::new(begun)));
            let run = state.run.unwrap();
            (run.held_out.len(), run.intervals.len())
        };
        assert_eq!(track(0, None), (0, 0));
        let recorded = Track::read(folder.path()).unwrap();
        assert_eq!(track(1, Some(recorded.clone())), (1, 1));
        assert_eq!(track(0, Some(recorded)), (1, 0));
    }

    #[test]
    fn what_fails_is_told() {
        let mut state = AppState::default();
        state.update(News::Failed("no such device".into()));
        assert_eq!(state.phase, Phase::Failed("no such device".into()));
        assert!(state.notices[0].warning);
        state.open(Track::read(Path::new("no such run")));
        assert!(state.notices[1].text.contains("does not exist"));
        state.update(News::Quiz(Vec::new()));
        assert!(state.quiz.is_none() && state.notices[2].warning);
        state.tell(false, "x");
        state.tell(false, "x");
        assert_eq!(state.notices.len(), 4);
        for i in 0..200 {
            state.tell(false, &format!("{i}"));
        }
        assert_eq!(state.notices.len(), MOST_NOTICES);
    }

    #[test]
    fn runs_are_opened_once_and_named_apart() {
        let folder = tempfile::tempdir().unwrap();
        let make = |name: &str| {
            let run = folder.path().join(name).join("tiny");
            std::fs::create_dir_all(&run).unwrap();
            std::fs::write(run.join("metrics.jsonl"), "{\"step\":1,\"hits\":5}\nnothing\n{\"st").unwrap();
            std::fs::write(run.join("measures.json"), invented().to_json().unwrap()).unwrap();
            run
        };
        let (a, b) = (make("a"), make("b"));
        let mut state = AppState::default();
        state.open(Track::read(&a));
        state.open(Track::read(&a.join("..").join("tiny")));
        assert_eq!((state.names(), state.notices.len()), (vec!["tiny".to_string()], 2));
        let text = &state.notices[0].text;
        assert!(text.contains("metrics.jsonl: 1 line left out: line 2 is no JSON"), "{text}");
        state.open(Track::read(&b));
        assert_eq!(state.names(), [a.display().to_string(), b.display().to_string()]);
        assert_eq!(state.stale(), Vec::<PathBuf>::new());
        state.update(News::Reports {
            reports: vec![Report::HeldOut { step: 1, values: Values::default(), best: true }],
            at: At::default(),
        });
    }
}
