//! Listeners, and the way of a connection to its target.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::log;
use super::picker::Picker;
use super::route::Route;

/// How long a target may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Pause before a port that is taken by someone else is tried again.
const RETRY_BIND: Duration = Duration::from_millis(500);

/// Opens a listener; connections go where `picker` says.
///
/// The port is open when this returns, unless something else holds it: then it is tried
/// again until it is free.
pub(super) fn listen(address: SocketAddr, picker: Picker) -> JoinHandle<()> {
    let first = bind(address);
    if let Err(error) = &first {
        log(&format!("cannot listen on {address} yet: {error}"));
    }
    tokio::spawn(async move {
        let mut bound = first;
        let listener = loop {
            match bound {
                Ok(listener) => break listener,
                Err(_) => tokio::time::sleep(RETRY_BIND).await,
            }
            bound = bind(address);
        };
        accept(listener, picker).await;
    })
}

fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

async fn accept(listener: TcpListener, picker: Picker) {
    loop {
        match listener.accept().await {
            Ok((client, peer)) => match picker.pick() {
                // nobody is healthy: the client sees its connection closed
                None => drop(client),
                Some(route) => drop(tokio::spawn(serve(client, peer, route))),
            },
            // out of descriptors, or the client is gone already
            Err(error) => {
                log(&format!("cannot accept: {error}"));
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn serve(client: TcpStream, peer: SocketAddr, route: Arc<Route>) {
    let _counted = route.count_connection();
    let cut = route.cut();
    let joined = join(client, peer, &route);
    tokio::select! {
        () = cut.cancelled() => {}
        result = joined => {
            if let Err(error) = result {
                log(&format!("connection from {peer} to {}: {error}", route.address()));
            }
        }
    }
}

async fn join(mut client: TcpStream, peer: SocketAddr, route: &Route) -> std::io::Result<()> {
    let connecting = TcpStream::connect(route.address());
    let mut target = tokio::time::timeout(CONNECT_TIMEOUT, connecting)
        .await
        .map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))??;
    client.set_nodelay(true)?;
    target.set_nodelay(true)?;
    if route.proxyprotocol() {
        let own = client.local_addr()?;
        target.write_all(proxy_header(peer, own).as_bytes()).await?;
    }
    tokio::io::copy_bidirectional(&mut client, &mut target)
        .await
        .map(drop)
}

/// The PROXY protocol's header, version 1.
fn proxy_header(peer: SocketAddr, own: SocketAddr) -> String {
    let family = if peer.is_ipv4() { "TCP4" } else { "TCP6" };
    format!(
        "PROXY {family} {} {} {} {}\r\n",
        peer.ip(),
        own.ip(),
        peer.port(),
        own.port()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxy_header_names_both_ends() {
        let peer = "192.0.2.7:4000".parse().unwrap();
        let own = "192.0.2.1:5432".parse().unwrap();
        assert_eq!(
            proxy_header(peer, own),
            "PROXY TCP4 192.0.2.7 192.0.2.1 4000 5432\r\n"
        );
    }
}
