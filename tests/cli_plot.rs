//! `leyden plot` through the binary: what it draws, that it draws the same again, and what it refuses.

#[path = "common/program.rs"]
mod program;

use std::fs;
use std::path::{Path, PathBuf};

fn plot(args: &[&str]) -> assert_cmd::assert::Assert {
    program::leyden().arg("plot").args(args).assert()
}

/// A run of `steps` steps with a held-out point at its end; its generator's loss at step 30 is no number.
fn run(folder: &Path, name: &str, steps: u32) -> String {
    let run = folder.join(name);
    fs::create_dir_all(&run).unwrap();
    let mut lines = String::new();
    for step in (10..=steps).step_by(10) {
        let generator = if step == 30 { "null".into() } else { format!("{}", 4.0 + 40.0 / f64::from(step)) };
        lines += &format!(
            "{{\"step\":{step},\"seconds\":{step},\"tokens\":900000,\"generator_loss\":{generator},\
             \"discriminator_loss\":0.3,\"replaced_rate\":0.5}}\n"
        );
    }
    lines += &format!("{{\"step\":{steps},\"seconds\":{steps},\"held_out\":{{\"generator_loss\":5.0,");
    lines += "\"discriminator_loss\":0.4,\"replaced_rate\":0.5}}\n{\"step\":7,\"sec";
    fs::write(run.join("metrics.jsonl"), lines).unwrap();
    run.to_str().unwrap().to_string()
}

/// Draws an SVG and returns it.
fn svg(folder: &Path, runs: &[&str], more: &[&str]) -> String {
    let out = folder.join("out.svg");
    plot(&[runs, &["--out", out.to_str().unwrap()], more].concat()).success().stderr("");
    fs::read_to_string(out).unwrap()
}

#[test]
fn draws_curves_baselines_and_names() {
    let folder = tempfile::tempdir().unwrap();
    let one = run(folder.path(), "one & <two>", 100);
    let bare = svg(folder.path(), &[&one], &[]);
    assert!(bare.contains("one &amp; &lt;two&gt;"), "{bare}");
    assert!(!bare.contains("blind guessing") && !bare.contains("word frequency"), "nobody knows them");
    assert!(bare.contains("0.693 base rate") && bare.contains("\nsteps\n"), "{bare}");
    assert_eq!(bare.matches("<circle").count(), 3, "a held-out point a panel, and the legend's");
    assert!(bare.contains("no number"));

    fs::write(Path::new(&one).join("config.toml"), "[model]\nvocabulary = 2048\n").unwrap();
    let facts = r#"{"documents":59,"tokens":300000,"unigram_entropy":5.875}"#;
    fs::write(Path::new(&one).join("text.json"), facts).unwrap();
    let known = svg(folder.path(), &[&one], &["--x", "tokens"]);
    assert!(known.contains("7.62 blind guessing") && known.contains("5.88 word frequency"), "{known}");
    assert!(known.contains("\nmillion tokens\n"));
    assert!(svg(folder.path(), &[&one], &["--x", "hours", "--log"]).contains("\nseconds of training\n"));

    let two = run(folder.path(), "two", 60);
    let both = svg(folder.path(), &[&one, &two], &["--smooth", "0.9"]);
    assert_eq!(both, svg(folder.path(), &[&one, &two], &["--smooth", "0.9"]), "the same picture again");
    assert!(both.contains("#0072b2") && both.contains("#d55e00"));
    assert_ne!(both, svg(folder.path(), &[&one, &two], &["--smooth", "0"]));
}

#[test]
fn long_runs_are_thinned() {
    let folder = tempfile::tempdir().unwrap();
    let long = run(folder.path(), "long", 300_000);
    let picture = svg(folder.path(), &[&long], &[]);
    assert!(picture.len() < 400_000, "{} bytes for 30,000 intervals", picture.len());
}

#[test]
fn a_png_has_the_size_asked_for_and_ink_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let one = run(folder.path(), "one", 100);
    let out = folder.path().join("out.PNG");
    let said = plot(&[&one, "--out", out.to_str().unwrap(), "--size", "600x400"]).success();
    let said = String::from_utf8(said.get_output().stdout.clone()).unwrap();
    assert!(said.starts_with("wrote ") && said.contains("one, to step 100") && said.lines().count() == 1, "{said}");
    let bytes = fs::read(&out).unwrap();
    assert_eq!(&bytes[..8], b"\x89PNG\r\n\x1a\n");
    assert_eq!((&bytes[16..20], &bytes[20..24]), (&600u32.to_be_bytes()[..], &400u32.to_be_bytes()[..]));
    // Without letters, it would be a third of that.
    assert!(bytes.len() > 12_000, "{} bytes", bytes.len());
}

#[test]
fn tensorboard_gets_an_event_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (run(folder.path(), "one", 100), run(folder.path(), "two", 60));
    let events = folder.path().join("events");
    plot(&[&one, &two, "--tensorboard", events.to_str().unwrap()]).success().stderr("");
    // The version's event and one a line, each with its tags.
    for (part, lines) in [("one/training", 10), ("one/held_out", 1), ("two/training", 6)] {
        let bytes = fs::read(events.join(part).join("events.out.tfevents.leyden")).unwrap();
        let tag = b"loss/generator";
        assert_eq!(bytes.windows(tag.len()).filter(|w| w == tag).count(), lines, "{part}");
    }
}

#[test]
fn refuses_in_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let one = run(folder.path(), "one", 100);
    let out = |name: &str| -> String { folder.path().join(name).to_str().unwrap().into() };
    let refusal = |args: &[&str], words: &[&str]| {
        let refused = plot(args).code(2);
        let error = String::from_utf8(refused.get_output().stderr.clone()).unwrap();
        assert!(words.iter().all(|w| error.contains(w)), "{error}");
        error
    };
    let one_line = |args: &[&str], words: &[&str]| assert_eq!(refusal(args, words).lines().count(), 1);
    let svg = out("a.svg");
    one_line(&[&one, "--out", &out("a.jpg")], &["a.jpg", ".png or .svg"]);
    one_line(&["no-such-run", "--out", &svg], &["no-such-run", "does not exist"]);
    one_line(&[folder.path().to_str().unwrap(), "--out", &svg], &["no metrics.jsonl"]);
    one_line(&[&one, "--out", &svg, "--size", "90x20"], &["90x20", "480x320"]);
    let eight = [one.as_str(); 8];
    one_line(&[&eight[..], &["--out", &svg]].concat(), &["8 runs", "1 to 7"]);
    refusal(&[&one, "--out", &svg, "--size", "large"], &["1200x800"]);
    refusal(&[&one, "--out", &svg, "--smooth", "1"], &["less than 1"]);
    refusal(&[&one], &["--out", "required"]);
    let zero = folder.path().join("zero");
    fs::create_dir(&zero).unwrap();
    fs::write(zero.join("metrics.jsonl"), "{\"step\":1,\"generator_loss\":0,\"discriminator_loss\":0}\nno line\n")
        .unwrap();
    let zero = zero.to_str().unwrap();
    let error = refusal(&[zero, "--out", &svg, "--log"], &["leave --log out", "line 2 is no JSON"]);
    assert_eq!(error.lines().count(), 2);
    let said = plot(&[zero, "--out", &svg]).success();
    assert!(String::from_utf8_lossy(&said.get_output().stderr).contains("left out"));
    let nowhere: PathBuf = folder.path().join("none/a.svg");
    plot(&[&one, "--out", nowhere.to_str().unwrap()]).code(1);
}

#[test]
fn nothing_to_draw_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("a.svg");
    let out = out.to_str().unwrap();
    let refuses = |lines: &str, args: &[&str], words: &[&str]| {
        let run = folder.path().join("odd");
        fs::create_dir_all(&run).unwrap();
        fs::write(run.join("metrics.jsonl"), lines).unwrap();
        let refused = plot(&[&[run.to_str().unwrap()], args].concat()).code(2);
        let error = String::from_utf8(refused.get_output().stderr.clone()).unwrap();
        assert!(words.iter().all(|w| error.contains(w)), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(!Path::new(out).exists(), "{words:?}");
    };
    let svg = ["--out", out];
    refuses("", &svg, &["no line of metrics yet"]);
    refuses(
        "{\"step\":1,\"loss\":3.5}\n",
        &svg,
        &["metrics.jsonl", "line 1 has no generator_loss or", "expected JSON"],
    );
    refuses("step,loss\n1,3.5\n", &svg, &["metrics.jsonl", "line 1 is no JSON"]);
    let start = "{\"step\":0,\"seconds\":0,\"held_out\":{\"generator_loss\":7.6,\"discriminator_loss\":0.7}}\n";
    refuses(start, &svg, &["at 0 steps", "train for an interval"]);
    let none = "{\"step\":5,\"generator_loss\":null,\"discriminator_loss\":null}\n";
    refuses(none, &svg, &["odd: none of its main measures is a number"]);
    let events = folder.path().join("events");
    refuses(none, &["--tensorboard", events.to_str().unwrap()], &["none of its main measures is a number"]);
    assert!(!events.exists());
    let some = "{\"step\":5,\"generator_loss\":7,\"discriminator_loss\":0.5}\n";
    refuses(some, &[&svg[..], &["--x", "flops"]].concat(), &["odd: its floating-point operations", "config.toml"]);
    refuses(some, &[&svg[..], &["--x", "tokens"]].concat(), &["at 0 tokens"]);
    refuses(some, &[&svg[..], &["--x", "hours"]].concat(), &["at 0 hours"]);
    // A baseline is something to draw, but no loss.
    fs::write(folder.path().join("odd/config.toml"), "[model]\nvocabulary = 100\n").unwrap();
    let zero = "{\"step\":5,\"generator_loss\":0,\"discriminator_loss\":0.5}\n";
    refuses(zero, &[&svg[..], &["--log"]].concat(), &["Generator loss", "leave --log out"]);
    // A loss that is rounded to 0 has no sign.
    let small = "{\"step\":5,\"generator_loss\":-1e-9,\"discriminator_loss\":-0.0,\"replaced_rate\":0}\n";
    fs::write(folder.path().join("odd/metrics.jsonl"), small).unwrap();
    let picture = self::svg(folder.path(), &[folder.path().join("odd").to_str().unwrap()], &[]);
    assert!(picture.contains("0.000 base rate") && !picture.contains("-0.00 ") && !picture.contains("\n-0.00\n"));
}

#[test]
fn training_notes_what_its_text_was() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let settings = ["model.layers=1", "generator.layers=1", "training.evaluation_examples=8", "model.vocabulary=300"];
    let mut command = program::leyden();
    command.args(["train", "--steps", "2", "--batch", "2", "--device", "cpu", "--run"]).arg(&run);
    command.args(settings.iter().flat_map(|s| ["--set", s])).assert().success();
    let picture = svg(folder.path(), &[run.to_str().unwrap()], &[]);
    assert!(picture.contains("word frequency") && picture.contains("blind guessing"));
}
