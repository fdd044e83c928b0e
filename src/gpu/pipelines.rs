//! Pipelines, one for each different (shader, constants, bindings), shared by all programs of an engine.

use super::context::Context;
use super::shaders;
use crate::graph::DType;
use crate::ops::{Access, Dispatch};
use crate::plan::EngineError;
use rayon::prelude::*;
use std::collections::HashMap;

/// What makes a pipeline different from another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    source: Source,
    /// Values as bits, so that they can be compared.
    constants: Vec<(&'static str, u64)>,
    bindings: Shape,
}

/// A shader with its element types.
type Source = (&'static str, Vec<(&'static str, DType)>);

/// The bindings of group 0.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Shape {
    uniform: bool,
    access: Vec<Access>,
}

impl Key {
    pub fn new(dispatch: &Dispatch) -> Self {
        let constants = dispatch.constants.iter().map(|&(name, value)| (name, value.to_bits())).collect();
        let access = dispatch.bindings.iter().map(|binding| binding.access).collect();
        let bindings = Shape { uniform: !dispatch.uniform.is_empty(), access };
        Self { source: (dispatch.shader, dispatch.elements.clone()), constants, bindings }
    }
}

#[derive(Debug)]
struct Layout {
    group: wgpu::BindGroupLayout,
    pipeline: wgpu::PipelineLayout,
}

/// The pipelines made so far.
#[derive(Debug)]
pub(super) struct Pipelines {
    /// Group 1: the step's state.
    pub step_layout: wgpu::BindGroupLayout,
    layouts: HashMap<Shape, Layout>,
    modules: HashMap<Source, wgpu::ShaderModule>,
    pipelines: HashMap<Key, wgpu::ComputePipeline>,
}

impl Pipelines {
    pub fn new(context: &Context) -> Result<Self, EngineError> {
        let step_layout = context.guarded("the layout of the step's state", || {
            let entries = [entry(0, wgpu::BufferBindingType::Uniform)];
            let descriptor = wgpu::BindGroupLayoutDescriptor { label: Some("step"), entries: &entries };
            context.device.create_bind_group_layout(&descriptor)
        })?;
        Ok(Self { step_layout, layouts: HashMap::new(), modules: HashMap::new(), pipelines: HashMap::new() })
    }

    /// Makes what is missing of `keys`, on all cores: drivers take milliseconds to seconds for a kernel.
    pub fn prepare(&mut self, context: &Context, keys: &[Key]) -> Result<(), EngineError> {
        let mut missing: Vec<&Key> = Vec::new();
        for key in keys {
            if !self.pipelines.contains_key(key) && !missing.contains(&key) {
                missing.push(key);
            }
        }
        let mut sources: Vec<&Source> = missing.iter().map(|key| &key.source).collect();
        sources.sort_unstable();
        sources.dedup();
        sources.retain(|source| !self.modules.contains_key(*source));
        let modules: Result<Vec<_>, _> = sources.par_iter().map(|source| module(context, source)).collect();
        self.modules.extend(sources.into_iter().cloned().zip(modules?));
        for key in &missing {
            if !self.layouts.contains_key(&key.bindings) {
                self.layouts.insert(key.bindings.clone(), self.layout(context, key)?);
            }
        }
        let made: Result<Vec<_>, _> = missing.par_iter().map(|key| self.pipeline(context, key)).collect();
        self.pipelines.extend(missing.into_iter().cloned().zip(made?));
        context.check()
    }

    /// The pipeline and the layout of group 0 of a key that was prepared.
    pub fn get(&self, key: &Key) -> Option<(&wgpu::ComputePipeline, &wgpu::BindGroupLayout)> {
        Some((self.pipelines.get(key)?, &self.layouts.get(&key.bindings)?.group))
    }

    fn layout(&self, context: &Context, key: &Key) -> Result<Layout, EngineError> {
        let mut entries = Vec::new();
        if key.bindings.uniform {
            entries.push(entry(0, wgpu::BufferBindingType::Uniform));
        }
        for (binding, access) in (1..).zip(&key.bindings.access) {
            let read_only = *access == Access::Read;
            entries.push(entry(binding, wgpu::BufferBindingType::Storage { read_only }));
        }
        let shader = key.source.0;
        context.guarded(&format!("the layout of shader {shader}"), || {
            let descriptor = wgpu::BindGroupLayoutDescriptor { label: Some(shader), entries: &entries };
            let group = context.device.create_bind_group_layout(&descriptor);
            let groups = [Some(&group), Some(&self.step_layout)];
            let pipeline = context.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                label: Some(shader),
                bind_group_layouts: &groups,
                immediate_size: 0,
            });
            Layout { group, pipeline }
        })
    }

    fn pipeline(&self, context: &Context, key: &Key) -> Result<wgpu::ComputePipeline, EngineError> {
        let constants: Vec<(&str, f64)> =
            key.constants.iter().map(|&(name, bits)| (name, f64::from_bits(bits))).collect();
        let what =
            if constants.is_empty() { name(&key.source) } else { format!("{} with {constants:?}", name(&key.source)) };
        let (Some(module), Some(layout)) = (self.modules.get(&key.source), self.layouts.get(&key.bindings)) else {
            return Err(context.refused(what, "its module or layout was not made"));
        };
        context.guarded(&what, || {
            context.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(key.source.0),
                layout: Some(&layout.pipeline),
                module,
                entry_point: Some("main"),
                compilation_options: wgpu::PipelineCompilationOptions {
                    constants: &constants,
                    // Kernels write workgroup memory before they read it.
                    zero_initialize_workgroup_memory: false,
                },
                cache: None,
            })
        })
    }
}

fn entry(binding: u32, ty: wgpu::BufferBindingType) -> wgpu::BindGroupLayoutEntry {
    wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None },
        count: None,
    }
}

/// A shader for errors, with the element types that are not f32.
fn name((stem, elements): &Source) -> String {
    let elements: Vec<String> = elements.iter().map(|(name, dtype)| format!("{name} {}", dtype.name())).collect();
    if elements.is_empty() { format!("shader {stem}") } else { format!("shader {stem} ({})", elements.join(", ")) }
}

fn module(context: &Context, source: &Source) -> Result<wgpu::ShaderModule, EngineError> {
    let (what, stem) = (name(source), source.0);
    let source = shaders::source(stem, &source.1).map_err(|error| context.refused(&what, error.to_string()))?;
    context.guarded(&what, || {
        let descriptor = wgpu::ShaderModuleDescriptor { label: Some(stem), source: wgpu::ShaderSource::Wgsl(source) };
        // SAFETY: the sources are our own files. Their loops end, their indices stay below the lengths in their
        // uniforms, and their divisors are sizes, which are not zero; the tests hold each against its CPU twin.
        unsafe { context.device.create_shader_module_trusted(descriptor, wgpu::ShaderRuntimeChecks::unchecked()) }
    })
}
