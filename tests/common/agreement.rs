//! What an op says about its dispatches against what the shaders declare.

use leyden::gpu::shaders::source;
use leyden::op::{Access, Dispatch};
use leyden::plan::{Plan, Step, Target};
use naga::proc::Layouter;
use naga::{AddressSpace, StorageAccess};

/// Compares every dispatch of a plan for a GPU with its shader: the uniform's size, the bindings' number and access,
/// and the names of constants. What does not agree is added to `bad`.
pub fn compare(plan: &Plan, bad: &mut Vec<String>) {
    let Target::Gpu(device) = plan.target() else { return };
    for step in plan.steps() {
        let Step::Run { node, .. } = step else { continue };
        let op = &plan.graph().nodes()[*node].op;
        for dispatch in op.dispatches(&plan.shapes(*node), &device) {
            if let Err(error) = disagreement(&dispatch) {
                let line = format!("  op {}, shader {}: {error}", op.name(), dispatch.shader);
                if !bad.contains(&line) {
                    bad.push(line);
                }
            }
        }
    }
}

fn disagreement(dispatch: &Dispatch) -> Result<(), String> {
    let text = source(dispatch.shader, &dispatch.elements).map_err(|error| error.to_string())?;
    let module = naga::front::wgsl::parse_str(&text).map_err(|error| error.emit_to_string(&text))?;
    let mut layouter = Layouter::default();
    layouter.update(module.to_ctx()).map_err(|error| error.to_string())?;
    let mut uniform = 0;
    let mut bindings = Vec::new();
    for (_, global) in module.global_variables.iter() {
        match (global.space, global.binding.map(|b| (b.group, b.binding))) {
            (AddressSpace::Uniform, Some((0, 0))) => uniform = layouter[global.ty].size as usize / 4,
            (AddressSpace::Storage { access }, Some((0, binding))) => {
                let read = access == StorageAccess::LOAD;
                bindings.push((binding, if read { Access::Read } else { Access::Write }));
            }
            _ => {}
        }
    }
    bindings.sort_by_key(|&(binding, _)| binding);
    let declared: Vec<Access> = bindings.into_iter().map(|(_, access)| access).collect();
    let bound: Vec<Access> = dispatch.bindings.iter().map(|binding| binding.access).collect();
    if declared != bound {
        return Err(format!("declares {declared:?}, the op binds {bound:?}"));
    }
    if uniform != dispatch.uniform.len() {
        return Err(format!("its uniform has {uniform} words, the op gives {}", dispatch.uniform.len()));
    }
    let overrides: Vec<&str> = module.overrides.iter().filter_map(|(_, o)| o.name.as_deref()).collect();
    match dispatch.constants.iter().find(|(name, _)| !overrides.contains(name)) {
        Some((name, _)) => Err(format!("declares the overrides {overrides:?}, the op sets {name}")),
        None => Ok(()),
    }
}
