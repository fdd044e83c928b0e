//! `leyden bench`.

use super::Failure;
use super::settings::Settings;
use crate::bench::{Machine, Stepper, kernel_times, median};
use crate::cpu::CpuEngine;
use crate::electra::Model;
use clap::Args;

/// Arguments of `leyden bench`.
#[derive(Debug, Clone, Args)]
pub(crate) struct BenchArguments {
    #[command(flatten)]
    settings: Settings,
    #[arg(long)]
    kernels: bool,
}

/// Runs the command.
pub(crate) fn run(a: BenchArguments) -> Result<(), Failure> {
    let config = a.settings.resolve()?;
    let steps = a.settings.steps.unwrap_or(10);
    let machine = Machine::Cpu(CpuEngine::new(Model::new(&config).table.len()));
    let mut stepper = Stepper::new(machine, config).map_err(Failure::work)?;
    stepper.run(1).map_err(Failure::work)?;
    let times: Vec<f64> = stepper.run(steps as usize).map_err(Failure::work)?.iter().map(|t| t.0).collect();
    println!("{:.1} tokens/s  {times:.3?}", stepper.tokens() as f64 / median(&times));
    if a.kernels {
        for r in kernel_times(&mut stepper, 5).map_err(Failure::work)? {
            println!("{:36} {:5} {:9.2} ms {:7.1} GFLOP/s {:7.1} GB/s", r.name, r.calls, r.seconds * 1e3, r.flops as f64 / r.seconds / 1e9, r.bytes as f64 / r.seconds / 1e9);
        }
    }
    Ok(())
}
