//! What was chosen on a device, in words and as JSON.

use crate::cli::table::Table;
use crate::numbers::median;
use crate::op::FamilyOf;
use crate::tune::{Cache, KernelChoices, MatmulChoice};
use serde_json::{Value, json};

/// Choices that are another kernel than the base.
fn faster(choices: &KernelChoices) -> Vec<f64> {
    choices.matmul.iter().filter_map(MatmulChoice::gain).filter(|&gain| gain > 1.0).collect()
}

/// In a line; `None` where nothing was tried.
pub(super) fn line(choices: &KernelChoices) -> Option<String> {
    if choices.is_empty() {
        return None;
    }
    let gains = faster(choices);
    let (some, all) = (gains.len(), choices.matmul.len());
    let how =
        if gains.is_empty() { String::new() } else { format!(", in the middle {:.2} times as fast", median(&gains)) };
    let family = |of: FamilyOf| {
        let chosen = choices.families(of).iter().find_map(|choice| choice.kernel);
        chosen.map_or(String::new(), |kernel| format!(", {kernel} {of}"))
    };
    let families: String = FamilyOf::ALL.map(family).concat();
    let out: usize = choices.matmul.iter().map(|choice| choice.left_out.len()).sum();
    let all_families = || FamilyOf::ALL.into_iter().flat_map(|of| choices.families(of));
    let out = out + all_families().map(|choice| choice.left_out.len()).sum::<usize>();
    let out = if out > 0 { format!("; {out} that do not work here") } else { String::new() };
    Some(format!(
        "kernels chosen: for {some} of {all} multiplications another than the base kernel{how}{families}{out}"
    ))
}

/// Every choice, and what cannot be used.
pub(super) fn lines(choices: &KernelChoices) -> Vec<String> {
    let mut table = Table::new(&[false, false, true, true]);
    for choice in &choices.matmul {
        let micro = |seconds: Option<f64>| seconds.map_or(String::new(), |s| format!("{:.1} us", s * 1e6));
        let gain = match (&choice.untried, choice.gain()) {
            (Some(why), _) => format!("base: {why}"),
            (None, Some(gain)) if gain > 1.0 => format!("{gain:.2} times as fast as the base kernel"),
            _ => "base".into(),
        };
        table.row([choice.shape.to_string(), choice.kernel.to_string(), micro(choice.seconds), gain]);
    }
    let mut lines = table.lines();
    for choice in &choices.matmul {
        lines.extend(
            choice.left_out.iter().map(|out| format!("not {} for {}: {}", out.kernel, choice.shape, out.reason)),
        );
    }
    for (of, choice) in FamilyOf::ALL.into_iter().flat_map(|of| choices.families(of).iter().map(move |it| (of, it))) {
        let kernel = choice.kernel.map_or("base".to_string(), |kernel| kernel.to_string());
        let gain = choice.gain().map_or(String::new(), |gain| format!(", {gain:.2} times as fast"));
        lines.push(format!("{of}: {kernel}{gain}, for {}", choice.ops.join("; ")));
        lines.extend(choice.left_out.iter().map(|out| format!("not {} {of}: {}", out.kernel, out.reason)));
    }
    lines
}

/// For scripts; null where nothing was tried.
pub(super) fn as_json(choices: &KernelChoices, cache: &Cache) -> Value {
    if choices.is_empty() {
        return Value::Null;
    }
    let file = cache.file(&choices.device).map(|path| path.to_string_lossy().into_owned());
    json!({
        "file": file, "faster": faster(choices).len(), "matmul": choices.matmul, "attention": choices.attention,
        "vocabulary": choices.vocabulary,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tune::{Device, LeftOut};

    #[test]
    fn a_line_sums_up_and_the_list_has_everything() {
        let text = |s: &str| s.to_string();
        let device = Device { adapter: text("A"), backend: text("Vulkan"), driver: text("1"), sources: text("x") };
        let mut choices = KernelChoices::new(device);
        assert_eq!(line(&choices), None);
        assert_eq!(as_json(&choices, &Cache::at("c")), Value::Null);
        let choice = |m: usize, kernel: &str, times: Option<(f64, f64)>| MatmulChoice {
            shape: format!("{m}x64x256 nn f32 f32 f32 f32").parse().unwrap(),
            kernel: kernel.parse().unwrap(),
            base_seconds: times.map(|t| t.0),
            seconds: times.map(|t| t.1),
            untried: times.is_none().then(|| "no time".into()),
            left_out: Vec::new(),
            tried: Vec::new(),
        };
        choices.matmul = vec![
            choice(1, "tiles 128x128x16 8x8", Some((3e-4, 1.5e-4))),
            choice(2, "tiles 64x64x16 8x4", Some((1e-4, 1e-4))),
            choice(3, "tiles 64x64x16 8x4", None),
        ];
        let out = LeftOut { kernel: "tiles 32x32x16 4x4".parse().unwrap(), reason: "gives 1".into() };
        choices.matmul[1].left_out.push(out);
        let short = line(&choices).unwrap();
        assert!(short.contains("1 of 3") && short.contains("2.00 times") && short.contains("1 that do not"), "{short}");
        let long = lines(&choices).join("\n");
        for part in ["128x128x16", "150.0 us", "2.00 times", "base: no time", "not tiles 32x32x16 4x4 for 2x64x256"] {
            assert!(long.contains(part), "{part} is not in\n{long}");
        }
        let json = as_json(&choices, &Cache::at("c"));
        assert_eq!(
            (json["faster"].as_u64(), json["matmul"][0]["kernel"].as_str()),
            (Some(1), Some("tiles 128x128x16 8x8"))
        );
        assert!(json["file"].as_str().unwrap().starts_with('c'), "{json}");
    }
}
