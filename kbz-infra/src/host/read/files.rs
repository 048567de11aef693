//! What is at a path, from `stat`, `sha256sum`, `lsattr` and `tail`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::frames::Frames;
use crate::ident::Digest;
use crate::probe::{EntriesReading, FileReading, Node, Ownership, PathReading};

const REGULAR: u32 = 0o10;
const DIRECTORY: u32 = 0o4;
const SYMLINK: u32 = 0o12;

/// Everything that an answer says of paths.
#[derive(Debug, Default)]
pub(super) struct Files<'a> {
    stats: BTreeMap<&'a str, Stat>,
    complaints: &'a str,
    hashes: BTreeMap<String, Digest>,
    immutable: Vec<&'a str>,
    contents: BTreeMap<&'a str, Vec<u8>>,
    directories: BTreeMap<&'a str, Vec<&'a str>>,
}

/// One line of `stat`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stat {
    kind: u32,
    size: u64,
    ownership: Ownership,
}

impl<'a> Files<'a> {
    /// Reads the frames that tell of paths; lines that make no sense tell nothing.
    pub(super) fn of(frames: &'a Frames) -> Self {
        let lines = |name| frames.get(name).unwrap_or_default().lines();
        let hashes = lines("hashes").chain(lines("hashes-failed"));
        let stats: BTreeMap<&str, Stat> = lines("stat").filter_map(stat).collect();
        let told = match frames.get("contents-base64") {
            Some(payload) => Cow::from(BASE64.decode(payload).unwrap_or_default()),
            None => Cow::from(frames.bytes("contents").unwrap_or_default()),
        };
        Self {
            contents: contents(&told, &stats),
            stats,
            complaints: frames.get("stat-complaints").unwrap_or_default(),
            hashes: hashes.filter_map(hash).collect(),
            immutable: lines("attributes").filter_map(immutable).collect(),
            directories: frames.all("entries").filter_map(entries).collect(),
        }
    }

    /// What is at `path`.
    pub(super) fn reading(&self, path: &str, wants_content: bool) -> Result<PathReading, String> {
        let Some(stat) = self.stats.get(path) else {
            return self.absent(path);
        };
        Ok(match stat.kind {
            REGULAR => PathReading::File(self.file(path, stat, wants_content)?),
            DIRECTORY => PathReading::Directory(stat.ownership.clone()),
            SYMLINK => PathReading::Other(Node::Symlink),
            _ => PathReading::Other(Node::Special),
        })
    }

    /// What is in a directory.
    pub(super) fn entries(&self, path: &str) -> Result<EntriesReading, String> {
        let names = self.directories.get(path);
        let names = names.ok_or_else(|| format!("it does not tell what is in {path}"))?;
        Ok(EntriesReading(
            names.iter().map(|name| (*name).to_owned()).collect(),
        ))
    }

    /// Nothing is there; unless `stat` complains of something else than that.
    fn absent(&self, path: &str) -> Result<PathReading, String> {
        const NOTHING: [&str; 2] = ["No such file or directory", "Not a directory"];
        let complaint = self.complaints.lines().find(|line| {
            line.contains(path) && !NOTHING.iter().any(|nothing| line.ends_with(nothing))
        });
        match complaint {
            Some(complaint) => Err(complaint.to_owned()),
            None => Ok(PathReading::Absent),
        }
    }

    fn file(&self, path: &str, stat: &Stat, wants_content: bool) -> Result<FileReading, String> {
        let content = self.contents.get(path);
        let digest = match content {
            Some(bytes) => Some(Digest::of(bytes)),
            None => self.hashes.get(path).copied(),
        };
        let shown = content.filter(|_| wants_content);
        Ok(FileReading {
            digest: digest.ok_or_else(|| format!("{path} could not be read"))?,
            size: content.map_or(stat.size, |bytes| bytes.len() as u64),
            ownership: stat.ownership.clone(),
            immutable: self.immutable.contains(&path),
            content: shown.and_then(|bytes| String::from_utf8(bytes.clone()).ok()),
        })
    }
}

/// `MODE UID GID SIZE USER GROUP PATH|`, the mode in hexadecimal.
fn stat(line: &str) -> Option<(&str, Stat)> {
    let mut fields = line.splitn(7, ' ');
    let mode = u32::from_str_radix(fields.next()?, 16).ok()?;
    let uid: u32 = fields.next()?.parse().ok()?;
    let gid: u32 = fields.next()?.parse().ok()?;
    let size = fields.next()?.parse().ok()?;
    let owner = name_or_id(fields.next()?, uid);
    let group = name_or_id(fields.next()?, gid);
    let path = fields.next()?.strip_suffix('|')?;
    let ownership = Ownership {
        mode: mode & 0o7777,
        uid,
        gid,
        owner,
        group,
    };
    let kind = mode >> 12;
    Some((
        path,
        Stat {
            kind,
            size,
            ownership,
        },
    ))
}

/// `stat` says `UNKNOWN` of an id without a name.
fn name_or_id(name: &str, id: u32) -> String {
    if name == "UNKNOWN" {
        id.to_string()
    } else {
        name.to_owned()
    }
}

/// `HASH  PATH`; a leading backslash says that the path is escaped.
fn hash(line: &str) -> Option<(String, Digest)> {
    let (escaped, line) = match line.strip_prefix('\\') {
        Some(line) => (true, line),
        None => (false, line),
    };
    let (hash, path) = line.split_once("  ")?;
    let path = if escaped {
        path.replace(r"\\", r"\")
    } else {
        path.to_owned()
    };
    Some((path, hash.parse().ok()?))
}

/// `----i--------- PATH`, where the `i` is set.
fn immutable(line: &str) -> Option<&str> {
    let (attributes, path) = line.split_once(' ')?;
    attributes.contains('i').then(|| path.trim_start())
}

/// What begins the part of a file in what `tail` says, and what is between it and the one before.
const HEAD: &str = "==> ";
const HEAD_ENDS: &str = " <==\n";

/// Contents as `tail -v` prints them: before each file a line with its path, between two an empty
/// one. Each is as long as `stat` says, or, where it has changed meanwhile, as far as the
/// next of the paths.
fn contents<'a>(all: &[u8], stats: &BTreeMap<&'a str, Stat>) -> BTreeMap<&'a str, Vec<u8>> {
    let mut contents = BTreeMap::new();
    let mut rest = headed(all, stats);
    while let Some((path, after)) = rest {
        let told = stats
            .get(path)
            .and_then(|stat| usize::try_from(stat.size).ok());
        let fits = |end: &usize| *end == after.len() || next_head(after, *end, stats).is_some();
        let end = told.filter(fits).unwrap_or_else(|| {
            let places = 0..after.len();
            let mut heads = places.filter(|place| next_head(after, *place, stats).is_some());
            heads.next().unwrap_or(after.len())
        });
        contents.insert(path, after[..end].to_vec());
        rest = next_head(after, end, stats);
    }
    contents
}

/// The path that a text begins with, if it is one that was asked for, and what comes after.
fn headed<'a, 't>(text: &'t [u8], stats: &BTreeMap<&'a str, Stat>) -> Option<(&'a str, &'t [u8])> {
    let text = text.strip_prefix(HEAD.as_bytes())?;
    let mut paths = stats.keys();
    paths.find_map(|path| {
        let after = text.strip_prefix(path.as_bytes())?;
        Some((*path, after.strip_prefix(HEAD_ENDS.as_bytes())?))
    })
}

/// The same for what comes after the content that ends at `end`.
fn next_head<'a, 't>(
    text: &'t [u8],
    end: usize,
    stats: &BTreeMap<&'a str, Stat>,
) -> Option<(&'a str, &'t [u8])> {
    headed(text.get(end..)?.strip_prefix(b"\n")?, stats)
}

/// The path, and a name a line.
fn entries(payload: &str) -> Option<(&str, Vec<&str>)> {
    let mut lines = payload.lines();
    Some((lines.next()?, lines.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_stat_and_its_companions() {
        let (path, one) = stat("81a4 0 1234 5 root UNKNOWN /etc/a file|").unwrap();
        assert_eq!(path, "/etc/a file");
        assert_eq!((one.kind, one.size), (REGULAR, 5));
        assert_eq!(one.ownership.mode, 0o644);
        assert_eq!(one.ownership.group, "1234");
        assert_eq!(stat("81a4 0 0 5 root root /etc/cut"), None);
        let line = format!("\\{}  /etc/a\\\\b", "0".repeat(64));
        assert_eq!(hash(&line).unwrap().0, "/etc/a\\b");
        assert_eq!(immutable("----i---------e------- /etc/r"), Some("/etc/r"));
        assert_eq!(immutable("--------------e------- /etc/i"), None);
    }

    #[test]
    fn contents_are_as_long_as_they_were_or_end_at_the_next_path() {
        let lines = ["81a4 0 0 2 root root /a|", "81a4 0 0 3 root root /b|"];
        let stats: BTreeMap<&str, Stat> = lines.into_iter().filter_map(stat).collect();
        let read = |text: &str| {
            let found = contents(text.as_bytes(), &stats);
            let shown = found
                .into_iter()
                .map(|(path, bytes)| format!("{path} {}", String::from_utf8_lossy(&bytes)));
            shown.collect::<Vec<_>>()
        };
        let (a, b) = ("==> /a <==\n", "==> /b <==\n");
        assert_eq!(read(&format!("{a}aa\n{b}bbb")), ["/a aa", "/b bbb"]);
        assert_eq!(read(&format!("{a}a\n{b}")), ["/a a", "/b "], "shorter now");
        let longer = format!("{a}a\n==> /c <==\n\n{b}b\n\n");
        assert_eq!(read(&longer), ["/a a\n==> /c <==\n", "/b b\n\n"]);
        assert_eq!(read(a), ["/a "], "the second is gone");
        assert_eq!(read(""), [""; 0]);
        assert_eq!(read("==> /c <==\n"), [""; 0], "nobody asked for it");
        assert!(contents(b"nothing like it", &stats).is_empty());
    }

    #[test]
    fn a_file_that_holds_the_head_of_another_is_told_by_its_length() {
        let lines = ["81a4 0 0 13 root root /a|", "81a4 0 0 1 root root /b|"];
        let stats: BTreeMap<&str, Stat> = lines.into_iter().filter_map(stat).collect();
        let told = "==> /a <==\n\n==> /b <==\nx\n==> /b <==\ny";
        let found = contents(told.as_bytes(), &stats);
        assert_eq!(found["/a"], b"\n==> /b <==\nx");
        assert_eq!(found["/b"], b"y");
    }
}
