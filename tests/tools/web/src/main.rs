//! What `tests/web` needs that is no shell: bindings, a server, and a browser that is told what to do.
//!
//! ```text
//! web bindings MODULE FOLDER         the JavaScript that loads a compiled module
//! web serve FOLDER [PORT]            a local server, until it is ended
//! web try FOLDER LEYDEN CHROMIUM OUT the page in a headless browser, held against the program
//! web measure FOLDER LEYDEN CHROMIUM OUT         its speed beside the program's
//! web picture FOLDER QUERY SECONDS CHROMIUM OUT      the page after so many seconds, as in the README
//! ```

mod browser;
mod serve;
mod speed;
mod story;
mod troubles;

use std::path::Path;
use wasm_bindgen_cli_support::Bindgen;

/// Gives pages WebGPU by a software driver too.
const WEBGPU: &str = "--enable-unsafe-webgpu";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["bindings", module, folder] => {
            let mut bindgen = Bindgen::new();
            bindgen.input_path(module).typescript(false).remove_name_section(true).web(true).expect("a target");
            bindgen.generate(folder).expect("bindings");
        }
        ["serve", folder] => serve::forever(Path::new(folder), 8000),
        ["serve", folder, port] => serve::forever(Path::new(folder), port.parse().expect("a port")),
        ["try", folder, leyden, chromium, out] => {
            let failed = story::tell(Path::new(folder), Path::new(leyden), chromium, Path::new(out));
            std::process::exit(i32::from(failed));
        }
        ["measure", folder, leyden, chromium, out] => {
            let all = speed::measure(Path::new(folder), Path::new(leyden), chromium, Path::new(out));
            std::process::exit(i32::from(!all));
        }
        ["picture", folder, query, seconds, chromium, out] => {
            let address = serve::begin(Path::new(folder));
            let mut browser = browser::Browser::start(chromium, &std::env::temp_dir().join("leyden-picture"), WEBGPU);
            browser.open(&format!("{address}/{query}"));
            std::thread::sleep(std::time::Duration::from_secs(seconds.parse().expect("seconds")));
            browser.picture(Path::new(out));
        }
        _ => {
            eprintln!(
                "usage: web bindings MODULE FOLDER | serve FOLDER [PORT] | try FOLDER LEYDEN CHROMIUM OUT | \
                 measure FOLDER LEYDEN CHROMIUM OUT | picture FOLDER QUERY SECONDS CHROMIUM OUT"
            );
            std::process::exit(2);
        }
    }
}
