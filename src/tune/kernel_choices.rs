//! The kernels of a device, as a file.

use super::{FamilyChoice, Kernels, MatmulChoice};
use crate::files::sha256;
use crate::gpu::{AdapterInfo, shaders};
use crate::op::{DeviceTraits, FamilyOf, KernelFamily, MatmulFamily, MatmulShape, Tuning};
use crate::ops::kernels::Matmul;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::OnceLock;

/// The version of the file.
const VERSION: u32 = 1;

/// All that a choice among kernels holds for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// The adapter's name.
    pub adapter: String,
    /// `Vulkan`, `Metal` or `DX12`.
    pub backend: String,
    /// The driver and its version.
    pub driver: String,
    /// A fingerprint of the kernels' sources.
    pub sources: String,
}

impl Device {
    /// Of an adapter, with the kernels in this program.
    pub fn of(info: &AdapterInfo) -> Self {
        let AdapterInfo { name, backend, driver, .. } = info;
        Self { adapter: name.clone(), backend: backend.to_string(), driver: driver.clone(), sources: sources().into() }
    }

    /// Whether it is the same adapter, whatever its driver and the kernels were.
    pub fn is_same_adapter(&self, other: &Self) -> bool {
        (&self.adapter, &self.backend) == (&other.adapter, &other.backend)
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.adapter, self.backend)
    }
}

/// A fingerprint of the shaders, and of what decides how they are dispatched.
fn sources() -> &'static str {
    static SOURCES: OnceLock<String> = OnceLock::new();
    SOURCES.get_or_init(|| {
        let mut all = shaders::VARIANTS.to_string();
        for (stem, source) in shaders::KERNELS.iter().chain(shaders::SHARED) {
            all.push_str(stem);
            all.push_str(source);
        }
        all.push_str(include_str!("../ops/kernels/matmul.rs"));
        all.push_str(include_str!("../ops/kernels/matmul_choice.rs"));
        all.push_str(include_str!("../op/matmul_kernel.rs"));
        all.push_str(include_str!("../op/matmul_shape.rs"));
        all.push_str(include_str!("../ops/kernels/parts.rs"));
        all.push_str(include_str!("../ops/kernels/attention.rs"));
        all.push_str(include_str!("../ops/kernels/vocabulary_tiles.rs"));
        sha256(all.as_bytes())
    })
}

/// What is chosen on a device, or what a run is trained with. A kind of kernel is a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KernelChoices {
    /// Of the file.
    version: u32,
    /// What it holds for.
    pub device: Device,
    /// Base kernels only, whatever might be faster.
    #[serde(default)]
    pub base: bool,
    /// Whether steps with cooperative matrices were found to repeat to the bit on this device.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ordered: bool,
    /// Whether steps with cooperative matrices were found not to repeat to the bit on this device.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unordered: bool,
    /// Matrix multiplications. One that is not listed has the base kernel.
    #[serde(default)]
    pub matmul: Vec<MatmulChoice>,
    /// Attention; the last one counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attention: Vec<FamilyChoice>,
    /// The vocabulary; the last one counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vocabulary: Vec<FamilyChoice>,
}

/// The file: the choices, and the hash of its compact JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed {
    sha256: String,
    kernels: serde_json::Value,
}

impl KernelChoices {
    /// Nothing chosen yet.
    pub fn new(device: Device) -> Self {
        Self {
            version: VERSION,
            device,
            base: false,
            ordered: false,
            unordered: false,
            matmul: Vec::new(),
            attention: Vec::new(),
            vocabulary: Vec::new(),
        }
    }

    /// What was chosen of families; the last one counts.
    pub fn families(&self, of: FamilyOf) -> &Vec<FamilyChoice> {
        match of {
            FamilyOf::Attention => &self.attention,
            FamilyOf::Vocabulary => &self.vocabulary,
        }
    }

    /// The same, to be changed.
    pub(super) fn families_mut(&mut self, of: FamilyOf) -> &mut Vec<FamilyChoice> {
        match of {
            FamilyOf::Attention => &mut self.attention,
            FamilyOf::Vocabulary => &mut self.vocabulary,
        }
    }

    /// The family that counts.
    fn family(&self, of: FamilyOf) -> Option<KernelFamily> {
        self.families(of).last().and_then(|choice| choice.kernel)
    }

    /// What was asked for when it was made.
    pub fn kernels(&self) -> Kernels {
        if self.base { Kernels::Base } else { Kernels::Tuned }
    }

    /// What was chosen for a multiplication.
    pub fn get(&self, shape: &MatmulShape) -> Option<&MatmulChoice> {
        self.matmul.iter().find(|choice| choice.shape == *shape)
    }

    /// `traits` with these kernels.
    pub fn traits(&self, traits: DeviceTraits) -> DeviceTraits {
        let tuning = Tuning::new(self.matmul.iter().map(|choice| (choice.shape, choice.kernel)).collect());
        let set = |traits, of: FamilyOf| of.set(&traits, self.family(of));
        FamilyOf::ALL.into_iter().fold(DeviceTraits { tuning, ..traits }, set)
    }

    /// Puts the multiplications in the order of their names: the same choices, however they came about, are the same file.
    pub(super) fn sort(&mut self) {
        self.matmul.sort_by_cached_key(|choice| choice.shape.to_string());
    }

    /// Whether any of the kernels uses cooperative matrices.
    pub fn cooperative(&self) -> bool {
        let matmul = self.matmul.iter().any(|choice| choice.kernel.family == MatmulFamily::Cooperative);
        matmul || FamilyOf::ALL.iter().any(|&of| self.family(of) == Some(KernelFamily::Cooperative))
    }

    /// Whether nothing but base kernels was chosen.
    pub(super) fn is_plain(&self, traits: &DeviceTraits) -> bool {
        self.matmul.iter().all(|choice| choice.kernel == Matmul::base(&choice.shape, traits))
            && FamilyOf::ALL.iter().all(|&of| self.families(of).iter().all(|choice| choice.kernel.is_none()))
    }

    /// Whether nothing was chosen.
    pub fn is_empty(&self) -> bool {
        self.matmul.is_empty() && FamilyOf::ALL.iter().all(|&of| self.families(of).is_empty())
    }

    /// The file's content.
    ///
    /// # Errors
    /// Where a number is none that JSON knows.
    pub fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        let kernels = serde_json::to_value(self)?;
        serde_json::to_vec_pretty(&Sealed { sha256: sha256(kernels.to_string().as_bytes()), kernels })
    }

    /// What a file says.
    ///
    /// # Errors
    /// What is wrong with it, in a few words.
    pub fn from_json(bytes: &[u8]) -> Result<Self, String> {
        let sealed: Sealed = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
        if sha256(sealed.kernels.to_string().as_bytes()) != sealed.sha256 {
            return Err("its content does not match its checksum".into());
        }
        let version = sealed.kernels["version"].as_u64();
        if version != Some(VERSION.into()) {
            let found = version.map_or("none".into(), |v| v.to_string());
            return Err(format!("it is of version {found}, expected {VERSION}"));
        }
        serde_json::from_value(sealed.kernels).map_err(|e| e.to_string())
    }
}
