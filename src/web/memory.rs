//! Memory that runs out: a Worker that can have no more of it ends at once, and its page is to know why.

use std::alloc::{GlobalAlloc, Layout, System};
use wasm_bindgen::prelude::*;

/// What a Worker that has no more memory says to its page.
pub(crate) const NO_MEMORY: &str = "no memory";

#[wasm_bindgen(inline_js = "
export function say(what) { if (typeof document === 'undefined') self.postMessage(what); }
")]
extern "C" {
    fn say(what: &str);
}

/// The system's, which says where it has no more.
struct Told;

// SAFETY: all of it is the system's allocator; what is told in between takes no memory of this program.
unsafe impl GlobalAlloc for Told {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as asked of this.
        told(unsafe { System.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as asked of this.
        told(unsafe { System.alloc_zeroed(layout) })
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as asked of this.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as asked of this.
        told(unsafe { System.realloc(memory, layout, size) })
    }
}

#[global_allocator]
static MEMORY: Told = Told;

fn told(memory: *mut u8) -> *mut u8 {
    if memory.is_null() {
        say(NO_MEMORY);
    }
    memory
}
