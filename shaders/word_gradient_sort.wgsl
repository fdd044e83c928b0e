// Sorts every block of 4,096 tokens by id, then by position: the first step of word_gradient. Twin:
// ops/embedding_gradient.rs.
//
// A key is id * 4096 + position in the block, so that equal ids keep their order. Places without a token and ids
// beyond the vocabulary get the largest key. Batcher's bitonic network (AFIPS 1968) in workgroup memory.

const SIZE: u32 = 4096u;
const NONE: u32 = 0xffffffffu;

struct Arguments {
    tokens: u32, // T
    vocabulary: u32,
}

@group(0) @binding(0) var<uniform> arguments: Arguments;
@group(0) @binding(1) var<storage, read> ids: array<u32>;        // [T]
@group(0) @binding(2) var<storage, read_write> keys: array<u32>; // [blocks, 4096]

var<workgroup> block: array<u32, SIZE>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let start = workgroup.x * SIZE;
    for (var i = local; i < SIZE; i += 256u) {
        var key = NONE;
        if start + i < arguments.tokens {
            let id = ids[start + i];
            if id < arguments.vocabulary {
                key = id * SIZE + i;
            }
        }
        block[i] = key;
    }
    workgroupBarrier();
    for (var size = 2u; size <= SIZE; size *= 2u) {
        for (var distance = size / 2u; distance > 0u; distance /= 2u) {
            for (var pair = local; pair < SIZE / 2u; pair += 256u) {
                // The pair's lower place: a 0 bit put in where `distance` has its bit.
                let low = 2u * pair - (pair & (distance - 1u));
                let high = low + distance;
                let a = block[low];
                let b = block[high];
                if (a > b) == ((low & size) == 0u) {
                    block[low] = b;
                    block[high] = a;
                }
            }
            workgroupBarrier();
        }
    }
    for (var i = local; i < SIZE; i += 256u) {
        keys[start + i] = block[i];
    }
}
