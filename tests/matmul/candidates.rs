//! Every candidate, beside the base kernels: against the plain product where the device can run it (a lavapipe of Mesa 26 has
//! cooperative matrices, of 8 x 8), and all of them as shaders.

use crate::reference::{operands, source, wrong};
use crate::run::device;
use leyden::graph::DType;
use leyden::op::{DeviceTraits, MatmulFamily, MatmulKernel, MatmulShape, Tuning};
use leyden::ops::kernels::Matmul;
use naga::back::{PipelineConstants, hlsl, msl, pipeline_constants::process_overrides, spv};
use naga::proc::Layouter;
use naga::valid::{Capabilities, ValidationFlags, Validator};
use naga::{AddressSpace, ShaderStage};

/// Traits with which `kernel` is what runs.
pub fn forced(matmul: &Matmul, has_bias: bool, kernel: MatmulKernel, device: &DeviceTraits) -> DeviceTraits {
    DeviceTraits { tuning: Tuning(Vec::leak(vec![(matmul.shape(has_bias), kernel)])), ..*device }
}

/// Shapes that tiles divide, and some that they do not.
const SHAPES: [&str; 11] = [
    "128x128x64 nt f32 f32 f32 f32 bias",
    "136x76x40 nt f32 f32 f32 f32 bias gelu",
    "140x72x44 nn f32 f32 f32 f32 accumulate",
    "68x132x520 tn f32 f32 f32 f32 row_sums accumulate",
    "136x76x40 nt f16 f16 f16 f16 bias gelu",
    "132x140x44 nn f16 f16 f16 f32",
    "132x68x516 tn f16 f16 f32 f32 row_sums accumulate",
    "136x76x40 nt f32 f32 f32 f32 bias residual",
    "132x140x44 nn f16 f16 f16 f16 gelu_gradient",
    "136x76x40 nt f16 f16 f16 f16 bias gelu_new",
    "132x140x44 nn f16 f16 f16 f16 relu_gradient",
];

#[test]
fn every_candidate_multiplies() {
    let mut gpu = device();
    let (workgroup_memory, cooperative) = (gpu.workgroup_memory, gpu.cooperative);
    let traits = DeviceTraits { f16: true, workgroup_memory, cooperative, ..DeviceTraits::FLOOR };
    let mut all = Vec::new();
    // Both ways that A and B are stored, tiles that divide and that do not, every epilogue that a kernel's own loop has a part in.
    let few = [SHAPES[0], SHAPES[4], SHAPES[6]];
    for text in if cooperative.is_some() { &SHAPES[..] } else { &few } {
        let shape: MatmulShape = text.parse().expect("a shape");
        let mut candidates = Matmul::candidates(&shape, &traits);
        candidates.extend(Matmul::candidates(&shape, &DeviceTraits { software: true, ..traits }));
        for kernel in candidates {
            let matmul = shape.matmul();
            let traits = forced(&matmul, shape.has_bias, kernel, &traits);
            assert_eq!(matmul.kernel(shape.has_bias, &traits), kernel);
            all.extend(wrong(&mut gpu, (&matmul, shape.has_bias), &traits, 1, source));
        }
    }
    assert!(all.is_empty(), "{}", all.join("\n"));
}

/// A large GPU, one with subgroups of 64, one with small cooperative matrices, and the least there is.
const DEVICES: [DeviceTraits; 4] = [
    DeviceTraits { f16: true, workgroup_memory: 49_152, cooperative: Some(16), ..DeviceTraits::FLOOR },
    DeviceTraits {
        f16: true,
        workgroup_memory: 49_152,
        invocations: 1_024,
        cooperative: Some(16),
        wide_subgroups: true,
        ..DeviceTraits::FLOOR
    },
    DeviceTraits { f16: true, workgroup_memory: 32_768, cooperative: Some(8), ..DeviceTraits::FLOOR },
    DeviceTraits::FLOOR,
];

#[test]
fn every_candidate_is_a_shader_that_fits_its_device() {
    let mut bad = Vec::new();
    for device in DEVICES {
        for text in SHAPES {
            let shape: MatmulShape = text.parse().expect("a shape");
            if !device.f16 && shape.elements.contains(&DType::F16) {
                continue;
            }
            let matmul = shape.matmul();
            for kernel in Matmul::candidates(&shape, &device) {
                let traits = forced(&matmul, shape.has_bias, kernel, &device);
                if let Err(error) = translate(&matmul, shape.has_bias, kernel, &traits) {
                    bad.push(format!("{kernel} of {text}: {error}"));
                }
            }
        }
    }
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

/// Takes a kernel's shader, with its constants, through the validator and every backend's writer.
fn translate(matmul: &Matmul, has_bias: bool, kernel: MatmulKernel, traits: &DeviceTraits) -> Result<(), String> {
    let dispatch = &matmul.dispatches(&operands(matmul, has_bias), 0, traits)[0];
    let text = source(dispatch);
    let module = naga::front::wgsl::parse_str(&text).map_err(|error| error.emit_to_string(&text))?;
    let cooperative = kernel.family == MatmulFamily::Cooperative;
    let mut capabilities = Capabilities::empty();
    capabilities.set(Capabilities::SHADER_FLOAT16, traits.f16);
    capabilities.set(Capabilities::COOPERATIVE_MATRIX | Capabilities::SUBGROUP, cooperative);
    let info = Validator::new(ValidationFlags::all(), capabilities)
        .validate(&module)
        .map_err(|error| error.emit_to_string(&text))?;
    let constants: PipelineConstants =
        dispatch.constants.iter().map(|&(name, value)| (name.to_string(), value)).collect();
    let entry = Some((ShaderStage::Compute, "main"));
    let (module, info) = process_overrides(&module, &info, entry, &constants).map_err(|error| error.to_string())?;

    let invocations = module.entry_points[0].workgroup_size.iter().product::<u32>();
    if invocations != kernel.invocations() || invocations > traits.invocations {
        return Err(format!("{invocations} invocations, {} of a kernel's", kernel.invocations()));
    }
    let mut layouter = Layouter::default();
    layouter.update(module.to_ctx()).map_err(|error| error.to_string())?;
    let shared = module.global_variables.iter().filter(|(_, global)| global.space == AddressSpace::WorkGroup);
    let memory: u32 = shared.map(|(_, global)| layouter[global.ty].size.next_multiple_of(16)).sum();
    if memory > traits.workgroup_memory {
        return Err(format!("{memory} bytes of workgroup memory, at most {}", traits.workgroup_memory));
    }

    let options = spv::Options { lang_version: (1, 4), ..Default::default() };
    let words = spv::write_vec(&module, &info, &options, None).map_err(|error| format!("SPIR-V: {error}"))?;
    if let Ok(folder) = std::env::var("LEYDEN_SPIRV") {
        let file = format!("{folder}/{kernel} of {}.spv", matmul.shape(has_bias));
        std::fs::write(file, bytemuck::cast_slice(&words)).map_err(|error| error.to_string())?;
    }
    let options = msl::Options { fake_missing_bindings: true, lang_version: (2, 4), ..Default::default() };
    msl::write_string(&module, &info, &options, &Default::default()).map_err(|error| format!("MSL: {error}"))?;
    if cooperative {
        // HLSL has no cooperative matrices; on DX12 no device has them either.
        return Ok(());
    }
    let options = hlsl::Options { shader_model: hlsl::ShaderModel::V6_2, ..Default::default() };
    let pipeline_options = hlsl::PipelineOptions::default();
    let mut text = String::new();
    let mut writer = hlsl::Writer::new(&mut text, &options, &pipeline_options);
    writer.write(&module, &info, None).map_err(|error| format!("HLSL: {error}"))?;
    Ok(())
}
