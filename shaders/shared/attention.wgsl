// What all attention kernels have in common. Needs shared/step.wgsl and shared/random.wgsl before it.

struct Arguments {
    groups: u32,    // workgroups that have work
    length: u32,    // L
    heads: u32,
    width: u32,     // of a head
    stream: u32,    // of dropout's random numbers
    threshold: u32, // a probability is dropped where its number is below; 0 without dropout
    keep: f32,      // 1 / (1 - probability of dropout)
    scale: f32,     // 1 / sqrt(width)
    count: u32,     // probabilities: B * heads * L * L, modulo 2^32
}

@group(0) @binding(0) var<uniform> arguments: Arguments;

// Factors that dropout gives four neighbouring probabilities, the first of them numbered `element`.
fn dropout4(element: u32) -> vec4<f32> {
    if arguments.threshold == 0u {
        return vec4<f32>(arguments.keep);
    }
    let bits = draw4_from(arguments.stream, step.part * arguments.count + element);
    return select(vec4<f32>(0.0), vec4<f32>(arguments.keep), bits >= vec4<u32>(arguments.threshold));
}

// Some drivers return nonsense far below -87, where e^x is as good as 0; what is not a number must stay that.
fn exp4(x: vec4<f32>) -> vec4<f32> {
    return select(exp(x), vec4<f32>(0.0), x < vec4<f32>(-87.0));
}

// A head of an example, and where it lies: in elements, or in vectors of 4.
struct Head {
    example: u32,
    rows: u32,    // number of the first query's row of probabilities: (example * heads + head) * length
    queries: u32, // where the head begins in the example's first row of qkv
    keys: u32,
    values: u32,
    out: u32,     // the same in the output
    stride: u32,  // of a row of qkv
    hidden: u32,  // of a row of the output
    columns: u32, // of a head's row
}

// The head of number `pair`, example * heads + head, with so many columns: its width, or a fourth of it for vectors.
fn find_head(pair: u32, columns: u32) -> Head {
    let hidden = arguments.heads * columns;
    let example = pair / arguments.heads;
    let out = example * arguments.length * hidden + pair % arguments.heads * columns;
    let queries = out + 2u * example * arguments.length * hidden;
    let rows = pair * arguments.length;
    return Head(example, rows, queries, queries + hidden, queries + 2u * hidden, out, 3u * hidden, hidden, columns);
}
