//! Every kernel's source, checked without a device: it is embedded, valid, inside the floor of WebGPU, bound as the
//! engine binds it, and every backend's writer takes it.

use leyden::gpu::shaders::{KERNELS, SHARED, VARIANTS, elements, source, stems};
use leyden::graph::DType;
use leyden::op::StepState;
use naga::back::{PipelineConstants, hlsl, msl, pipeline_constants::process_overrides, spv};
use naga::proc::Layouter;
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{AddressSpace, Module, ShaderStage, StorageAccess, TypeInner};
use std::mem::offset_of;
use std::path::Path;

/// What every device allows a kernel.
const MOST_STORAGE_BUFFERS: u32 = 8;
const MOST_INVOCATIONS: u32 = 256;
const MOST_WORKGROUP_MEMORY: u32 = 16_384;
/// What devices with cooperative matrices allow.
const MOST_COOPERATIVE_MEMORY: u32 = 32_768;

/// Whether a kernel multiplies cooperative matrices: no base kernel, always in half precision, and not for DX12.
fn cooperative(stem: &str) -> bool {
    source(stem, &[]).is_ok_and(|text| text.contains("coop_mat"))
}

/// Runs `check` on every kernel, in single precision and with all its open element types in half precision, and lists all
/// that fail.
fn each(check: impl Fn(&str, &Module, &ModuleInfo) -> Result<(), String>) {
    let mut bad = Vec::new();
    for stem in stems() {
        let dtypes = match (elements(stem).is_empty(), cooperative(stem)) {
            (true, _) => vec![DType::F32],
            (false, false) => vec![DType::F32, DType::F16],
            (false, true) => vec![DType::F16],
        };
        for dtype in dtypes {
            if let Err(error) = parse(stem, dtype).and_then(|(module, info)| check(stem, &module, &info)) {
                bad.push(format!("{stem} in {}: {error}", dtype.name()));
            }
        }
    }
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

fn parse(stem: &str, dtype: DType) -> Result<(Module, ModuleInfo), String> {
    let chosen: Vec<(&str, DType)> = elements(stem).into_iter().map(|name| (name, dtype)).collect();
    let text = source(stem, &chosen).map_err(|error| error.to_string())?;
    let module = naga::front::wgsl::parse_str(&text).map_err(|error| error.emit_to_string(&text))?;
    let info = validator(cooperative(stem)).validate(&module).map_err(|error| error.emit_to_string(&text))?;
    Ok((module, info))
}

fn validator(cooperative: bool) -> Validator {
    let mut capabilities = Capabilities::default() | Capabilities::SHADER_FLOAT16;
    if cooperative {
        capabilities |= Capabilities::COOPERATIVE_MATRIX | Capabilities::SUBGROUP;
    }
    Validator::new(ValidationFlags::all(), capabilities)
}

#[test]
fn the_table_and_the_folder_agree() {
    for (folder, table) in [("shaders", KERNELS), ("shaders/shared", SHARED)] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let mut files: Vec<String> = std::fs::read_dir(&folder)
            .expect("the folder is there")
            .map(|entry| entry.expect("readable").path())
            .filter(|path| path.extension().is_some_and(|ext| ext == "wgsl"))
            .map(|path| path.file_stem().expect("a stem").to_string_lossy().into_owned())
            .collect();
        files.sort();
        let listed: Vec<&str> = table.iter().map(|&(stem, _)| stem).collect();
        assert_eq!(listed, files, "the table in gpu/shaders.rs (in alphabetical order) and the files of {folder:?}");
    }
}

#[test]
fn every_line_of_the_variants_is_a_kernel_of_its_own() {
    let lines = VARIANTS.lines().filter(|line| !line.starts_with('#')).count();
    let stems: Vec<&str> = stems().collect();
    assert_eq!(stems.len(), KERNELS.len() + lines, "a line of shaders/variants is not `stem: pieces | element types`");
    for (i, stem) in stems.iter().enumerate() {
        assert!(!stems[..i].contains(stem), "{stem} twice");
    }
    let all: String = stems.iter().map(|stem| source(stem, &[]).expect("a source")).collect();
    for (stem, piece) in SHARED {
        assert!(all.contains(piece), "no kernel uses shaders/shared/{stem}.wgsl");
    }
}

#[test]
fn every_kernel_is_valid_and_has_its_entry_point() {
    each(|_, module, _| match module.entry_points.as_slice() {
        [entry] if entry.name == "main" && entry.stage == ShaderStage::Compute => Ok(()),
        found => Err(format!("entry points {:?}, expected one, main", found.iter().map(|e| &e.name))),
    });
}

#[test]
fn every_kernel_is_bound_as_the_engine_binds_it() {
    each(|_, module, info| {
        let mut layouter = Layouter::default();
        layouter.update(module.to_ctx()).map_err(|error| error.to_string())?;
        let mut storage = Vec::new();
        for (handle, global) in module.global_variables.iter() {
            let name = global.name.as_deref().unwrap_or("?");
            let place = global.binding.map(|b| (b.group, b.binding));
            let size = layouter[global.ty].size;
            match (global.space, place) {
                (AddressSpace::Uniform, Some((0, 0))) if size.is_multiple_of(4) => {}
                (AddressSpace::Uniform, Some((1, 0))) => step_state(module, &layouter, global.ty)?,
                (AddressSpace::Storage { access }, Some((0, binding))) => {
                    let read_only = access == StorageAccess::LOAD;
                    if !read_only && access != StorageAccess::LOAD | StorageAccess::STORE {
                        return Err(format!("{name} is {access:?}, expected read or read_write"));
                    }
                    if info.get_entry_point(0)[handle].is_empty() {
                        return Err(format!("{name} is bound but not used"));
                    }
                    storage.push(binding);
                }
                (AddressSpace::WorkGroup, None) => {}
                found => return Err(format!("{name} of {size} bytes is at {found:?}, see gpu/shaders.rs")),
            }
        }
        storage.sort_unstable();
        let expected: Vec<u32> = (1..=storage.len() as u32).collect();
        if storage != expected || storage.len() as u32 > MOST_STORAGE_BUFFERS {
            return Err(format!("storage bindings {storage:?}, expected 1.. without gaps, at most 8"));
        }
        Ok(())
    });
}

/// The struct of shared/step.wgsl against [`StepState`].
fn step_state(module: &Module, layouter: &Layouter, ty: naga::Handle<naga::Type>) -> Result<(), String> {
    let TypeInner::Struct { members, .. } = &module.types[ty].inner else { return Err("step is no struct".into()) };
    let found: Vec<(&str, u32)> = members.iter().map(|m| (m.name.as_deref().unwrap_or("?"), m.offset)).collect();
    let expected = [
        ("seed", offset_of!(StepState, seed) as u32),
        ("step", offset_of!(StepState, step) as u32),
        ("part", offset_of!(StepState, part) as u32),
        ("learning_rate", offset_of!(StepState, learning_rate) as u32),
        ("correction1", offset_of!(StepState, correction1) as u32),
        ("correction2", offset_of!(StepState, correction2) as u32),
        ("padding", offset_of!(StepState, padding) as u32),
    ];
    if found != expected || layouter[ty].size as usize != size_of::<StepState>() {
        return Err(format!("the step is {found:?}, expected {expected:?}"));
    }
    Ok(())
}

#[test]
fn the_basic_pieces_are_valid_without_a_kernel() {
    let all: String = ["step", "random", "index", "activation"]
        .iter()
        .map(|piece| SHARED.iter().find(|(stem, _)| stem == piece).expect("a piece").1)
        .collect();
    let module = naga::front::wgsl::parse_str(&all).unwrap_or_else(|error| panic!("{}", error.emit_to_string(&all)));
    validator(false).validate(&module).unwrap_or_else(|error| panic!("{}", error.emit_to_string(&all)));
}

#[test]
fn every_backend_takes_every_kernel() {
    each(|stem, module, info| {
        // Overrides have defaults, which stand for the values that ops choose.
        let missing = module.overrides.iter().find(|(_, o)| o.init.is_none());
        if let Some((_, missing)) = missing {
            return Err(format!("override {:?} needs a default", missing.name));
        }
        let entry = Some((ShaderStage::Compute, "main"));
        let constants = PipelineConstants::default();
        let (module, info) = process_overrides(module, info, entry, &constants).map_err(|error| error.to_string())?;
        let size = module.entry_points[0].workgroup_size;
        if size.iter().product::<u32>() > MOST_INVOCATIONS {
            return Err(format!("a workgroup of {size:?} is more than {MOST_INVOCATIONS} invocations"));
        }
        let mut layouter = Layouter::default();
        layouter.update(module.to_ctx()).map_err(|error| error.to_string())?;
        let shared = module.global_variables.iter().filter(|(_, global)| global.space == AddressSpace::WorkGroup);
        let memory: u32 = shared.map(|(_, global)| layouter[global.ty].size.next_multiple_of(16)).sum();
        let most = if cooperative(stem) { MOST_COOPERATIVE_MEMORY } else { MOST_WORKGROUP_MEMORY };
        if memory > most {
            return Err(format!("{memory} bytes of workgroup memory, at most {most}"));
        }

        let options = spv::Options::default();
        spv::write_vec(&module, &info, &options, None).map_err(|error| format!("SPIR-V: {error}"))?;

        let lang_version = if cooperative(stem) { (2, 3) } else { (2, 0) };
        let options = msl::Options { lang_version, ..Default::default() };
        let pipeline = msl::PipelineOptions::default();
        msl::write_string(&module, &info, &options, &pipeline).map_err(|error| format!("MSL: {error}"))?;

        if cooperative(stem) {
            return Ok(());
        }
        // 16-bit types came with 6.2.
        let options = hlsl::Options { shader_model: hlsl::ShaderModel::V6_2, ..Default::default() };
        let pipeline = hlsl::PipelineOptions::default();
        let mut text = String::new();
        let mut writer = hlsl::Writer::new(&mut text, &options, &pipeline);
        writer.write(&module, &info, None).map_err(|error| format!("HLSL: {error}"))?;
        Ok(())
    });
}
