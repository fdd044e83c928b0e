//! Text of any encoding as UTF-8, decoded as it is read. What is no text is an error, never a replacement.

use encoding_rs::{Decoder, DecoderResult, Encoding};
use std::io::{self, Read};

/// Bytes that are not of the encoding, inside an [`io::Error`].
#[derive(Debug, thiserror::Error)]
#[error("byte {offset} is not {encoding}")]
pub(super) struct Malformed {
    pub encoding: &'static str,
    pub offset: u64,
}

/// Read at a time.
const PORTION: usize = 1 << 16;

/// What a reader reads, as UTF-8.
pub(super) struct Decoded<R> {
    inner: R,
    encoding: &'static Encoding,
    decoder: Decoder,
    raw: Vec<u8>,
    /// What of `raw` is not decoded yet.
    left: std::ops::Range<usize>,
    text: Vec<u8>,
    given: usize,
    /// Bytes decoded so far.
    offset: u64,
    /// Whether the reader is at its end.
    ended: bool,
    /// Whether all of it is decoded.
    finished: bool,
}

impl<R: Read> Decoded<R> {
    /// From behind a byte-order mark.
    pub(super) fn new(inner: R, encoding: &'static Encoding) -> Self {
        Self {
            inner,
            encoding,
            decoder: encoding.new_decoder_without_bom_handling(),
            raw: vec![0; PORTION],
            left: 0..0,
            text: Vec::new(),
            given: 0,
            offset: 0,
            ended: false,
            finished: false,
        }
    }

    fn decode(&mut self) -> io::Result<()> {
        if self.left.is_empty() && !self.ended {
            let read = self.inner.read(&mut self.raw)?;
            self.left = 0..read;
            self.ended = read == 0;
        }
        self.text.resize(4 * PORTION, 0);
        let raw = &self.raw[self.left.clone()];
        let (result, read, written) = self.decoder.decode_to_utf8_without_replacement(raw, &mut self.text, self.ended);
        self.text.truncate(written);
        self.given = 0;
        self.left.start += read;
        self.offset += read as u64;
        match result {
            DecoderResult::InputEmpty => self.finished = self.ended,
            DecoderResult::OutputFull => {}
            DecoderResult::Malformed(bad, behind) => {
                let offset = self.offset.saturating_sub(u64::from(bad) + u64::from(behind));
                let malformed = Malformed { encoding: self.encoding.name(), offset };
                return Err(io::Error::new(io::ErrorKind::InvalidData, malformed));
            }
        }
        Ok(())
    }
}

impl<R: Read> Read for Decoded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.text.len() && !self.finished {
            self.decode()?;
        }
        let read = (&self.text[self.given..]).read(buffer)?;
        self.given += read;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decoded(bytes: &[u8], encoding: &'static Encoding) -> io::Result<String> {
        let mut text = String::new();
        Decoded::new(bytes, encoding).read_to_string(&mut text)?;
        Ok(text)
    }

    fn utf16(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    proptest! {
        #[test]
        fn any_text_comes_back(text in "\\PC{0,300}", times in 1usize..800) {
            let text = text.repeat(times);
            prop_assert_eq!(decoded(&utf16(&text), encoding_rs::UTF_16LE).unwrap(), text);
        }
    }

    #[test]
    fn what_is_not_of_the_encoding_is_an_error() {
        assert_eq!(decoded(b"caf\xe9 \x80", encoding_rs::WINDOWS_1252).unwrap(), "café €");
        assert_eq!(decoded(b"\xd6\xd0\xce\xc4", encoding_rs::GBK).unwrap(), "中文");
        assert_eq!(decoded(b"", encoding_rs::GBK).unwrap(), "");
        for (bytes, encoding, offset) in [
            (&b"ab\xff\xff"[..], encoding_rs::GBK, 2),
            (&utf16("ab")[..3], encoding_rs::UTF_16LE, 2),
            (&[b'a', 0, 0, 0xd8, b'b', 0][..], encoding_rs::UTF_16LE, 2),
        ] {
            let error = decoded(bytes, encoding).unwrap_err();
            let found = error.get_ref().and_then(|e| e.downcast_ref::<Malformed>()).unwrap();
            assert_eq!(found.offset, offset, "{bytes:?}");
        }
    }
}
