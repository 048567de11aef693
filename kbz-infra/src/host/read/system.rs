//! Kernel parameters, facts, file systems and modules, from what a host prints.

use std::collections::BTreeMap;
use std::time::SystemTime;

use super::frames::Frames;
use super::script::{self, Script};
use crate::probe::{BootReading, FactsReading, FilesystemReading, ModuleReading, SwapReading};

/// Small files of a host, by path.
#[derive(Debug, Default)]
pub(super) struct SmallFiles<'a>(BTreeMap<&'a str, Vec<&'a str>>);

impl<'a> SmallFiles<'a> {
    /// Reads `PATH:LINE`s of the files that `script` asks for.
    pub(super) fn of(frames: &'a Frames, script: &'a Script) -> Self {
        let mut files: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for line in frames.get("files").unwrap_or_default().lines() {
            if let Some((path, line)) = split(line, script) {
                files.entry(path).or_default().push(line);
            }
        }
        Self(files)
    }

    /// The lines of a file; none where there is no such file.
    pub(super) fn lines(&self, path: &str) -> &[&'a str] {
        self.0.get(path).map_or(&[], Vec::as_slice)
    }

    /// The first line of a file.
    pub(super) fn first(&self, path: &str) -> Option<&'a str> {
        self.lines(path).first().copied()
    }
}

/// Which of the files asked for a line is of: none of their paths ends in a colon, so the
/// longest one that fits is meant.
fn split<'a>(line: &'a str, script: &'a Script) -> Option<(&'a str, &'a str)> {
    script
        .files()
        .filter_map(|path| Some((path, line.strip_prefix(path)?.strip_prefix(':')?)))
        .max_by_key(|(path, _)| path.len())
}

/// A kernel parameter; values of several words are separated by single blanks.
pub(super) fn sysctl(files: &SmallFiles<'_>, key: &str) -> Option<String> {
    let value = files.first(&script::sysctl_path(key))?;
    Some(value.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Since when the host runs, and who asks for another start.
pub(super) fn boot(frames: &Frames) -> Result<BootReading, String> {
    let id = frames.get("boot").map(str::trim).unwrap_or_default();
    if id.is_empty() || id == "-" {
        return Err("it does not say since when it runs".to_owned());
    }
    let wanted = frames.get("reboot-required");
    let packages = |said: &str| said.lines().map(str::to_owned).collect();
    Ok(BootReading {
        id: id.to_owned(),
        wanted_by: wanted.map(packages),
    })
}

/// The areas of `/proc/swaps`, below its heading.
pub(super) fn swap(files: &SmallFiles<'_>) -> Result<SwapReading, String> {
    let lines = files.lines(script::SWAPS);
    if lines.is_empty() {
        return Err(format!("{} is empty", script::SWAPS));
    }
    let areas = lines.iter().skip(1);
    let names = areas.filter_map(|line| line.split_whitespace().next());
    Ok(SwapReading(names.map(str::to_owned).collect()))
}

/// Facts, but for the Docker engine's version. `now` is when the answer arrived.
pub(super) fn facts(
    frames: &Frames,
    files: &SmallFiles<'_>,
    now: SystemTime,
) -> Result<FactsReading, String> {
    let missing = |what: &str| format!("it does not tell its {what}");
    let memory = files
        .lines(script::MEMINFO)
        .iter()
        .find_map(|line| memory(line));
    let os = files
        .lines(script::OS_RELEASE)
        .iter()
        .find_map(|line| pretty_name(line));
    let clock = frames
        .get("now")
        .and_then(|text| text.trim().parse::<f64>().ok());
    Ok(FactsReading {
        memory: memory.ok_or_else(|| missing("memory"))?,
        cpus: files
            .first(script::CPUS)
            .and_then(cpus)
            .ok_or_else(|| missing("CPUs"))?,
        os: os.ok_or_else(|| missing("operating system"))?,
        kernel: files
            .first(script::KERNEL)
            .ok_or_else(|| missing("kernel"))?
            .to_owned(),
        docker: None,
        clock_synchronized: match frames.get("synchronized").map(str::trim) {
            Some("yes") => Some(true),
            Some("no") => Some(false),
            _ => None,
        },
        clock_offset: clock
            .filter(|clock| clock.is_finite())
            .ok_or_else(|| missing("time"))?
            - seconds(now),
    })
}

fn seconds(time: SystemTime) -> f64 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => since.as_secs_f64(),
        Err(before) => -before.duration().as_secs_f64(),
    }
}

/// `MemTotal:  4024088 kB`
fn memory(line: &str) -> Option<u64> {
    let value = line.strip_prefix("MemTotal:")?.trim().strip_suffix("kB")?;
    value.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// `PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"`
fn pretty_name(line: &str) -> Option<String> {
    let value = line.strip_prefix("PRETTY_NAME=")?;
    Some(value.trim_matches(['"', '\'']).to_owned())
}

/// `0-3,5`
fn cpus(list: &str) -> Option<u32> {
    let mut count = 0_u32;
    for range in list.trim().split(',') {
        let (from, to) = range.split_once('-').unwrap_or((range, range));
        let (from, to): (u32, u32) = (from.parse().ok()?, to.parse().ok()?);
        count = count.checked_add(to.checked_sub(from)?.checked_add(1)?)?;
    }
    Some(count)
}

/// The file system of each of the paths asked for, in their order.
pub(super) fn filesystem(frames: &Frames, index: usize) -> Result<FilesystemReading, String> {
    let Some(table) = frames.get("filesystems") else {
        let why = frames.get("filesystems-failed").unwrap_or("no answer");
        return Err(format!("its file systems cannot be read: {why}"));
    };
    let line = table.lines().nth(index + 1).unwrap_or_default();
    let mut fields = line.split_whitespace();
    let mut parse = || {
        Some(FilesystemReading {
            kind: fields.next()?.to_owned(),
            size: fields.next()?.parse().ok()?,
            available: fields.next()?.parse().ok()?,
        })
    };
    parse().ok_or_else(|| format!("its file systems cannot be read: {line:?}"))
}

/// Whether a module is there.
pub(super) fn module(frames: &Frames, name: &str) -> Result<ModuleReading, String> {
    let found = frames
        .get("modules")
        .ok_or("it does not tell of its modules")?;
    let name = script::module_name(name);
    Ok(ModuleReading {
        present: found.split_whitespace().any(|known| known == name),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_cpus() {
        assert_eq!(cpus("0-3,5\n"), Some(5));
        assert_eq!(cpus("0"), Some(1));
        assert_eq!(cpus("3-0"), None);
        assert_eq!(cpus("0-4294967295"), None);
        assert_eq!(cpus(""), None);
    }

    #[test]
    fn lines_of_proc_and_etc() {
        assert_eq!(memory("MemTotal:        4024088 kB"), Some(4_120_666_112));
        assert_eq!(
            pretty_name("PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"").unwrap(),
            "Debian GNU/Linux 12 (bookworm)"
        );
    }
}
