//! How an op describes its WGSL dispatches, without a GPU type.

use crate::graph::{DType, TensorType};

/// A tensor of the node that a dispatch binds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operand {
    /// Input of this index.
    Input(usize),
    /// Output of this index.
    Output(usize),
    /// Scratch tensor of this index.
    Scratch(usize),
}

/// How a shader declares a binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    /// `var<storage, read>`
    Read,
    /// `var<storage, read_write>`
    Write,
}

/// A storage binding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Binding {
    /// What is bound.
    pub operand: Operand,
    /// How.
    pub access: Access,
    /// Elements that the kernel moves through it, where that is not each of the operand's once: see
    /// [`Dispatch::moving`].
    pub moves: Option<usize>,
}

/// One dispatch of one kernel.
///
/// In the shader, group 0 holds the uniform at binding 0 (only where `uniform` is not empty) and the storage buffers
/// from binding 1 on, in order; group 1 holds the step's state (`shared/step.wgsl`) at binding 0.
#[derive(Debug, Clone, PartialEq)]
pub struct Dispatch {
    /// The shader's stem; its entry point is `main`.
    pub shader: &'static str,
    /// Element types that the shader leaves open (its line `//! elements:`); f32 where none is given.
    pub elements: Vec<(&'static str, DType)>,
    /// Values of the shader's `override` constants.
    pub constants: Vec<(&'static str, f64)>,
    /// Storage bindings in order.
    pub bindings: Vec<Binding>,
    /// The uniform's words; floating-point fields as their bits.
    pub uniform: Vec<u32>,
    /// Workgroups in x, y, z.
    pub workgroups: [u32; 3],
    /// Floating-point operations; 0 where the op does not say how its own are shared out.
    pub flops: u64,
}

impl Dispatch {
    /// A dispatch of `shader` without bindings.
    pub fn new(shader: &'static str) -> Self {
        Self {
            shader,
            elements: Vec::new(),
            constants: Vec::new(),
            bindings: Vec::new(),
            uniform: Vec::new(),
            workgroups: [1, 1, 1],
            flops: 0,
        }
    }

    /// Says what `name` in the shader's line `//! elements:` stands for. Single precision is what it stands for anyway.
    pub fn element(mut self, name: &'static str, dtype: DType) -> Self {
        if dtype != DType::F32 {
            self.elements.push((name, dtype));
        }
        self
    }

    /// Sets an `override` constant.
    pub fn constant(mut self, name: &'static str, value: impl Into<f64>) -> Self {
        self.constants.push((name, value.into()));
        self
    }

    /// Binds a tensor for reading.
    pub fn read(mut self, operand: Operand) -> Self {
        self.bindings.push(Binding { operand, access: Access::Read, moves: None });
        self
    }

    /// Binds a tensor for reading and writing.
    pub fn write(mut self, operand: Operand) -> Self {
        self.bindings.push(Binding { operand, access: Access::Write, moves: None });
        self
    }

    /// Says that the kernel moves `elements` elements through the binding before, for counting bytes: rows that it
    /// gathers, a window that its uniform points it to, twice as many where it adds to what is there.
    pub fn moving(mut self, elements: usize) -> Self {
        if let Some(binding) = self.bindings.last_mut() {
            binding.moves = Some(elements);
        }
        self
    }

    /// Says how many floating-point operations it does, a multiply-add counted as two.
    pub fn flops(mut self, flops: u64) -> Self {
        self.flops = flops;
        self
    }

    /// Appends an unsigned word to the uniform.
    pub fn word(mut self, value: usize) -> Self {
        self.uniform.push(value as u32);
        self
    }

    /// Appends a floating-point word to the uniform.
    pub fn float(mut self, value: f32) -> Self {
        self.uniform.push(value.to_bits());
        self
    }

    /// Sets the number of workgroups.
    pub fn groups(mut self, x: usize, y: usize, z: usize) -> Self {
        self.workgroups = [x as u32, y as u32, z as u32];
        self
    }

    /// Workgroups for one invocation an element, in two dimensions where one is not enough: the shader's element is
    /// `(id.y * groups.x + id.x) * size + local`, see `shared/index.wgsl`.
    pub fn elements(self, n: usize, workgroup_size: usize) -> Self {
        const MOST: usize = 65_535;
        let groups = n.div_ceil(workgroup_size).max(1);
        let y = groups.div_ceil(MOST);
        self.groups(groups.div_ceil(y), y, 1)
    }
}

/// The types of a node's tensors.
#[derive(Debug, Clone, PartialEq)]
pub struct Shapes {
    /// Inputs' types.
    pub inputs: Vec<TensorType>,
    /// Outputs' types.
    pub outputs: Vec<TensorType>,
}
