//! Writing a file on a host: one command, after which there is the old file or the new one.
//!
//! The content arrives on the standard input and goes to a private directory beside the
//! target, under the target's own name (a validator may care about it). It is compared with
//! its digest, given its owner and mode, shown to the program that will read it, brought to
//! disk, and renamed over the target. What the plan was made from is checked twice: at the
//! start, and again just before the rename. Needs a POSIX shell and coreutils only.

use std::fmt::Write as _;

use super::shell::{NulByte, quote};
use super::transport::Output;
use crate::ident::Digest;

/// A file to be written.
#[derive(Debug, Clone)]
pub struct WriteFile {
    /// The absolute path.
    pub path: String,
    /// The permissions.
    pub mode: u32,
    /// The owner, by name or number.
    pub owner: String,
    /// The group, by name or number.
    pub group: String,
    /// The digest of the content that comes on the standard input.
    pub content: Digest,
    /// What must be there before.
    pub expect: PreImage,
    /// A command that accepts the file; `{}` stands for its temporary path.
    pub validate: Option<Vec<String>>,
    /// Where a copy of the old file is kept, if it is.
    pub backup: Option<String>,
}

/// What must be at the path for a write to be right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PreImage {
    /// Anything: a file that is there is replaced.
    Any,
    /// Nothing.
    Absent,
    /// A file with this content.
    Content(Digest),
}

/// What was at the path before: a file with this digest, or nothing.
pub type Found = Option<Digest>;

/// Why a file was not written. In every case the old one is untouched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteFileError {
    /// The file is not the one that the plan was made from.
    #[error("{path} has changed since it was planned: it is {}", show(*found))]
    Changed {
        /// The path.
        path: String,
        /// What is there.
        found: Found,
    },
    /// Something that is no file has the name.
    #[error("{path} is in the way: {what}; move it away")]
    InTheWay {
        /// The path.
        path: String,
        /// What it is.
        what: String,
    },
    /// The directory that is to hold the file is missing.
    #[error("{path} has no directory to be in")]
    NoDirectory {
        /// The path.
        path: String,
    },
    /// The content did not arrive whole.
    #[error("the content of {path} did not arrive whole")]
    CutShort {
        /// The path.
        path: String,
    },
    /// The program that will read the file does not accept it.
    #[error("the new {path} was refused by its validator: {said}")]
    Invalid {
        /// The path.
        path: String,
        /// What the validator said.
        said: String,
    },
    /// A step failed: no space, no such owner.
    #[error("{path} could not be written: {said}")]
    Failed {
        /// The path.
        path: String,
        /// What the step said.
        said: String,
    },
}

fn show(found: Found) -> String {
    match found {
        Some(digest) => format!("a file with digest {}", digest.short()),
        None => "absent".to_owned(),
    }
}

/// Exit codes of the script; far from those that programs commonly use.
mod code {
    pub(super) const CHANGED: u32 = 81;
    pub(super) const IN_THE_WAY: u32 = 82;
    pub(super) const NO_DIRECTORY: u32 = 83;
    pub(super) const CUT_SHORT: u32 = 84;
    pub(super) const INVALID: u32 = 85;
}

/// The functions that the script is made of, and all of it up to the write.
const PREPARE: &str = r#"
umask 077
stop() { printf '%s\n' "$2" >&2; exit "$1"; }
must() { "$@" || stop 86 "$1 failed"; }
work=
trap '[ -z "$work" ] || rm -rf -- "$work"' EXIT
trap 'exit 143' HUP INT TERM PIPE
look() {
  if [ -L "$target" ]; then stop 82 'a symbolic link'
  elif [ -d "$target" ]; then stop 82 'a directory'
  elif [ ! -e "$target" ]; then found=absent
  elif [ -f "$target" ]; then found=$(sha256sum < "$target") || stop 86 'it cannot be read'; found=${found%% *}
  else stop 82 'a special file'
  fi
}
expected() {
  look
  case $found in "$content") return ;; esac
  case $expect in any|"$found") ;; *) echo "found $found"; stop 81 changed ;; esac
}
[ -d "$dir" ] || stop 83 'no directory'
expected
before=$found
rm -rf -- "$dir/.kbz-new-$name."*
work=$(mktemp -d "$dir/.kbz-new-$name.XXXXXX") || stop 86 'no temporary directory'
new=$work/$name
cat > "$new" || stop 86 'the content could not be stored'
arrived=$(sha256sum < "$new")
[ "${arrived%% *}" = "$content" ] || stop 84 'cut short'
must chown -- "$owner" "$new"
must chmod -- "$mode" "$new"
"#;

const REPLACE: &str = r#"
must sync -- "$new"
expected
[ -z "$backup" ] || [ "$found" = absent ] || { must cp -p -- "$target" "$backup"; must sync -- "$backup"; }
must mv -f -T -- "$new" "$target"
must sync -- "$dir"
echo "found $before"
"#;

/// The script that writes `file` from its standard input. It runs in a subshell, so that
/// more can follow it.
pub fn write_script(file: &WriteFile) -> Result<String, NulByte> {
    let (dir, name) = file.path.rsplit_once('/').unwrap_or((".", &file.path));
    let dir = if dir.is_empty() { "/" } else { dir };
    let expect = match file.expect {
        PreImage::Any => "any".to_owned(),
        PreImage::Absent => "absent".to_owned(),
        PreImage::Content(digest) => digest.to_string(),
    };
    let owner = format!("{}:{}", file.owner, file.group);
    let mode = format!("{:04o}", file.mode);
    let content = file.content.to_string();
    let mut script = String::from("(\n");
    for (name, value) in [
        ("target", file.path.as_str()),
        ("dir", dir),
        ("name", name),
        ("owner", &owner),
        ("mode", &mode),
        ("content", &content),
        ("expect", &expect),
        ("backup", file.backup.as_deref().unwrap_or_default()),
    ] {
        // Writing to a string cannot fail.
        let _ = writeln!(script, "{name}={}", quote(value)?);
    }
    script.push_str(PREPARE);
    if let Some(argv) = &file.validate {
        script.push_str(&validation(argv)?);
    }
    script.push_str(REPLACE);
    script.push(')');
    Ok(script)
}

fn validation(argv: &[String]) -> Result<String, NulByte> {
    let words = argv.iter().map(|word| {
        let parts = word.split("{}").map(quote);
        let parts = parts.collect::<Result<Vec<_>, _>>()?;
        Ok(parts.join(r#""$new""#))
    });
    let line = words.collect::<Result<Vec<_>, NulByte>>()?.join(" ");
    let code = code::INVALID;
    Ok(format!(
        "said=$({line} 2>&1 < /dev/null) || stop {code} \"$said\"\n"
    ))
}

/// Reads what the script left behind: what was at the path before, or why nothing changed.
pub fn written(path: &str, output: &Output) -> Result<Found, WriteFileError> {
    let path = path.to_owned();
    let said = output.complaint();
    match output.status.code() {
        Some(0) => found(output).ok_or(WriteFileError::Failed { path, said }),
        Some(code::CHANGED) => Err(match found(output) {
            Some(found) => WriteFileError::Changed { path, found },
            None => WriteFileError::Failed { path, said },
        }),
        Some(code::IN_THE_WAY) => Err(WriteFileError::InTheWay { path, what: said }),
        Some(code::NO_DIRECTORY) => Err(WriteFileError::NoDirectory { path }),
        Some(code::CUT_SHORT) => Err(WriteFileError::CutShort { path }),
        Some(code::INVALID) => Err(WriteFileError::Invalid { path, said }),
        _ => {
            let said = format!("{} ({said})", output.status);
            Err(WriteFileError::Failed { path, said })
        }
    }
}

fn found(output: &Output) -> Option<Found> {
    let text = output.text();
    let told = text.lines().find_map(|line| line.strip_prefix("found "))?;
    match told {
        "absent" => Some(None),
        digest => digest.parse().ok().map(Some),
    }
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
