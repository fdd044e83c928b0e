//! A run that fine-tunes, in the window: it is trained, a text is typed meanwhile, it is stopped, looked at, and gone on with.

mod common;
#[path = "common/window.rs"]
mod driven;

use common::small_config;
use driven::{Window, how, press, type_into, wait, window};
use egui_kittest::kittest::Queryable as _;
use leyden::config::{Config, fine_tuning};
use leyden::corpus::SAMPLE;
use leyden::session::{self, Asked};
use leyden::task::{Input, Prediction, Task};
use leyden::window::state::{Page, Phase};
use leyden::window::{App, Job};
use std::fs;
use std::path::{Path, PathBuf};

/// A run that was pre-trained for a step: what it knows does not matter here.
fn encoder(folder: &Path) -> PathBuf {
    let (run, text) = (folder.join("encoder"), folder.join("text.txt"));
    fs::write(&text, &SAMPLE[..40_000]).unwrap();
    let mut config = small_config(&["training.evaluate_every=1000000", "model.positions=64"]);
    (config.training.steps, config.data.text) = (1, vec![text]);
    let mut opened = session::start(&run, config, None, how(), &mut |_| {}).unwrap();
    while !opened.session.has_ended() {
        opened.session.advance(false).unwrap();
    }
    run
}

/// Settings that fine-tune that encoder on a file.
fn config(folder: &Path, task: &str, (name, file): (&str, &str), steps: u64) -> Config {
    let path = folder.join(name);
    fs::write(&path, file).unwrap();
    let mut config = fine_tuning(&Task::named(task).unwrap());
    config.training.init_from = Some(encoder(folder));
    (config.training.steps, config.training.batch) = (steps, 4);
    (config.optimizer.learning_rate, config.optimizer.layer_decay) = (5e-3, None);
    let settings = config.task.as_mut().unwrap();
    (settings.train, settings.epochs) = (Some(path), None);
    config
}

fn fine_tune(window: &mut Window, folder: &Path, config: Config) {
    let settings = vec!["training.log_every=2".into(), "training.evaluate_every=20".into()];
    let (folder, config) = (folder.join("run"), Box::new(config));
    window.state_mut().begin(Job::FineTune { folder, config, asked: Asked::default(), settings, how: how() });
    assert_eq!(window.state().state.page, Page::Run);
}

/// Texts whose class is said by their words.
fn classes() -> String {
    let row = |i: usize| format!("{} of the people\t{}\n", ["peace", "war"][i % 2], ["good", "bad"][i % 2]);
    "text\tlabel\n".to_string() + &(0..60).map(row).collect::<String>()
}

fn answered(app: &App, text: &str) -> bool {
    let answer = app.state.text.as_ref().and_then(|pane| pane.answer.as_ref());
    answer.is_some_and(|said| said.input.as_typed() == text)
}

fn type_text(window: &mut Window, field: &str, text: &str) {
    window.state_mut().state.text.as_mut().unwrap().typed.iter_mut().for_each(String::clear);
    type_into(window, field, text);
}

#[test]
fn a_text_is_classified_while_it_is_learnt_and_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = window();
    fine_tune(&mut window, folder.path(), config(folder.path(), "classify", ("train.tsv", &classes()), 1_000_000));
    // A held-out text to begin with.
    wait(&mut window, "the first answer", |app| app.state.text.as_ref().is_some_and(|pane| pane.answer.is_some()));
    let first = window.state().state.text.as_ref().unwrap().step;
    window.get_by_label_contains("; labelled ");
    type_text(&mut window, "Text", "war war war");
    window.key_press(egui::Key::Enter);
    wait(&mut window, "the answer", |app| answered(app, "war war war"));
    wait(&mut window, "a later answer", |app| app.state.text.as_ref().is_some_and(|pane| pane.step > first + 20));
    // A sentence's buttons are not here, nor is a quiz.
    assert!(window.query_by_label("Draw again").is_none() && window.query_by_label("Restore").is_none());
    window.key_press(egui::Key::Num4);
    window.key_press(egui::Key::R);
    press(&mut window, "Quiz");
    assert_eq!(window.state().state.page, Page::Run);
    press(&mut window, "Export…");
    assert!(window.query_by_label_contains("Sentence as a picture").is_none());
    press(&mut window, "Cancel");
    // Both curves, and what is learnt.
    window.get_by_label_contains("Loss plot");
    window.get_by_label_contains("Accuracy plot");
    window.get_by_label("classification classify");
    press(&mut window, "Next");
    wait(&mut window, "another text", |app| !answered(app, "war war war"));
    wait(&mut window, "an evaluation", |app| app.state.at.step > 60);
    press(&mut window, "Stop");
    wait(&mut window, "the end", |app| matches!(app.state.phase, Phase::Done(_)));
    let stopped = window.state().state.at.step;
    // Gone on with here.
    press(&mut window, "Go on training");
    wait(&mut window, "going on", |app| app.state.phase == Phase::Training && app.state.at.step > stopped);
    press(&mut window, "Stop");
    wait(&mut window, "the second end", |app| matches!(app.state.phase, Phase::Done(_)));
    drop(window);

    // Opened from the start page's list.
    let mut looking = driven::window();
    looking.state_mut().list_runs(folder.path().to_path_buf());
    looking.run_steps(1);
    let is_listed = |app: &App| app.state.found.iter().any(|run| run.about == "classification classify");
    wait(&mut looking, "the list", is_listed);
    press(&mut looking, "run");
    wait(&mut looking, "the best checkpoint's answer", |app| {
        app.state.phase == Phase::Looking && app.state.text.as_ref().is_some_and(|pane| pane.answer.is_some())
    });
    let best = leyden::run::Run::best_of(&folder.path().join("run")).unwrap().1;
    let pane = looking.state().state.text.clone().unwrap();
    assert_eq!((pane.step, pane.examples.len()), (best, 6));
    looking.get_by_label_contains("the best accuracy: ");
    type_text(&mut looking, "Text", "peace of the people");
    press(&mut looking, "Ask");
    wait(&mut looking, "the answer", |app| answered(app, "peace of the people"));
    let pane = looking.state().state.text.clone().unwrap();
    let Prediction::Class(p) = &pane.answer.unwrap().prediction else { panic!("another answer") };
    assert!((p.iter().sum::<f32>() - 1.0).abs() < 1e-5 && pane.labels == ["bad", "good"], "{p:?}");
    // Beside one that was pre-trained, which has its sentence.
    looking.key_press(egui::Key::Num1);
    looking.run_steps(2);
    press(&mut looking, "encoder");
    wait(&mut looking, "the sentence", |app| app.state.text.is_none() && app.state.sentence.answer.is_some());
    looking.get_by_label("Draw again");
    // The labelled file may be gone; a text can be typed.
    drop(looking);
    fs::remove_file(folder.path().join("train.tsv")).unwrap();
    let mut looking = driven::window();
    looking.state_mut().open(folder.path().join("run"));
    wait(&mut looking, "the network", |app| app.state.phase == Phase::Looking);
    looking.get_by_label_contains("not at hand");
    type_text(&mut looking, "Text", "peace");
    looking.key_press(egui::Key::Enter);
    wait(&mut looking, "the answer", |app| answered(app, "peace"));
}

#[test]
fn a_question_is_answered_in_its_text() {
    let folder = tempfile::tempdir().unwrap();
    let context = "the people of the union want peace in the year";
    let paragraph = serde_json::json!({"context": context, "qas": [
        {"id": "a", "question": "what do they want", "answers": [{"text": "peace", "answer_start": context.find("peace")}]},
        {"id": "b", "question": "who are they", "is_impossible": true, "answers": []},
    ]});
    let file = serde_json::json!({"data": [{"paragraphs": [paragraph.clone()]}, {"paragraphs": [paragraph]}]});
    let mut config = config(folder.path(), "squad2", ("train.json", &file.to_string()), 30);
    config.task.as_mut().unwrap().dev = config.task.as_ref().unwrap().train.clone();
    let mut window = window();
    fine_tune(&mut window, folder.path(), config);
    wait(&mut window, "the end", |app| matches!(app.state.phase, Phase::Done(_)));
    window.get_all_by_label_contains("(no answer)").next().unwrap();
    type_text(&mut window, "Question", "what is it");
    // Without a text there is nothing to be asked.
    window.key_press(egui::Key::Enter);
    window.run_steps(2);
    assert!(!answered(window.state(), "what is it"));
    type_into(&mut window, "Text", "it is war");
    press(&mut window, "Ask");
    wait(&mut window, "the answer", |app| answered(app, "what is it\tit is war"));
    window.get_by_label_contains("it is war Answer: ");
    let pane = window.state().state.text.clone().unwrap();
    let said = pane.answer.unwrap();
    assert!(matches!((said.input, said.prediction), (Input::Question { .. }, Prediction::Answer(_))));
}
