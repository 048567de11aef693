//! What an HAProxy is asked and told on its loopback port: whether it is drained.
//!
//! In words of HTTP, written by the host's own bash: nothing needs to be installed for it.

use crate::probe::DrainReading;

/// What is asked of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    /// Whether it is drained.
    Get,
    /// To be drained.
    Put,
    /// To be in service.
    Delete,
}

impl Verb {
    fn word(self) -> &'static str {
        match self {
            Verb::Get => "GET",
            Verb::Put => "PUT",
            Verb::Delete => "DELETE",
        }
    }
}

/// What it says when it is drained.
const DRAINED: &str = "drained";
/// What it says when it is in service.
const READY: &str = "ready";
/// What the command says where nothing listens.
const NOBODY: &str = "nobody";

/// A command that prints the one word of the answer, its last line; `nobody` where nothing listens,
/// or nothing.
pub(super) fn ask(port: u16, verb: Verb) -> String {
    let verb = verb.word();
    // In bash alone: each program more would take as long as the question.
    let inner = format!(
        "exec 3<>/dev/tcp/127.0.0.1/{port} || {{ echo {NOBODY}; exit; }}; \
         printf \"{verb} /drain HTTP/1.0\\r\\n\\r\\n\" >&3; \
         while read -r line || [ -n \"$line\" ]; do last=$line; done <&3; echo \"${{last%$'\\r'}}\""
    );
    let inner = inner.replace('\'', r"'\''");
    format!("timeout 2 bash -c '{inner}' 2>/dev/null")
}

/// What the word means. One that hangs, or is no HAProxy of this program, cannot be drained: that
/// must not keep the rest of its host from being read and repaired.
pub(super) fn reading(said: &str) -> DrainReading {
    DrainReading(match said.trim() {
        DRAINED => Some(true),
        READY => Some(false),
        _ => None,
    })
}

/// A script that drains it or puts it back. One that does not run is in service once it does.
pub(super) fn set(port: u16, drained: bool) -> String {
    let (verb, wanted) = if drained {
        (Verb::Put, DRAINED.to_owned())
    } else {
        (Verb::Delete, format!("{READY}|{NOBODY}"))
    };
    let said = ask(port, verb);
    format!(
        "said=$({said}); case $said in {wanted}) ;; \
         *) fail \"the HAProxy on its loopback port {port} says: ${{said:-nothing}}\" ;; esac"
    )
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::process::Command;

    use super::*;

    /// What a shell makes of a script.
    #[expect(
        clippy::disallowed_methods,
        reason = "the host's shell is what is tested"
    )]
    fn shell(script: &str) -> (bool, String) {
        let script = format!("fail() {{ echo \"$*\"; exit 1; }}\n{script}");
        let output = Command::new("/bin/sh").arg("-c").arg(script).output();
        let output = output.unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        (output.status.success(), said.trim().to_owned())
    }

    /// One that answers once; what it was asked.
    fn answering(answer: &'static str) -> (u16, std::thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                asked.extend(byte);
            }
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n";
            stream
                .write_all(format!("{head}{answer}").as_bytes())
                .unwrap();
            String::from_utf8(asked).unwrap()
        });
        (port, asked)
    }

    #[test]
    fn it_is_asked_and_told_in_words_of_http() {
        let (port, asked) = answering("ready\n");
        let (_, said) = shell(&ask(port, Verb::Get));
        assert_eq!(reading(&said), DrainReading(Some(false)));
        assert_eq!(asked.join().unwrap(), "GET /drain HTTP/1.0\r\n\r\n");
        let (port, asked) = answering("drained\n");
        assert_eq!(shell(&set(port, true)), (true, String::new()));
        assert_eq!(asked.join().unwrap(), "PUT /drain HTTP/1.0\r\n\r\n");
    }

    #[test]
    fn where_nothing_listens_nobody_can_be_drained_and_nobody_is() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let (_, said) = shell(&ask(port, Verb::Get));
        assert_eq!(reading(&said), DrainReading(None));
        assert_eq!(shell(&set(port, false)), (true, String::new()));
        let (went, said) = shell(&set(port, true));
        assert!(!went && said.ends_with("says: nobody"), "{said}");
    }

    #[test]
    fn another_answer_is_no_answer() {
        assert_eq!(reading(""), DrainReading(None));
        assert_eq!(reading("<html>"), DrainReading(None));
        let (port, _asked) = answering("drained\n");
        let (went, said) = shell(&set(port, false));
        assert!(!went && said.ends_with("says: drained"), "{said}");
    }
}
