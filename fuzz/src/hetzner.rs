//! Answers of Hetzner's API, from a server on this machine's own loopback address.

use std::collections::VecDeque;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use kbz_infra::host::hetzner::{HetznerClient, Patience};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

use crate::{CANARY, LARGEST, settle};

/// What the API says: a byte that chooses how, and a line for each request. The last line
/// answers whatever is asked after it.
pub fn hetzner(bytes: &[u8]) {
    let Some((how, said)) = bytes.split_first() else {
        return;
    };
    if bytes.len() > LARGEST {
        return;
    }
    let status = [200, 404, 422, 503][usize::from(how % 4)];
    let lines = said.split(|byte| *byte == b'\n');
    let answers = lines.map(|line| http(line, status)).collect();
    *ANSWERS.lock().unwrap_or_else(PoisonError::into_inner) = answers;
    settle(bytes, &RUNTIME.block_on(CLIENT.read("lb")));
}

fn http(said: &[u8], status: u16) -> Vec<u8> {
    let length = said.len();
    let head = format!("HTTP/1.1 {status} Said\r\ncontent-length: {length}\r\n\r\n");
    [head.as_bytes(), said].concat()
}

/// What is answered next.
static ANSWERS: Mutex<VecDeque<Vec<u8>>> = Mutex::new(VecDeque::new());

fn next_answer() -> Vec<u8> {
    let mut answers = ANSWERS.lock().unwrap_or_else(PoisonError::into_inner);
    match answers.len() {
        0 | 1 => answers.front().cloned().unwrap_or_default(),
        _ => answers.pop_front().unwrap_or_default(),
    }
}

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().expect("a runtime can be made")
});

static CLIENT: LazyLock<HetznerClient> = LazyLock::new(|| {
    let listener = RUNTIME.block_on(TcpListener::bind("127.0.0.1:0"));
    let listener = listener.expect("there is a free port");
    let address = listener.local_addr().expect("it has an address");
    RUNTIME.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    let patience = Patience {
        request: Duration::from_secs(10),
        overall: Duration::from_millis(3),
        first_pause: Duration::from_millis(1),
        longest_pause: Duration::from_millis(1),
    };
    let token = CANARY.to_owned().into();
    HetznerClient::new(&format!("http://{address}"), token, patience).expect("it is an address")
});

/// Answers each request of a connection; none has a body.
async fn serve(mut stream: TcpStream) {
    let mut heard = Vec::new();
    while let Ok(1..) = stream.read_buf(&mut heard).await {
        if heard.ends_with(b"\r\n\r\n") {
            heard.clear();
            if stream.write_all(&next_answer()).await.is_err() {
                return;
            }
        }
    }
}
