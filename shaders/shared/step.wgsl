// What changes from step to step and from part to part; the layout of `ops::StepState`.
struct Step {
    seed: vec2<u32>,
    step: u32,
    part: u32, // of the step's batch, from 0
    learning_rate: f32,
    correction1: f32,
    correction2: f32,
    padding: f32,
}

@group(1) @binding(0) var<uniform> step: Step;
