//! Colour in a terminal, plain text elsewhere.

use std::io::IsTerminal as _;

/// Whether to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Style {
    on: bool,
}

impl Style {
    /// For standard output.
    pub(crate) fn stdout() -> Self {
        Self::new(std::io::stdout().is_terminal())
    }

    /// For standard error.
    pub(crate) fn stderr() -> Self {
        Self::new(std::io::stderr().is_terminal())
    }

    /// `NO_COLOR` (no-color.org) and `CLICOLOR_FORCE` are heeded.
    fn new(terminal: bool) -> Self {
        let set = |name| std::env::var_os(name).is_some_and(|v| !v.is_empty());
        Self { on: set("CLICOLOR_FORCE") || (terminal && !set("NO_COLOR")) }
    }

    /// Whether there are colours.
    pub(crate) fn on(self) -> bool {
        self.on
    }

    fn code(self, code: &str, text: &str) -> String {
        if self.on { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
    }

    /// Bold.
    pub(crate) fn bold(self, text: &str) -> String {
        self.code("1", text)
    }

    /// For what is less important.
    pub(crate) fn dim(self, text: &str) -> String {
        self.code("2", text)
    }

    /// For errors and fakes.
    pub(crate) fn red(self, text: &str) -> String {
        self.code("1;31", text)
    }

    /// For what is right.
    pub(crate) fn green(self, text: &str) -> String {
        self.code("32", text)
    }

    /// For what deserves a look.
    pub(crate) fn yellow(self, text: &str) -> String {
        self.code("33", text)
    }
}
