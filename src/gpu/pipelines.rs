//! Pipelines, one for each different (shader, constants, bindings), shared by all programs of an engine.

use super::context::Context;
use super::shaders;
use crate::graph::DType;
use crate::op::{Access, Dispatch};
use crate::plan::EngineError;
#[cfg(not(target_family = "wasm"))]
use rayon::prelude::*;
use std::collections::HashMap;
use std::thread::JoinHandle;

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

#[derive(Debug, Clone)]
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
    made: Made,
    /// What is being made behind somebody's back.
    ahead: Option<JoinHandle<Made>>,
}

/// What drivers take their time for. Handles: a copy is as good.
#[derive(Debug, Default)]
struct Made {
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
        Ok(Self { step_layout, layouts: HashMap::new(), made: Made::default(), ahead: None })
    }

    /// Makes what is missing of `keys`, on all cores: drivers take milliseconds to seconds for a kernel.
    pub fn prepare(&mut self, context: &Context, keys: &[Key]) -> Result<(), EngineError> {
        if keys.iter().any(|key| !self.made.pipelines.contains_key(key)) {
            self.join();
        }
        let missing = self.missing(keys);
        self.lay_out(context, &missing)?;
        let sources = self.sources(&missing);
        let modules = for_all(&sources, |source| module(context, source));
        self.made.modules.extend(sources.into_iter().zip(modules?));
        let (modules, layouts) = (&self.made.modules, &self.layouts);
        let made = for_all(&missing, |key| pipeline(context, key, modules.get(&key.source), layouts));
        self.made.pipelines.extend(missing.into_iter().zip(made?));
        context.check()
    }

    /// Nothing, in a browser: [`Self::prepare`] makes it all.
    #[cfg(target_family = "wasm")]
    pub fn begin(&mut self, _: &Context, _: &[Key]) {}

    /// Begins to make what is missing of `keys` on another thread. What fails there is made again by [`Self::prepare`], which
    /// says why it fails; it waits for what has been begun.
    #[cfg(not(target_family = "wasm"))]
    pub fn begin(&mut self, context: &Context, keys: &[Key]) {
        self.join();
        let missing = self.missing(keys);
        if missing.is_empty() || self.lay_out(context, &missing).is_err() {
            return;
        }
        let (context, layouts) = (context.clone(), self.layouts.clone());
        let sources = self.sources(&missing);
        let known: HashMap<Source, wgpu::ShaderModule> = missing
            .iter()
            .filter_map(|key| Some((key.source.clone(), self.made.modules.get(&key.source)?.clone())))
            .collect();
        self.ahead = Some(std::thread::spawn(move || {
            let modules = sources.into_par_iter().filter_map(|source| Some((module(&context, &source).ok()?, source)));
            let modules: HashMap<_, _> = modules.map(|(module, source)| (source, module)).collect();
            let of = |key: &Key| modules.get(&key.source).or_else(|| known.get(&key.source));
            let pipelines = missing
                .into_par_iter()
                .filter_map(|key| Some((pipeline(&context, &key, of(&key), &layouts).ok()?, key)))
                .map(|(pipeline, key)| (key, pipeline))
                .collect();
            Made { modules, pipelines }
        }));
    }

    /// Takes over what was made on another thread.
    fn join(&mut self) {
        if let Some(Ok(Made { modules, pipelines })) = self.ahead.take().map(JoinHandle::join) {
            self.made.modules.extend(modules);
            self.made.pipelines.extend(pipelines);
        }
    }

    /// Those of `keys` without a pipeline, each once.
    fn missing(&self, keys: &[Key]) -> Vec<Key> {
        let mut missing: Vec<Key> = Vec::new();
        for key in keys {
            if !self.made.pipelines.contains_key(key) && !missing.contains(key) {
                missing.push(key.clone());
            }
        }
        missing
    }

    /// The sources of `keys` without a module, each once.
    fn sources(&self, keys: &[Key]) -> Vec<Source> {
        let mut sources: Vec<Source> = keys.iter().map(|key| key.source.clone()).collect();
        sources.sort_unstable();
        sources.dedup();
        sources.retain(|source| !self.made.modules.contains_key(source));
        sources
    }

    /// Makes the layouts of `keys`, which takes no time.
    fn lay_out(&mut self, context: &Context, keys: &[Key]) -> Result<(), EngineError> {
        for key in keys {
            if !self.layouts.contains_key(&key.bindings) {
                self.layouts.insert(key.bindings.clone(), self.layout(context, key)?);
            }
        }
        Ok(())
    }

    /// The pipeline and the layout of group 0 of a key that was prepared.
    pub fn get(&self, key: &Key) -> Option<(&wgpu::ComputePipeline, &wgpu::BindGroupLayout)> {
        Some((self.made.pipelines.get(key)?, &self.layouts.get(&key.bindings)?.group))
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
}

impl Drop for Pipelines {
    /// A driver is not to be taken down while it compiles.
    fn drop(&mut self) {
        self.join();
    }
}

/// What `make` makes of each, on all cores.
#[cfg(not(target_family = "wasm"))]
fn for_all<T: Sync, M: Send>(
    all: &[T],
    make: impl Fn(&T) -> Result<M, EngineError> + Sync + Send,
) -> Result<Vec<M>, EngineError> {
    all.par_iter().map(make).collect()
}

/// What `make` makes of each. A browser's handles belong to one thread; it compiles behind its back.
#[cfg(target_family = "wasm")]
fn for_all<T, M>(all: &[T], make: impl Fn(&T) -> Result<M, EngineError>) -> Result<Vec<M>, EngineError> {
    all.iter().map(make).collect()
}

fn pipeline(
    context: &Context,
    key: &Key,
    module: Option<&wgpu::ShaderModule>,
    layouts: &HashMap<Shape, Layout>,
) -> Result<wgpu::ComputePipeline, EngineError> {
    let constants: Vec<(&str, f64)> = key.constants.iter().map(|&(name, bits)| (name, f64::from_bits(bits))).collect();
    let what =
        if constants.is_empty() { name(&key.source) } else { format!("{} with {constants:?}", name(&key.source)) };
    let (Some(module), Some(layout)) = (module, layouts.get(&key.bindings)) else {
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
