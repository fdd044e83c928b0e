// Whether a number is neither infinite nor no number at all. By its bits: compilers may take every number for finite.
fn finite(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7f800000u) != 0x7f800000u;
}
