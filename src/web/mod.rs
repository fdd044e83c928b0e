//! leyden in a browser: the page draws, a Worker trains.
//!
//! Both are this program, compiled once for `wasm32-unknown-unknown`: a page calls [`show`], and the Worker that the window starts
//! calls [`serve`]. `assets/web` has the page, `tests/web` builds and tries it.

mod memory;
mod mirror;
mod storage;

pub(crate) use memory::NO_MEMORY;
pub(crate) use storage::{Held, Storage};

use crate::window::state::Link;
use crate::window::{App, Stir, Wake, worker};
use std::sync::Arc;
use wasm_bindgen::prelude::*;
use web_time::Duration;

#[wasm_bindgen(inline_js = "
const channel = new MessageChannel();
const waiting = [];
channel.port1.onmessage = () => waiting.shift()();
export function turn() { return new Promise(done => { waiting.push(done); channel.port2.postMessage(null); }); }
export function download(name, bytes) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([bytes]));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}
export function begun() {
  const url = new URL(location.href);
  url.searchParams.delete('start');
  history.replaceState(null, '', url);
}
export function whenHidden(does) {
  document.addEventListener('visibilitychange', () => { if (document.hidden) does(); });
}
export function later(milliseconds) { return new Promise(done => setTimeout(done, milliseconds)); }
")]
extern "C" {
    fn turn() -> js_sys::Promise;
    fn later(milliseconds: u32) -> js_sys::Promise;
    /// The page's address does not ask to start any more: a page that is loaded again has the run that it began.
    fn begun();
    #[wasm_bindgen(js_name = whenHidden)]
    fn when_hidden(does: &Closure<dyn Fn()>);
    /// Has the browser save bytes as a file of that name.
    pub(crate) fn download(name: &str, bytes: &[u8]);
}

/// Gives the thread back to the browser until everything that waits for it has had its turn.
pub async fn pause() {
    // Neither promise is ever refused.
    let _ = wasm_bindgen_futures::JsFuture::from(turn()).await;
}

/// Gives the thread back to the browser for so long.
pub(crate) async fn sleep(time: Duration) {
    let _ = wasm_bindgen_futures::JsFuture::from(later(time.as_millis() as u32)).await;
}

/// Why training is on the CPU where nobody chose that, in words.
pub(crate) fn why_cpu() -> &'static str {
    let is_secure = js_sys::Reflect::get(&js_sys::global(), &"isSecureContext".into());
    match is_secure.is_ok_and(|is| is.is_truthy()) {
        true => "the CPU trains: this browser gives the page no GPU (WebGPU)",
        false => "the CPU trains: browsers give a GPU (WebGPU) only to pages that come over https or from this machine",
    }
}

/// Says something to whoever looks at the browser's console.
pub(crate) fn complain(what: &str) {
    web_sys::console::error_1(&what.into());
}

/// Opens the window on a page's canvas.
///
/// # Errors
/// What the browser says where it cannot draw.
#[wasm_bindgen]
pub async fn show(canvas: web_sys::HtmlCanvasElement) -> Result<(), JsValue> {
    console_error_panic_hook::set_once();
    let options = eframe::WebOptions::default();
    let asked: Vec<(String, String)> = asked().unwrap_or_default();
    let drawn_on = canvas.clone();
    let create: eframe::AppCreator<'static> = Box::new(move |context| {
        let ctx = context.egui_ctx.clone();
        mirror::mirror(&ctx, &drawn_on);
        let wake: Wake = Arc::new(move |stir| match stir {
            Stir::Now => ctx.request_repaint(),
            Stir::Steps(_) => ctx.request_repaint_after(Duration::from_millis(33)),
        });
        let mut app = App::new(wake);
        app.list_runs(crate::run::RUNS.into());
        let link = Link::of(asked);
        if link.as_ref().is_ok_and(|link| link.starts) {
            begun();
        }
        app.follow_link(link);
        Ok(Box::new(app))
    });
    let saves = Closure::<dyn Fn()>::new(worker::save_now);
    when_hidden(&saves);
    // As long as the page.
    saves.forget();
    eframe::WebRunner::new().start(canvas, options, create).await
}

/// What stands behind the question mark of the page's address.
fn asked() -> Option<Vec<(String, String)>> {
    let search = web_sys::window()?.location().search().ok()?;
    let pairs = web_sys::UrlSearchParams::new_with_str(&search).ok()?;
    let pair = |pair: Result<JsValue, JsValue>| {
        let pair = js_sys::Array::from(&pair.ok()?);
        Some((pair.get(0).as_string()?, pair.get(1).as_string()?))
    };
    Some(pairs.entries().into_iter().filter_map(pair).collect())
}

/// The trainer, in a Worker. `early` is what the page has said before.
#[wasm_bindgen]
pub async fn serve(early: js_sys::Array) {
    console_error_panic_hook::set_once();
    worker::serve(early).await;
}
