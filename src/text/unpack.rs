//! Compressed files, decoded as they are read.

use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use std::io::{self, BufRead as _, BufReader, Read};

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    Gzip,
    Bzip2,
    Zstd,
    Xz,
}

impl Packing {
    pub(super) const ALL: [Self; 4] = [Self::Gzip, Self::Bzip2, Self::Zstd, Self::Xz];

    /// What a file's name (in lower case) says, and the name without it.
    pub(super) fn of(name: &str) -> (&str, Option<Self>) {
        let packed = Self::ALL.into_iter().find_map(|packing| Some((name.strip_suffix(packing.ending())?, packing)));
        packed.map_or((name, None), |(stem, packing)| (stem, Some(packing)))
    }

    /// Whether a file with this beginning is packed so.
    pub(super) fn begins(self, head: &[u8]) -> bool {
        match self {
            Self::Gzip => head.starts_with(b"\x1f\x8b"),
            Self::Bzip2 => head.starts_with(b"BZh") && head.get(4..10) == Some(b"1AY&SY"),
            Self::Zstd => head.starts_with(b"\x28\xb5\x2f\xfd"),
            Self::Xz => head.starts_with(b"\xfd7zXZ\0"),
        }
    }

    pub(super) fn ending(self) -> &'static str {
        match self {
            Self::Gzip => ".gz",
            Self::Bzip2 => ".bz2",
            Self::Zstd => ".zst",
            Self::Xz => ".xz",
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Bzip2 => "bzip2",
            Self::Zstd => "zstd",
            Self::Xz => "xz",
        }
    }
}

/// The content of a compressed file, all of its members one behind the other. Checksums are checked.
pub(super) fn unpack(packing: Packing, file: impl Read + Send + 'static) -> Box<dyn Read + Send> {
    match packing {
        Packing::Gzip => Box::new(flate2::read::MultiGzDecoder::new(file)),
        Packing::Bzip2 => Box::new(bzip2::read::MultiBzDecoder::new(file)),
        Packing::Zstd => Box::new(Zstd::new(file)),
        Packing::Xz => Box::new(lzma_rust2::XzReader::new(file, true)),
    }
}

/// A window larger than [`MAXIMUM_WINDOW`], inside an [`io::Error`].
#[derive(Debug, thiserror::Error)]
#[error("a window of {requested} bytes")]
pub(super) struct Window {
    pub requested: u64,
}

/// The largest window that memory is given for, in bytes.
pub(super) const MAXIMUM_WINDOW: u64 = 512 << 20;

/// Decoded at a time, in bytes.
const PORTION: usize = 1 << 20;

/// Frame after frame of a zstd file.
pub(super) struct Zstd<R> {
    file: BufReader<R>,
    decoder: FrameDecoder,
    inside: bool,
}

impl<R: Read> Zstd<R> {
    pub(super) fn new(file: R) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(MAXIMUM_WINDOW);
        Self { file: BufReader::with_capacity(1 << 17, file), decoder, inside: false }
    }

    /// Starts the next frame that is not to be skipped; `false` at the end of the file.
    fn start(&mut self) -> io::Result<bool> {
        loop {
            if self.file.fill_buf()?.is_empty() {
                return Ok(false);
            }
            match self.decoder.init(&mut self.file) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                    let skipped = io::copy(&mut (&mut self.file).take(u64::from(length)), &mut io::sink())?;
                    if skipped < u64::from(length) {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
                Err(FrameDecoderError::WindowSizeTooBig { requested, .. }) => {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, Window { requested }));
                }
                Err(e) => return Err(invalid(&e)),
            }
        }
    }
}

fn invalid(error: &dyn std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.to_string())
}

impl<R: Read> Read for Zstd<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if !self.inside {
                if !self.start()? {
                    return Ok(0);
                }
                self.inside = true;
            }
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                let portion = BlockDecodingStrategy::UptoBytes(PORTION);
                self.decoder.decode_blocks(&mut self.file, portion).map_err(|e| invalid(&e))?;
            }
            let read = self.decoder.read(buffer)?;
            if read > 0 {
                return Ok(read);
            }
            let said = self.decoder.get_checksum_from_data();
            if said.is_some() && said != self.decoder.get_calculated_checksum() {
                return Err(invalid(&"the checksum does not match"));
            }
            self.inside = false;
        }
    }
}
