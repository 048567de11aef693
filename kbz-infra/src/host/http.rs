//! One request over one stream.

use hyper::body::{Body, Incoming};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;

use super::transport::Stream;

/// Sends a request over a stream of its own, and waits for the head of the answer.
pub(super) async fn sent<B>(
    stream: Stream,
    request: Request<B>,
) -> Result<Response<Incoming>, hyper::Error>
where
    B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // Its end shows in the response; it ends with the sender and the body.
    tokio::spawn(async move { drop(connection.with_upgrades().await) });
    sender.send_request(request).await
}
