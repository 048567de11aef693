//! Credentials encrypted with age: a file whose name ends in `.age`.
//!
//! It is opened with the identities in a file of the operator's own, which the environment names
//! (`age_identity`). When it is made or completed, it is sealed for the owners of these identities
//! and for everybody whose recipient stands in `NAME.age.recipients` beside it, one a line, as a
//! team keeps it.

use std::io::{BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};

use age::{Decryptor, Encryptor, Identity, IdentityFile, Recipient};
use zeroize::Zeroizing;

use super::super::InputErrors;
use super::file;
use crate::diag::Finding;

/// Whether a file is encrypted, by its name.
pub(super) fn is_sealed(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "age")
}

/// What is in a sealed file.
pub(super) fn open(
    path: &Path,
    sealed: &[u8],
    identity: Option<&Path>,
) -> Result<Zeroizing<Vec<u8>>, InputErrors> {
    let keys = identities(path, identity)?;
    let keys = keys
        .into_identities()
        .map_err(|error| wrong(path, &error))?;
    let opened = Decryptor::new(sealed)
        .and_then(|sealed| sealed.decrypt(keys.iter().map(|key| key.as_ref() as &dyn Identity)));
    let mut reader = opened.map_err(|error| wrong(path, &error))?;
    let mut bytes = Zeroizing::new(Vec::new());
    reader
        .read_to_end(&mut bytes)
        .map_err(|error| wrong(path, &error))?;
    Ok(bytes)
}

/// A text as it is kept in a sealed file.
pub(super) fn seal(
    path: &Path,
    text: &str,
    identity: Option<&Path>,
) -> Result<Vec<u8>, InputErrors> {
    let keys = identities(path, identity)?;
    let own = keys.to_recipients().map_err(|error| wrong(path, &error))?;
    let others = recipients(path)?;
    let own = own.iter().map(|own| &**own as &dyn Recipient);
    let others = others.iter().map(|other| other as &dyn Recipient);
    let encryptor = Encryptor::with_recipients(own.chain(others));
    let encryptor = encryptor.map_err(|error| wrong(path, &error))?;
    let mut sealed = Vec::new();
    let written = encryptor.wrap_output(&mut sealed).and_then(|mut writer| {
        writer.write_all(text.as_bytes())?;
        writer.finish()
    });
    written.map_err(|error| wrong(path, &error))?;
    Ok(sealed)
}

/// The operator's own keys.
fn identities(
    path: &Path,
    identity: Option<&Path>,
) -> Result<IdentityFile<age::NoCallbacks>, InputErrors> {
    let identity = identity.ok_or_else(|| {
        let what = format!("{} is encrypted, and nothing says with what it is opened", path.display());
        Finding::error("kbz::credentials::sealed", what)
            .help("name the file of your age identity in kbz.toml: age_identity = \"~/.config/age/keys.txt\"")
    })?;
    let keys = file::read_bytes(identity)?.ok_or_else(|| {
        let what = format!("there is no age identity in {}", identity.display());
        Finding::error("kbz::credentials::sealed", what).help(format!(
            "make one: age-keygen -o {}; then let somebody who can open {} add its recipient",
            identity.display(),
            path.display()
        ))
    })?;
    let keys = IdentityFile::from_buffer(BufReader::new(keys.as_slice()));
    keys.map_err(|_| {
        let what = format!(
            "{} holds something that is no age identity",
            identity.display()
        );
        Finding::error("kbz::credentials::sealed", what)
            .help("an identity is a line that begins with AGE-SECRET-KEY-1; `#` begins a comment")
            .into()
    })
}

/// Who else is to read it.
fn recipients(path: &Path) -> Result<Vec<age::x25519::Recipient>, InputErrors> {
    let list = list_of(path);
    let text = match std::fs::read_to_string(&list) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(file::unreadable(&list, &error)),
    };
    let lines = text
        .lines()
        .enumerate()
        .map(|(number, line)| (number + 1, line.trim()));
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|(number, line)| {
            line.parse().map_err(|_| {
                let what = format!("{}:{number} is no recipient of age", list.display());
                Finding::error("kbz::credentials::sealed", what)
                    .help("a recipient begins with age1; age-keygen -y shows that of an identity")
                    .into()
            })
        })
        .collect()
}

/// The list of recipients beside a sealed file.
fn list_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".recipients");
    PathBuf::from(name)
}

fn wrong(path: &Path, error: &dyn std::fmt::Display) -> InputErrors {
    let what = format!("{} cannot be opened or sealed: {error}", path.display());
    Finding::error("kbz::credentials::sealed", what)
        .help(
            "it was sealed for others, or is not whole: ask who can open it to add your recipient",
        )
        .into()
}
