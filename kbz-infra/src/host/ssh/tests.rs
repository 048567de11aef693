//! The way to a host, against a server inside the process.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures::future::join_all;
use russh::keys::ssh_key::LineEnding;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};

use super::testing::{TestLink, TestServer, host, new_key};
use crate::host::pool::Hosts;
use crate::host::transport::{Exec, HostKeyError, Lane, Status, Transport, TransportError};
use crate::ident::HostName;

const SOON: Duration = Duration::from_secs(20);

fn script(text: &str) -> Exec {
    Exec::new(text, SOON)
}

#[tokio::test]
async fn a_command_gets_its_input_and_gives_its_outputs() {
    let server = TestServer::start().await;
    let host = server.host();
    let command = script("cat; echo complaint >&2; exit 3").stdin("é\n'input'\n");
    let output = host.exec(command).await.unwrap();
    assert_eq!(output.status, Status::Exited(3));
    assert_eq!(output.text(), "é\n'input'\n");
    assert_eq!(output.complaint(), "complaint");
}

#[tokio::test]
async fn large_inputs_and_outputs_pass() {
    let server = TestServer::start().await;
    let host = server.host();
    let megabytes = vec![b'x'; 9 << 20];
    let output = host.exec(script("cat").stdin(megabytes.clone())).await;
    assert_eq!(output.unwrap().stdout.len(), megabytes.len());
    let source = std::io::Cursor::new(megabytes.clone());
    let output = host.exec_stream(script("wc -c"), Box::new(source)).await;
    assert_eq!(output.unwrap().text().trim(), megabytes.len().to_string());
}

#[tokio::test]
async fn a_command_that_reads_nothing_does_not_wait_for_its_input() {
    let server = TestServer::start().await;
    let command = script("exec <&-; echo done").stdin(vec![0; 8 << 20]);
    assert_eq!(server.host().exec(command).await.unwrap().text(), "done\n");
}

#[tokio::test]
async fn output_beyond_the_limit_is_an_error() {
    let server = TestServer::start().await;
    let host = server.host();
    let command = script("head -c 200000 /dev/zero").limit(100_000);
    let error = host.exec(command).await.unwrap_err();
    assert!(matches!(error, TransportError::TooMuchOutput { .. }));
    assert!(host.exec(script("true")).await.unwrap().status.success());
}

#[tokio::test]
async fn a_deadline_ends_the_wait_and_the_connection_goes_on() {
    let server = TestServer::start().await;
    let host = server.host();
    let command = Exec::new("sleep 60", Duration::from_millis(300));
    let error = host.exec(command).await.unwrap_err();
    assert!(matches!(error, TransportError::Deadline { .. }));
    assert!(error.may_have_run());
    assert!(host.exec(script("true")).await.unwrap().status.success());
    assert_eq!(server.seen.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn many_commands_share_one_connection_below_the_limit_of_sessions() {
    let server = TestServer::start().await;
    let host = server.host();
    let commands = (0..40).map(|n| host.exec(script(&format!("sleep 0.05; echo {n}"))));
    for (n, output) in join_all(commands).await.into_iter().enumerate() {
        assert_eq!(output.unwrap().text(), format!("{n}\n"));
    }
    assert_eq!(server.seen.connections.load(Ordering::SeqCst), 1);
    assert!(server.seen.most_sessions.load(Ordering::SeqCst) <= 8);
}

#[tokio::test]
async fn an_unknown_key_is_refused_with_the_line_that_would_allow_it() {
    let server = TestServer::start().await;
    std::fs::write(server.known_hosts(), "").unwrap();
    let error = server.host().exec(script("true")).await.unwrap_err();
    let TransportError::HostKey { why, .. } = error else {
        panic!("{error}");
    };
    let HostKeyError::Unknown { line, file, .. } = why else {
        panic!("{why}");
    };
    assert_eq!(file, server.known_hosts());
    std::fs::write(file, line).unwrap();
    assert!(server.host().exec(script("true")).await.is_ok());
}

#[tokio::test]
async fn changed_and_revoked_keys_are_refused() {
    let server = TestServer::start().await;
    let good = server.line(server.address);
    let other = new_key().public_key().to_openssh().unwrap();
    let name = good.split(' ').next().unwrap();
    std::fs::write(server.known_hosts(), format!("{name} {other}\n")).unwrap();
    let error = server.host().exec(script("true")).await.unwrap_err();
    let why = std::error::Error::source(&error).unwrap().to_string();
    assert!(why.contains("line 1 records another"), "{why}");

    std::fs::write(server.known_hosts(), format!("{good}@revoked {good}")).unwrap();
    let error = server.host().exec(script("true")).await.unwrap_err();
    let why = std::error::Error::source(&error).unwrap().to_string();
    assert!(why.contains("is revoked by"), "{why}");
    assert!(!error.may_have_run());
}

#[tokio::test]
async fn a_login_that_fails_tells_every_key_it_tried() {
    let server = TestServer::start().await;
    let stranger = server.files.path().join("stranger");
    let pem = new_key().to_openssh(LineEnding::default()).unwrap();
    std::fs::write(&stranger, pem).unwrap();
    let missing = server.files.path().join("missing");
    let mut settings = server.settings().agent(server.files.path().join("no.sock"));
    settings.identities = vec![missing, stranger];
    let error = host(settings).exec(script("true")).await.unwrap_err();
    let TransportError::Auth { tried, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(tried.len(), 3, "{tried:?}");
    assert!(tried[0].contains("missing: cannot be read"), "{tried:?}");
    assert!(tried[1].ends_with("stranger: not accepted"), "{tried:?}");
    assert!(tried[2].starts_with("agent "), "{tried:?}");
}

#[tokio::test]
async fn nothing_listening_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let server = TestServer::start().await;
    let error = host(server.settings_at(address)).exec(script("true")).await;
    let error = error.unwrap_err();
    assert!(
        matches!(error, TransportError::Unreachable { .. }),
        "{error}"
    );
    assert!(error.to_string().contains(&address.to_string()), "{error}");
}

#[tokio::test]
async fn a_port_that_says_nothing_is_given_up_once_for_all_who_wait() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = TestServer::start().await;
    let mut settings = server.settings_at(silent.local_addr().unwrap());
    settings.connect_timeout = Duration::from_millis(300);
    let host = host(settings);
    let start = Instant::now();
    let asked = join_all((0..5).map(|_| host.exec(script("true")))).await;
    assert!(start.elapsed() < Duration::from_secs(2));
    for answer in asked {
        let error = answer.unwrap_err();
        assert!(error.to_string().contains("no SSH handshake"), "{error}");
    }
}

#[tokio::test]
async fn hosts_behind_a_bastion_share_one_connection_to_it() {
    let bastion = TestServer::start().await;
    let inner = [TestServer::start().await, TestServer::start().await];
    let behind = |server: &TestServer| server.settings().via(bastion.settings());
    let named = inner.iter().enumerate();
    let hosts = Hosts::over_ssh(named.map(|(n, server)| {
        let name = HostName::new(format!("db-{n}")).unwrap();
        (name, behind(server))
    }));
    let answers = hosts.exec_on_all(&script("echo here")).await;
    assert_eq!(answers.len(), 2);
    for answer in answers.values() {
        assert_eq!(answer.as_ref().unwrap().text(), "here\n");
    }
    assert_eq!(bastion.seen.connections.load(Ordering::SeqCst), 1);
    assert_eq!(bastion.seen.sessions.load(Ordering::SeqCst), 0);
    hosts.close().await;
}

#[tokio::test]
async fn a_host_that_the_bastion_cannot_dial_disturbs_no_other() {
    let bastion = TestServer::start().await;
    let inner = TestServer::start().await;
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = gone.local_addr().unwrap();
    drop(gone);
    let name = |text: &str| HostName::new(text).unwrap();
    let hosts = Hosts::over_ssh([
        (name("here"), inner.settings().via(bastion.settings())),
        (
            name("gone"),
            inner.settings_at(address).via(bastion.settings()),
        ),
    ]);
    let answers = hosts.exec_on_all(&script("true")).await;
    assert!(answers[&name("here")].is_ok());
    let error = answers[&name("gone")].as_ref().unwrap_err();
    let TransportError::Unreachable { at, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(at.via, Some(bastion.address.to_string()));
    assert!(hosts.get(&name("other")).is_err());
}

#[tokio::test]
async fn a_dead_bastion_is_named() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = gone.local_addr().unwrap();
    drop(gone);
    let inner = TestServer::start().await;
    let settings = inner.settings().via(inner.settings_at(address));
    let error = host(settings).exec(script("true")).await.unwrap_err();
    assert!(error.to_string().contains(&address.to_string()), "{error}");
}

#[tokio::test]
async fn a_connection_that_died_between_commands_is_made_again() {
    let server = TestServer::start().await;
    let host = server.host();
    host.exec(script("true")).await.unwrap();
    for round in 2..5 {
        server.kill_connections();
        host.exec(script("true")).await.unwrap();
        assert_eq!(server.seen.connections.load(Ordering::SeqCst), round);
    }
}

#[tokio::test]
async fn a_connection_that_dies_under_a_command_tells_that_it_may_have_run() {
    let server = TestServer::start().await;
    let host = server.host();
    let mut begun = host.tcp("127.0.0.1", marker().await.1).await.unwrap();
    begun.shutdown().await.unwrap();
    let running = host.exec(script("sleep 30"));
    let killing = async {
        while server.seen.sessions.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        server.kill_connections();
    };
    let (answer, ()) = tokio::join!(running, killing);
    let error = answer.unwrap_err();
    assert!(
        matches!(error, TransportError::Closed { sent: true, .. }),
        "{error}"
    );
    assert!(error.may_have_run());
}

/// Something that accepts TCP connections and says nothing.
async fn marker() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

#[tokio::test]
async fn a_host_that_falls_silent_is_noticed_by_keepalive() {
    let server = TestServer::start().await;
    let link = TestLink::to(server.address).await;
    std::fs::write(server.known_hosts(), server.line(link.address)).unwrap();
    let mut settings = server.settings_at(link.address);
    settings.keepalive = Duration::from_millis(100);
    let host = host(settings);
    host.exec(script("true")).await.unwrap();
    link.freeze();
    let error = host.exec(script("true")).await.unwrap_err();
    // The connection was given up, and nobody answers another.
    assert!(error.to_string().contains("no SSH handshake"), "{error}");
    link.cut();
    link.thaw();
    assert!(host.exec(script("true")).await.is_ok());
}

#[tokio::test]
async fn a_stream_that_nobody_reads_delays_nothing() {
    let server = TestServer::start().await;
    let host = server.host();
    let (listener, port) = marker().await;
    let unread = host.tcp("127.0.0.1", port).await.unwrap();
    let (mut source, _) = listener.accept().await.unwrap();
    let flood = tokio::spawn(async move {
        let chunk = vec![0; 1 << 20];
        let mut sent = 0;
        while sent < 40 << 20 && source.write_all(&chunk).await.is_ok() {
            sent += chunk.len();
        }
        (source, sent)
    });
    for _ in 0..20 {
        host.exec(script("true")).await.unwrap();
    }
    let (source, sent) = flood.await.unwrap();
    assert_eq!(sent, 40 << 20);
    drop(source);
    let mut all = Vec::new();
    let mut unread = unread;
    unread.read_to_end(&mut all).await.unwrap();
    assert_eq!(all.len(), sent, "and what was buffered is not lost");
}

#[tokio::test]
async fn a_stream_far_behind_fails_alone() {
    let server = TestServer::start().await;
    let host = server.host();
    let (listener, port) = marker().await;
    let mut unread = host.tcp("127.0.0.1", port).await.unwrap();
    let (mut source, _) = listener.accept().await.unwrap();
    // It stalls, or fails, once the stream has been given up.
    let flood = tokio::spawn(async move {
        let chunk = vec![0; 1 << 20];
        while source.write_all(&chunk).await.is_ok() {}
        source
    });
    // Whoever writes to a stream learns that it has failed; a slow machine takes its time.
    while unread.write_all(b"?").await.is_ok() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    flood.abort();
    let mut all = Vec::new();
    let error = unread.read_to_end(&mut all).await.unwrap_err();
    assert!(error.to_string().contains("bytes behind"), "{error}");
    assert!(host.exec(script("true")).await.is_ok());
}

#[tokio::test]
async fn streams_reach_sockets_and_programs() {
    let server = TestServer::start().await;
    let host = server.host();
    let path = server.files.path().join("echo.sock");
    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (mut read, mut write) = stream.split();
        tokio::io::copy(&mut read, &mut write).await.unwrap();
    });
    let unix = host.unix(path.to_str().unwrap(), Lane::Talk).await.unwrap();
    let pipe = host.pipe("cat", Lane::Bulk).await.unwrap();
    for mut stream in [unix, pipe] {
        stream.write_all(b"ping").await.unwrap();
        stream.shutdown().await.unwrap();
        let mut back = String::new();
        stream.read_to_string(&mut back).await.unwrap();
        assert_eq!(back, "ping");
    }
}

#[tokio::test]
async fn a_port_that_is_closed_is_refused_with_its_name() {
    let server = TestServer::start().await;
    let (listener, port) = marker().await;
    drop(listener);
    let error = server.host().tcp("127.0.0.1", port).await.err().unwrap();
    let text = error.to_string();
    assert!(
        matches!(error, TransportError::Refused { nobody: true, .. }),
        "{text}"
    );
    assert!(text.contains(&format!("127.0.0.1:{port}")), "{text}");
}

#[tokio::test]
async fn a_command_is_not_waited_for_once_it_has_answered() {
    let server = TestServer::start().await;
    let host = server.host();
    let script = "echo one; sleep 0.1; echo two; echo end; exec sleep 60";
    let command = Exec::new(script, Duration::from_secs(50));
    let output = host
        .exec(command.until(|told| told.ends_with(b"end\n")))
        .await
        .unwrap();
    assert_eq!(output.text(), "one\ntwo\nend\n");
    assert_eq!(output.status, Status::Answered);
    let begun = Exec::new("echo x; exit 3", Duration::from_secs(50));
    let output = host
        .exec(begun.until(|told| told.ends_with(b"end\n")))
        .await
        .unwrap();
    assert_eq!(output.status, Status::Exited(3));
}

#[tokio::test]
async fn a_program_behind_a_stream_that_fails_says_why() {
    let server = TestServer::start().await;
    let host = server.host();
    let mut pipe = host
        .pipe("echo no engine >&2; exit 1", Lane::Talk)
        .await
        .unwrap();
    let mut back = String::new();
    let error = pipe.read_to_string(&mut back).await.unwrap_err();
    assert!(error.to_string().contains("no engine"), "{error}");
}
