//! One health check of one target: did it answer as it should, in time?

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::world::{HealthCheck, HttpCheck};

/// How much of an HTTP answer is read.
const LONGEST_ANSWER: u64 = 64 * 1024;

/// Whether the target is well. Anything but the expected answer within `timeout` is not.
pub(super) async fn is_well(address: SocketAddr, check: &HealthCheck, timeout: Duration) -> bool {
    let answered = async {
        let stream = TcpStream::connect(address).await.ok()?;
        match &check.http {
            None => Some(()),
            Some(http) => ask(stream, address, http).await,
        }
    };
    matches!(tokio::time::timeout(timeout, answered).await, Ok(Some(())))
}

async fn ask(mut stream: TcpStream, address: SocketAddr, check: &HttpCheck) -> Option<()> {
    let host = if check.domain.is_empty() {
        address.to_string()
    } else {
        check.domain.clone()
    };
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: kbz-lab-balancer\r\nAccept: */*\r\n\
         Connection: close\r\n\r\n",
        check.path
    );
    stream.write_all(request.as_bytes()).await.ok()?;
    if check.response.is_empty() {
        return read_head(&mut stream)
            .await
            .filter(|head| fits(head, check))
            .map(drop);
    }
    let mut answer = Vec::new();
    stream
        .take(LONGEST_ANSWER)
        .read_to_end(&mut answer)
        .await
        .ok()?;
    fits(&answer, check).then_some(())
}

/// The status line, and no more than is needed for it.
async fn read_head(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut head = Vec::new();
    let mut part = [0; 512];
    while !head.contains(&b'\n') && head.len() < 4096 {
        match stream.read(&mut part).await.ok()? {
            0 => break,
            read => head.extend_from_slice(&part[..read]),
        }
    }
    Some(head)
}

fn fits(answer: &[u8], check: &HttpCheck) -> bool {
    let text = String::from_utf8_lossy(answer);
    let mut words = text.split_ascii_whitespace();
    let is_http = words.next().is_some_and(|word| word.starts_with("HTTP/"));
    let status = words.next().unwrap_or_default();
    let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    is_http
        && check
            .status_codes
            .iter()
            .any(|pattern| matches_pattern(status, pattern))
        && body.contains(&check.response)
}

/// `2??` stands for 200 to 299.
fn matches_pattern(status: &str, pattern: &str) -> bool {
    status.len() == pattern.len()
        && status
            .bytes()
            .zip(pattern.bytes())
            .all(|(s, p)| p == b'?' || s == p)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_fit_or_not() {
        let check = |status_codes: &[&str], response: &str| HttpCheck {
            domain: String::new(),
            path: "/".into(),
            response: response.into(),
            status_codes: status_codes.iter().map(|&code| code.to_owned()).collect(),
            tls: false,
        };
        let ok = b"HTTP/1.0 200 OK\r\nA: b\r\n\r\nfine";
        assert!(fits(ok, &check(&["2??"], "")));
        assert!(fits(ok, &check(&["404", "200"], "fine")));
        assert!(!fits(ok, &check(&["2??"], "bad")));
        assert!(!fits(ok, &check(&["3??"], "")));
        assert!(!fits(b"SSH-2.0-OpenSSH 200", &check(&["2??"], "")));
    }
}
