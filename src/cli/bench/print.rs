//! The report as tables.

use super::Report;
use crate::cli::memory;
use crate::cli::style::Style;
use crate::train::MicroBatch;

/// Prints everything that was measured.
pub(super) fn report(r: &Report) {
    let style = Style::stdout();
    println!("{}", style.bold(&r.device));
    let parts = memory::parts(MicroBatch { parts: r.parts, rows: r.rows }).map_or(String::new(), |p| format!(" {p}"));
    println!("  preset {}, {} examples of {} tokens{parts}, median of {} steps", r.preset, r.batch, r.length, r.steps);
    println!();
    row("training", &format!("{} tokens/s", style.bold(&number(r.tokens_per_second))));
    let range = format!("({} to {})", time(r.fastest_step), time(r.slowest_step));
    row("a step", &format!("{} {}", time(r.median_step), style.dim(&range)));
    row("arithmetic", &format!("{} GFLOP/s", number(r.gflops)));
    if let (Some(submitting), Some(encoding)) = (r.submitting, r.encoding) {
        row("dispatches a step", &r.dispatches.to_string());
        row(
            "encode",
            &format!("{} {}", time(encoding), style.dim(&format!("(with the driver's part {})", time(submitting)))),
        );
    }
    row("memory", &format!("{:.0} MiB", r.allocated_bytes as f64 / f64::from(1 << 20)));
    if let Some(torch) = &r.torch {
        println!();
        println!("{}", style.bold(&format!("Against PyTorch {}", torch.version)));
        row("PyTorch", &format!("{} tokens/s", number(torch.tokens_per_second)));
        row("leyden / PyTorch", &format!("{:.2} {}", torch.ratio, style.dim(&rounds(&torch.rounds))));
    }
    if let Some(burn) = &r.burn {
        println!();
        println!("{}", style.bold(&format!("Against burn {}", burn.version)));
        row("burn", &format!("{} tokens/s", number(burn.tokens_per_second)));
        row("leyden / burn", &format!("{:.2} {}", burn.ratio, style.dim(&rounds(&burn.rounds))));
    }
    if let Some(peak) = &r.peak {
        println!();
        let what = if r.parts > 1 { "Kernels of one part" } else { "Kernels of a step" };
        println!("{}", style.bold(what));
        let how = format!("peak {} GFLOP/s, {} GB/s: {}", number(peak.gflops), number(peak.gigabytes), peak.how);
        println!("  {}", style.dim(&how));
        println!(
            "  {}",
            style.dim(&format!(
                "{:<36} {:>5} {:>11} {:>6}  {:>15}  {:>13}",
                "", "calls", "time", "share", "GFLOP/s (peak)", "GB/s (peak)"
            ))
        );
        let whole: f64 = r.kernels.iter().map(|k| k.seconds).sum();
        for k in &r.kernels {
            let rate = |amount: u64, peak: f64| {
                let rate = amount as f64 / k.seconds / 1e9;
                // More than the peak is possible where a cache serves; a time of nothing is no measurement.
                if amount == 0 || !rate.is_finite() {
                    String::new()
                } else {
                    format!("{} ({:>3.0} %)", number(rate), rate / peak * 100.0)
                }
            };
            println!(
                "  {:<36} {:>5} {:>11} {:>5.1}%  {:>15}  {:>13}",
                k.name,
                k.calls,
                time(k.seconds),
                k.seconds / whole * 100.0,
                rate(k.flops, peak.gflops),
                rate(k.bytes, peak.gigabytes),
            );
        }
        println!("  {:<36} {:>5} {:>11}", "all, one after the other", "", time(whole));
    }
    if !r.matmul.is_empty() {
        println!();
        println!("{}", style.bold("Matrix multiplication"));
        println!(
            "  {}",
            style.dim(&format!("{:>6} {:>6} {:>6}  {:<8} {:>11} {:>9}", "m", "n", "k", "", "best time", "GFLOP/s"))
        );
        for t in &r.matmul {
            println!(
                "  {:>6} {:>6} {:>6}  {:<8} {:>11} {:>9}",
                t.m,
                t.n,
                t.k,
                t.layout,
                time(t.seconds),
                number(t.gflops)
            );
        }
    }
}

fn row(name: &str, value: &str) {
    println!("  {name:<18} {value}");
}

fn rounds(ratios: &[f64]) -> String {
    let ratios: Vec<String> = ratios.iter().map(|r| format!("{r:.2}")).collect();
    format!("(by round {})", ratios.join(", "))
}

/// Seconds with a unit that leaves a few digits.
fn time(seconds: f64) -> String {
    match seconds {
        s if s >= 1.0 => format!("{s:.2} s"),
        s if s >= 1e-3 => format!("{:.2} ms", s * 1e3),
        s => format!("{:.1} us", s * 1e6),
    }
}

/// A number with about three digits.
fn number(x: f64) -> String {
    match x.abs() {
        a if a >= 100.0 => format!("{x:.0}"),
        a if a >= 10.0 => format!("{x:.1}"),
        _ => format!("{x:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{number, time};

    #[test]
    fn units_leave_a_few_digits() {
        assert_eq!([time(1.5), time(0.0123), time(4.2e-6)], ["1.50 s", "12.30 ms", "4.2 us"]);
        assert_eq!([number(1234.5), number(12.34), number(0.126)], ["1234", "12.3", "0.13"]);
    }
}
