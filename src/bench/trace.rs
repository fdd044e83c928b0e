//! A profiled step as a file for chrome://tracing or Perfetto: the Trace Event Format's JSON with complete events.

use super::phase::Phase;
use super::profile::TracedCall;
use serde_json::{Value, json};

/// The device's process.
const PROCESS: u32 = 1;

/// The trace of `calls`, a track for each phase; times in microseconds from the first call on.
pub fn chrome_trace(device: &str, calls: &[TracedCall]) -> Value {
    let begin = calls.iter().filter_map(|call| call.span.as_ref()).map(|span| span.start).fold(f64::INFINITY, f64::min);
    // In the order of a step; copies come last.
    let mut phases: Vec<Option<&Phase>> = calls.iter().map(|call| call.phase.as_ref()).collect();
    phases.sort_unstable_by_key(|phase| (phase.is_none(), *phase));
    phases.dedup();
    let track = |of: Option<&Phase>| phases.iter().position(|&phase| phase == of);
    let mut events = vec![json!({ "ph": "M", "name": "process_name", "pid": PROCESS, "args": { "name": device } })];
    for &phase in &phases {
        let (track, name) = (track(phase), phase.map_or("copies".to_string(), |phase| phase.to_string()));
        for (what, argument) in
            [("thread_name", json!({ "name": name })), ("thread_sort_index", json!({ "sort_index": track }))]
        {
            events.push(json!({ "ph": "M", "name": what, "pid": PROCESS, "tid": track, "args": argument }));
        }
    }
    for call in calls {
        let Some(span) = &call.span else { continue };
        let seconds = span.end - span.start;
        let mut arguments = json!({ "op": call.op, "bytes": call.bytes, "flops": call.flops });
        if let Some(node) = call.node {
            arguments["node"] = node.into();
            arguments["part"] = call.part.into();
            arguments["inputs"] = json!(call.inputs);
            arguments["outputs"] = json!(call.outputs);
            arguments["parameters"] = json!(call.parameters);
        }
        if seconds > 0.0 {
            arguments["GB/s"] = json!(call.bytes as f64 / seconds / 1e9);
            arguments["GFLOP/s"] = json!(call.flops as f64 / seconds / 1e9);
        }
        events.push(json!({
            "ph": "X", "name": call.name, "cat": call.phase.as_ref().map_or("copy".to_string(), Phase::to_string),
            "ts": (span.start - begin) * 1e6, "dur": seconds * 1e6, "pid": PROCESS, "tid": track(call.phase.as_ref()),
            "args": arguments,
        }));
    }
    json!({ "displayTimeUnit": "ms", "traceEvents": events })
}
