//! Text for a POSIX shell: quoting that every `sh` reads back as the same bytes.
//!
//! Commands reach hosts as text that a shell reads. A word is left bare only when it
//! consists of characters that no shell treats specially; anything else goes between single
//! quotes, within which a shell changes nothing, and a single quote itself is closed,
//! escaped and reopened. A NUL byte cannot be said to a shell at all, so it is an error.

use std::borrow::Cow;

/// A text with a NUL byte, which no argument of a process can hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} holds a NUL byte, which no argument of a process can hold")]
pub struct NulByte(pub String);

/// `text` as one word of a shell.
pub fn quote(text: &str) -> Result<Cow<'_, str>, NulByte> {
    if text.contains('\0') {
        return Err(NulByte(text.to_owned()));
    }
    if is_plain(text) {
        return Ok(Cow::Borrowed(text));
    }
    Ok(Cow::Owned(format!("'{}'", text.replace('\'', r"'\''"))))
}

/// The words of a command as one line of a shell.
pub fn join<T: AsRef<str>>(argv: impl IntoIterator<Item = T>) -> Result<String, NulByte> {
    let mut line = String::new();
    for word in argv {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&quote(word.as_ref())?);
    }
    Ok(line)
}

/// Whether a shell reads `text` as itself wherever a word may stand.
///
/// `=` is not among the plain characters: at the start of a command `a=b` is an assignment.
fn is_plain(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:,@%".contains(c);
    !text.is_empty() && text.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    /// What `/bin/sh` makes of a line: its words, each ended by NUL.
    fn read_back(line: &str) -> Vec<Vec<u8>> {
        let script = format!("for word in {line}; do printf '%s\\0' \"$word\"; done");
        let output = Command::new("/bin/sh")
            .args(["-c", &script])
            .output()
            .expect("/bin/sh runs");
        assert!(output.status.success(), "{output:?}");
        let mut words: Vec<_> = output
            .stdout
            .split(|b| *b == 0)
            .map(<[u8]>::to_vec)
            .collect();
        assert_eq!(words.pop(), Some(Vec::new()), "the last word is ended too");
        words
    }

    #[test]
    fn plain_words_stay_readable() {
        let argv = ["docker", "ps", "--format", "{{.Names}}", "", "it's"];
        assert_eq!(
            join(argv).unwrap(),
            r"docker ps --format '{{.Names}}' '' 'it'\''s'"
        );
    }

    #[test]
    fn a_nul_byte_is_refused() {
        assert_eq!(quote("a\0b"), Err(NulByte("a\0b".to_owned())));
    }

    #[test]
    fn a_quoted_word_is_never_an_assignment_or_an_operator() {
        for word in [
            "A=b",
            "~",
            "#",
            "!",
            "a b",
            "*",
            "-n",
            "$(reboot)",
            "\\",
            "\n",
            "é",
        ] {
            assert_eq!(read_back(&quote(word).unwrap()), [word.as_bytes()]);
        }
        assert_eq!(quote("A=b").unwrap(), "'A=b'");
    }

    fn words() -> impl Strategy<Value = Vec<String>> {
        let hostile = r#"[ '"\\$`!*?\[\]{}()<>|&;#~=\n\t\r\x01-\x1f\x7f-\x9fa-z0-9éß漢🦀\u{2028}\u{feff}]{0,24}"#;
        let any = any::<String>().prop_map(|text| text.replace('\0', ""));
        prop::collection::vec(prop_oneof![hostile.prop_map(String::from), any], 1..8)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(192))]

        #[test]
        fn sh_reads_back_every_word(words in words()) {
            let expected: Vec<_> = words.iter().map(|w| w.as_bytes().to_vec()).collect();
            prop_assert_eq!(read_back(&join(&words).unwrap()), expected);
        }
    }
}
