//! What the window looks like, against pictures that somebody has looked at: `tests/snapshots`. `UPDATE_SNAPSHOTS=1` makes
//! them anew. Clocks stand still: nothing trains here.

use egui_kittest::kittest::Queryable as _;
use egui_kittest::{Harness, SnapshotOptions};
use leyden::config::{Config, fine_tuning, preset};
use leyden::measure::Values;
use leyden::objective::ObjectiveConfig;
use leyden::probe::{Guess, Sentence, Token};
use leyden::session::Report;
use leyden::task::features::{Candidate, Found};
use leyden::task::{Answer, Input, Label, Prediction, Task};
use leyden::train::{Interval, MicroBatches, Recipe, flops_a_step};
use leyden::window::App;
use leyden::window::state::{FoundRun, Page, Quiz};
use leyden::window::worker::{At, Begun, Demonstrates, Example, News, Said};
use std::sync::Arc;

fn token(position: usize, original: &str, shown: &str, p_replaced: f32) -> Token {
    let selected = original != shown || original == "nation";
    let guesses = [shown, "people", "world", "government", "##s"].map(|t| Guess { id: 1, token: t.into(), p: 0.2 });
    Token {
        position,
        original: original.into(),
        shown: shown.into(),
        selected,
        masked: selected,
        edited: false,
        guesses: if selected { guesses.to_vec() } else { Vec::new() },
        p_replaced: Some(p_replaced),
        candidates: Vec::new(),
    }
}

fn sentence() -> Sentence {
    let words = [
        ("we", "we", 0.03),
        ("must", "must", 0.07),
        ("build", "the", 0.93),
        ("a", "a", 0.11),
        ("nation", "nation", 0.21),
        ("that", "that", 0.04),
        ("is", "is", 0.62),
        ("strong", "congress", 0.35),
        ("at", "at", 0.02),
        ("home", "home", 0.09),
        (".", ".", 0.01),
    ];
    let tokens = words.iter().enumerate().map(|(i, (original, shown, p))| token(i + 1, original, shown, *p));
    Sentence { tokens: tokens.collect(), cut: false }
}

/// A window on a run of 3,000 steps that is made up here.
fn app() -> App {
    let app = begun(preset("tiny").unwrap(), false);
    trained(
        app,
        |x, wave| {
            let rate = 0.12 - 0.01 * x;
            Values::from([
                ("generator_loss", 5.3 + 2.4 * (-5.0 * x).exp() + wave),
                ("discriminator_loss", 0.3 + 0.1 * (-4.0 * x).exp() + wave / 10.0),
                ("baseline.discriminator_loss.base_rate", -rate * rate.ln() - (1.0 - rate) * (1.0 - rate).ln()),
                ("auc", 0.5 + 0.25 * x),
            ])
        },
        sentence(),
    )
}

fn begun(config: Config, masked_lm: bool) -> App {
    let sentences = vec!["we must build a nation that is strong at home .".into()];
    demonstrating(config, Demonstrates::Sentences { sentences, masked_lm, fakes: !masked_lm })
}

fn demonstrating(config: Config, demonstrates: Demonstrates) -> App {
    let mut app = App::new(Arc::new(|_| {}));
    app.set_theme(egui::Theme::Light);
    let begun = Begun {
        folder: "runs/tiny".into(),
        measures: Some(config.measures(6.276)),
        config,
        device: Some("CPU (2 threads)".into()),
        text: "sample (State of the Union addresses)".into(),
        parameters: 567_553,
        micro_batches: Some(MicroBatches { count: 1, examples: 32 }),
        memory: 37_000_000,
        flops_by_op: Vec::new(),
        step: 0,
        saved: None,
        recorded: None,
        demonstrates,
    };
    app.state.update(News::Begun(Box::new(begun)));
    app
}

/// After steps that gave these values, by how far training is and a little noise.
fn trained(app: App, values: impl Fn(f64, f64) -> Values, sentence: Sentence) -> App {
    let mut app = measured(app, values);
    app.state.update(News::Sentence { sentence, step: 3_000 });
    app
}

fn measured(mut app: App, values: impl Fn(f64, f64) -> Values) -> App {
    let flops = flops_a_step(&Recipe::new(&app.state.begun.as_ref().unwrap().config)).unwrap() as f64;
    let mut at = At::default();
    for i in 1..=60u64 {
        let x = i as f64 / 60.0;
        let wave = ((i * 37 % 17) as f64 / 17.0 - 0.5) * 0.1;
        let values = values(x, wave);
        let interval = Interval {
            step: 50 * i,
            tokens: 50_000,
            flops: 50.0 * i as f64 * flops,
            learning_rate: 1e-3,
            gradient_norm: 3.0,
            loss_scale: None,
            skipped: 0,
            values: values.clone(),
        };
        at = At { step: 50 * i, seconds: 3.0 * i as f64, progress: i as f64 / 90.0 };
        let mut reports = vec![Report::Interval { interval, tokens_per_second: 16_000.0 }];
        if i % 10 == 0 {
            reports.push(Report::HeldOut { step: 50 * i, values, best: true });
        }
        app.state.update(News::Reports { reports, at });
    }
    app.state.update(News::Reports { reports: vec![Report::Saved { step: 3_000, folder: "x".into() }], at });
    let times = [
        ("linear", 30.0),
        ("linear_weight_gradient", 40.0),
        ("attention", 12.0),
        ("adamw", 4.0),
        ("activation_backward", 9.0),
    ];
    app.state.update(News::Times(times.map(|(op, seconds)| (op.into(), seconds)).to_vec()));
    app
}

fn compare(name: &str, app: App) {
    look(name, app, |_| {});
}

/// Compares a picture of the window after `act`.
fn look(name: &str, app: App, act: impl Fn(&mut Harness<'static, App>)) {
    let mut window =
        Harness::builder().with_size([1280.0, 800.0]).wgpu().build_ui_state(|ui, app: &mut App| app.draw(ui), app);
    window.run_steps(4);
    act(&mut window);
    // Another rasterizer may place an edge a little otherwise.
    let options = SnapshotOptions::new()
        .threshold(2.0)
        .max_failed_pixels(400)
        .output_path(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/snapshots"));
    window.snapshot_options(name, &options);
}

#[test]
fn the_start_page() {
    let mut app = App::new(Arc::new(|_| {}));
    app.set_theme(egui::Theme::Light);
    compare("start", app);
}

#[test]
fn a_run() {
    compare("run", app());
}

#[test]
fn a_run_in_the_dark_with_more_plots() {
    let mut app = app();
    app.set_theme(egui::Theme::Dark);
    app.state.shown = ["auc".into(), "learning_rate".into()].into();
    compare("run_dark", app);
}

/// The sentence as a masked language model guesses it; nothing judges.
fn guessed() -> Sentence {
    let token = |token: Token| {
        let selected = token.selected || token.original == "home";
        let guess = |token: &str, p| Guess { id: 1, token: token.into(), p };
        let others = [guess("people", 0.2), guess("world", 0.1), guess("congress", 0.07), guess("##s", 0.02)];
        let guesses: Vec<Guess> = [guess(&token.shown, 0.4)].into_iter().chain(others).collect();
        Token {
            selected,
            masked: selected,
            guesses: if selected { guesses } else { Vec::new() },
            p_replaced: None,
            ..token
        }
    };
    let mut tokens: Vec<Token> = sentence().tokens.into_iter().map(token).collect();
    tokens[2].shown = "make".into();
    tokens[2].guesses[0].token = "make".into();
    Sentence { tokens, cut: false }
}

#[test]
fn a_run_of_a_masked_language_model() {
    let app = begun(preset("tiny").unwrap().with_objective("mlm").unwrap(), true);
    let values = |x: f64, wave: f64| {
        Values::from([("mlm_loss", 5.3 + 2.4 * (-5.0 * x).exp() + wave), ("mlm_accuracy", 0.2 * x + wave / 10.0)])
    };
    let app = trained(app, values, guessed());
    look("masked_lm", app, |window| {
        window.get_by_label("nation, guessed right: hit").hover();
        window.run_steps(40);
        window.get_by_label("The network's guesses for the masked word");
    });
}

#[test]
fn the_answer_in_the_quiz() {
    let mut app = app();
    let mut quiz = Quiz::new(vec![sentence(), sentence()]);
    for i in [2, 4] {
        quiz.toggle(i);
    }
    quiz.reveal();
    app.state.quiz = Some(quiz);
    app.state.page = Page::Quiz;
    compare("quiz", app);
}

/// A run that fine-tunes on a task, once it has said something of its first example.
fn fine_tuned(task: &str, labels: &[&str], example: (Input, Label), prediction: Prediction) -> App {
    let mut config = fine_tuning(&Task::named(task).unwrap());
    config.training.steps = 4_500;
    config.training.init_from = Some("runs/small".into());
    config.task.as_mut().unwrap().train = Some("train.tsv".into());
    let labels: Vec<String> = labels.iter().map(|label| label.to_string()).collect();
    match &mut config.objective {
        ObjectiveConfig::Classification(objective) => {
            objective.labels = labels;
            objective.facts.majority = Some(0.4);
        }
        ObjectiveConfig::Tagging(objective) => objective.labels = labels,
        _ => {}
    }
    let (input, label) = example;
    let examples = vec![Example { text: input.as_typed(), label: Some(label) }];
    let selecting = config.measures(0.0).selecting().unwrap().name.clone();
    let app = demonstrating(config, Demonstrates::Texts { examples, chosen: None });
    let mut app = measured(app, |x, wave| {
        Values::from([
            ("loss", 0.3 + 0.9 * (-4.0 * x).exp() + wave),
            (&*selecting, 0.4 + 0.5 * (1.0 - (-3.0 * x).exp())),
        ])
    });
    app.state.update(News::Said { said: Said { input, prediction, remarks: Vec::new() }, step: 3_000 });
    app
}

#[test]
fn the_classes_of_a_text() {
    let labels = [
        "business",
        "sport",
        "politics",
        "culture",
        "science",
        "weather",
        "travel",
        "food",
        "fashion",
        "health",
        "obituaries",
    ];
    let p = vec![0.031, 0.012, 0.521, 0.11, 0.203, 0.04, 0.02, 0.018, 0.012, 0.018, 0.015];
    let text = "The minister said that the new telescope would be paid for after all, whatever its budget was.";
    let input = Input::Text { text: text.into(), pair: None };
    let app = fine_tuned("classify", &labels, (input, Label::Class(4)), Prediction::Class(p));
    look("classes", app, |window| {
        window.get_by_label("politics: 52.1 %");
        window.get_by_label("science: 20.3 %, labelled");
        window.get_by_label("and 3 less likely, 3.9 % together");
    });
}

#[test]
fn the_answer_in_its_text() {
    let context = "Leyden, a city in South Holland, has had a university since 1575, which William of Orange founded \
                   after the city had withstood a siege of several months. The jar that stores charge is named after it: \
                   Pieter van Musschenbroek described it there in 1746. Its botanical garden, which was laid out by \
                   Carolus Clusius in 1590, is the oldest of the Netherlands.";
    let question = "Who founded the university?";
    let candidate = |text: &str, score: f32, probability: f64| {
        let start = context.find(text).unwrap();
        Candidate { text: text.into(), bytes: start..start + text.len(), score, probability }
    };
    let best = vec![
        candidate("William of Orange", 9.0, 0.71),
        candidate("Orange", 7.0, 0.11),
        candidate("Carolus Clusius", 5.0, 0.03),
        candidate("William of Orange founded after the city had withstood a siege", 4.0, 0.01),
    ];
    let prediction = Prediction::Answer(Found { best, null: 2.0, threshold: Some(0.5) });
    let input = Input::Question { question: question.into(), context: context.into() };
    let right = Answer { text: "William of Orange".into(), bytes: None };
    let mut app = fine_tuned("squad2", &[], (input, Label::Answers(vec![right])), prediction);
    app.set_theme(egui::Theme::Dark);
    look("answer", app, |window| {
        window.get_by_label("William of Orange: 71.0 %, labelled");
        window.get_by_label_contains("(no answer): 14.0 %");
    });
}

#[test]
fn the_tags_of_words() {
    let labels = ["O", "B-person", "I-person", "B-place", "I-place"];
    let words = "Pieter van Musschenbroek described it in Leyden , South Holland , which Haarlem had not expected .";
    let words: Vec<String> = words.split(' ').map(String::from).collect();
    let said = vec![1, 2, 2, 0, 0, 0, 3, 0, 3, 4, 0, 0, 1, 0, 0, 0, 0];
    let mut labelled = said.clone();
    labelled[12] = 3;
    let example = (Input::Words(words), Label::Tags(labelled));
    let app = fine_tuned("ner", &labels, example, Prediction::Tags(said));
    look("tags", app, |window| {
        window.get_by_label("Haarlem: B-person, labelled B-place");
    });
}

#[test]
fn the_runs_there_are() {
    let run = |name: &str, about: &str, step: u64, best: &str| FoundRun {
        folder: std::path::Path::new("runs").join(name),
        about: about.into(),
        step,
        best: best.into(),
    };
    let mut app = App::new(Arc::new(|_| {}));
    app.set_theme(egui::Theme::Light);
    app.state.found = vec![
        run("sst2", "classification sst2", 6_315, "accuracy 0.871"),
        run("small", "ELECTRA small", 1_000_000, "discriminator 0.2183"),
        run("tiny-mlm", "masked LM tiny", 4_500, "masked LM 5.325"),
    ];
    look("runs", app, |window| {
        window.get_by_label("classification sst2");
    });
}
