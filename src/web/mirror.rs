//! The window once more as elements of the page, unseen: for screen readers, which see nothing on a canvas, and for tests.
//!
//! What egui tells accessibility tools on a desktop is shown here as elements with ARIA roles and names, and what is done to those is
//! told egui as such a tool would.

use egui::accesskit::{Action, ActionRequest, Node, NodeId, Role, Toggled, TreeId, TreeUpdate};
use egui::{Context, Event, FullOutput, RawInput};
use serde::Serialize;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use wasm_bindgen::prelude::*;
use web_time::{Duration, Instant};

#[wasm_bindgen(module = "/assets/web/mirror.js")]
extern "C" {
    fn begin(canvas: &web_sys::HtmlCanvasElement, heard: &Closure<dyn Fn(String, String)>);
    fn show(nodes: &str, focus: &str);
}

/// Elements change no more often: a screen reader reads no faster.
const OFTEN: Duration = Duration::from_millis(250);

type Heard = Arc<Mutex<Vec<ActionRequest>>>;

/// Shows what is drawn in `ctx` as elements in front of `canvas`.
pub(super) fn mirror(ctx: &Context, canvas: &web_sys::HtmlCanvasElement) {
    let heard = Heard::default();
    let (told, wakes) = (heard.clone(), ctx.clone());
    let hear = Closure::<dyn Fn(String, String)>::new(move |id: String, what: String| {
        let action = if what == "focus" { Action::Focus } else { Action::Click };
        let Ok(id) = id.parse() else { return };
        let request = ActionRequest { action, target_tree: TreeId::ROOT, target_node: NodeId(id), data: None };
        told.lock().unwrap_or_else(PoisonError::into_inner).push(request);
        wakes.request_repaint();
    });
    begin(canvas, &hear);
    // As long as the page.
    hear.forget();
    ctx.enable_accesskit();
    ctx.add_plugin(Mirror { shown: None, heard });
}

struct Mirror {
    shown: Option<Instant>,
    heard: Heard,
}

impl egui::Plugin for Mirror {
    fn debug_name(&self) -> &'static str {
        "mirror"
    }

    fn input_hook(&mut self, _: &Context, input: &mut RawInput) {
        let heard = std::mem::take(&mut *self.heard.lock().unwrap_or_else(PoisonError::into_inner));
        input.events.extend(heard.into_iter().map(Event::AccessKitActionRequest));
    }

    fn output_hook(&mut self, ctx: &Context, output: &mut FullOutput) {
        let Some(update) = output.platform_output.accesskit_update.take() else { return };
        if self.shown.is_some_and(|when| when.elapsed() < OFTEN) {
            ctx.request_repaint_after(OFTEN);
            return;
        }
        self.shown = Some(Instant::now());
        show(&serde_json::to_string(&elements(&update)).unwrap_or_default(), &update.focus.0.to_string());
    }
}

/// An element as `mirror.js` takes it.
#[derive(Serialize)]
struct Element<'a> {
    /// A number too large for JavaScript's.
    id: String,
    role: &'static str,
    name: String,
    value: Option<&'a str>,
    checked: Option<bool>,
    disabled: bool,
    live: bool,
    /// Whether it can be clicked or typed into.
    acts: bool,
    /// Left, top, width and height.
    at: [f64; 4],
}

/// What has a name or can be acted on, in reading order.
fn elements(update: &TreeUpdate) -> Vec<Element<'_>> {
    let nodes: HashMap<NodeId, &Node> = update.nodes.iter().map(|(id, node)| (*id, node)).collect();
    let Some(tree) = &update.tree else { return Vec::new() };
    let (mut found, mut ahead) = (Vec::new(), vec![tree.root]);
    while let Some(id) = ahead.pop() {
        let Some(node) = nodes.get(&id).filter(|node| !node.is_hidden()) else { continue };
        ahead.extend(node.children().iter().rev());
        let acts = node.supports_action(Action::Click) || node.supports_action(Action::Focus);
        let name = name(node, &nodes);
        if let Some(role) = role(node.role()).filter(|_| acts || !name.is_empty()) {
            let at = node.bounds().map_or([0.0; 4], |b| [b.x0, b.y0, b.x1 - b.x0, b.y1 - b.y0]);
            let value = node.value().filter(|_| node.role() != Role::Label);
            let checked = node.toggled().map(|toggled| toggled == Toggled::True);
            let (disabled, live) = (node.is_disabled(), node.live().is_some());
            found.push(Element { id: id.0.to_string(), role, name, value, checked, disabled, live, acts, at });
        }
    }
    found
}

/// What it is called: by itself, or by what labels it.
fn name(node: &Node, nodes: &HashMap<NodeId, &Node>) -> String {
    let own = |node: &Node| match node.role() {
        Role::Label => node.value().or(node.label()).map(str::to_owned),
        _ => node.label().map(str::to_owned),
    };
    let of_others = || {
        let labels = node.labelled_by().iter().filter_map(|id| own(nodes.get(id)?));
        labels.collect::<Vec<_>>().join(" ")
    };
    own(node).unwrap_or_else(of_others)
}

/// Its ARIA role; none of what only holds others.
fn role(role: Role) -> Option<&'static str> {
    Some(match role {
        Role::Label => "text",
        Role::Button => "button",
        Role::CheckBox => "checkbox",
        Role::RadioButton => "radio",
        Role::Link => "link",
        Role::TextInput | Role::MultilineTextInput => "textbox",
        Role::ComboBox => "combobox",
        Role::Slider => "slider",
        Role::SpinButton => "spinbutton",
        Role::Heading => "heading",
        Role::Image => "img",
        Role::ProgressIndicator => "progressbar",
        Role::Tab => "tab",
        Role::MenuItem => "menuitem",
        Role::Unknown | Role::Window | Role::GenericContainer | Role::Pane | Role::ScrollView => return None,
        _ => "group",
    })
}
