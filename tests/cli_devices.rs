//! `leyden devices` through the binary.

#[path = "common/program.rs"]
mod program;

use assert_cmd::Command;
use serde_json::Value;

fn devices() -> Command {
    let mut command = program::leyden();
    command.arg("devices");
    command
}

fn json(command: &mut Command) -> Vec<Value> {
    let run = command.arg("--json").assert().success();
    serde_json::from_slice(&run.get_output().stdout).unwrap()
}

#[test]
fn lists_every_adapter_and_the_cpu() {
    let adapters = leyden::gpu::adapters();
    let listed = json(&mut devices());
    assert_eq!(listed.len(), adapters.len() + 1);
    for (device, adapter) in listed.iter().zip(&adapters) {
        let info = adapter.info();
        assert_eq!(device["name"], info.name.as_str());
        assert_eq!(device["max_storage_binding"], info.max_storage_binding);
        assert_eq!(device["f16"], info.f16);
        // A device that has halves was asked what it does with the smallest ones.
        assert_eq!(device["f16_denormals_kept"]["converted"].is_boolean(), info.f16, "{device}");
    }
    assert_eq!(listed.last().unwrap()["engine"], "cpu");
    assert!(listed.last().unwrap()["threads"].as_u64().unwrap() > 0);
    assert_eq!(listed.iter().filter(|device| device["auto"] == true).count(), 1);

    let run = devices().assert().success();
    let text = String::from_utf8(run.get_output().stdout.clone()).unwrap();
    assert_eq!(text.lines().filter(|line| line.starts_with("*  ")).count(), 1, "{text}");
    for word in ["binding", "workgroup", "cpu", "threads", "--device auto"] {
        assert!(text.contains(word), "{word} is not in {text}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_machine_without_drivers_is_told_what_to_install() {
    // The Vulkan loader looks for drivers where these say, and nowhere else.
    let without = |command: &mut Command| {
        for name in ["VK_ICD_FILENAMES", "VK_DRIVER_FILES"] {
            command.env(name, "/dev/null");
        }
    };
    let mut command = devices();
    without(&mut command);
    let run = command.assert().success();
    let text = String::from_utf8(run.get_output().stdout.clone()).unwrap();
    assert!(text.contains("\n*  cpu\n") && text.contains("mesa-vulkan-drivers"), "{text}");
    let mut command = devices();
    without(&mut command);
    assert_eq!(json(&mut command).len(), 1);
}
