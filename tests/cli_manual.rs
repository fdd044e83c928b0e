//! `leyden completions` and `leyden man` through the binary.

use assert_cmd::Command;
use std::fs;

const COMMANDS: [&str; 8] = ["train", "probe", "devices", "plan", "plot", "bench", "completions", "man"];

fn output(args: &[&str]) -> String {
    let run = Command::new(env!("CARGO_BIN_EXE_leyden")).args(args).assert().success().stderr("");
    String::from_utf8(run.get_output().stdout.clone()).unwrap()
}

#[test]
fn every_shell_gets_every_command() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = output(&["completions", shell]);
        for word in COMMANDS.iter().chain(&["stop-after", "learning-rate"]) {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    Command::new(env!("CARGO_BIN_EXE_leyden")).args(["completions", "cmd"]).assert().code(2);
}

#[test]
#[cfg(unix)]
fn bash_can_read_its_script() {
    let Ok(mut bash) = std::process::Command::new("bash").arg("-n").stdin(std::process::Stdio::piped()).spawn() else {
        return; // there is none
    };
    use std::io::Write as _;
    bash.stdin.take().unwrap().write_all(output(&["completions", "bash"]).as_bytes()).unwrap();
    assert!(bash.wait().unwrap().success());
}

#[test]
fn a_page_a_command() {
    let page = output(&["man"]);
    assert!(page.contains(".TH leyden 1") && page.contains("ELECTRA"), "{page}");
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("man1");
    output(&["man", "--out", folder.to_str().unwrap()]);
    for command in COMMANDS {
        let page = fs::read_to_string(folder.join(format!("leyden-{command}.1"))).unwrap();
        assert!(page.contains(".SH SYNOPSIS") && page.contains(&format!("leyden\\-{command}")), "{page}");
    }
    assert_eq!(fs::read_dir(&folder).unwrap().count(), COMMANDS.len() + 1);
    let file = folder.join("leyden.1");
    Command::new(env!("CARGO_BIN_EXE_leyden")).arg("man").arg("--out").arg(file.join("x")).assert().code(1);
}
