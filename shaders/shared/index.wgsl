// The element of an invocation where `Dispatch::elements` chose the workgroups: one dimension, or two where more than
// 65,535 workgroups are needed. The result may lie beyond the last element.
fn element_index(workgroup_id: vec3<u32>, num_workgroups: vec3<u32>, local: u32, size: u32) -> u32 {
    return (workgroup_id.y * num_workgroups.x + workgroup_id.x) * size + local;
}
