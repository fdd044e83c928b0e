// What is drawn on the canvas once more as elements, unseen, for screen readers and whoever looks for things by their names.
const elements = new Map();
let root = null;
let drawn = null;
let tell = () => {};

const TAGS = { button: "button", link: "a", heading: "h2" };

export function begin(canvas, heard) {
  tell = heard;
  root = document.createElement("div");
  root.id = "mirror";
  root.setAttribute("role", "group");
  root.setAttribute("aria-label", "leyden");
  drawn = canvas;
  canvas.setAttribute("role", "application");
  canvas.setAttribute("aria-label", "leyden");
  canvas.setAttribute("aria-owns", root.id);
  root.style.cssText = "position:absolute;inset:0;overflow:hidden;opacity:0;pointer-events:none;z-index:-1";
  canvas.before(root);
}

function element(node) {
  const known = elements.get(node.id);
  if (known && known.dataset.role === node.role) return known;
  known?.remove();
  const made = document.createElement(TAGS[node.role] ?? "div");
  made.id = `mirror-${node.id}`;
  made.dataset.role = node.role;
  if (!TAGS[node.role] && node.role !== "text") made.setAttribute("role", node.role);
  made.style.cssText = "position:absolute;margin:0;padding:0;border:0;overflow:hidden;white-space:nowrap";
  if (node.acts) {
    made.tabIndex = -1;
    made.addEventListener("click", () => tell(node.id, "click"));
    made.addEventListener("focus", () => tell(node.id, "focus"));
  }
  elements.set(node.id, made);
  return made;
}

function set(made, name, value) {
  if (value === null || value === undefined) {
    made.removeAttribute(name);
  } else if (made.getAttribute(name) !== String(value)) {
    made.setAttribute(name, value);
  }
}

// Every node that has a name or can be acted on, in the order in which it is read; `focus` is the id of the one that has the window's
// focus. The page's own stays on the canvas, or on the field that takes what is typed, unless a screen reader moves it.
export function show(text, focus) {
  const nodes = JSON.parse(text);
  const kept = new Set(nodes.map((node) => node.id));
  for (const [id, made] of elements) {
    if (!kept.has(id)) {
      made.remove();
      elements.delete(id);
    }
  }
  let before = null;
  for (const node of nodes) {
    const made = element(node);
    if (node.role === "text") {
      if (made.textContent !== node.name) made.textContent = node.name;
    } else {
      set(made, "aria-label", node.name);
    }
    set(made, "aria-valuetext", node.value);
    set(made, "aria-checked", node.checked);
    set(made, "aria-disabled", node.disabled ? "true" : null);
    set(made, "aria-live", node.live ? "polite" : null);
    const [left, top, width, height] = node.at;
    const place = `${left}px ${top}px ${width}px ${height}px`;
    if (made.dataset.place !== place) {
      made.dataset.place = place;
      Object.assign(made.style, { left: `${left}px`, top: `${top}px`, width: `${width}px`, height: `${height}px` });
    }
    const next = before ? before.nextSibling : root.firstChild;
    if (next !== made) root.insertBefore(made, next);
    before = made;
  }
  const focused = elements.get(focus);
  set(drawn, "aria-activedescendant", focused?.id);
  if (document.activeElement instanceof HTMLInputElement) {
    set(document.activeElement, "aria-label", focused?.getAttribute("aria-label"));
  }
}
