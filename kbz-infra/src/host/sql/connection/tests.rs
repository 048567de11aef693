use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::host::ssh::testing::TestServer;
use crate::host::transport::Transport;
use crate::secret::SecretRef;

/// Lets in without a password, and is ready for a question.
const WELCOME: &[u8] = b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I";
const STARTING: &[u8] = b"E\0\0\0\x24SFATAL\0VFATAL\0C57P03\0Mstarting\0\0";
const FULL: &[u8] = b"E\0\0\0\x20SFATAL\0VFATAL\0C53300\0Mfull\0\0";
const NOT_YOU: &[u8] = b"E\0\0\0\x23SFATAL\0VFATAL\0C28P01\0Mnot you\0\0";

async fn serve(mut stream: TcpStream, answer: Option<&[u8]>) {
    if let Some(answer) = answer {
        let length = stream.read_u32().await.unwrap();
        let mut asked = vec![0; length as usize - 4];
        stream.read_exact(&mut asked).await.unwrap();
        stream.write_all(answer).await.unwrap();
    }
}

/// What becomes of a connection through a host to a server that answers once, and then ends it;
/// without an answer it ends it at once.
async fn connected(answer: Option<&'static [u8]>) -> Result<(), SqlError> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        serve(stream, answer).await;
    });
    let outcome = through_a_host(port).await;
    serving.await.unwrap();
    outcome
}

async fn through_a_host(port: u16) -> Result<(), SqlError> {
    let server = TestServer::start().await;
    let host: Arc<dyn Transport> = Arc::new(server.host());
    let access = PgAccess {
        via: vec![host.host().clone()],
        address: "127.0.0.1".to_owned(),
        port,
        user: "postgres".to_owned(),
        password: SecretRef::new("superuser"),
    };
    let mut vault = Vault::new();
    vault.insert("superuser", "secret".into());
    let hosts = Hosts::from_transports([host]);
    let made = connect(&hosts, &access, &vault, COMMON, None).await;
    made.map(drop)
}

#[tokio::test]
async fn who_is_turned_away_before_anything_was_asked_may_come_again() {
    connected(Some(WELCOME)).await.unwrap();
    for answer in [None, Some(STARTING)] {
        let refused = connected(answer).await.unwrap_err();
        assert!(matches!(refused, SqlError::Unasked(_)), "{refused:?}");
    }
}

#[tokio::test]
async fn another_refusal_lasts() {
    let refused = connected(Some(NOT_YOU)).await.unwrap_err();
    assert!(matches!(refused, SqlError::Refused { .. }), "{refused:?}");
    let refused = connected(Some(FULL)).await.unwrap_err();
    assert!(matches!(refused, SqlError::Lost(_)), "{refused:?}");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let refused = through_a_host(port).await.unwrap_err();
    assert!(matches!(refused, SqlError::Lost(_)), "{refused:?}");
}
