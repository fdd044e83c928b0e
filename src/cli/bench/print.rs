//! The report as tables.

use super::Report;
use super::pre_training::Speeds;
use super::torch::{Comparison, Mode, ModeReport, Outcome};
use crate::bench::{Gaps, Peak, Profile};
use crate::cli::style::Style;
use crate::numbers::fixed;

/// Prints everything that was measured.
pub(super) fn report(r: &Report) {
    let style = Style::stdout();
    println!("{}", style.bold(&r.device));
    let how = r.how.as_ref().map_or(String::new(), |how| format!(" {how}"));
    let (steps, precision) = (r.steps, r.precision.in_words());
    println!(
        "  preset {}{precision}, {} examples of {} tokens{how}, median of {steps} steps",
        r.preset, r.batch, r.length
    );
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
        against(torch, &style);
    }
    if let Some(burn) = &r.burn {
        println!();
        println!("{}", style.bold(&format!("Against burn {}", burn.version)));
        row("burn in f32", &format!("{} tokens/s", number(burn.tokens_per_second)));
        row("leyden / burn", &format!("{:.2} {}", burn.ratio, style.dim(&rounds(&burn.rounds))));
    }
    if let (Some(profile), Some(peak)) = (&r.profile, &r.peak) {
        println!();
        profiled(profile, peak, &style);
    }
    if !r.matmul.is_empty() {
        println!();
        println!("{}", style.bold("Matrix multiplication"));
        let heading = format!(
            "{:>6} {:>6} {:>6}  {:<7} {:<4} {:>10} {:>9} {:>8}  kernel",
            "m", "n", "k", "", "", "best time", "GFLOP/s", "of best"
        );
        println!("  {}", style.dim(&heading));
        for t in &r.matmul {
            println!(
                "  {:>6} {:>6} {:>6}  {:<7} {:<4} {:>10} {:>9} {:>7.0}%  {}",
                t.m,
                t.n,
                t.k,
                t.layout,
                t.precision,
                time(t.seconds),
                number(t.gflops),
                100.0 * t.of_best,
                t.kernel
            );
        }
        for f in &r.matmul_failures {
            println!(
                "  {:>6} {:>6} {:>6}  {:<7} {:<4} {}",
                f.m,
                f.n,
                f.k,
                f.layout,
                f.precision,
                style.yellow(&format!("failed: {}: {}", f.kernel, f.error))
            );
        }
    }
}

/// PyTorch's speed in each mode, and leyden's beside it.
fn against(torch: &Comparison<Speeds>, style: &Style) {
    println!("{}", style.bold(&format!("Against PyTorch {} on {}", torch.version, torch.device)));
    turns_heading("", "tokens", style);
    for ModeReport { mode, outcome } in &torch.modes {
        match outcome {
            Outcome::Failed { error } => failed(*mode, error),
            Outcome::Measured(Speeds { tokens_per_second, leyden_tokens_per_second, ratio, rounds }) => {
                turns(*mode, [*tokens_per_second, *leyden_tokens_per_second, *ratio], rounds, style);
            }
        }
    }
    to_the_best(torch, |speeds| (speeds.tokens_per_second, speeds.ratio), style);
}

/// The ratio to PyTorch's fastest mode, where there are several. `speed` is its speed, and ours over it.
pub(super) fn to_the_best<T>(torch: &Comparison<T>, speed: impl Fn(&T) -> (f64, f64), style: &Style) {
    let measured = torch.modes.iter().filter_map(|ModeReport { mode, outcome }| match outcome {
        Outcome::Measured(speeds) => Some((*mode, speed(speeds))),
        Outcome::Failed { .. } => None,
    });
    if let (2.., Some((mode, (_, ratio)))) = (torch.modes.len(), measured.max_by(|a, b| a.1.0.total_cmp(&b.1.0))) {
        println!("  {}", style.bold(&format!("{ratio:.2} times its best mode, {mode}")));
    }
}

/// What the columns of [`turns`] are.
pub(super) fn turns_heading(what: &str, unit: &str, style: &Style) {
    let (theirs, ours) = (format!("its {unit}/s"), format!("our {unit}/s"));
    println!("  {}", style.dim(&format!("{what:<18} {theirs:>14} {ours:>14} {:>16}", "leyden / PyTorch")));
}

/// PyTorch's speed in a mode, leyden's beside it, and their ratio.
pub(super) fn turns(mode: Mode, [theirs, ours, ratio]: [f64; 3], by_round: &[f64], style: &Style) {
    // Padded as text: a mode's name is written without regard to a width.
    let (mode, rounds) = (mode.to_string(), style.dim(&rounds(by_round)));
    println!("  {mode:<18} {:>14} {:>14} {ratio:>16.2} {rounds}", number(theirs), number(ours));
}

/// A mode that could not be measured.
pub(super) fn failed(mode: Mode, error: &str) {
    let mode = mode.to_string();
    println!("  {mode:<18} failed: {error}");
}

/// Where the time of a step goes.
fn profiled(p: &Profile, peak: &Peak, style: &Style) {
    println!("{}", style.bold("Kernels of a step"));
    let how = format!("peak {} GFLOP/s, {} GB/s: {}", number(peak.gflops), number(peak.gigabytes), peak.how);
    println!("  {}", style.dim(&how));
    if let Some(rate) = peak.multiply_adds {
        let how =
            format!("{} GFLOP/s of multiply-adds in registers, single precision without tensor cores", number(rate));
        println!("  {}", style.dim(&how));
    }
    let titles = |what: &str| {
        let (flops, bytes) = ("GFLOP/s (peak)", "GB/s (copy)");
        style.dim(&format!("{what:<36} {:>5} {:>11} {:>6}  {flops:>15}  {bytes:>13}", "calls", "time", "share"))
    };
    let line = |name: &str, calls: usize, seconds: f64, flops: u64, bytes: u64| {
        let rate = |amount: u64, peak: f64| {
            let rate = amount as f64 / seconds / 1e9;
            // More than the peak is possible where a cache serves; a time of nothing is no measurement.
            if amount == 0 || !rate.is_finite() {
                String::new()
            } else {
                format!("{} ({:>3.0} %)", number(rate), rate / peak * 100.0)
            }
        };
        let share = seconds / p.sum * 100.0;
        let (flops, bytes) = (rate(flops, peak.gflops), rate(bytes, peak.gigabytes));
        println!("  {name:<36} {calls:>5} {:>11} {share:>5.1}%  {flops:>15}  {bytes:>13}", time(seconds));
    };
    println!("  {}", titles(""));
    for k in &p.kernels {
        line(k.name, k.calls, k.seconds, k.flops, k.bytes);
    }
    println!();
    println!("  {}", titles("by phase"));
    for phase in &p.phases {
        line(&phase.phase.to_string(), phase.calls, phase.seconds, phase.flops, phase.bytes);
    }
    println!();
    row("a step as it runs", &time(p.step));
    let longer = format!("({:+.1} %)", (p.extent / p.step - 1.0) * 100.0);
    row("while profiled", &format!("{} {}", time(p.extent), style.dim(&longer)));
    let untimed = match p.untimed {
        0 => String::new(),
        n => style.dim(&format!(" (without {n} copies, which this device does not time)")),
    };
    row("its kernels", &format!("{}{untimed}", time(p.sum)));
    gaps(&p.gaps, style);
}

/// The time in which nothing is computed.
fn gaps(gaps: &Gaps, style: &Style) {
    if let Some(drain) = gaps.drain {
        let all =
            format!("(a dispatch until it begins behind another; {} in all)", time(drain * gaps.dispatches as f64));
        row("drain", &format!("{} {}", time(drain), style.dim(&all)));
    }
    if let Some(bubbles) = gaps.bubbles {
        // What the CPU engine is asked for is a step, or a part of one.
        let what =
            if gaps.dispatches == 0 { "between steps, while data is written and read" } else { "between submissions" };
        row("bubbles", &format!("{} {}", time(bubbles), style.dim(&format!("({what})"))));
    }
    match (gaps.gaps, gaps.share) {
        (Some(sum), Some(share)) => {
            let share = format!("({} % of the profiled step)", fixed(share * 100.0, 1));
            row("gaps", &format!("{} {}", time(sum), style.dim(&share)));
        }
        _ => row("gaps", &format!("not known {}", style.dim(&format!("({})", gaps.unknown())))),
    }
}

pub(super) fn row(name: &str, value: &str) {
    println!("  {name:<18} {value}");
}

/// Ratios by round, in words.
pub(super) fn rounds(ratios: &[f64]) -> String {
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
pub(super) fn number(x: f64) -> String {
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
