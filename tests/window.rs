//! The window as a person uses it, by the names that a screen reader tells: start, pause, step, save, stop, type a
//! sentence, replace a word, lay runs over each other, take things away, close.

mod common;
#[path = "common/window.rs"]
mod driven;

use common::small_config;
use driven::{how, press, type_into, wait, window};
use egui::accesskit::Role;
use egui_kittest::kittest::Queryable as _;
use leyden::comparison::{Found, RANDOM, RESULTS, Results, measure_file};
use leyden::config::{Config, Precision};
use leyden::corpus::SAMPLE;
use leyden::graph::Recompute;
use leyden::measure::{Measure, Measures, Plot};
use leyden::session;
use leyden::window::state::{Page, Phase, Source, Track};
use leyden::window::{App, Job};
use std::path::Path;
use std::time::Duration;

fn config(text: &Path, steps: u64) -> Config {
    let mut config = small_config(&["training.evaluate_every=1000000"]);
    config.training.steps = steps;
    config.data.text = vec![text.to_path_buf()];
    config
}

fn job(folder: &Path, steps: u64) -> Job {
    let text = folder.join("text.txt");
    std::fs::write(&text, &SAMPLE[..40_000]).unwrap();
    Job::Start {
        folder: Some(folder.join("run")),
        config: Box::new(config(&text, steps)),
        length: None,
        files: Vec::new(),
        how: how(),
    }
}

/// metrics.jsonl without what the clock decides.
fn metrics(folder: &Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(folder.join("metrics.jsonl")).unwrap();
    let clockless = |line: &str| {
        let mut line: serde_json::Value = serde_json::from_str(line).unwrap();
        line.as_object_mut().unwrap().retain(|key, _| key != "seconds" && key != "tokens_per_second");
        line
    };
    text.lines().map(clockless).collect()
}

#[test]
fn precision_and_recomputation_can_be_chosen() {
    let mut window = window();
    window.run_steps(2);
    window.get_by_label_contains("learning rate").click();
    window.run_steps(8);
    for (field, choice) in [("Precision", "mixed"), ("Recompute", "selective")] {
        window.get_by_role_and_label(Role::ComboBox, field).click();
        window.run_steps(4);
        press(&mut window, choice);
    }
    let Ok(Job::Start { config, how, .. }) = window.state().state.form.job() else { panic!("another job") };
    assert_eq!(config.training.precision, Precision::Mixed);
    assert_eq!(how.resources.recompute, Some(Recompute::Selective));
    window.get_by_label_contains("16 bits: half the memory on a GPU");
}

#[test]
fn a_text_can_be_pasted() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = window();
    window.state_mut().keep_texts_in(folder.path().into());
    window.run_steps(2);
    press(&mut window, "Paste…");
    window.get_by_label("0 words");
    window.event(egui::Event::Paste("A short text.".into()));
    window.run_steps(2);
    window.get_by_label("3 words");
    // What is too long to be edited is put behind it.
    let long = "\n\nlonger and longer".repeat(2_000);
    window.event(egui::Event::Paste(long.clone()));
    window.run_steps(2);
    window.get_by_label("6,003 words");
    press(&mut window, "Take it");
    let Source::Files(files) = &window.state().state.form.source else { panic!("no file") };
    assert_eq!(std::fs::read_to_string(&files[0]).unwrap(), format!("A short text.{long}"));
    assert!(files[0].starts_with(folder.path()));
    window.get_by_label("pasted.txt");
    // The same again begins with nothing.
    press(&mut window, "Paste…");
    window.get_by_label("0 words");
}

#[test]
fn the_objective_can_be_chosen() {
    let mut window = window();
    window.run_steps(2);
    window.get_by_label("Train a generator and a discriminator on your text");
    window.get_by_role_and_label(Role::ComboBox, "Objective").click();
    window.run_steps(4);
    press(&mut window, "masked LM");
    window.get_by_label("Train an encoder on your text");
    let Ok(Job::Start { config, .. }) = window.state().state.form.job() else { panic!("another job") };
    assert_eq!(config.objective.name(), "mlm");
}

#[test]
fn the_start_page_starts_what_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = window();
    window.run_steps(2);
    window.state_mut().state.form.seed = "one".into();
    press(&mut window, "Start training");
    window.get_by_label_contains("Seed is \"one\"");
    let form = &mut window.state_mut().state.form;
    (form.seed, form.device) = ("1".into(), "no such adapter".into());
    form.folder = folder.path().join("run").display().to_string();
    press(&mut window, "Start training");
    wait(&mut window, "the failure", |app| matches!(app.state.phase, Phase::Failed(_)));
    window.get_by_label("This did not work");
    window.get_all_by_label_contains("no GPU adapter").next().unwrap();
    press(&mut window, "Back to the start");
    window.get_by_label("Start training");
    assert!(!folder.path().join("run").exists());
}

#[test]
fn a_text_is_prepared_and_trained_on() {
    let folder = tempfile::tempdir().unwrap();
    let Job::Start { folder: run, config, how, .. } = job(folder.path(), 4) else { unreachable!() };
    let mut config = config;
    config.data.text.clear();
    let mut window = window();
    let files = vec![folder.path().join("text.txt")];
    // Datasets are made in the working folder; this one is stopped half-way or done, and either leaves nothing half.
    window.state_mut().begin(Job::Start { folder: run, config, length: None, files, how });
    wait(&mut window, "the end", |app| matches!(app.state.phase, Phase::Done(_)));
    let dataset = window.state().state.begun.as_ref().unwrap().config.data.dataset.clone().unwrap();
    assert!(dataset.join("manifest.json").is_file());
    std::fs::remove_dir_all(&dataset).unwrap();
    let _ = std::fs::remove_dir("datasets");
}

#[test]
fn a_run_is_paused_stepped_resumed_saved_and_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = window();
    window.state_mut().begin(job(folder.path(), 1_000_000));
    wait(&mut window, "steps", |app| app.state.at.step > 4);
    press(&mut window, "Pause");
    wait(&mut window, "the pause", |app| app.state.phase == Phase::Paused);
    let step = window.state().state.at.step;
    std::thread::sleep(Duration::from_millis(50));
    window.run_steps(3);
    assert_eq!(window.state().state.at.step, step);
    press(&mut window, "One step");
    wait(&mut window, "the step", |app| app.state.at.step == step + 1);
    assert_eq!(window.state().state.phase, Phase::Paused);
    press(&mut window, "Save now");
    wait(&mut window, "the checkpoint", |app| app.state.saved == Some(step + 1));
    assert!(folder.path().join(format!("run/checkpoints/step-{:06}/state.json", step + 1)).is_file());
    press(&mut window, "Resume");
    wait(&mut window, "more steps", |app| app.state.at.step > step + 3);
    window.key_press(egui::Key::Space);
    wait(&mut window, "the pause by key", |app| app.state.phase == Phase::Paused);
    press(&mut window, "Stop");
    wait(&mut window, "the end", |app| matches!(app.state.phase, Phase::Done(_)));
    let stopped = window.state().state.at.step;
    press(&mut window, "Go on training");
    wait(&mut window, "going on", |app| app.state.phase == Phase::Training && app.state.at.step > stopped);
    assert!(window.state().state.run.as_ref().unwrap().intervals.len() > 1);
    press(&mut window, "Stop");
    wait(&mut window, "the second end", |app| matches!(app.state.phase, Phase::Done(_)));
}

#[test]
fn training_on_and_off_screen_gives_the_same_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let (on, off) = (folder.path().join("on"), folder.path().join("off"));
    std::fs::create_dir_all(&on).unwrap();
    let mut window = window();
    window.state_mut().begin(job(&on, 60));
    wait(&mut window, "steps", |app| app.state.at.step > 2);
    press(&mut window, "Pause");
    wait(&mut window, "the pause", |app| app.state.phase == Phase::Paused);
    press(&mut window, "Draw again");
    press(&mut window, "One step");
    press(&mut window, "Next");
    press(&mut window, "Resume");
    wait(&mut window, "the end", |app| matches!(app.state.phase, Phase::Done(_)));
    assert!(window.state().state.sentence.answer.is_some());

    let mut opened = session::start(&off, config(&on.join("text.txt"), 60), None, how(), &mut |_| {}).unwrap();
    while !opened.session.has_ended() {
        opened.session.advance(false).unwrap();
    }
    assert_eq!(metrics(&on.join("run")), metrics(&off));
    for half in ["generator", "discriminator"] {
        let weights =
            |run: &Path| std::fs::read(run.join(format!("checkpoints/step-000060/{half}/model.safetensors"))).unwrap();
        assert!(weights(&on.join("run")) == weights(&off), "the {half}s differ");
    }
}

#[test]
fn a_sentence_is_typed_and_a_word_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = window();
    window.state_mut().begin(job(folder.path(), 3));
    wait(&mut window, "the end", |app| {
        matches!(app.state.phase, Phase::Done(_)) && app.state.sentence.answer.is_some()
    });
    window.state_mut().state.sentence.typed.clear();
    type_into(&mut window, "Sentence", "we want peace and war");
    window.key_press(egui::Key::Enter);
    let is_ours = |app: &App| {
        let words: Vec<&str> =
            app.state.sentence.answer.iter().flat_map(|s| &s.tokens).map(|t| t.original.as_str()).collect();
        words.concat().replace("##", "") == "wewantpeaceandwar"
    };
    wait(&mut window, "the sentence", is_ours);
    press(&mut window, "Generator");
    let still = |app: &App| app.state.sentence.answer.as_ref().is_some_and(|s| s.tokens.iter().all(|t| !t.selected));
    wait(&mut window, "the sentence without fakes", still);
    let first = window.state().state.sentence.answer.as_ref().unwrap().tokens[0].shown.clone();
    let name = format!("{}: ", first.replacen("##", "·", 1));
    window.get_all_by_label_contains(&name).next().unwrap().click();
    window.run_steps(3);
    window.get_by_label("Your fake").focus();
    window.run_steps(1);
    window.get_by_label("Your fake").type_text("they");
    window.run_steps(1);
    press(&mut window, "Put in");
    let edited = |app: &App| {
        app.state.sentence.answer.as_ref().is_some_and(|s| s.tokens.iter().any(|t| t.edited && t.is_fake()))
    };
    wait(&mut window, "the edit", edited);
    window.get_all_by_label_contains("put in by you").next().unwrap();
    press(&mut window, "Restore");
    wait(&mut window, "the sentence as it was", |app| !edited(app));
}

#[test]
fn masked_words_are_guessed_and_chosen() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = window();
    let Job::Start { folder: run, config, length, files, how } = job(folder.path(), 3) else { unreachable!() };
    let config = Box::new(config.with_objective("mlm").unwrap());
    window.state_mut().begin(Job::Start { folder: run.clone(), config, length, files, how });
    let shown = |app: &App| matches!(app.state.phase, Phase::Done(_)) && app.state.sentence.answer.is_some();
    wait(&mut window, "the end", shown);
    let selected = |app: &App| -> Vec<usize> {
        let tokens = app.state.sentence.answer.iter().flat_map(|s| &s.tokens);
        tokens.filter(|t| t.selected).map(|t| t.position).collect()
    };
    assert!(!selected(window.state()).is_empty());
    assert!(window.state().state.sentence.answer.iter().flat_map(|s| &s.tokens).all(|t| t.p_replaced.is_none()));
    press(&mut window, "Mask words");
    wait(&mut window, "the sentence without masks", |app| selected(app).is_empty());
    window.get_by_label_contains("0 of 0 masked words guessed");
    let first = window.state().state.sentence.answer.as_ref().unwrap().tokens[0].clone();
    window.get_all_by_label(&first.shown).next().unwrap().click();
    wait(&mut window, "the word that was masked", |app| selected(app) == [first.position]);
    window.get_by_label_contains("of 1 masked word guessed");
    press(&mut window, "Restore");
    wait(&mut window, "the sentence as it was", |app| selected(app).is_empty());
    // Nobody tells fakes here, so there is no quiz.
    window.key_press(egui::Key::Num4);
    window.run_steps(2);
    press(&mut window, "Quiz");
    assert_eq!(window.state().state.page, Page::Run);
    // The same networks, once they are only looked at.
    let mut looking = driven::window();
    looking.state_mut().open(run.unwrap());
    wait(&mut looking, "the guesses", |app| app.state.sentence.answer.is_some());
    looking.get_by_label_contains("masked word");
}

fn recorded(folder: &Path, name: &str, layers: u32) -> std::path::PathBuf {
    let run = folder.join(name);
    let config = config(Path::new("text.txt"), 40).set(&format!("model.layers={layers}")).unwrap();
    std::fs::create_dir_all(&run).unwrap();
    let lines: String = (1..=20)
        .map(|i| {
            let (g, d) = (7.6 - 0.1 * f64::from(i), 0.6 - 0.01 * f64::from(i));
            format!(
                "{{\"step\":{},\"seconds\":{i},\"tokens\":64,\"generator_loss\":{g},\"discriminator_loss\":{d},\
                 \"replaced_rate\":0.12,\"auc\":0.6,\"learning_rate\":0.001,\"gradient_norm\":3.0,\
                 \"tokens_per_second\":100}}\n",
                2 * i
            )
        })
        .collect();
    std::fs::write(run.join("metrics.jsonl"), lines + "{\"step\":42,\"gener").unwrap();
    std::fs::write(run.join("config.toml"), config.to_toml()).unwrap();
    run
}

#[test]
fn a_comparison_is_a_page_with_its_table_and_curves() {
    let folder = tempfile::tempdir().unwrap();
    let mut results = Results::read(folder.path()).unwrap();
    let scores = [(RANDOM, 0, 0.5), ("generator=1/8", 60, 0.75), ("generator=1/4", 50, 0.625)];
    for (seed, (arm, step, score)) in (1..=2).flat_map(|seed| scores.map(|score| (seed, score))) {
        let (arm, task, end) = (arm.to_string(), "chunk".to_string(), true);
        let (budget, flops) = if step == 0 { (0.0, 0.0) } else { (3e12, 2.99e12) };
        let score = score + 0.125 * (seed - 1) as f64;
        results.add(Found { arm, seed, task, budget, step, flops, tokens: 9, seconds: 2.0, end, score }).unwrap();
    }
    let measure = Measure { selects: true, plot: Plot::Main, ..Measure::share("span_f1", "F1 of spans") };
    std::fs::write(measure_file(folder.path(), "chunk"), Measures::new([measure]).to_json().unwrap()).unwrap();
    let mut window = window();
    window.state_mut().open(folder.path().into());
    window.run_steps(3);
    assert_eq!(window.state().state.page, Page::Compare);
    window.get_by_label_contains("chunk: F1 of spans along TFLOP; generator=1/8 0.8125 at 2.990; generator=1/4");
    window.get_by_label_contains("chunk: F1 of spans over generator; 1/8 0.8125; 1/4 0.6875");
    window.get_by_label("0.812 ± 0.088");
    window.get_by_label("-0.125 ± 0.000");
    window.get_by_label("random weights");
    press(&mut window, "generator=1/8");
    window.get_by_label("chunk: F1 of spans along TFLOP; generator=1/4 0.6875 at 2.990");
    press(&mut window, "Close");
    assert!(window.state().state.comparison.is_none());
    window.get_by_label("Open runs to compare them");
    // A damaged one is told of.
    std::fs::write(folder.path().join(RESULTS), "{}\n").unwrap();
    window.state_mut().open(folder.path().into());
    assert!(window.state().state.notices.back().unwrap().text.contains("results.jsonl: line 1"));
}

#[test]
fn two_runs_are_laid_over_each_other_and_taken_away() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (recorded(folder.path(), "first", 1), recorded(folder.path(), "second", 2));
    let mut window = window();
    window.state_mut().open(a.clone());
    wait(&mut window, "the word on its networks", |app| !app.state.notices.is_empty() && !app.state.phase.is_busy());
    press(&mut window, "Dismiss");
    press(&mut window, "Open run…");
    type_into(&mut window, "Folder", &b.display().to_string());
    press(&mut window, "Open");
    assert_eq!(window.state().state.tracks().count(), 2);
    press(&mut window, "Compare");
    assert_eq!(window.state().state.page, Page::Compare);
    window.get_all_by_label("second").next().unwrap();
    window.get_by_label_contains("Generator loss plot; first from 7.5");
    press(&mut window, "Logarithmic");
    press(&mut window, "Show all");
    press(&mut window, "Export…");
    press(&mut window, "Save");
    assert!(std::fs::read(a.join("losses.png")).unwrap().starts_with(b"\x89PNG"));
    press(&mut window, "Export…");
    press(&mut window, "Metrics as a table (.csv)");
    press(&mut window, "Save");
    assert_eq!(std::fs::read_to_string(a.join("metrics.csv")).unwrap().lines().count(), 21);
    window.get_all_by_label("Close").next().unwrap().click();
    window.run_steps(2);
    assert_eq!(window.state().state.tracks().count(), 1);
}

#[test]
fn damaged_runs_are_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let run = recorded(folder.path(), "torn", 1);
    let mut window = window();
    // Metrics are there, with a torn last line; networks are not.
    window.state_mut().open(run.clone());
    wait(&mut window, "the word on its networks", |app| !app.state.notices.is_empty());
    assert_eq!(window.state().state.run.as_ref().unwrap().intervals.len(), 20);
    std::fs::write(run.join("config.toml"), "[model").unwrap();
    for (what, words) in [(folder.path().join("none"), "does not exist"), (run, "config.toml")] {
        window.state_mut().state.open(Track::read(&what));
        window.run_steps(1);
        window.get_all_by_label_contains(words).next().unwrap();
    }
}

#[test]
fn closing_asks_saves_and_ends() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = window();
    assert!(window.state_mut().may_close());
    window.state_mut().begin(job(folder.path(), 1_000_000));
    wait(&mut window, "steps", |app| app.state.at.step > 3);
    assert!(!window.state_mut().may_close());
    window.run_steps(2);
    press(&mut window, "Keep training");
    assert!(!window.state().wants_to_close());
    assert!(!window.state_mut().may_close());
    window.run_steps(2);
    press(&mut window, "Save and close");
    wait(&mut window, "the end", App::wants_to_close);
    let step = window.state().state.at.step;
    assert!(folder.path().join(format!("run/checkpoints/step-{step:06}/state.json")).is_file());
}

#[test]
fn another_job_ends_the_first_saved() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    std::fs::create_dir_all(&one).unwrap();
    std::fs::create_dir_all(&two).unwrap();
    let mut window = window();
    window.state_mut().begin(job(&one, 1_000_000));
    wait(&mut window, "steps", |app| app.state.at.step > 3);
    window.state_mut().begin(job(&two, 1_000_000));
    let second = two.join("run");
    wait(&mut window, "steps of the second", |app| app.state.folder() == Some(second.clone()) && app.state.at.step > 3);
    assert!(one.join("run/checkpoints").read_dir().unwrap().next().is_some());
    // As when the system takes the window away.
    drop(window);
    assert!(second.join("checkpoints").read_dir().unwrap().next().is_some());
}

#[test]
fn the_class_plays_the_discriminator() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = window();
    window.state_mut().begin(job(folder.path(), 3));
    wait(&mut window, "the end", |app| matches!(app.state.phase, Phase::Done(_)));
    press(&mut window, "Quiz");
    press(&mut window, "Start the quiz");
    wait(&mut window, "the quiz", |app| app.state.quiz.is_some());
    let count = window.state().state.quiz.as_ref().unwrap().len();
    window.get_by_label(&format!("Sentence 1 of {count}"));
    let first = window.state().state.quiz.as_ref().unwrap().sentence().unwrap().tokens[0].shown.clone();
    window.get_all_by_label(&first).next().unwrap().click();
    window.run_steps(2);
    assert!(window.state().state.quiz.as_ref().unwrap().is_picked(0));
    for _ in 0..count {
        press(&mut window, "Show the answer");
        if !window.state().state.quiz.as_ref().unwrap().is_over() {
            press(&mut window, "Next sentence");
        }
    }
    let quiz = window.state().state.quiz.clone().unwrap();
    let (class, network) = quiz.scores();
    assert_eq!(class.fakes, network.fakes);
    assert!(quiz.is_over() && class.fakes >= count);
}

#[test]
fn everything_is_reached_by_keys() {
    let folder = tempfile::tempdir().unwrap();
    let mut window = window();
    window.state_mut().begin(job(folder.path(), 1_000_000));
    wait(&mut window, "steps", |app| app.state.at.step > 3);
    let pages = [(egui::Key::Num3, Page::Compare), (egui::Key::Num4, Page::Quiz), (egui::Key::Num2, Page::Run)];
    for (key, page) in pages {
        window.key_press(key);
        window.run_steps(2);
        assert_eq!(window.state().state.page, page);
    }
    let before = window.state().state.view;
    let (sentence, seed) =
        (window.state().state.sentence.request.text.clone(), window.state().state.sentence.request.seed);
    for key in [egui::Key::L, egui::Key::X, egui::Key::Plus, egui::Key::N, egui::Key::R, egui::Key::T, egui::Key::P] {
        window.key_press(key);
        window.run_steps(2);
    }
    let request = &window.state().state.sentence.request;
    assert!(request.text != sentence && request.seed != seed);
    for (key, name) in [(egui::Key::E, "Take away"), (egui::Key::O, "Open a run")] {
        window.key_press(key);
        window.run_steps(2);
        window.get_by_label(name);
        window.key_press(egui::Key::Escape);
        window.run_steps(2);
    }
    let after = window.state().state.view;
    assert!(before.scale != after.scale && before.x != after.x && before.smoothing != after.smoothing);
    window.key_press(egui::Key::F1);
    window.run_steps(2);
    window.get_by_label("Keys");
    window.key_press(egui::Key::Escape);
    window.run_steps(2);
    assert!(window.query_by_label("Keys").is_none());
    window.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::S);
    wait(&mut window, "the checkpoint", |app| app.state.saved.is_some_and(|step| step > 0));
}
