//! Compressed files, decoded as they are read.

use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use std::io::{self, BufRead as _, BufReader, Read};

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    Gzip,
    Zstd,
    Xz,
}

impl Packing {
    pub(super) const ALL: [Self; 3] = [Self::Gzip, Self::Zstd, Self::Xz];

    pub(super) fn ending(self) -> &'static str {
        match self {
            Self::Gzip => ".gz",
            Self::Zstd => ".zst",
            Self::Xz => ".xz",
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Xz => "xz",
        }
    }
}

/// The content of a compressed file, all of its members one behind the other. Checksums are checked.
pub(super) fn unpack(packing: Packing, file: impl Read + Send + 'static) -> Box<dyn Read + Send> {
    match packing {
        Packing::Gzip => Box::new(flate2::read::MultiGzDecoder::new(file)),
        Packing::Zstd => Box::new(Zstd::new(file)),
        Packing::Xz => Box::new(lzma_rust2::XzReader::new(file, true)),
    }
}

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
        Self { file: BufReader::with_capacity(1 << 17, file), decoder: FrameDecoder::new(), inside: false }
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
