//! How files of text are read.

use encoding_rs::Encoding;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// How documents are found in files. It decides the text, so a run and a dataset keep it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Reading {
    /// The field of JSON, or the column of a table or parquet file, that holds the text; `a.b` is the field b in a.
    pub field: String,
    /// What a document is in plain text.
    pub documents: DocumentRule,
    /// The encoding of text without a byte-order mark.
    pub encoding: TextEncoding,
    /// A record that cannot be read is an error, not left out.
    pub strict: bool,
    /// Documents that were there before are left out.
    pub dedup: bool,
}

impl Default for Reading {
    /// The field `text` of UTF-8.
    fn default() -> Self {
        Self {
            field: "text".into(),
            documents: DocumentRule::default(),
            encoding: TextEncoding::default(),
            strict: false,
            dedup: false,
        }
    }
}

impl Reading {
    /// As runs read whose settings say nothing of it.
    pub fn before() -> Self {
        Self { documents: DocumentRule::ShortBlocks, ..Self::default() }
    }
}

/// What a document is in plain text. A record of JSON, a table or a parquet file is always one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DocumentRule {
    /// What lies between blank lines, unless that is short and most of it wrapped over several lines: those are paragraphs.
    #[default]
    Auto,
    /// What lies between blank lines.
    BlankLines,
    /// Blank lines lie between paragraphs, which are joined into documents of some length.
    Paragraphs,
    /// Every line.
    Lines,
    /// Every file.
    Files,
    /// What lies between blank lines, unless that is short: paragraphs. The rule of runs that began before November 2026.
    ShortBlocks,
}

impl DocumentRule {
    /// As they are written.
    pub const NAMES: [&'static str; 6] = ["auto", "blank-lines", "paragraphs", "lines", "files", "short-blocks"];
    const ALL: [Self; 6] =
        [Self::Auto, Self::BlankLines, Self::Paragraphs, Self::Lines, Self::Files, Self::ShortBlocks];
}

impl FromStr for DocumentRule {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        let found = Self::NAMES.iter().position(|name| *name == s);
        found.map(|i| Self::ALL[i]).ok_or_else(|| format!("expected one of {}", Self::NAMES.join(", ")))
    }
}

impl fmt::Display for DocumentRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let i = Self::ALL.iter().position(|rule| rule == self).unwrap_or_default();
        f.write_str(Self::NAMES[i])
    }
}

/// An encoding by any of the names that the web has for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextEncoding(pub(super) &'static Encoding);

impl Default for TextEncoding {
    /// UTF-8.
    fn default() -> Self {
        Self(encoding_rs::UTF_8)
    }
}

impl FromStr for TextEncoding {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        let known = "expected utf-8, utf-16le, windows-1252, windows-1251, gbk, big5, shift_jis, euc-kr or another name \
                     that browsers know";
        // Names for what has no text, as the web's standard has it.
        let found = Encoding::for_label_no_replacement(s.as_bytes());
        found.map(Self).ok_or_else(|| known.to_string())
    }
}

impl fmt::Display for TextEncoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.name().to_ascii_lowercase())
    }
}

impl Serialize for TextEncoding {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TextEncoding {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        name.parse().map_err(|expected| serde::de::Error::custom(format!("no encoding {name:?}; {expected}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back() {
        for name in DocumentRule::NAMES {
            assert_eq!(name.parse::<DocumentRule>().unwrap().to_string(), name);
        }
        assert!("pages".parse::<DocumentRule>().unwrap_err().contains("blank-lines"));
        for name in ["utf-8", "windows-1252", "gbk", "utf-16le"] {
            assert_eq!(name.parse::<TextEncoding>().unwrap().to_string(), name);
        }
        assert_eq!("latin1".parse::<TextEncoding>().unwrap().to_string(), "windows-1252");
        assert!("klingon".parse::<TextEncoding>().unwrap_err().contains("gbk"));
        let reading = Reading { dedup: true, documents: DocumentRule::Lines, ..Reading::default() };
        assert_eq!(toml::from_str::<Reading>(&toml::to_string(&reading).unwrap()).unwrap(), reading);
        assert_eq!(toml::from_str::<Reading>("").unwrap(), Reading::default());
    }
}
