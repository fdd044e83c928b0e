//! What a person is told.

/// Something to tell the person.
#[derive(Debug, Clone, PartialEq)]
pub struct Notice {
    /// Whether it is bad news.
    pub warning: bool,
    /// In words.
    pub text: String,
}

impl Notice {
    /// In the window's words: errors and warnings name the terminal's flags; here they are fields of the start page.
    pub(super) fn new(warning: bool, text: &str) -> Self {
        const WORDS: [(&str, &str); 13] = [
            ("--documents blank-lines", "`leyden prepare --documents blank-lines`"),
            ("--device cpu", "the device cpu"),
            ("--learning-rate", "learning rate"),
            ("--on-nan rollback", "another seed"),
            ("--memory", "memory"),
            ("a smaller --batch, --length or preset", "a smaller model"),
            ("a smaller --batch or preset", "a smaller model"),
            ("a smaller --length or preset", "a smaller model"),
            ("--tokenizer", "`leyden prepare --tokenizer`"),
            ("--held-out", "`leyden prepare --held-out`"),
            ("--init-from", "init_from"),
            ("leave --log out", "switch logarithmic off"),
            ("; see `leyden devices`, or use the device cpu", "; choose another, or cpu"),
        ];
        let words = WORDS.iter().fold(text.to_string(), |text, (flag, word)| text.replace(flag, word));
        Self { warning, text: words.split_whitespace().collect::<Vec<_>>().join(" ") }
    }
}
