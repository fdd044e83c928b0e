//! What window and trainer say to each other as bytes, where they share no memory: MessagePack, which knows numbers that are none.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// As bytes. Everything that is said is maps and plain data, which can be written.
pub(super) fn to_bytes(said: &impl Serialize) -> Vec<u8> {
    rmp_serde::to_vec_named(said).unwrap_or_default()
}

/// What was said, or what is wrong with it.
pub(super) fn from_bytes<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    rmp_serde::from_slice(bytes).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, fine_tuning, preset};
    use crate::measure::{Values, tests::invented};
    use crate::probe::{Guess, Request, Sentence, Token};
    use crate::session::{Asked, Change, Device, Ending, Extension, Report, SessionOptions, Warning};
    use crate::task::{Input, Label, Prediction};
    use crate::train::{Interval, MicroBatches};
    use crate::tune::Kernels;
    use crate::window::state::Track;
    use crate::window::worker::{
        At, Begun, Command, Demonstrates, Example, Job, News, PrepareProgress, Question, Said,
    };
    use std::collections::BTreeMap;
    use std::path::Path;

    /// Said and heard, it is the same, as far as words can tell.
    fn arrives<T: Serialize + DeserializeOwned + std::fmt::Debug>(said: T) {
        let heard: T = from_bytes(&to_bytes(&said)).unwrap_or_else(|error| panic!("{error}: {said:?}"));
        assert_eq!(format!("{heard:?}"), format!("{said:?}"));
    }

    fn configs() -> Vec<Config> {
        let tiny = preset("tiny").unwrap();
        let mut all: Vec<Config> =
            crate::objective::ObjectiveConfig::NAMES.iter().filter_map(|name| tiny.with_objective(name).ok()).collect();
        all.push(fine_tuning(&crate::task::Task::named("sst2").unwrap()));
        all.push(tiny.set("data.sample=stories").unwrap().set("training.hours=0.5").unwrap());
        all
    }

    #[test]
    fn every_command_arrives() {
        let request = Request {
            text: "the cat drinks".into(),
            seed: 3,
            masks: true,
            edits: vec![(2, "dog".into())],
            chosen: BTreeMap::from([(1, true)]),
        };
        let ask = |question| Command::Ask(question);
        for command in [Command::Pause, Command::Resume, Command::Step, Command::Save, Command::Stop] {
            arrives(command);
        }
        arrives(ask(Question::Sentence(request.clone())));
        arrives(ask(Question::Text("good".into())));
        arrives(Command::Quiz(vec![request.clone(), request]));
    }

    #[test]
    fn every_job_arrives() {
        let how = SessionOptions {
            device: Device::Named("webgpu".into()),
            kernels: Some(Kernels::Base),
            stop_after: Some(3),
            ..SessionOptions::default()
        };
        for config in configs() {
            let (config, how) = (Box::new(config), how.clone());
            arrives(Job::Start { folder: None, config, length: Some(32), files: vec!["a b.txt".into()], how });
        }
        let change = Change { longer: Some(Extension::Hours(1.5)), text: vec!["t".into()], ..Change::default() };
        arrives(Job::GoOn { folder: "runs/a".into(), change, how: how.clone() });
        arrives(Job::Look { folder: "runs/a".into() });
        let (config, settings) = (Box::new(preset("tiny").unwrap()), vec!["training.steps=3".into()]);
        let asked = Asked { length: None, learning_rate: Some(1e-3) };
        arrives(Job::FineTune { folder: "f".into(), config, asked, settings, how });
    }

    #[test]
    fn every_news_arrives() {
        let values: Values = [("hits", f64::NAN), ("cost", 0.1)].into();
        let interval = Interval {
            step: 50,
            tokens: 9,
            flops: 1e9,
            learning_rate: 1e-3,
            gradient_norm: f32::INFINITY,
            loss_scale: None,
            skipped: 0,
            values: values.clone(),
        };
        let ending = Ending { step: 3, complete: true, seconds: 0.5, folder: "x".into() };
        let reports = vec![
            Report::Step { step: 3, values: values.clone() },
            Report::Interval { interval: interval.clone(), tokens_per_second: 1e5 },
            Report::Interval {
                interval: Interval { loss_scale: Some(2.0), skipped: 2, ..interval },
                tokens_per_second: 1.0,
            },
            Report::HeldOut { step: 3, values: Values::default(), best: true },
            Report::Phase { step: 3, name: "second".into() },
            Report::Saved { step: 3, folder: "x".into() },
            Report::Warning(Warning::HeldOut { examples: 1 }),
            Report::RolledBack { reason: "r".into(), step: 1, seed: u64::MAX },
            Report::Reopened { reason: "r".into(), step: 1 },
            Report::Ended(ending.clone()),
        ];
        let at = At { step: 3, seconds: 1.0, progress: 0.5 };
        let token = Token {
            position: 1,
            original: "cat".into(),
            shown: "dog".into(),
            selected: true,
            masked: false,
            edited: false,
            p_replaced: Some(0.25),
            guesses: vec![Guess { id: 7, token: "dog".into(), p: 0.5 }],
            candidates: Vec::new(),
        };
        let sentence = Sentence { tokens: vec![token], cut: false };
        for config in configs() {
            let mut track = Track::live(Path::new("runs/x"), None, &config, &invented(), 0);
            reports.iter().for_each(|report| track.record(report, 1.0));
            arrives(News::Begun(Box::new(Begun {
                folder: "runs/x".into(),
                config,
                device: Some("GPU".into()),
                text: "sample".into(),
                measures: Some(invented()),
                parameters: 9,
                micro_batches: Some(MicroBatches::new(32, 2)),
                memory: 9,
                flops_by_op: vec![("linear".into(), 9)],
                step: 3,
                saved: None,
                recorded: Some(track),
                demonstrates: Demonstrates::Sentences { sentences: vec!["a".into()], masked_lm: false, fakes: true },
            })));
        }
        let example = Example { text: "good".into(), label: Some(Label::Class(1)) };
        arrives(Demonstrates::Texts { examples: vec![example], chosen: Some("best".into()) });
        arrives(News::Reports { reports, at });
        arrives(News::Preparing(PrepareProgress {
            phase: crate::dataset::Phase::Counting,
            fraction: None,
            rate: 1.0,
            left: None,
        }));
        arrives(News::Sentence { sentence: sentence.clone(), step: 3 });
        arrives(News::Quiz(vec![sentence]));
        let said = Said {
            input: Input::Text { text: "good".into(), pair: None },
            prediction: Prediction::None,
            remarks: vec!["cut".into()],
        };
        arrives(News::Said { said, step: 3 });
        arrives(News::Chosen { why: "best".into(), step: 3 });
        arrives(News::Times(vec![("linear".into(), 0.5)]));
        arrives(News::Ended(ending));
        for text in [News::Note, News::Complaint, News::Failed, News::NoNetworks] {
            arrives(text("text".into()));
        }
        arrives(News::Paused(true));
        arrives(News::Dataset("d".into()));
    }

    #[test]
    fn what_is_no_message_is_refused() {
        assert!(from_bytes::<Command>(b"").is_err() && from_bytes::<Command>(b"Pause").is_err());
    }
}
