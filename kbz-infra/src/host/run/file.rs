//! Files and directories: one script each.
//!
//! A file is written into a folder beside its place that only root can enter, under its own
//! name (some consumers look at it), checked against its digest, given owner and mode,
//! validated, synced, and renamed. At no point is it readable by anybody else, partly
//! written, or absent. What the plan expects to find is compared right before.
//!
//! A writer may be killed at any moment. The last rename is the last trace of it, so that
//! leftovers lie only beside a file that is still the old one, and writing that again, or
//! removing it, takes them away.

use bytes::Bytes;

use super::shell::{Change, unspeakable};
use super::{owner, said};
use crate::effect::{Action, EffectError, Owner, PreImage, RunContext};
use crate::host::read::HostSite;
use crate::host::shell::{self, NulByte};
use crate::ident::Digest;
use crate::secret::Text;

/// Where a file at `$path` is prepared: `$new` is a folder, `$ready` what leaves it whole. Neither
/// name ends like one that a folder of drop-ins looks for.
const BESIDE: &str = r#"dir=${path%/*}; dir=${dir:-/}; name=${path##*/}
new=$dir/.kbz-new.$name~; ready=$dir/.kbz-ready.$name~
sweep() { rm -rf -- "$new" "$ready"; }
"#;

/// `$path`, `$wanted` and `$expected` say what; standard input has the content.
const WRITE: &str = r#"sweep && mkdir -m 700 -- "$new" || exit 1
trap sweep EXIT
cat >"$new/$name" || exit 1
sum=$(sha256sum <"$new/$name") || exit 1
[ "${sum%% *}" = "$wanted" ] || fail 'the content did not arrive whole'
chown -- "$owner" "$new/$name" && chmod -- "$mode" "$new/$name" || exit 1
"#;

const FOUND: &str = r#"if [ -L "$path" ]; then found=link
elif [ ! -e "$path" ]; then found=absent
elif [ -f "$path" ]; then found=$(sha256sum <"$path") || exit 1; found=${found%% *}
else moved 'something that is no regular file is there'; fi
"#;

/// A link is replaced only where the plan has seen it.
const NO_LINK: &str = r#"if [ "$found" = link ]; then moved 'a symbolic link is there'; fi
"#;

/// Another content than the one that is wanted, or that the plan expects to replace.
const EXPECT: &str = r#"case $found in
"$wanted"|"$expected") ;;
absent) moved 'it is gone' ;;
link) moved 'a symbolic link is there' ;;
*) if [ "$expected" = absent ]; then moved 'a file is there'; else moved 'its content is another'; fi ;;
esac
"#;

const UNPROTECT: &str = r#"if [ -f "$path" ] && [ ! -L "$path" ] && command -v chattr >/dev/null; then chattr -i -- "$path" 2>/dev/null; fi
"#;

/// The folder goes before the file takes its place: after that there is nothing left to do.
const RENAME: &str = r#"sync -- "$new/$name" && mv -fT -- "$new/$name" "$ready" && rm -rf -- "$new" || exit 1
mv -fT -- "$ready" "$path" && sync -- "$dir" || exit 1
"#;

/// The change that a file action is, or `None` for one that is none.
pub(super) async fn change(
    site: &HostSite,
    action: &Action,
    run: &RunContext,
) -> Option<Result<Change, EffectError>> {
    Some(match action {
        Action::WriteFile {
            path,
            content,
            mode,
            owner,
            expect,
            validate,
            immutable,
        } => {
            let write = Write {
                path,
                content,
                mode: *mode,
                owner,
                expect: *expect,
                validate: validate.as_deref(),
                immutable: *immutable,
            };
            write.change(site, run).await
        }
        Action::SetFileAttributes {
            path,
            mode,
            owner,
            immutable,
        } => set_attributes(site, path, *mode, owner, *immutable, run).await,
        Action::RemoveFile { path, expect } => {
            remove_file(path, *expect).map_err(|e| unspeakable(&e))
        }
        Action::MakeDirectory { path, mode, owner } => {
            make_directory(site, path, *mode, owner, run).await
        }
        Action::RemoveDirectory { path, recursive } => remove_directory(path, *recursive),
        _ => return None,
    })
}

/// A file to write.
struct Write<'a> {
    path: &'a str,
    content: &'a Text,
    mode: u32,
    owner: &'a Owner,
    expect: PreImage,
    validate: Option<&'a [String]>,
    immutable: bool,
}

impl Write<'_> {
    async fn change(&self, site: &HostSite, run: &RunContext) -> Result<Change, EffectError> {
        let content = self.content.resolve(&run.vault);
        let content = content.map_err(|error| said::failed(self.path, error.to_string()))?;
        let owner = owner::numeric_or_named(site, self.owner, run).await?;
        let script = self.script(&owner, &Digest::of(content.as_bytes()));
        let script = script.map_err(|error| unspeakable(&error))?;
        let stdin = Bytes::copy_from_slice(content.as_bytes());
        Ok(Change::new(self.path, script).stdin(stdin))
    }

    fn script(&self, owner: &str, wanted: &Digest) -> Result<String, NulByte> {
        let mut script = format!(
            "path={}\nowner={}\nmode={:o}\nwanted={wanted}\n{FOUND}",
            shell::quote(self.path)?,
            shell::quote(owner)?,
            self.mode,
        );
        script.push_str(&expectation(self.expect));
        script.push_str(BESIDE);
        script.push_str(WRITE);
        if let Some(command) = self.validate {
            script.push_str(&validation(command)?);
        }
        script.push_str(UNPROTECT);
        script.push_str(RENAME);
        if self.immutable {
            script.push_str("chattr +i -- \"$path\" || exit 1\n");
        }
        Ok(script)
    }
}

/// The command that must accept the new file, which `{}` stands for.
fn validation(command: &[String]) -> Result<String, NulByte> {
    let mut words = Vec::new();
    for word in command {
        let pieces: Result<Vec<_>, NulByte> = word.split("{}").map(quoted_piece).collect();
        words.push(pieces?.join("\"$new/$name\""));
    }
    let command = words.join(" ");
    let refusal = "printf '%s\\n' 'the new content is not accepted:' \"$said\" >&2; exit 1";
    Ok(format!(
        "said=$({command} 2>&1 </dev/null) || {{ {refusal}; }}\n"
    ))
}

fn quoted_piece(piece: &str) -> Result<String, NulByte> {
    if piece.is_empty() {
        return Ok(String::new());
    }
    shell::quote(piece).map(std::borrow::Cow::into_owned)
}

fn expectation(expect: PreImage) -> String {
    match expect {
        PreImage::Any => NO_LINK.to_owned(),
        PreImage::Absent => format!("expected=absent\n{EXPECT}"),
        PreImage::Content(digest) => format!("expected={digest}\n{EXPECT}"),
        PreImage::Link => format!("expected=link\n{EXPECT}"),
    }
}

fn remove_file(path: &str, expect: PreImage) -> Result<Change, NulByte> {
    let mut script = format!("path={}\nwanted=absent\n{FOUND}", shell::quote(path)?);
    script.push_str(BESIDE);
    script.push_str("sweep || exit 1\nif [ \"$found\" = absent ]; then exit 0; fi\n");
    script.push_str(&expectation(expect));
    script.push_str(UNPROTECT);
    script.push_str("rm -f -- \"$path\" && sync -- \"$dir\" || exit 1\n");
    Ok(Change::new(path, script))
}

async fn set_attributes(
    site: &HostSite,
    path: &str,
    mode: u32,
    owner: &Owner,
    immutable: bool,
    run: &RunContext,
) -> Result<Change, EffectError> {
    let owner = owner::numeric_or_named(site, owner, run).await?;
    let script = attributes_script(path, mode, &owner, immutable);
    Ok(Change::new(
        path,
        script.map_err(|error| unspeakable(&error))?,
    ))
}

fn attributes_script(
    path: &str,
    mode: u32,
    owner: &str,
    immutable: bool,
) -> Result<String, NulByte> {
    let mut script = format!(
        "path={}\n{FOUND}{NO_LINK}\
         if [ \"$found\" = absent ]; then moved 'it is gone'; fi\n{UNPROTECT}\
         chown -- {} \"$path\" && chmod -- {mode:o} \"$path\" || exit 1\n",
        shell::quote(path)?,
        shell::quote(owner)?,
    );
    if immutable {
        script.push_str("chattr +i -- \"$path\" || exit 1\n");
    }
    Ok(script)
}

async fn make_directory(
    site: &HostSite,
    path: &str,
    mode: u32,
    owner: &Owner,
    run: &RunContext,
) -> Result<Change, EffectError> {
    let owner = owner::numeric_or_named(site, owner, run).await?;
    let script = directory_script(path, mode, &owner).map_err(|error| unspeakable(&error))?;
    Ok(Change::new(path, script))
}

fn directory_script(path: &str, mode: u32, owner: &str) -> Result<String, NulByte> {
    Ok(format!(
        "path={}\n\
         if [ -L \"$path\" ]; then moved 'a symbolic link is there'; fi\n\
         if [ -e \"$path\" ] && [ ! -d \"$path\" ]; then moved 'something that is no directory is there'; fi\n\
         mkdir -p -- \"$path\" && chown -- {} \"$path\" && chmod -- {mode:o} \"$path\" || exit 1\n",
        shell::quote(path)?,
        shell::quote(owner)?,
    ))
}

fn remove_directory(path: &str, recursive: bool) -> Result<Change, EffectError> {
    let components = path.split('/').filter(|part| !part.is_empty());
    if components.clone().any(|part| part == "..") || components.count() < 2 {
        return Err(said::failed(
            path,
            "a directory so near the root is never removed",
        ));
    }
    let quoted = shell::quote(path).map_err(|error| unspeakable(&error))?;
    let remove = if recursive {
        // A mount point is emptied and stays; what is mounted below is left alone.
        "find \"$path\" -xdev -mindepth 1 -delete || exit 1\n\
         mountpoint -q \"$path\" || rmdir -- \"$path\" || exit 1\n"
    } else {
        "mountpoint -q \"$path\" || rmdir --ignore-fail-on-non-empty -- \"$path\" || exit 1\n"
    };
    let script = format!(
        "path={quoted}\n\
         if [ -L \"$path\" ]; then moved 'a symbolic link is there'; fi\n\
         [ -e \"$path\" ] || exit 0\n\
         if [ ! -d \"$path\" ]; then moved 'something that is no directory is there'; fi\n{remove}"
    );
    Ok(Change::new(path, script).long())
}

#[cfg(test)]
mod killed_tests;
#[cfg(test)]
mod tests;
