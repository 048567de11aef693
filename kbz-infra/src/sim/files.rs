//! The files of a modelled host.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::refusal::{failed, moved};
use crate::effect::{EffectError, PreImage};
use crate::ident::Digest;
use crate::probe::{EntriesReading, FileReading, Node, Ownership, PathReading};

/// As much of a file as a read brings back for a diff.
const LONGEST_CONTENT: usize = 256 << 10;

/// Directories that every host has from the start.
const BASE: [&str; 14] = [
    "/",
    "/etc",
    "/etc/docker",
    "/etc/modules-load.d",
    "/etc/sysctl.d",
    "/etc/systemd",
    "/etc/systemd/system",
    "/opt",
    "/root",
    "/srv",
    "/tmp",
    "/usr/local/bin",
    "/var/lib",
    "/var/log",
];

/// Text that may hold secrets, and is never printed.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Hidden(pub(super) String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({} bytes)", self.0.len())
    }
}

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Entry {
    File(File),
    Directory(Ownership),
    Other(Node),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct File {
    content: Hidden,
    digest: Digest,
    ownership: Ownership,
    immutable: bool,
}

impl File {
    fn new(content: String, ownership: Ownership, immutable: bool) -> Self {
        Self {
            digest: Digest::of(&content),
            content: Hidden(content),
            ownership,
            immutable,
        }
    }
}

/// A file that is to be written.
pub(super) struct Write<'a> {
    pub(super) path: &'a str,
    pub(super) content: &'a str,
    pub(super) ownership: Ownership,
    pub(super) expect: PreImage,
    pub(super) immutable: bool,
}

/// All files and directories of a host, by absolute path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Files(BTreeMap<String, Entry>);

impl Default for Files {
    fn default() -> Self {
        let made = BASE.map(|path| (path.to_owned(), Entry::Directory(of_root(0o755))));
        let mut files = Self(made.into());
        files.put("/etc/fstab", "", 0o644);
        files.put("/etc/resolv.conf", "nameserver 192.0.2.53\n", 0o644);
        files
    }
}

/// Owner and mode of something that belongs to `root`.
pub(super) fn of_root(mode: u32) -> Ownership {
    Ownership {
        mode,
        uid: 0,
        gid: 0,
        owner: "root".to_owned(),
        group: "root".to_owned(),
    }
}

impl Files {
    /// What a read of `path` answers.
    pub(super) fn read(&self, path: &str, content: bool) -> PathReading {
        match self.0.get(path) {
            None => PathReading::Absent,
            Some(Entry::Directory(ownership)) => PathReading::Directory(ownership.clone()),
            Some(Entry::Other(node)) => PathReading::Other(*node),
            Some(Entry::File(file)) => PathReading::File(FileReading {
                digest: file.digest,
                size: file.content.0.len() as u64,
                ownership: file.ownership.clone(),
                immutable: file.immutable,
                content: (content && file.content.0.len() <= LONGEST_CONTENT)
                    .then(|| file.content.0.clone()),
            }),
        }
    }

    /// The names of what is in a directory.
    pub(super) fn entries(&self, path: &str) -> EntriesReading {
        let below = format!("{}/", path.trim_end_matches('/'));
        let inside = self.0.keys().filter_map(|path| path.strip_prefix(&below));
        let names: BTreeSet<&str> = inside.filter_map(|path| path.split('/').next()).collect();
        let names = names.into_iter().take(EntriesReading::MOST);
        EntriesReading(names.map(str::to_owned).collect())
    }

    /// The content of a file, if there is one.
    pub(super) fn text(&self, path: &str) -> Option<&str> {
        match self.0.get(path)? {
            Entry::File(file) => Some(&file.content.0),
            Entry::Directory(_) | Entry::Other(_) => None,
        }
    }

    pub(super) fn is_directory(&self, path: &str) -> bool {
        matches!(self.0.get(path), Some(Entry::Directory(_)))
    }

    /// How many files and directories there are besides those of a fresh host.
    pub(super) fn added(&self) -> Vec<&str> {
        let fresh = Self::default();
        let paths = self.0.keys().filter(|path| !fresh.0.contains_key(*path));
        paths.map(String::as_str).collect()
    }

    /// Writes a file of `root`, whatever was there: what hands and programs do.
    pub(super) fn put(&mut self, path: &str, content: &str, mode: u32) {
        let file = File::new(content.to_owned(), of_root(mode), false);
        self.0.insert(path.to_owned(), Entry::File(file));
    }

    /// Replaces the content of a file and leaves the rest as it is.
    pub(super) fn edit(&mut self, path: &str, content: &str) {
        match self.0.get_mut(path) {
            Some(Entry::File(file)) => {
                *file = File::new(content.to_owned(), file.ownership.clone(), file.immutable);
            }
            _ => self.put(path, content, 0o644),
        }
    }

    /// Makes a file or directory belong to others, or another mode.
    pub(super) fn change_owner(&mut self, path: &str, ownership: Ownership) {
        match self.0.get_mut(path) {
            Some(Entry::File(file)) => file.ownership = ownership,
            Some(Entry::Directory(now)) => *now = ownership,
            Some(Entry::Other(_)) | None => {}
        }
    }

    /// Puts something there that is never managed.
    pub(super) fn put_other(&mut self, path: &str, node: Node) {
        self.0.insert(path.to_owned(), Entry::Other(node));
    }

    pub(super) fn write(&mut self, write: Write<'_>) -> Result<(), EffectError> {
        let wanted = Digest::of(write.content);
        self.expect(write.path, write.expect, Some(&wanted))?;
        if !self.is_directory(parent(write.path)) {
            let said = format!("{}: no such file or directory", parent(write.path));
            return Err(failed(write.path, said));
        }
        let file = File::new(write.content.to_owned(), write.ownership, write.immutable);
        self.0.insert(write.path.to_owned(), Entry::File(file));
        Ok(())
    }

    /// Sets what a file has besides its content.
    pub(super) fn set_attributes(
        &mut self,
        path: &str,
        ownership: Ownership,
        immutable: bool,
    ) -> Result<(), EffectError> {
        match self.0.get_mut(path) {
            Some(Entry::File(file)) => {
                file.ownership = ownership;
                file.immutable = immutable;
                Ok(())
            }
            Some(Entry::Other(Node::Symlink)) => Err(moved(path, "a symbolic link is there")),
            Some(_) => Err(moved(path, "something that is no regular file is there")),
            None => Err(moved(path, "it is gone")),
        }
    }

    pub(super) fn remove_file(&mut self, path: &str, expect: PreImage) -> Result<(), EffectError> {
        if !self.0.contains_key(path) {
            return Ok(());
        }
        self.expect(path, expect, None)?;
        self.0.remove(path);
        Ok(())
    }

    /// Whether the world is as the plan saw it, or as the effect would leave it.
    fn expect(
        &self,
        path: &str,
        expect: PreImage,
        wanted: Option<&Digest>,
    ) -> Result<(), EffectError> {
        let found = match self.0.get(path) {
            Some(Entry::Directory(_) | Entry::Other(Node::Special)) => {
                return Err(moved(path, "something that is no regular file is there"));
            }
            Some(Entry::Other(Node::Symlink)) if expect == PreImage::Link => return Ok(()),
            Some(Entry::Other(Node::Symlink)) => {
                return Err(moved(path, "a symbolic link is there"));
            }
            Some(Entry::File(file)) => Some(file.digest),
            None => None,
        };
        if found.is_some() && found.as_ref() == wanted {
            return Ok(());
        }
        match (expect, found) {
            (PreImage::Any, _) | (PreImage::Absent, None) => Ok(()),
            (PreImage::Content(expected), Some(found)) if found == expected => Ok(()),
            (PreImage::Content(_) | PreImage::Link, None) => Err(moved(path, "it is gone")),
            (PreImage::Absent | PreImage::Link, Some(_)) => Err(moved(path, "a file is there")),
            (PreImage::Content(_), Some(_)) => Err(moved(path, "its content is another")),
        }
    }

    pub(super) fn make_directory(
        &mut self,
        path: &str,
        ownership: Ownership,
    ) -> Result<(), EffectError> {
        let mut above = parent(path);
        let mut missing = Vec::new();
        while !self.is_directory(above) {
            if self.0.contains_key(above) {
                return Err(failed(path, format!("{above} is no directory")));
            }
            missing.push(above.to_owned());
            above = parent(above);
        }
        match self.0.get(path) {
            Some(Entry::File(_) | Entry::Other(_)) => {
                return Err(moved(path, "something that is no directory is there"));
            }
            Some(Entry::Directory(_)) | None => {}
        }
        for path in missing {
            self.0.insert(path, Entry::Directory(of_root(0o755)));
        }
        self.0.insert(path.to_owned(), Entry::Directory(ownership));
        Ok(())
    }

    pub(super) fn remove_directory(
        &mut self,
        path: &str,
        recursive: bool,
    ) -> Result<(), EffectError> {
        match self.0.get(path) {
            None => return Ok(()),
            Some(Entry::Directory(_)) => {}
            Some(Entry::File(_) | Entry::Other(_)) => {
                return Err(moved(path, "something that is no directory is there"));
            }
        }
        let below = self.below(path);
        if !below.is_empty() && !recursive {
            return Ok(());
        }
        for inner in below {
            self.0.remove(&inner);
        }
        self.0.remove(path);
        Ok(())
    }

    fn below(&self, path: &str) -> Vec<String> {
        let prefix = format!("{path}/");
        let from = self.0.range(prefix.clone()..);
        from.map(|(path, _)| path)
            .take_while(|inner| inner.starts_with(&prefix))
            .cloned()
            .collect()
    }
}

/// The directory that holds a path.
pub(super) fn parent(path: &str) -> &str {
    match path.rfind('/') {
        Some(0) | None => "/",
        Some(slash) => &path[..slash],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(files: &mut Files, content: &str, expect: PreImage) -> Result<(), EffectError> {
        files.write(Write {
            path: "/etc/motd",
            content,
            ownership: of_root(0o644),
            expect,
            immutable: false,
        })
    }

    #[test]
    fn a_write_refuses_a_world_that_moved_and_repeats_itself() {
        let mut files = Files::default();
        write(&mut files, "one", PreImage::Absent).unwrap();
        write(&mut files, "one", PreImage::Absent).unwrap();
        let error = write(&mut files, "two", PreImage::Absent).unwrap_err();
        assert!(matches!(error, EffectError::Moved { .. }), "{error}");
        let error = write(&mut files, "two", PreImage::Content(Digest::of("zero"))).unwrap_err();
        assert!(matches!(error, EffectError::Moved { .. }), "{error}");
        write(&mut files, "two", PreImage::Content(Digest::of("one"))).unwrap();
        assert_eq!(files.text("/etc/motd"), Some("two"));
        assert!(!format!("{files:?}").contains("two"));
    }

    #[test]
    fn a_directory_goes_with_its_contents_only_when_asked() {
        let mut files = Files::default();
        files.make_directory("/opt/a/b", of_root(0o700)).unwrap();
        files.put("/opt/a/b/file", "x", 0o600);
        files.put("/opt/a/beside", "x", 0o600);
        files.remove_directory("/opt/a/b", false).unwrap();
        assert!(files.is_directory("/opt/a/b"));
        files.remove_directory("/opt/a/b", true).unwrap();
        assert_eq!(files.added(), ["/opt/a", "/opt/a/beside"]);
    }
}
