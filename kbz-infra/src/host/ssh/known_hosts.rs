//! Checks the key of a host against the files of known hosts, strictly.
//!
//! The rules are OpenSSH's (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT"): patterns with `*`, `?`
//! and `!`, names hashed as `|1|SALT|HASH`, `[NAME]:PORT` for ports other than 22 with the
//! bare name as a fallback, `@revoked`. Two differences, both towards refusing: nothing is
//! ever learned by itself, and a line that concerns the host but cannot be understood is an
//! error instead of being skipped. Certificates are not supported: a host that only an
//! `@cert-authority` line vouches for is refused with that reason.
//!
//! Keys are compared as the bytes that travel, so every type of key can be recorded.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

use crate::host::transport::HostKeyError;

/// A key as a host shows it.
#[derive(Debug, Clone, Copy)]
pub(super) struct ShownKey<'a> {
    /// Its type, as in `ssh-ed25519`.
    pub(super) algorithm: &'a str,
    /// The bytes that travel.
    pub(super) blob: &'a [u8],
}

impl ShownKey<'_> {
    fn fingerprint(&self) -> String {
        let digest = crate::ident::Digest::of(self.blob);
        let text = STANDARD_NO_PAD.encode(digest.as_bytes());
        format!("{} SHA256:{text}", self.algorithm)
    }
}

/// The files of known hosts, read.
#[derive(Debug)]
pub(super) struct KnownHosts {
    files: Vec<PathBuf>,
    lines: Vec<Line>,
}

#[derive(Debug)]
struct Line {
    file: PathBuf,
    number: usize,
    marker: Option<String>,
    patterns: String,
    key: Option<Recorded>,
}

#[derive(Debug)]
struct Recorded {
    algorithm: String,
    blob: Vec<u8>,
}

impl KnownHosts {
    /// Reads the files; one that does not exist records nothing.
    pub(super) fn read(files: &[PathBuf]) -> Result<Self, HostKeyError> {
        let mut lines = Vec::new();
        for file in files {
            match fs::read(file) {
                Ok(bytes) => lines.extend(parse(file, &String::from_utf8_lossy(&bytes))),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    return Err(HostKeyError::Unreadable {
                        file: file.clone(),
                        why: error.to_string().into(),
                    });
                }
            }
        }
        let files = files.to_vec();
        Ok(Self { files, lines })
    }

    /// The types of the keys that are recorded for a host, in the order of the files.
    pub(super) fn algorithms(&self, name: &str, port: u16) -> Vec<String> {
        let mut found = Vec::new();
        for subject in subjects(name, port) {
            let lines = self.matching(&subject).filter(|line| line.marker.is_none());
            for key in lines.filter_map(|line| line.key.as_ref()) {
                if !found.contains(&key.algorithm) {
                    found.push(key.algorithm.clone());
                }
            }
        }
        found
    }

    /// Decides whether `shown` is the key of the host.
    pub(super) fn check(
        &self,
        name: &str,
        port: u16,
        shown: ShownKey<'_>,
    ) -> Result<(), HostKeyError> {
        let subjects = subjects(name, port);
        let mut verdict = self.check_subject(&subjects[0], shown);
        for fallback in &subjects[1..] {
            if matches!(verdict, Err(HostKeyError::Unknown { .. })) {
                verdict = match self.check_subject(fallback, shown) {
                    // Another service of the machine: says nothing about this port.
                    Err(HostKeyError::Changed { .. }) => verdict,
                    decided => decided,
                };
            }
        }
        verdict.map_err(|error| match error {
            HostKeyError::Unknown { .. } => self.unknown(&subjects[0], shown),
            other => other,
        })
    }

    fn check_subject(&self, subject: &str, shown: ShownKey<'_>) -> Result<(), HostKeyError> {
        self.check_revoked(subject, shown)?;
        let mut changed = None;
        let mut unusable = None;
        for line in self.matching(subject) {
            match verdict(line, shown) {
                Verdict::Same => return Ok(()),
                Verdict::Other => changed = changed.or(Some(line)),
                Verdict::Unusable(why) => unusable = unusable.or(Some((line, why))),
                Verdict::Silent => {}
            }
        }
        if let Some(line) = changed {
            return Err(HostKeyError::Changed {
                fingerprint: shown.fingerprint(),
                file: line.file.clone(),
                line: line.number,
            });
        }
        Err(match unusable {
            Some((line, why)) => line.unusable(why),
            None => self.unknown(subject, shown),
        })
    }

    fn check_revoked(&self, subject: &str, shown: ShownKey<'_>) -> Result<(), HostKeyError> {
        let revoking = |line: &&Line| line.marker.as_deref() == Some("@revoked");
        for line in self.matching(subject).filter(revoking) {
            match &line.key {
                Some(key) if key.blob != shown.blob => {}
                Some(_) => {
                    return Err(HostKeyError::Revoked {
                        fingerprint: shown.fingerprint(),
                        file: line.file.clone(),
                        line: line.number,
                    });
                }
                None => return Err(line.unusable("revokes a key that cannot be read")),
            }
        }
        Ok(())
    }

    fn matching<'a>(&'a self, subject: &'a str) -> impl Iterator<Item = &'a Line> {
        self.lines
            .iter()
            .filter(move |line| names(&line.patterns, subject))
    }

    fn unknown(&self, subject: &str, shown: ShownKey<'_>) -> HostKeyError {
        let blob = STANDARD.encode(shown.blob);
        let default = PathBuf::from("known_hosts");
        HostKeyError::Unknown {
            fingerprint: shown.fingerprint(),
            line: format!("{subject} {} {blob}", shown.algorithm),
            file: self.files.first().cloned().unwrap_or(default),
        }
    }
}

impl Line {
    fn unusable(&self, why: &'static str) -> HostKeyError {
        HostKeyError::Unusable {
            file: self.file.clone(),
            line: self.number,
            why,
        }
    }
}

/// What one line says about a key.
enum Verdict {
    Same,
    Other,
    Unusable(&'static str),
    Silent,
}

fn verdict(line: &Line, shown: ShownKey<'_>) -> Verdict {
    match (line.marker.as_deref(), &line.key) {
        (Some("@revoked"), _) => Verdict::Silent,
        (Some("@cert-authority"), _) => Verdict::Unusable(
            "vouches for this host by a certificate authority, which is not supported; \
             record the host's own key",
        ),
        (Some(_), _) => Verdict::Unusable("has an unknown marker"),
        (None, None) => Verdict::Unusable("records a key for this host that cannot be read"),
        (None, Some(key)) if key.blob == shown.blob => Verdict::Same,
        (None, Some(key)) if key.algorithm == shown.algorithm => Verdict::Other,
        (None, Some(_)) => Verdict::Silent,
    }
}

/// The names under which a host may be recorded, the most exact first.
fn subjects(name: &str, port: u16) -> Vec<String> {
    let name = name.to_ascii_lowercase();
    if port == 22 {
        return vec![name];
    }
    vec![format!("[{name}]:{port}"), name]
}

fn parse(file: &Path, text: &str) -> Vec<Line> {
    let numbered = text.lines().enumerate();
    numbered
        .filter_map(|(index, line)| parse_line(file, index + 1, line))
        .collect()
}

fn parse_line(file: &Path, number: usize, text: &str) -> Option<Line> {
    let mut words = text.split_ascii_whitespace().peekable();
    if words.peek()?.starts_with('#') {
        return None;
    }
    let marker = words.next_if(|word| word.starts_with('@'));
    let patterns = words.next().unwrap_or_default().to_owned();
    let key = match (words.next(), words.next()) {
        (Some(algorithm), Some(blob)) => recorded(algorithm, blob),
        _ => None,
    };
    Some(Line {
        file: file.to_owned(),
        number,
        marker: marker.map(str::to_owned),
        patterns,
        key,
    })
}

/// A recorded key, when its bytes begin with the type that the line names.
fn recorded(algorithm: &str, blob: &str) -> Option<Recorded> {
    let blob = STANDARD.decode(blob).ok()?;
    let length = u32::from_be_bytes(blob.get(..4)?.try_into().ok()?) as usize;
    let inner = blob.get(4..length.checked_add(4)?)?;
    (inner == algorithm.as_bytes()).then(|| Recorded {
        algorithm: algorithm.to_owned(),
        blob,
    })
}

/// Whether the patterns of a line name `subject`; a negated one that does vetoes the line.
fn names(patterns: &str, subject: &str) -> bool {
    if let Some(hashed) = patterns.strip_prefix("|1|") {
        return is_hash_of(hashed, subject).unwrap_or(false);
    }
    let mut named = false;
    for pattern in patterns.split(',') {
        match pattern.strip_prefix('!') {
            Some(pattern) if matches(pattern, subject) => return false,
            Some(_) => {}
            None => named |= matches(pattern, subject),
        }
    }
    named
}

fn is_hash_of(hashed: &str, subject: &str) -> Option<bool> {
    let (salt, hash) = hashed.split_once('|')?;
    let salt = STANDARD.decode(salt).ok()?;
    let hash = STANDARD.decode(hash).ok()?;
    let mut mac = Hmac::<Sha1>::new_from_slice(&salt).ok()?;
    mac.update(subject.as_bytes());
    Some(mac.verify_slice(&hash).is_ok())
}

/// Matches `*` and `?` as ssh does; everything else stands for itself, letters in any case.
fn matches(pattern: &str, subject: &str) -> bool {
    let pattern = pattern.to_ascii_lowercase();
    let (pattern, subject) = (pattern.as_bytes(), subject.as_bytes());
    let (mut p, mut s) = (0, 0);
    // Where to resume when the text after the last `*` does not match.
    let mut retry: Option<(usize, usize)> = None;
    while s < subject.len() {
        match (pattern.get(p), retry) {
            (Some(b'*'), _) => {
                retry = Some((p + 1, s));
                p += 1;
            }
            (Some(c), _) if *c == b'?' || *c == subject[s] => {
                p += 1;
                s += 1;
            }
            (_, Some((after_star, from))) => {
                retry = Some((after_star, from + 1));
                p = after_star;
                s = from + 1;
            }
            (_, None) => return false,
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(algorithm: &str, tail: &str) -> Vec<u8> {
        let length = u32::try_from(algorithm.len()).unwrap();
        let mut blob = length.to_be_bytes().to_vec();
        blob.extend(algorithm.bytes());
        blob.extend(tail.bytes());
        blob
    }

    /// `KEY` stands for the key that is shown, `OTHER` for another of the same type.
    fn check(lines: &str, name: &str, port: u16) -> Result<(), String> {
        let shown = blob("ssh-ed25519", "shown");
        let text = lines
            .replace("KEY", &format!("ssh-ed25519 {}", STANDARD.encode(&shown)))
            .replace(
                "OTHER",
                &format!("ssh-ed25519 {}", STANDARD.encode(blob("ssh-ed25519", "x"))),
            )
            .replace(
                "RSA",
                &format!("ssh-rsa {}", STANDARD.encode(blob("ssh-rsa", "x"))),
            );
        let file = PathBuf::from("known_hosts");
        let known = KnownHosts {
            lines: parse(&file, &text),
            files: vec![file],
        };
        let shown = ShownKey {
            algorithm: "ssh-ed25519",
            blob: &shown,
        };
        let verdict = known.check(name, port, shown);
        verdict.map_err(|error| match error {
            HostKeyError::Unknown { line, .. } => {
                format!("unknown {}", line.split(' ').next().unwrap_or_default())
            }
            HostKeyError::Changed { line, .. } => format!("changed {line}"),
            HostKeyError::Revoked { line, .. } => format!("revoked {line}"),
            HostKeyError::Unusable { line, .. } => format!("unusable {line}"),
            HostKeyError::Unreadable { .. } => "unreadable".to_owned(),
        })
    }

    fn refused<T>(why: &str) -> Result<T, String> {
        Err(why.to_owned())
    }

    #[test]
    fn a_recorded_key_is_accepted_under_every_form_of_the_name() {
        for (lines, name, port) in [
            ("10.0.0.11 KEY", "10.0.0.11", 22),
            ("# note\n\n db-1,10.0.0.11 KEY a comment", "10.0.0.11", 22),
            ("DB-1 KEY", "db-1", 22),
            ("[db-1]:2222 KEY", "db-1", 2222),
            ("db-1 KEY", "db-1", 2222),
            ("db-? KEY", "db-1", 22),
            ("*.example.com,!bad.example.com KEY", "a.example.com", 22),
            ("[*]:2222 KEY", "db-1", 2222),
            ("db-1 OTHER\ndb-1 KEY", "db-1", 22),
            ("db-1 RSA\ndb-1 KEY", "db-1", 22),
            ("db-1 OTHER\n[db-1]:2222 KEY", "db-1", 2222),
            ("@cert-authority * OTHER\ndb-1 KEY", "db-1", 22),
            ("nonsense\ndb-1 KEY", "db-1", 22),
        ] {
            assert_eq!(check(lines, name, port), Ok(()), "{lines}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_its_reason() {
        for (lines, name, port, why) in [
            ("", "db-1", 22, "unknown db-1"),
            ("", "db-1", 2222, "unknown [db-1]:2222"),
            ("db-2 KEY", "db-1", 22, "unknown db-1"),
            ("[db-1]:2222 KEY", "db-1", 22, "unknown db-1"),
            ("*,!db-1 KEY", "db-1", 22, "unknown db-1"),
            ("db-1 RSA", "db-1", 22, "unknown db-1"),
            ("#\ndb-1 OTHER", "db-1", 22, "changed 2"),
            ("db-1 OTHER", "db-1", 2222, "unknown [db-1]:2222"),
            ("db-1 KEY\n@revoked * KEY", "db-1", 22, "revoked 2"),
            (
                "@revoked db-1 KEY\n[db-1]:2222 OTHER",
                "db-1",
                2222,
                "changed 2",
            ),
            ("@revoked * ssh-ed25519 AA", "db-1", 22, "unusable 1"),
            ("@cert-authority * OTHER", "db-1", 22, "unusable 1"),
            ("db-1 ssh-ed25519 %%%", "db-1", 22, "unusable 1"),
            ("db-1", "db-1", 22, "unusable 1"),
        ] {
            assert_eq!(check(lines, name, port), refused(why), "{lines}");
        }
    }

    #[test]
    fn a_hashed_name_is_recognised() {
        // As made by `ssh-keygen -H` for `db-1` and for `[db-1]:2222`.
        let salt = STANDARD.encode([7; 20]);
        for (subject, port) in [("db-1", 22), ("[db-1]:2222", 2222)] {
            let mut mac = Hmac::<Sha1>::new_from_slice(&[7; 20]).unwrap();
            mac.update(subject.as_bytes());
            let hash = STANDARD.encode(mac.finalize().into_bytes());
            let line = format!("|1|{salt}|{hash} KEY");
            assert_eq!(check(&line, "db-1", port), Ok(()));
            assert!(check(&line, "db-2", port).is_err());
        }
    }

    #[test]
    fn stars_match_as_ssh_matches_them() {
        for (pattern, subject, expected) in [
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "abcd", false),
            ("a*b*c", "axbxbxc", true),
            ("?", "", false),
            ("10.0.0.*", "10.0.0.11", true),
            ("[", "[", true),
        ] {
            assert_eq!(matches(pattern, subject), expected, "{pattern} {subject}");
        }
    }
}
