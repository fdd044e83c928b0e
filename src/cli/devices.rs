//! `leyden devices`.

mod kernels;

use super::Failure;
use super::output::{self, bytes, print, print_json};
use super::style::Style;
use super::table::Table;
use crate::bench::{Denormals, Machine, denormals};
use crate::gpu::{Adapter, AdapterInfo, Choice, GpuEngine, adapters, choose};
use crate::graph::ParameterTable;
use crate::math::bf16::Instructions;
use crate::numbers::counted;
use crate::tune::{Cache, Device, KernelChoices};
use clap::Args;
use serde_json::{Value, json};

/// Arguments of `leyden devices`.
#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Columns:
  binding     the most memory that a kernel may see of one buffer
  buffer      the largest buffer
  workgroup   memory that the invocations of a workgroup share
  subgroups   invocations that run in step
  f16         kernels may use 16-bit floating point; 'flush' where they take its smallest numbers, below 6.1e-5, for zero
  timestamps  the time of a kernel can be measured on the device
  matrices    cooperative matrices (tensor cores)")]
pub(crate) struct DevicesArguments {
    /// Print a JSON array, sizes in bytes
    #[arg(long)]
    json: bool,
    /// List the kernels that were chosen on each device by trying, and those that do not work there
    #[arg(long)]
    kernels: bool,
}

/// What was chosen on each adapter.
struct Chosen {
    cache: Cache,
    choices: Vec<KernelChoices>,
    /// All of it, not a line.
    listed: bool,
}

/// What each adapter was found to do with the smallest halves; none where it has no halves or could not be asked.
type Halves = Vec<Option<Denormals>>;

/// The CPU engine's means.
struct Cpu {
    threads: usize,
    vectors: &'static str,
    /// The instructions that it multiplies bf16 with.
    bf16: Option<&'static str>,
    /// Bytes, where the system says.
    memory: Option<u64>,
}

impl Cpu {
    fn here() -> Self {
        let bf16 = Instructions::here().map(Instructions::name);
        Self { threads: rayon::current_num_threads(), vectors: vectors(), bf16, memory: crate::cpu::memory() }
    }
}

/// Runs the command.
pub(crate) fn run(arguments: DevicesArguments) -> Result<(), Failure> {
    let adapters = adapters();
    let infos: Vec<AdapterInfo> = adapters.iter().map(|adapter| adapter.info().clone()).collect();
    let automatic = choose(&Choice::Auto).map_err(Failure::work)?.map(|adapter| adapter.info().clone());
    // Of two equal GPUs the first one is taken.
    let chosen = automatic.and_then(|automatic| infos.iter().position(|info| *info == automatic));
    let cpu = Cpu::here();
    let (cache, mut remarks) = (Cache::usual(), Vec::new());
    let choices = infos.iter().map(|info| cache.read(&Device::of(info), &mut remarks)).collect();
    let halves = adapters.iter().map(|adapter| asked(adapter, &cache)).collect();
    let kernels = Chosen { cache, choices, listed: arguments.kernels };
    for remark in &remarks {
        output::remark(remark);
    }
    if arguments.json {
        return print_json(&as_json(&infos, chosen, (&kernels, &halves), &cpu));
    }
    print(&as_text(&infos, chosen, (&kernels, &halves), &cpu, Style::stdout())).map(drop)
}

/// What an adapter does with the smallest halves. One that fails at it says so when it is used; a driver that ends the program
/// over its tensor cores is asked twice only.
fn asked(adapter: &Adapter, cache: &Cache) -> Option<Denormals> {
    let (info, device) = (adapter.info(), Device::of(adapter.info()));
    let mut guard = cache.asking(&device);
    let none = ParameterTable::new(Vec::new());
    let mut gpu = if info.f16 { GpuEngine::new(adapter, none.len()).ok()? } else { return None };
    let mut traits = gpu.traits();
    if traits.cooperative.is_some() {
        if guard.hopeless() || cache.guard(&device).hopeless() {
            traits.cooperative = None;
        } else {
            guard.begin();
        }
    }
    gpu.set_traits(traits);
    denormals(&mut Machine::Gpu(Box::new(gpu))).ok().flatten()
}

fn as_json(infos: &[AdapterInfo], chosen: Option<usize>, (kernels, halves): (&Chosen, &Halves), cpu: &Cpu) -> Value {
    let gpu = |(i, a): (usize, &AdapterInfo)| {
        json!({
            "engine": "gpu", "name": a.name, "auto": chosen == Some(i),
            "backend": a.backend, "kind": a.kind.to_string(), "driver": a.driver,
            "max_storage_binding": a.max_storage_binding, "max_buffer": a.max_buffer,
            "workgroup_memory": a.workgroup_memory, "max_invocations": a.max_invocations,
            "subgroup_size": a.subgroup_size.map(|(least, most)| [least, most]),
            "f16": a.f16, "f16_denormals_kept": halves.get(i).copied().flatten(), "timestamps": a.timestamps, "cooperative_matrices": a.cooperative_matrices,
            "kernels": kernels.choices.get(i).map(|choices| kernels::as_json(choices, &kernels.cache)),
        })
    };
    let mut all: Vec<Value> = infos.iter().enumerate().map(gpu).collect();
    all.push(json!({
        "engine": "cpu", "name": "cpu", "auto": chosen.is_none(),
        "threads": cpu.threads, "vectors": cpu.vectors, "bf16": cpu.bf16, "memory": cpu.memory,
    }));
    Value::Array(all)
}

fn as_text(
    infos: &[AdapterInfo],
    chosen: Option<usize>,
    (kernels, halves): (&Chosen, &Halves),
    cpu: &Cpu,
    style: Style,
) -> String {
    let flush = |i: usize| {
        let found: Option<Denormals> = halves.get(i).copied().flatten();
        found.is_some_and(|found| !found.converted || found.multiplied == Some(false))
    };
    let yes = |on: bool| if on { "yes" } else { "no" }.to_string();
    let mut table = Table::new(&[false, false, true, true, true, true]);
    table.row(["", "device", "binding", "buffer", "workgroup", "subgroups", "f16", "timestamps", "matrices"]);
    let mark = |on: bool| if on { "*" } else { " " }.to_string();
    for (i, info) in infos.iter().enumerate() {
        let subgroups = match info.subgroup_size {
            None => "no".to_string(),
            Some((least, most)) if least == most => least.to_string(),
            Some((least, most)) => format!("{least}-{most}"),
        };
        table.row([
            mark(chosen == Some(i)),
            shortened(&info.name),
            bytes(info.max_storage_binding),
            bytes(info.max_buffer),
            bytes(info.workgroup_memory.into()),
            subgroups,
            if flush(i) { "flush".into() } else { yes(info.f16) },
            yes(info.timestamps),
            info.cooperative_matrices.map_or("no".into(), |size| format!("{size}x{size}")),
        ]);
    }
    table.row([mark(chosen.is_none()), "cpu".to_string()]);

    let mut text = String::new();
    for (i, line) in table.lines().iter().enumerate() {
        let automatic = i.checked_sub(1) == Some(chosen.unwrap_or(infos.len()));
        let line = if i == 0 || automatic { style.bold(line) } else { line.clone() };
        text += &format!("{line}\n");
        let details = match i.checked_sub(1) {
            None => continue,
            Some(i) => infos.get(i).map_or_else(|| about_cpu(cpu), about),
        };
        text += &format!("     {}\n", style.dim(&details));
        let Some(choices) = i.checked_sub(1).and_then(|i| kernels.choices.get(i)) else { continue };
        let lines = kernels::line(choices).into_iter();
        let all = if kernels.listed { kernels::lines(choices) } else { Vec::new() };
        let file = kernels.cache.file(&choices.device).filter(|_| !all.is_empty());
        let file = file.map(|path| format!("kept in {}; remove it to try them again", path.display()));
        for line in lines.chain(all.iter().map(|line| format!("  {line}"))).chain(file) {
            text += &format!("     {}\n", style.dim(&line));
        }
    }
    text += "\n* is what --device auto takes. ";
    text += "For another, give --device a part of its name, driver or backend,\n";
    let example = infos.iter().position(AdapterInfo::software).or(infos.len().checked_sub(1));
    let word = example.and_then(|i| infos[i].name.split_whitespace().next()).map(str::to_lowercase);
    match word.filter(|_| example != chosen) {
        Some(word) => text += &format!("as in --device {word}, or --device cpu.\n"),
        None => text += "as in --device vulkan, or --device cpu.\n",
    }
    if infos.is_empty() {
        text += "No GPU adapter was found: leyden trains on the CPU. ";
        text += match std::env::consts::OS {
            "linux" => {
                "For a GPU, install its Vulkan driver\n(Debian and Ubuntu: mesa-vulkan-drivers; NVIDIA: its own driver).\n"
            }
            _ => "For a GPU, install its newest driver.\n",
        };
    } else if infos.iter().all(AdapterInfo::software) {
        text += "Software drivers run shaders on the CPU, slower than leyden's own CPU engine: good for tests only.\n";
    }
    text
}

/// Names come from drivers and may be long.
fn shortened(name: &str) -> String {
    const MOST: usize = 36;
    match name.chars().count() {
        n if n > MOST => name.chars().take(MOST - 1).chain(['…']).collect(),
        _ => name.to_string(),
    }
}

fn about(info: &AdapterInfo) -> String {
    let driver = if info.driver.is_empty() { String::new() } else { format!(", {}", info.driver) };
    let kind = if info.software() { "software driver".to_string() } else { info.kind.to_string() };
    format!("{}, {kind}{driver}", info.backend)
}

fn about_cpu(cpu: &Cpu) -> String {
    let threads = counted(cpu.threads as u64, "thread");
    let memory = cpu.memory.map_or(String::new(), |memory| format!(", {} of memory", bytes(memory)));
    let products = cpu.bf16.map_or(String::new(), |bf16| format!(", bf16 by {bf16}"));
    format!("leyden's own engine, {threads}, {}{products}{memory}", cpu.vectors)
}

/// The widest vector instructions of this processor that the CPU engine uses.
fn vectors() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            return "AVX-512";
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            return "AVX2 and FMA";
        }
        "SSE2"
    }
    #[cfg(target_arch = "aarch64")]
    {
        "NEON"
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        "no vector instructions"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::AdapterKind;

    fn cpu() -> Cpu {
        Cpu { threads: 8, vectors: "NEON", bf16: Some("BFMMLA"), memory: Some(16 << 30) }
    }

    fn nothing() -> Chosen {
        Chosen { cache: Cache::at("cache"), choices: Vec::new(), listed: false }
    }

    fn radeon() -> AdapterInfo {
        AdapterInfo {
            name: "AMD Radeon RX 7600 (with a very long name)".into(),
            backend: "Vulkan",
            kind: AdapterKind::Discrete,
            driver: "radv Mesa 25".into(),
            max_storage_binding: 4 << 30,
            max_buffer: 8 << 30,
            workgroup_memory: 32 << 10,
            max_invocations: 1024,
            subgroup_size: Some((32, 64)),
            f16: true,
            timestamps: true,
            cooperative_matrices: None,
        }
    }

    #[test]
    fn marks_what_auto_takes() {
        let text = as_text(&[radeon()], Some(0), (&nothing(), &Halves::new()), &cpu(), Style::plain());
        assert!(text.contains("\n*  AMD Radeon") && text.contains("…    4 GiB   8 GiB"), "{text}");
        assert!(text.contains("32-64") && text.contains("\n   cpu\n"), "{text}");
        assert!(text.contains("Vulkan, discrete GPU, radv Mesa 25"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 110), "{text}");
        let json = as_json(&[radeon()], Some(0), (&nothing(), &Halves::new()), &cpu());
        assert_eq!((json[0]["auto"] == true, json[1]["auto"] == false), (true, true));
    }

    #[test]
    fn what_takes_small_halves_for_zero_is_told() {
        let of = |converted, multiplied| {
            let halves = vec![Some(Denormals { converted, multiplied })];
            let text = as_text(&[radeon()], Some(0), (&nothing(), &halves), &cpu(), Style::plain());
            (text.contains(" flush "), as_json(&[radeon()], Some(0), (&nothing(), &halves), &cpu())[0].clone())
        };
        assert!(!of(true, None).0 && !of(true, Some(true)).0);
        let (told, json) = of(true, Some(false));
        assert!(told && json["f16_denormals_kept"] == json!({"converted": true, "multiplied": false}), "{json}");
        assert!(of(false, Some(true)).0);
    }

    #[test]
    fn without_adapters_there_is_the_cpu_and_a_way_to_more() {
        let text = as_text(&[], None, (&nothing(), &Halves::new()), &cpu(), Style::plain());
        assert!(
            text.contains("\n*  cpu\n") && text.contains("8 threads, NEON, bf16 by BFMMLA, 16 GiB of memory"),
            "{text}"
        );
        assert!(text.contains("No GPU adapter was found") && text.contains("driver"), "{text}");
        assert_eq!(as_json(&[], None, (&nothing(), &Halves::new()), &cpu())[0]["auto"], true);
    }
}
