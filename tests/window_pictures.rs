//! What the window looks like, against pictures that somebody has looked at: `tests/snapshots`. `UPDATE_SNAPSHOTS=1` makes
//! them anew. Clocks stand still: nothing trains here.

use egui_kittest::kittest::Queryable as _;
use egui_kittest::{Harness, SnapshotOptions};
use leyden::config::{Config, preset};
use leyden::measure::Values;
use leyden::probe::{Guess, Sentence, Token};
use leyden::session::Report;
use leyden::train::{Interval, MicroBatches, Recipe, flops_a_step};
use leyden::window::App;
use leyden::window::state::{Page, Quiz};
use leyden::window::worker::{At, Begun, News};
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
        recorded: None,
        masked_lm,
        sentences: vec!["we must build a nation that is strong at home .".into()],
    };
    app.state.update(News::Begun(Box::new(begun)));
    app
}

/// After steps that gave these values, by how far training is and a little noise.
fn trained(mut app: App, values: impl Fn(f64, f64) -> Values, sentence: Sentence) -> App {
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
    app.state.update(News::Times(times.to_vec()));
    app.state.update(News::Sentence { sentence, step: 3_000 });
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
