//! What is at a path, from `stat`, `sha256sum`, `lsattr` and `base64`.

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
        Self {
            contents: contents(frames.get("contents").unwrap_or_default(), &stats),
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
        let digest = self.hashes.get(path).copied();
        let digest = digest.ok_or_else(|| format!("{path} could not be read"))?;
        // Only the very bytes that were hashed: a file may change between two reads, and then the
        // contents of all that follow lie elsewhere.
        let content = self.contents.get(path).filter(|_| wants_content);
        let content = content.filter(|bytes| Digest::of(bytes) == digest);
        Ok(FileReading {
            digest,
            size: stat.size,
            ownership: stat.ownership.clone(),
            immutable: self.immutable.contains(&path),
            content: content.and_then(|bytes| String::from_utf8(bytes.clone()).ok()),
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

/// Paths, a line each, and in the last line all their contents in base64, one after the other, each
/// as long as `stat` says. A dot keeps the last line where all of them are empty.
fn contents<'a>(payload: &'a str, stats: &BTreeMap<&str, Stat>) -> BTreeMap<&'a str, Vec<u8>> {
    let whole = payload.strip_suffix('.');
    let Some((paths, encoded)) = whole.and_then(|whole| whole.rsplit_once('\n')) else {
        return BTreeMap::new();
    };
    let Ok(all) = BASE64.decode(encoded) else {
        return BTreeMap::new();
    };
    let mut rest = all.as_slice();
    let mut contents = BTreeMap::new();
    for path in paths.lines() {
        let size = stats
            .get(path)
            .and_then(|stat| usize::try_from(stat.size).ok());
        let Some((content, after)) = size.and_then(|size| rest.split_at_checked(size)) else {
            break;
        };
        contents.insert(path, content.to_vec());
        rest = after;
    }
    contents
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
    fn contents_that_do_not_fit_their_sizes_are_not_made_up() {
        let lines = ["81a4 0 0 2 root root /a|", "81a4 0 0 3 root root /b|"];
        let stats: BTreeMap<&str, Stat> = lines.into_iter().filter_map(stat).collect();
        let read = |bytes: &[u8]| {
            let payload = format!("/a\n/b\n{}.", BASE64.encode(bytes));
            let found = contents(&payload, &stats);
            let shown = found
                .values()
                .map(|bytes| String::from_utf8_lossy(bytes).into_owned());
            shown.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(read(b"aabbb"), "aa bbb");
        assert_eq!(read(b"aabb"), "aa");
        assert_eq!(read(b""), "");
        assert!(contents("/a\n/b\nYWE=", &stats).is_empty(), "cut short");
    }
}
