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

    /// Never coloured.
    #[cfg(test)]
    pub(crate) fn plain() -> Self {
        Self { on: false }
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

    /// A background that grows from none over yellow to red with a probability. Both colours are set, so that it can be
    /// read in light and dark terminals.
    pub(crate) fn heat(self, p: f32, text: &str) -> String {
        // Of the 256 colours that terminals agree on: 16 is black, 231 white.
        let code = match p {
            p if p > 0.85 => "1;38;5;231;48;5;160",
            p if p > 0.7 => "1;38;5;16;48;5;203",
            p if p > 0.5 => "1;38;5;16;48;5;215",
            p if p > 0.35 => "38;5;16;48;5;222",
            p if p > 0.2 => "38;5;16;48;5;230",
            _ => return text.to_string(),
        };
        self.code(code, text)
    }
}
