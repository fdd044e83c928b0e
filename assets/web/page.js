// The page: draws the window. What trains is begun by it, see worker.js.
const said = document.getElementById("said");
const fail = (why) => { said.textContent = `leyden could not begin here: ${why}`; };
try {
  const { default: init, show } = await import("./leyden.js");
  await init({ module_or_path: "./leyden_bg.wasm" });
  await show(document.getElementById("window"));
  said.textContent = "";
} catch (error) {
  fail(error?.message ?? error);
  throw error;
}
