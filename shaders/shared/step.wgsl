// What changes from step to step; the layout of `ops::StepState`.
struct Step {
    seed: vec2<u32>,
    step: u32,
    padding: u32,
    learning_rate: f32,
    correction1: f32,
    correction2: f32,
    padding2: f32,
}

@group(1) @binding(0) var<uniform> step: Step;
