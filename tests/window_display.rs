//! The real window on a virtual display: it opens, trains the sample, and both curves are to be seen.
#![cfg(target_os = "linux")]

#[path = "common/program.rs"]
mod program;

use resvg::tiny_skia::Pixmap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Ends the process with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A display whose screen is a file in `folder`; its name.
fn display(folder: &Path) -> (Running, String) {
    let child = Command::new("Xvfb")
        .args(["-displayfd", "1", "-screen", "0", "1280x800x24", "-nolisten", "tcp", "-fbdir"])
        .arg(folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut child = Running(child.expect("this test needs Xvfb: install xvfb, or run tests/run, which does"));
    let mut line = String::new();
    BufReader::new(child.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (child, format!(":{}", line.trim()))
}

/// The screen as the X server keeps it: an XWD file, 32 bits a pixel.
fn screen(folder: &Path) -> Pixmap {
    let bytes = std::fs::read(folder.join("Xvfb_screen0")).unwrap();
    let word = |i: usize| u32::from_be_bytes(bytes[4 * i..4 * i + 4].try_into().unwrap()) as usize;
    let (header, width, height, bits, line, colours) = (word(0), word(4), word(5), word(11), word(12), word(19));
    assert_eq!(bits, 32);
    let start = header + 12 * colours;
    let mut picture = Pixmap::new(width as u32, height as u32).unwrap();
    for (y, row) in picture.data_mut().chunks_exact_mut(4 * width).enumerate() {
        let from = &bytes[start + y * line..][..4 * width];
        for (to, from) in row.chunks_exact_mut(4).zip(from.chunks_exact(4)) {
            to.copy_from_slice(&[from[2], from[1], from[0], 255]);
        }
    }
    picture
}

/// Pixels of about this colour among the rows.
fn count(picture: &Pixmap, colour: [u8; 3], rows: std::ops::Range<u32>) -> usize {
    let width = picture.width() as usize;
    // Left of the pane that controls the run.
    let left = |row: u32| picture.pixels()[row as usize * width..][..width * 3 / 4].iter();
    let near = |a: u8, b: u8| a.abs_diff(b) <= 14;
    rows.flat_map(left)
        .filter(|p| near(p.red(), colour[0]) && near(p.green(), colour[1]) && near(p.blue(), colour[2]))
        .count()
}

#[test]
fn the_window_trains_the_sample_and_shows_both_curves() {
    let folder = tempfile::tempdir().unwrap();
    let (_display, name) = display(folder.path());
    let run = folder.path().join("run");
    let program = program::process()
        .args(["train", "--window", "--device", "cpu", "--steps", "100000", "--set", "training.log_every=5"])
        .args(["--set", "training.evaluation_examples=32", "--run"])
        .arg(&run)
        .env("DISPLAY", &name)
        .stderr(Stdio::piped())
        .spawn();
    let mut program = Running(program.unwrap());
    let lines = || std::fs::read_to_string(run.join("metrics.jsonl")).map_or(0, |text| text.lines().count());
    let start = Instant::now();
    let mut picture = screen(folder.path());
    // The generator's and the discriminator's colours in the dark, which is what a display without a desktop has.
    let curves = |p: &Pixmap| [count(p, [240, 150, 70], 100..370), count(p, [100, 180, 235], 370..640)];
    while lines() < 8 || curves(&picture).iter().any(|&pixels| pixels < 150) {
        if let Some(status) = program.0.try_wait().unwrap() {
            let mut words = String::new();
            std::io::Read::read_to_string(&mut program.0.stderr.take().unwrap(), &mut words).unwrap();
            panic!("the window ended with {status}: {words}");
        }
        assert!(start.elapsed() < Duration::from_secs(240), "after {} lines: {:?} pixels", lines(), curves(&picture));
        std::thread::sleep(Duration::from_millis(500));
        picture = screen(folder.path());
    }
    picture.save_png(Path::new(env!("CARGO_TARGET_TMPDIR")).join("window.png")).unwrap();
}

#[test]
fn without_a_display_it_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let leyden = |arguments: &[&str], display: Option<&str>| {
        let mut command = program::process();
        if let Some(display) = display {
            command.env("DISPLAY", display);
        }
        command.args(arguments).current_dir(folder.path()).output().unwrap()
    };
    let words = |out: &std::process::Output| String::from_utf8_lossy(&out.stderr).into_owned();
    let out = leyden(&["window"], None);
    assert_eq!(out.status.code(), Some(1));
    assert!(words(&out).contains("no display") && words(&out).contains("leyden train"), "{}", words(&out));
    let out = leyden(&["window"], Some(":4242"));
    assert_eq!(out.status.code(), Some(1));
    assert!(words(&out).contains("cannot open a window"), "{}", words(&out));
    assert_eq!(words(&out).trim().lines().count(), 1, "{}", words(&out));
    let out = leyden(&["window", "no such run"], None);
    assert_eq!(out.status.code(), Some(2));
    assert!(words(&out).contains("does not exist"), "{}", words(&out));
    let out = leyden(&[], None);
    assert_eq!(out.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&out.stdout).contains("Usage: leyden"));
}
