//! A plan made ready for the device: buffers, uniforms, bind groups, and the commands of a step.

use super::command::{self, Command, Work};
use super::context::Context;
use super::engine::Banks;
use super::pipelines::{Key, Pipelines};
use super::readback::Staging;
use crate::graph::{Source, Tensor};
use crate::op::{Access, DeviceTraits, Dispatch, Operand};
use crate::plan::layout::{Places, lay_out_uniforms};
use crate::plan::{EngineError, Kind, Plan, Region, Step, Target};
use std::num::NonZeroU64;

/// Floating-point operations that a slow GPU does while it moves a byte.
const WORK_A_BYTE: u64 = 20;

/// A loaded plan.
#[derive(Debug)]
pub(super) struct Loaded {
    pub plan: Plan,
    pub buffers: Vec<wgpu::Buffer>,
    pub commands: Vec<Command>,
    /// The ring of readback buffers.
    pub staging: Vec<Staging>,
    /// What the bind groups refer to.
    uniforms: Option<wgpu::Buffer>,
}

/// A dispatch of the plan with its operands' places.
struct Item {
    dispatch: Dispatch,
    regions: Vec<Region>,
    flops: u64,
}

impl Item {
    /// What the dispatch costs, moving its operands included.
    fn work(&self) -> u64 {
        self.flops + self.regions.iter().map(|region| bound(region.len) * WORK_A_BYTE).sum::<u64>()
    }
}

enum Entry {
    Dispatch(Item),
    Copy(Region, Region),
}

impl Loaded {
    /// Makes everything a step needs. `banks` are the engine's, those of the plan among them; `step` is its step group.
    pub fn new(
        context: &mut Context,
        pipelines: &mut Pipelines,
        banks: &Banks,
        step: &wgpu::BindGroup,
        plan: Plan,
    ) -> Result<Self, EngineError> {
        let entries = entries(context, &plan)?;
        check_limits(context, &plan, &entries)?;
        let buffers = allocate(context, banks, &plan)?;
        let (uniforms, offsets) = uniforms(context, &entries)?;
        let keys: Vec<Key> = items(&entries).map(|item| Key::new(&item.dispatch)).collect();
        pipelines.prepare(context, &keys)?;
        let mut commands = Vec::with_capacity(entries.len());
        let (mut keys, mut offsets) = (keys.iter(), offsets.into_iter());
        for entry in &entries {
            match entry {
                Entry::Copy(from, to) => commands.push(copy(context, &buffers, *from, *to)?),
                Entry::Dispatch(item) => {
                    let ready = keys.next().and_then(|key| pipelines.get(key));
                    let (Some((pipeline, layout)), Some(offset)) = (ready, offsets.next()) else {
                        return Err(context.refused(item.dispatch.shader, "its pipeline was not made"));
                    };
                    let uniform = uniforms.as_ref().zip(offset);
                    let group = bind(context, layout, item, &buffers, uniform)?;
                    commands.push(Command::Dispatch(Work {
                        shader: item.dispatch.shader,
                        pipeline: pipeline.clone(),
                        group,
                        workgroups: item.dispatch.workgroups,
                        work: item.work(),
                    }));
                }
            }
        }
        let loaded = Self { plan, buffers, commands, staging: Vec::new(), uniforms };
        loaded.rehearse(context, step)?;
        Ok(loaded)
    }

    /// Bytes of the buffers that are its own: all but the banks.
    pub fn bytes(&self) -> u64 {
        let own = self.buffers.iter().zip(self.plan.buffers()).filter(|(_, of)| !matches!(of.kind, Kind::Bank(_)));
        let buffers: u64 = own.map(|(buffer, _)| buffer).chain(&self.uniforms).map(wgpu::Buffer::size).sum();
        buffers + self.staging.iter().map(Staging::bytes).sum::<u64>()
    }

    /// The buffer and byte offset of a region.
    pub fn place(&self, region: Region) -> (&wgpu::Buffer, u64) {
        (&self.buffers[region.buffer], region.offset as u64 * 4)
    }

    /// Records everything once without running it, so that what wgpu has to say against a dispatch is said now, and
    /// with its shader's name.
    fn rehearse(&self, context: &Context, step: &wgpu::BindGroup) -> Result<(), EngineError> {
        let record = |what: &str, commands: &[Command]| {
            context.guarded(what, || {
                let mut encoder = context.device.create_command_encoder(&Default::default());
                command::record(&mut encoder, commands, step);
                drop(encoder.finish());
            })
        };
        let Err(error) = record("the plan", &self.commands) else { return context.check() };
        for command in &self.commands {
            record(command.name(), std::slice::from_ref(command))?;
        }
        Err(error)
    }
}

fn items(entries: &[Entry]) -> impl Iterator<Item = &Item> {
    entries.iter().filter_map(|entry| if let Entry::Dispatch(item) = entry { Some(item) } else { None })
}

/// The plan's steps as dispatches and copies.
fn entries(context: &Context, plan: &Plan) -> Result<Vec<Entry>, EngineError> {
    let Target::Gpu(device) = plan.target() else {
        return Err(context.refused("the plan", "it was made for the CPU"));
    };
    let mut entries = Vec::new();
    for step in plan.steps() {
        match step {
            Step::Copy { from, to } if from.len > 0 => entries.push(Entry::Copy(*from, *to)),
            Step::Copy { .. } => {}
            Step::Run { node, scratch } => run(context, plan, &device, *node, scratch, &mut entries)?,
        }
    }
    Ok(entries)
}

fn run(
    context: &Context,
    plan: &Plan,
    device: &DeviceTraits,
    index: usize,
    scratch: &[Region],
    entries: &mut Vec<Entry>,
) -> Result<(), EngineError> {
    let node = &plan.graph().nodes()[index];
    let shapes = plan.shapes(index);
    let dispatches = node.op.dispatches(&shapes, device);
    let in_place = |i: usize| node.op.in_place().iter().any(|&(_, output)| output == i);
    let computes = shapes.outputs.iter().enumerate().any(|(i, ty)| !ty.is_empty() && !in_place(i));
    if dispatches.is_empty() && computes {
        // Its outputs would hold whatever was in their slots.
        return Err(context.refused(format!("op {}", node.op.name()), "it has no kernel"));
    }
    let flops = node.op.flops(&shapes) / dispatches.len().max(1) as u64;
    let tensor = |list: &[Tensor], i: usize| list.get(i).and_then(|&t| plan.region(t));
    for dispatch in dispatches {
        let mut regions = Vec::with_capacity(dispatch.bindings.len());
        for binding in &dispatch.bindings {
            let region = match binding.operand {
                Operand::Input(i) => tensor(&node.inputs, i),
                Operand::Output(i) => tensor(&node.outputs, i),
                Operand::Scratch(i) => scratch.get(i).copied(),
            };
            let Some(region) = region else {
                let reason = format!("op {} binds {:?}, which has no place", node.op.name(), binding.operand);
                return Err(context.refused(format!("shader {}", dispatch.shader), reason));
            };
            regions.push(region);
        }
        if dispatch.workgroups.iter().all(|&n| n > 0) {
            entries.push(Entry::Dispatch(Item { dispatch, regions, flops }));
        }
    }
    Ok(())
}

fn check_limits(context: &Context, plan: &Plan, entries: &[Entry]) -> Result<(), EngineError> {
    let limits = &context.limits;
    for (i, buffer) in plan.buffers().iter().enumerate() {
        context.within(
            || format!("the buffer of {}, in bytes,", label(plan, i)),
            buffer.len as u64 * 4,
            limits.max_buffer_size,
        )?;
    }
    for item in items(entries) {
        let shader = item.dispatch.shader;
        let most = limits.max_storage_buffers_per_shader_stage.into();
        context.within(|| format!("the number of bindings of shader {shader}"), item.regions.len() as u64, most)?;
        for region in &item.regions {
            let what = || format!("the binding of {} in shader {shader}, in bytes,", label(plan, region.buffer));
            context.within(what, bound(region.len), limits.max_storage_buffer_binding_size)?;
        }
        let groups = item.dispatch.workgroups.into_iter().max().unwrap_or_default().into();
        let most = limits.max_compute_workgroups_per_dimension.into();
        context.within(|| format!("the number of workgroups of shader {shader}"), groups, most)?;
        let words = item.dispatch.uniform.len() as u64 * 4;
        let most = limits.max_uniform_buffer_binding_size;
        context.within(|| format!("the uniform of shader {shader}, in bytes,"), words, most)?;
    }
    Ok(())
}

/// Bytes of the binding of a region: whole vectors of four, which every buffer has room for.
fn bound(len: usize) -> u64 {
    (len.max(1) as u64 * 4).next_multiple_of(16)
}

/// What a buffer holds, for errors and debuggers.
fn label(plan: &Plan, buffer: usize) -> String {
    match plan.buffers()[buffer].kind {
        Kind::Bank(bank) => bank.name().to_string(),
        Kind::Slot => format!("slot {buffer}"),
        Kind::Input => {
            // Buffers of inputs lie behind the banks in the order of the inputs.
            let inputs = plan.graph().values().iter().filter(|value| value.source == Source::Input);
            let name = inputs.map(|value| value.name.as_str()).nth(buffer.saturating_sub(plan.banks().count()));
            format!("input {}", name.unwrap_or_default())
        }
    }
}

fn allocate(context: &mut Context, banks: &Banks, plan: &Plan) -> Result<Vec<wgpu::Buffer>, EngineError> {
    let peak = context.allocated + plan.bytes(|kind| !matches!(kind, Kind::Bank(_)));
    let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST;
    let mut buffers = Vec::with_capacity(plan.buffers().len());
    for (i, buffer) in plan.buffers().iter().enumerate() {
        let bank = if let Kind::Bank(bank) = buffer.kind { banks[bank.index()].clone() } else { None };
        buffers.push(match bank {
            Some(bank) => bank,
            None => context.buffer(&label(plan, i), buffer.len as u64 * 4, usage).map_err(|error| match error {
                EngineError::OutOfMemory { adapter, .. } => {
                    EngineError::OutOfMemory { adapter, needed: peak.div_ceil(1 << 20) }
                }
                other => other,
            })?,
        });
    }
    Ok(buffers)
}

fn uniforms(context: &mut Context, entries: &[Entry]) -> Result<(Option<wgpu::Buffer>, Places), EngineError> {
    let (bytes, places) = lay_out_uniforms(items(entries).map(|item| item.dispatch.uniform.as_slice()));
    if bytes.is_empty() {
        return Ok((None, places));
    }
    let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
    let buffer = context.buffer("uniforms", bytes.len() as u64, usage)?;
    context.guarded("the uniforms", || context.queue.write_buffer(&buffer, 0, &bytes))?;
    Ok((Some(buffer), places))
}

fn bind(
    context: &Context,
    layout: &wgpu::BindGroupLayout,
    item: &Item,
    buffers: &[wgpu::Buffer],
    uniform: Option<(&wgpu::Buffer, (u64, u64))>,
) -> Result<wgpu::BindGroup, EngineError> {
    let shader = item.dispatch.shader;
    conflicts(context, item)?;
    let entry = |binding, buffer, offset, size| wgpu::BindGroupEntry {
        binding,
        resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer, offset, size: NonZeroU64::new(size) }),
    };
    let mut entries = Vec::with_capacity(item.regions.len() + 1);
    if let Some((buffer, (offset, size))) = uniform {
        entries.push(entry(0, buffer, offset, size));
    }
    for (binding, region) in (1..).zip(&item.regions) {
        entries.push(entry(binding, &buffers[region.buffer], region.offset as u64 * 4, bound(region.len)));
    }
    context.guarded(&format!("shader {shader}"), || {
        let descriptor = wgpu::BindGroupDescriptor { label: Some(shader), layout, entries: &entries };
        context.device.create_bind_group(&descriptor)
    })
}

/// A dispatch may not read a buffer that it writes, not even another window of it: usage is tracked by buffer.
fn conflicts(context: &Context, item: &Item) -> Result<(), EngineError> {
    let bindings = || item.dispatch.bindings.iter().zip(&item.regions);
    for (binding, region) in bindings() {
        let clash = |other: Access| bindings().any(|(b, r)| b.access == other && r.buffer == region.buffer);
        if binding.access == Access::Read && clash(Access::Write) {
            let reason = format!("{:?} is read from a buffer that the dispatch writes", binding.operand);
            return Err(context.refused(format!("shader {}", item.dispatch.shader), reason));
        }
    }
    Ok(())
}

fn copy(context: &Context, buffers: &[wgpu::Buffer], from: Region, to: Region) -> Result<Command, EngineError> {
    if from.buffer == to.buffer {
        return Err(context.refused("a copy", "it stays inside one buffer, which WebGPU does not allow"));
    }
    let place = |region: Region| (buffers[region.buffer].clone(), region.offset as u64 * 4);
    Ok(Command::Copy { from: place(from), to: place(to), bytes: from.len as u64 * 4 })
}
