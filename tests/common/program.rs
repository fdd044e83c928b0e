//! The program as a test runs it: in an empty folder, with a home of its own, and with nothing of the environment of whoever
//! runs the tests that could decide what it does.
#![allow(dead_code)]

use std::path::Path;
use std::process::Command;

/// What a system, a dynamic linker and a graphics driver need.
const KEPT: [&str; 10] = [
    "PATH",
    "TMPDIR",
    "TEMP",
    "TMP",
    "SYSTEMROOT",
    "XDG_RUNTIME_DIR",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "VK_ICD_FILENAMES",
    "VK_DRIVER_FILES",
];

/// A process of the program, for tests that talk to it while it runs.
pub fn process() -> Command {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("home");
    let empty = home.join("empty");
    std::fs::create_dir_all(&empty).unwrap_or_else(|error| panic!("{}: {error}", empty.display()));
    let mut command = Command::new(env!("CARGO_BIN_EXE_leyden"));
    command.env_clear().envs(KEPT.iter().filter_map(|&name| Some((name, std::env::var_os(name)?))));
    // Drivers keep compiled shaders in the home.
    command.env("HOME", &home).env("USERPROFILE", &home).current_dir(&empty);
    command
}

/// The same with assertions.
pub fn leyden() -> assert_cmd::Command {
    assert_cmd::Command::from_std(process())
}
