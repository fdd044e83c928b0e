// Which keys a query sees: the example's first so many, or, in an order, those whose rank is no higher than the query's bound. Needs
// shared/attention.wgsl, and `visible`: lengths [B], or ranks and bounds [B, 2, L].

override ordered: bool = false;

// Keys that any query of the example may see.
fn valid_keys(example: u32) -> u32 {
    if ordered {
        return arguments.length;
    }
    return min(visible[example], arguments.length);
}

// Whether a query sees the key and the three behind it.
fn sees4(example: u32, query: u32, key: u32) -> vec4<bool> {
    let keys = vec4<u32>(key, key + 1u, key + 2u, key + 3u);
    let length = arguments.length;
    if !ordered {
        return keys < vec4<u32>(min(visible[example], length));
    }
    let first = example * 2u * length;
    let bound = visible[first + length + min(query, length - 1u)];
    let at = vec4<u32>(first) + min(keys, vec4<u32>(length - 1u));
    let ranks = vec4<u32>(visible[at.x], visible[at.y], visible[at.z], visible[at.w]);
    return (ranks <= vec4<u32>(bound)) & (keys < vec4<u32>(length));
}
