// The Worker: trains. The page may speak before the program is there, so what it says is kept until then.
const early = [];
self.onmessage = (event) => early.push(event.data);
const { default: init, serve } = await import("./leyden.js");
await init({ module_or_path: "./leyden_bg.wasm" });
await serve(early);
