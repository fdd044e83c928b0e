//! Measures by name: a run of an objective that leyden does not know goes through history, pictures, TensorBoard, the table
//! and the window by its measures.json alone; a run of before there was such a file is ELECTRA's.

#[path = "common/program.rs"]
mod program;

use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;
use leyden::config::preset;
use leyden::history::{Recorded, X};
use leyden::run::Run;
use leyden::train::{Recipe, flops_a_step};
use leyden::window::App;
use leyden::window::state::{Page, Track};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An accuracy with one baseline that stands still and one that moves, a loss without any, and a number to ask for.
const MEASURES: &str = r#"[
  {"name": "hits", "title": "Right answers", "unit": "share of all questions", "better": "higher", "plot": "main", "hue": "first",
   "digits": 3, "selects": true, "baselines": [
     {"name": "chance", "short": "tossed coins", "title": "tossing a coin", "at": 0.5},
     {"name": "majority", "short": "the majority", "title": "always saying the most frequent", "at": null}]},
  {"name": "surprise", "title": "Surprise", "unit": "bits a question", "better": "lower", "plot": "main", "axis": "log"},
  {"name": "spread", "title": "Spread of answers", "unit": "", "better": "neither", "plot": "more"}
]"#;

/// A run of 20 intervals that is made up here.
fn run(folder: &Path, name: &str, measures: &str) -> PathBuf {
    let run = folder.join(name);
    fs::create_dir_all(&run).unwrap();
    let line = |i: u32| {
        let x = f64::from(i) / 20.0;
        format!(
            "{{\"step\":{},\"seconds\":{i},\"tokens\":64,\"flops\":{},\"learning_rate\":0.001,\"hits\":{},\"surprise\":{},\
             \"spread\":{x},\"baseline.hits.majority\":0.6}}\n",
            10 * i,
            1e12 * f64::from(i),
            0.5 + 0.4 * x,
            1.0 - 0.8 * x
        )
    };
    let held_out = "{\"step\":200,\"seconds\":21,\"flops\":2e13,\"held_out\":{\"hits\":0.875,\"surprise\":0.25,\"spread\":null}}\n";
    fs::write(run.join("metrics.jsonl"), (1..=20).map(line).collect::<String>() + held_out).unwrap();
    fs::write(run.join("measures.json"), measures).unwrap();
    run
}

fn plot(run: &Path, args: &[&str]) -> assert_cmd::assert::Assert {
    program::leyden().arg("plot").arg(run).args(args).assert()
}

#[test]
fn a_run_of_an_unknown_objective_is_drawn_and_written() {
    let folder = tempfile::tempdir().unwrap();
    let run = run(folder.path(), "quiz", MEASURES);
    let out = |name: &str| folder.path().join(name).display().to_string();
    for args in [&["--x", "flops"][..], &["--log"]] {
        plot(&run, &[&["--out", &out("a.svg")], args].concat()).success().stderr("");
        let picture = fs::read_to_string(out("a.svg")).unwrap();
        for text in [
            "Right answers, share of all questions",
            "Surprise, bits a question",
            "0.50 tossed coins",
            "0.60 the majority",
            "always saying the most frequent",
            "held-out text",
        ] {
            assert!(picture.contains(text), "{text}: {picture}");
        }
        assert!(!picture.contains("Spread") && !picture.contains("enerator") && !picture.contains("no number"));
        assert_eq!(picture.matches("<circle").count(), 3, "a held-out point a panel, and the legend's");
    }
    assert!(!fs::read_to_string(out("a.svg")).unwrap().contains("FLOP"));
    plot(&run, &["--out", &out("a.png")]).success();
    assert!(fs::read(out("a.png")).unwrap().starts_with(b"\x89PNG"));
    plot(&run, &["--tensorboard", &out("events")]).success();
    let events = fs::read(folder.path().join("events/quiz/training/events.out.tfevents.leyden")).unwrap();
    for (tag, lines) in [("hits", 20), ("surprise", 20), ("spread", 20), ("optimizer/learning_rate", 20), ("loss", 0)] {
        let field = [&[0x0a, tag.len() as u8][..], tag.as_bytes()].concat();
        assert_eq!(events.windows(field.len()).filter(|w| *w == field).count(), lines, "{tag}");
    }
    let csv = Track::read(&run).unwrap().to_csv();
    let lines: Vec<&str> = csv.lines().collect();
    assert!(lines[0].starts_with("text,step,tokens,seconds,flops,hits,surprise,spread,learning_rate,"), "{csv}");
    assert!(lines.contains(&"training,200,1280,20,20000000000000,0.9,0.19999999999999996,1,0.001,,,"), "{csv}");
    assert!(lines.contains(&"held out,200,1280,21,20000000000000,0.875,0.25,,,,,"), "{csv}");
}

#[test]
fn one_panel_and_three_have_their_places() {
    let folder = tempfile::tempdir().unwrap();
    let one = MEASURES.replacen(r#""plot": "main", "axis""#, r#""plot": "more", "axis""#, 1);
    for (name, measures, panels) in [("one", one, 1), ("three", MEASURES.replace("\"more\"", "\"main\""), 3)] {
        let run = run(folder.path(), name, &measures);
        let svg = folder.path().join("panels.svg").display().to_string();
        plot(&run, &["--out", &svg]).success().stderr("");
        assert_eq!(fs::read_to_string(&svg).unwrap().matches("<clipPath").count(), panels, "{name}");
        let small = plot(&run, &["--out", &svg, "--size", "480x400"]);
        if panels > 2 {
            small.code(2)
        } else {
            small.success()
        };
    }
}

#[test]
fn the_window_shows_what_a_run_measures() {
    let folder = tempfile::tempdir().unwrap();
    let mut app = App::new(Arc::new(|_| {}));
    for name in ["first", "second"] {
        app.state.open(Track::read(&run(folder.path(), name, MEASURES)));
    }
    app.state.page = Page::Compare;
    app.state.shown = ["spread".into()].into();
    let mut window =
        Harness::builder().with_size([1280.0, 800.0]).build_ui_state(|ui, app: &mut App| app.draw(ui), app);
    window.run_steps(4);
    for label in
        ["Right answers plot; first from 0.52", "Surprise plot; first from 0.96", "Spread of answers plot; first from"]
    {
        window.get_by_label_contains(label);
    }
    window.get_all_by_label("bits a question").next().unwrap();
    window.get_all_by_label("held out: Right answers 0.875, Surprise 0.250").next().unwrap();
    window.get_by_label("More plots").click();
    window.run_steps(3);
    window.get_by_label("Learning rate");
    assert!(window.query_by_label_contains("enerator").is_none());
}

#[test]
fn a_damaged_file_is_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let run = run(folder.path(), "torn", &MEASURES[..200]);
    let refused = plot(&run, &["--out", "a.svg"]).code(2);
    let error = String::from_utf8(refused.get_output().stderr.clone()).unwrap();
    assert!(error.contains("measures.json: EOF while parsing") && error.lines().count() == 1, "{error}");
}

#[test]
fn a_run_of_before_is_electras() {
    let folder = tempfile::tempdir().unwrap();
    let lines = "{\"step\":10,\"tokens\":9,\"generator_loss\":5.0,\"discriminator_loss\":0.25,\"replaced_rate\":0.5}\n\
                 {\"step\":10,\"held_out\":{\"generator_loss\":4.0,\"discriminator_loss\":null}}\n";
    fs::write(folder.path().join("metrics.jsonl"), lines).unwrap();
    let baselines = |found: &Recorded| -> Vec<f64> {
        found.measures.get("generator_loss").unwrap().baselines.iter().filter_map(|b| b.at).collect()
    };
    let found = Recorded::read(folder.path()).unwrap();
    let last = &found.intervals[0];
    assert_eq!((last.get("loss"), last.get("auc")), (Some(17.5), None));
    assert_eq!(last.get("baseline.discriminator_loss.base_rate"), Some(2f64.ln()));
    assert!(last.x(X::Flops).is_nan() && baselines(&found).is_empty());
    assert!(found.held_out[0].get("discriminator_loss").unwrap().is_nan());

    // Its settings say how much a step was, and how the losses were weighted.
    let config = preset("tiny").unwrap().set("objective.discriminator_weight=20").unwrap();
    Run::open(folder.path()).unwrap().rewrite_config(&config).unwrap();
    let facts = r#"{"documents":1,"tokens":9,"unigram_entropy":5.5}"#;
    fs::write(folder.path().join("text.json"), facts).unwrap();
    let found = Recorded::read(folder.path()).unwrap();
    assert_eq!(found.intervals[0].get("loss"), Some(10.0));
    assert_eq!(found.intervals[0].flops, 10.0 * flops_a_step(&Recipe::new(&config)).unwrap() as f64);
    assert_eq!(baselines(&found), [(config.model.vocabulary as f64).ln(), 5.5]);

    // The settings of another version say at least how many words there were.
    fs::write(folder.path().join("config.toml"), "from_the_future = true\n[model]\nvocabulary = 100\n").unwrap();
    assert_eq!(baselines(&Recorded::read(folder.path()).unwrap()), [100f64.ln(), 5.5]);
    fs::write(folder.path().join("config.toml"), "[model]\nvocabulary = 0\n").unwrap();
    assert_eq!(baselines(&Recorded::read(folder.path()).unwrap()), [5.5]);
}
