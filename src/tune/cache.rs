//! Where choices are kept: a file for each adapter.

use super::{CrashGuard, Device, KernelChoices};
use crate::files::{sha256, write};
use crate::op::FamilyOf;
use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// A folder of choices; without one nothing is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache {
    folder: Option<PathBuf>,
    /// Without kernels of cooperative matrices.
    plain: bool,
}

impl Cache {
    /// In `folder`.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self { folder: Some(folder.into()), plain: false }
    }

    /// The person's: `LEYDEN_CACHE`, or leyden's folder where this system has its caches.
    pub fn usual() -> Self {
        let home = std::env::home_dir().filter(|home| !home.as_os_str().is_empty());
        Self { folder: place(std::env::consts::OS, &|name| std::env::var_os(name), home), plain: false }
    }

    /// The same folder's choices for a device whose cooperative matrices are not used.
    pub(super) fn plain(self) -> Self {
        Self { plain: true, ..self }
    }

    /// The file for an adapter.
    pub fn file(&self, device: &Device) -> Option<PathBuf> {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
        let words: String = device.adapter.chars().map(plain).take(60).collect();
        let words = words.split('-').filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-");
        let hash = sha256(format!("{}\n{}", device.adapter, device.backend).as_bytes());
        let plain = if self.plain { "-plain" } else { "" };
        Some(self.folder.as_ref()?.join("kernels").join(format!("{words}-{}{plain}.json", &hash[..8])))
    }

    /// Trying on a device that may bring down the whole process.
    pub fn guard(&self, device: &Device) -> CrashGuard {
        CrashGuard::new(self.file(device).map(|path| path.with_extension("trying")), device)
    }

    /// As [`Self::guard`], for asking what a device does with a single product: how that ends says nothing about trying, nor
    /// the other way round.
    pub fn asking(&self, device: &Device) -> CrashGuard {
        CrashGuard::new(self.file(device).map(|path| path.with_extension("asking")), device)
    }

    /// What is kept for a device; no choices where there is nothing, or what there is was found with another driver or by
    /// another leyden. A file that cannot be used gets a line in `remarks`.
    pub fn read(&self, device: &Device, remarks: &mut Vec<String>) -> KernelChoices {
        let none = KernelChoices::new(device.clone());
        let Some(path) = self.file(device) else { return none };
        let found = match fs::read(&path) {
            Ok(bytes) => KernelChoices::from_json(&bytes),
            Err(e) if e.kind() == ErrorKind::NotFound => return none,
            Err(e) => Err(e.to_string()),
        };
        match found {
            Ok(choices) if choices.device == *device => choices,
            Ok(_) => none,
            Err(reason) => {
                remark(remarks, format!("{}: {reason}; kernels are chosen again", path.display()));
                none
            }
        }
    }

    /// Keeps what was found, and gives what holds now: where somebody else was first, that is theirs. A folder that cannot
    /// be written gets a line in `remarks`.
    pub fn add(&self, mut found: KernelChoices, remarks: &mut Vec<String>) -> KernelChoices {
        let Some(path) = self.file(&found.device) else { return found };
        let mut kept = self.read(&found.device, remarks);
        for choice in &mut found.matmul {
            match kept.matmul.iter().find(|first| first.shape == choice.shape) {
                Some(first) => *choice = first.clone(),
                None => kept.matmul.push(choice.clone()),
            }
        }
        for of in FamilyOf::ALL {
            for choice in found.families_mut(of) {
                match kept.families(of).iter().find(|first| first.ops == choice.ops) {
                    Some(first) => *choice = first.clone(),
                    None => kept.families_mut(of).push(choice.clone()),
                }
            }
        }
        keep(&path, &mut kept, remarks);
        found
    }

    /// Keeps whether steps with cooperative matrices repeat on a device.
    pub(super) fn mark(&self, device: &Device, repeats: bool, remarks: &mut Vec<String>) {
        if let Some(path) = self.file(device) {
            let mut kept = self.read(device, remarks);
            (kept.ordered, kept.unordered) = (repeats, !repeats);
            keep(&path, &mut kept, remarks);
        }
    }
}

fn keep(path: &Path, choices: &mut KernelChoices, remarks: &mut Vec<String>) {
    choices.sort();
    if let Err(reason) = save(path, choices) {
        remark(remarks, format!("{}: {reason}; kernels are chosen again at the next start", path.display()));
    }
}

fn save(path: &Path, choices: &KernelChoices) -> Result<(), String> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).map_err(|e| e.to_string())?;
    let json = choices.to_json().map_err(|e| e.to_string())?;
    write(path, &json).map_err(|e| e.to_string())
}

/// The same line once.
fn remark(remarks: &mut Vec<String>, line: String) {
    if !remarks.contains(&line) {
        remarks.push(line);
    }
}

/// leyden's cache folder on the system `os`, of what the environment says. Relative paths in it do not count, as the XDG
/// Base Directory Specification has it.
fn place(os: &str, variable: &dyn Fn(&str) -> Option<OsString>, home: Option<PathBuf>) -> Option<PathBuf> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(folder) = set("LEYDEN_CACHE") {
        return Some(folder);
    }
    let absolute = |name: &str| set(name).filter(|path| path.is_absolute());
    match os {
        "macos" | "ios" => Some(home?.join("Library/Caches/leyden")),
        "windows" => Some(set("LOCALAPPDATA")?.join("leyden")),
        _ => Some(absolute("XDG_CACHE_HOME").or_else(|| Some(home?.join(".cache")))?.join("leyden")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::{DeviceTraits, KernelFamily};
    use crate::tune::{FamilyChoice, MatmulChoice};

    fn device() -> Device {
        Device {
            adapter: "NVIDIA GeForce RTX 4090/PCIe".into(),
            backend: "Vulkan".into(),
            driver: "NVIDIA 570.1".into(),
            sources: "abc".into(),
        }
    }

    fn choice(m: usize, kernel: &str) -> MatmulChoice {
        MatmulChoice {
            shape: format!("{m}x64x256 nt f32 f32 f32 f32 bias gelu").parse().unwrap(),
            kernel: kernel.parse().unwrap(),
            base_seconds: Some(0.1 + 0.2),
            seconds: Some(1.0 / 3.0),
            untried: None,
            left_out: Vec::new(),
            tried: Vec::new(),
        }
    }

    fn choices(device: Device, matmul: Vec<MatmulChoice>) -> KernelChoices {
        let mut choices = KernelChoices::new(device);
        choices.matmul = matmul;
        choices
    }

    const A: &str = "tiles 64x64x16 8x4";
    const B: &str = "tiles 128x128x16 8x8";

    #[test]
    fn choices_are_kept_and_the_first_one_holds() {
        let folder = tempfile::tempdir().unwrap();
        let (cache, mut remarks) = (Cache::at(folder.path().join("new/er")), Vec::new());
        assert!(cache.read(&device(), &mut remarks).matmul.is_empty());
        let found = vec![choice(8, A), choice(9, B)];
        assert_eq!(cache.add(choices(device(), found.clone()), &mut remarks).matmul, found);
        assert_eq!(cache.read(&device(), &mut remarks).matmul, found);
        // Somebody else tried meanwhile and came to something else.
        assert_eq!(
            cache.add(choices(device(), vec![choice(9, A), choice(10, A)]), &mut remarks).matmul,
            [choice(9, B), choice(10, A)]
        );
        assert_eq!(cache.read(&device(), &mut remarks).matmul, [choice(10, A), choice(8, A), choice(9, B)]);
        assert!(remarks.is_empty(), "{remarks:?}");

        let name = cache.file(&device()).unwrap().file_name().unwrap().to_string_lossy().into_owned();
        assert!(name.starts_with("nvidia-geforce-rtx-4090-pcie-") && name.ends_with(".json"), "{name}");
        let metal = Device { backend: "Metal".into(), ..device() };
        assert_ne!(cache.file(&metal), cache.file(&device()));
    }

    #[test]
    fn families_are_kept_beside_matrix_multiplications() {
        let folder = tempfile::tempdir().unwrap();
        let (cache, mut remarks) = (Cache::at(folder.path()), Vec::new());
        let choice =
            |kernel| FamilyChoice { kernel, ..FamilyChoice::untried(vec!["attention f16[8, 4]".into()], None) };
        let found = |kernel| {
            let mut choices = KernelChoices::new(device());
            choices.attention.push(choice(kernel));
            choices.vocabulary.push(choice(kernel));
            choices
        };
        let cooperative = Some(KernelFamily::Cooperative);
        cache.add(choices(device(), vec![super::tests::choice(8, A)]), &mut remarks);
        assert_eq!(cache.add(found(cooperative), &mut remarks), found(cooperative));
        assert_eq!(cache.add(found(None), &mut remarks), found(cooperative));
        let all = cache.read(&device(), &mut remarks);
        let kept = vec![choice(cooperative)];
        assert_eq!((all.matmul.len(), &all.attention, &all.vocabulary), (1, &kept, &kept));
        let traits = found(cooperative).traits(DeviceTraits::FLOOR);
        assert_eq!((traits.attention, traits.vocabulary), (cooperative, cooperative));
        assert_eq!(traits.tuning, DeviceTraits::FLOOR.tuning);
        assert!(remarks.is_empty(), "{remarks:?}");
    }

    #[test]
    fn that_steps_do_not_repeat_is_kept_beside_the_choices() {
        let folder = tempfile::tempdir().unwrap();
        let (cache, mut remarks) = (Cache::at(folder.path()), Vec::new());
        cache.mark(&device(), false, &mut remarks);
        cache.add(choices(device(), vec![choice(8, A)]), &mut remarks);
        cache.mark(&device(), true, &mut remarks);
        assert!(cache.read(&device(), &mut remarks).ordered);
        cache.mark(&device(), false, &mut remarks);
        let kept = cache.read(&device(), &mut remarks);
        assert!(
            kept.unordered && !kept.ordered && kept.matmul == [choice(8, A)] && remarks.is_empty(),
            "{kept:?} {remarks:?}"
        );
        // Another driver may order them.
        assert!(!cache.read(&Device { driver: "NVIDIA 571".into(), ..device() }, &mut remarks).unordered);
        assert!(!cache.plain().read(&device(), &mut remarks).unordered);
    }

    #[test]
    fn another_driver_or_other_kernels_begin_anew() {
        let folder = tempfile::tempdir().unwrap();
        let (cache, mut remarks) = (Cache::at(folder.path()), Vec::new());
        cache.add(choices(device(), vec![choice(8, A)]), &mut remarks);
        for other in [Device { driver: "NVIDIA 571".into(), ..device() }, Device { sources: "abd".into(), ..device() }]
        {
            assert_eq!(cache.file(&other), cache.file(&device()));
            assert!(cache.read(&other, &mut remarks).matmul.is_empty());
        }
        let newer = Device { driver: "NVIDIA 571".into(), ..device() };
        cache.add(choices(newer.clone(), vec![choice(8, B)]), &mut remarks);
        assert_eq!(cache.read(&newer, &mut remarks).matmul, [choice(8, B)]);
        assert!(cache.read(&device(), &mut remarks).matmul.is_empty());
        assert!(remarks.is_empty(), "{remarks:?}");
    }

    #[test]
    fn every_flipped_bit_is_noticed_and_mended() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path());
        let kept = cache.add(choices(device(), vec![choice(8, A)]), &mut Vec::new()).matmul;
        let path = cache.file(&device()).unwrap();
        let good = fs::read(&path).unwrap();
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, &bad).unwrap();
            let mut remarks = Vec::new();
            let found = cache.read(&device(), &mut remarks);
            match remarks.len() {
                // A space that becomes another kind of white space says the same.
                0 => assert_eq!(found.matmul, kept, "bit {bit}"),
                _ => assert!(found.matmul.is_empty() && remarks.len() == 1 && !remarks[0].contains('\n'), "bit {bit}"),
            }
        }
        for damage in
            [&b""[..], b"{}", b"null", b"\xff\xfe", &good[..good.len() / 2], b"{\"sha256\": \"\", \"kernels\": {}}"]
        {
            fs::write(&path, damage).unwrap();
            let mut remarks = Vec::new();
            assert!(cache.read(&device(), &mut remarks).matmul.is_empty());
            assert_eq!(remarks.len(), 1, "{remarks:?}");
            assert!(remarks[0].contains("chosen again"), "{remarks:?}");
        }
        assert_eq!(cache.add(choices(device(), vec![choice(9, B)]), &mut Vec::new()).matmul, [choice(9, B)]);
        let mut remarks = Vec::new();
        assert_eq!(cache.read(&device(), &mut remarks).matmul, [choice(9, B)]);
        assert!(remarks.is_empty(), "{remarks:?}");
    }

    #[test]
    fn a_version_that_is_not_known_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path());
        cache.add(choices(device(), vec![choice(8, A)]), &mut Vec::new());
        let path = cache.file(&device()).unwrap();
        let mut file: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        file["kernels"]["version"] = 2.into();
        file["sha256"] = sha256(file["kernels"].to_string().as_bytes()).into();
        fs::write(&path, file.to_string()).unwrap();
        let mut remarks = Vec::new();
        assert!(cache.read(&device(), &mut remarks).matmul.is_empty());
        assert!(remarks[0].contains("version 2"), "{remarks:?}");
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_no_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let (cache, mut remarks) = (Cache::at(file), Vec::new());
        assert_eq!(cache.add(choices(device(), vec![choice(8, A)]), &mut remarks).matmul, [choice(8, A)]);
        assert!(remarks.iter().any(|line| line.contains("at the next start")), "{remarks:?}");
    }

    #[test]
    fn caches_lie_where_the_system_has_them() {
        let home = || Some(PathBuf::from("/home/ada"));
        let of = |os: &str, set: &[(&str, &str)]| {
            let set: Vec<(String, OsString)> = set.iter().map(|(n, v)| (n.to_string(), v.into())).collect();
            let found = place(os, &|name| set.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone()), home());
            found.map(|path| path.to_string_lossy().replace('\\', "/"))
        };
        assert_eq!(of("linux", &[]).as_deref(), Some("/home/ada/.cache/leyden"));
        assert_eq!(of("macos", &[]).as_deref(), Some("/home/ada/Library/Caches/leyden"));
        assert_eq!(of("windows", &[]), None);
        let local = [("LOCALAPPDATA", "C:/Users/ada/AppData/Local")];
        assert_eq!(of("windows", &local).as_deref(), Some("C:/Users/ada/AppData/Local/leyden"));
        assert_eq!(of("linux", &[("XDG_CACHE_HOME", "relative")]).as_deref(), Some("/home/ada/.cache/leyden"));
        #[cfg(unix)]
        assert_eq!(of("linux", &[("XDG_CACHE_HOME", "/caches")]).as_deref(), Some("/caches/leyden"));
        for os in ["linux", "macos", "windows"] {
            assert_eq!(of(os, &[("LEYDEN_CACHE", "here")]).as_deref(), Some("here"));
        }
        assert_eq!(place("linux", &|_| None, None), None);
    }
}
