//! Files, read up to a limit; errors name the path.

use std::fs::{File, OpenOptions};
use std::io::{Error, Read, Write};
use std::path::Path;

use pyo3::prelude::*;

use crate::errors::format_error;

fn at(path: &Path) -> impl FnOnce(Error) -> PyErr + '_ {
    move |e| Error::new(e.kind(), format!("{}: {e}", path.display())).into()
}

pub fn read(path: &Path, limit: usize) -> PyResult<Vec<u8>> {
    let mut bytes = Vec::new();
    // The length is not trusted: a pipe has none, and a file may grow.
    File::open(path)
        .and_then(|file| file.take(limit as u64 + 1).read_to_end(&mut bytes))
        .map_err(at(path))?;
    match bytes.len() > limit {
        true => Err(format_error(format!(
            "{}: more than {limit} bytes",
            path.display()
        ))),
        false => Ok(bytes),
    }
}

pub fn write(path: &Path, bytes: &[u8]) -> PyResult<()> {
    std::fs::write(path, bytes).map_err(at(path))
}

/// Writes a file that only its owner can read.
pub fn write_private(path: &Path, bytes: &[u8]) -> PyResult<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
        .open(path)
        .and_then(|mut file| file.write_all(bytes))
        .map_err(at(path))
}
