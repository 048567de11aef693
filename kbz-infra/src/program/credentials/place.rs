//! Where credentials are kept: in a file, or in one that is encrypted.

use std::path::Path;

use zeroize::Zeroizing;

use super::super::InputErrors;
use super::{file, sealed};

/// A credentials file, and what opens it where it is encrypted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) path: &'a Path,
    /// The file of the operator's age identities.
    pub(super) identity: Option<&'a Path>,
}

impl Place<'_> {
    /// The text of the file, or nothing where there is none.
    pub(super) fn read(&self) -> Result<Option<Zeroizing<String>>, InputErrors> {
        let Some(mut bytes) = file::read_bytes(self.path)? else {
            return Ok(None);
        };
        if sealed::is_sealed(self.path) {
            bytes = sealed::open(self.path, &bytes, self.identity)?;
        }
        match std::str::from_utf8(&bytes) {
            Ok(text) => Ok(Some(Zeroizing::new(text.to_owned()))),
            Err(_) => Err(file::refused(
                self.path,
                "is no UTF-8 text",
                "save the file as UTF-8",
            )),
        }
    }

    /// Puts the whole text in place of the file, for its owner alone.
    pub(super) fn replace(&self, text: &str) -> Result<(), InputErrors> {
        let path = self.path;
        let written = if sealed::is_sealed(path) {
            file::write(path, &sealed::seal(path, text, self.identity)?)
        } else {
            file::write(path, text.as_bytes())
        };
        written.map_err(|error| file::unwritable(path, &error))
    }
}
