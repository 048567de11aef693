//! What an HAProxy is asked and told on its loopback port: whether it is drained.
//!
//! In words of HTTP. It is asked from here, through its host; what drains it or puts it back is a
//! change like any other, a script, and speaks by the host's own bash: nothing needs to be installed
//! for it.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::Request;

use super::http;
use super::transport::{Stream, Transport, TransportError};
use crate::diag::error_chain;
use crate::probe::DrainReading;

/// How long it may take to say a word.
const SOON: Duration = Duration::from_secs(2);
/// No word is longer.
const LONGEST: usize = 64;

/// What it says when it is drained.
const DRAINED: &str = "drained";
/// What it says when it is in service.
const READY: &str = "ready";
/// What the script says where nothing listens.
const NOBODY: &str = "nobody";

/// Whether the HAProxy behind a port of a host is drained, or why the host does not tell. One that
/// does not run, hangs, or is no HAProxy of this program, cannot be: that must not keep the rest of
/// its host from being read and repaired.
pub(super) async fn read(host: &dyn Transport, port: u16) -> Result<DrainReading, String> {
    let stream = match host.tcp("127.0.0.1", port).await {
        Ok(stream) => stream,
        Err(TransportError::Refused { nobody: true, .. }) => return Ok(DrainReading(None)),
        Err(error) => return Err(error_chain(&error)),
    };
    let word = tokio::time::timeout(SOON, word(stream)).await;
    Ok(DrainReading(
        match word.ok().flatten().as_deref().map(str::trim) {
            Some(DRAINED) => Some(true),
            Some(READY) => Some(false),
            _ => None,
        },
    ))
}

async fn word(stream: Stream) -> Option<String> {
    let request = Request::get("/drain").header("host", "127.0.0.1");
    let request = request.body(Empty::<Bytes>::new()).ok()?;
    let answer = http::sent(stream, request).await.ok()?;
    let body = Limited::new(answer.into_body(), LONGEST).collect().await;
    String::from_utf8(body.ok()?.to_bytes().into()).ok()
}

/// A script that drains it or puts it back. One that does not run is in service once it does.
pub(super) fn set(port: u16, drained: bool) -> String {
    let (verb, wanted) = if drained {
        ("PUT", DRAINED.to_owned())
    } else {
        ("DELETE", format!("{READY}|{NOBODY}"))
    };
    let said = tell(port, verb);
    format!(
        "said=$({said}); case $said in {wanted}) ;; \
         *) fail \"the HAProxy on its loopback port {port} says: ${{said:-nothing}}\" ;; esac"
    )
}

/// A command that prints the one word of the answer, its last line; `nobody` where nothing listens,
/// or nothing. The request is one packet: what bash prints goes out line by line, and the second
/// would wait until the first is acknowledged, 40 ms later.
fn tell(port: u16, verb: &str) -> String {
    let inner = format!(
        "exec 3<>/dev/tcp/127.0.0.1/{port} || {{ echo {NOBODY}; exit; }}
r=$'\r'
cat >&3 <<KBZ
{verb} /drain HTTP/1.0$r
$r
KBZ
while read -r line || [ -n \"$line\" ]; do last=$line; done <&3; echo \"${{last%$'\r'}}\""
    );
    let inner = inner.replace('\'', r"'\''");
    format!("timeout {} bash -c '{inner}' 2>/dev/null", SOON.as_secs())
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::process::Command;

    use super::*;
    use crate::host::ssh::testing::{TestServer, host};

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

    /// What is read of an HAProxy through a host.
    fn read_through_a_host(port: u16) -> Result<DrainReading, String> {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let server = TestServer::start().await;
            read(&server.host(), port).await
        })
    }

    #[test]
    fn it_is_asked_and_told_in_words_of_http() {
        let (port, asked) = answering("ready\n");
        assert_eq!(read_through_a_host(port), Ok(DrainReading(Some(false))));
        assert!(asked.join().unwrap().starts_with("GET /drain HTTP/1.1\r\n"));
        let (port, _asked) = answering("drained\n");
        assert_eq!(read_through_a_host(port), Ok(DrainReading(Some(true))));
        let (port, asked) = answering("drained\n");
        assert_eq!(shell(&set(port, true)), (true, String::new()));
        assert_eq!(asked.join().unwrap(), "PUT /drain HTTP/1.0\r\n\r\n");
        let (port, asked) = answering("ready\n");
        assert_eq!(shell(&set(port, false)), (true, String::new()));
        assert_eq!(asked.join().unwrap(), "DELETE /drain HTTP/1.0\r\n\r\n");
    }

    #[test]
    fn where_nothing_listens_nobody_can_be_drained_and_nobody_is() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        assert_eq!(read_through_a_host(port), Ok(DrainReading(None)));
        assert_eq!(shell(&set(port, false)), (true, String::new()));
        let (went, said) = shell(&set(port, true));
        assert!(!went && said.ends_with("says: nobody"), "{said}");
    }

    #[test]
    fn a_host_that_is_not_reached_tells_nothing() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let told = runtime.block_on(async {
            let server = TestServer::start().await;
            let nowhere = TcpListener::bind("127.0.0.1:0")
                .unwrap()
                .local_addr()
                .unwrap();
            let settings = server.settings_at(nowhere);
            read(&host(settings), 8406).await
        });
        assert!(told.unwrap_err().contains("cannot be reached"));
    }

    #[test]
    fn another_answer_is_no_answer() {
        let (port, _asked) = answering("<html>");
        assert_eq!(read_through_a_host(port), Ok(DrainReading(None)));
        let blanks = "drained                                                                ";
        let (port, _asked) = answering(blanks);
        assert_eq!(
            read_through_a_host(port),
            Ok(DrainReading(None)),
            "too long"
        );
        let (port, _asked) = answering("drained\n");
        let (went, said) = shell(&set(port, false));
        assert!(!went && said.ends_with("says: drained"), "{said}");
    }
}
