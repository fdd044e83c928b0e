//! `leyden completions` and `leyden man` through the binary.

#[path = "common/program.rs"]
mod program;

use std::fs;

/// The commands that `leyden --help` lists.
fn commands() -> Vec<String> {
    let help = output(&["--help"]);
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| line.starts_with("  "));
    let names = lines.filter(|line| !line.starts_with("   ")).filter_map(|line| line.split_whitespace().next());
    let commands: Vec<String> = names.filter(|name| *name != "help").map(String::from).collect();
    assert!(commands.len() >= 8 && commands.iter().any(|name| name == "train"), "{help}");
    commands
}

fn output(args: &[&str]) -> String {
    let run = program::leyden().args(args).assert().success().stderr("");
    String::from_utf8(run.get_output().stdout.clone()).unwrap()
}

#[test]
fn every_shell_gets_every_command() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = output(&["completions", shell]);
        for word in commands().iter().map(String::as_str).chain(["stop-after", "learning-rate"]) {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    program::leyden().args(["completions", "cmd"]).assert().code(2);
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
    let commands = commands();
    for command in &commands {
        let page = fs::read_to_string(folder.join(format!("leyden-{command}.1"))).unwrap();
        let name = command.replace('-', "\\-");
        assert!(page.contains(".SH SYNOPSIS") && page.contains(&format!("leyden\\-{name}")), "{page}");
    }
    assert_eq!(fs::read_dir(&folder).unwrap().count(), commands.len() + 1);
    let file = folder.join("leyden.1");
    program::leyden().arg("man").arg("--out").arg(file.join("x")).assert().code(1);
}
