//! One member's REST API, through its host.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::Request;
use hyper_util::rt::TokioIo;
use serde_json::Value;

use crate::diag::error_chain;
use crate::host::transport::Transport;
use crate::probe::PatroniAccess;
use crate::secret::Vault;

/// How long a member may take for an answer that needs no work.
pub(super) const SOON: Duration = Duration::from_secs(10);

/// No answer is larger.
const LARGEST: usize = 4 << 20;

/// A member that can be asked.
pub(super) struct Member {
    transport: Arc<dyn Transport>,
    port: u16,
    authorization: String,
}

/// What a member answered.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    /// The HTTP status.
    pub(super) status: u16,
    /// The body.
    pub(super) body: Bytes,
}

impl Answer {
    /// The body as JSON, if it is.
    pub(super) fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The body as text.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).trim().to_owned()
    }
}

/// Why a member gave no answer.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub(super) struct NoAnswer {
    why: String,
    /// Whether the request may have had an effect.
    pub(super) may_have_run: bool,
}

impl NoAnswer {
    fn before(why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            may_have_run: false,
        }
    }

    fn after(why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            may_have_run: true,
        }
    }
}

impl Member {
    /// The member on the host that `transport` leads to.
    pub(super) fn new(
        transport: Arc<dyn Transport>,
        access: &PatroniAccess,
        vault: &Vault,
    ) -> Result<Self, String> {
        let password = vault.resolve(&access.password);
        let password = password.map_err(|error| error.to_string())?;
        let credentials = format!("{}:{}", access.user, password.as_str());
        Ok(Self {
            transport,
            port: access.port,
            authorization: format!("Basic {}", BASE64.encode(credentials)),
        })
    }

    /// The way to the member's host.
    pub(super) fn transport(&self) -> &dyn Transport {
        self.transport.as_ref()
    }

    /// Asks for a path.
    pub(super) async fn get(&self, path: &str) -> Result<Answer, NoAnswer> {
        self.send("GET", path, None, SOON).await
    }

    /// Sends a request, and waits for its answer.
    pub(super) async fn send(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        deadline: Duration,
    ) -> Result<Answer, NoAnswer> {
        let request = self.request(method, path, body)?;
        let open = tokio::time::timeout(SOON, self.open());
        let mut sender = match open.await {
            Ok(sender) => sender?,
            Err(_) => return Err(NoAnswer::before("its REST API takes no connection")),
        };
        let answer = async {
            let response = sender.send_request(request).await;
            let response = response.map_err(|error| NoAnswer::after(error_chain(&error)))?;
            let status = response.status().as_u16();
            let body = Limited::new(response.into_body(), LARGEST).collect().await;
            let body = body.map_err(|error| NoAnswer::after(error.to_string()))?;
            Ok(Answer {
                status,
                body: body.to_bytes(),
            })
        };
        let late = || NoAnswer::after(format!("no answer within {} s", deadline.as_secs()));
        tokio::time::timeout(deadline, answer)
            .await
            .map_err(|_| late())?
    }

    async fn open(&self) -> Result<hyper::client::conn::http1::SendRequest<Full<Bytes>>, NoAnswer> {
        let stream = self.transport.tcp("127.0.0.1", self.port).await;
        let stream = stream.map_err(|error| NoAnswer::before(error_chain(&error)))?;
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) =
            handshake.map_err(|error| NoAnswer::before(error_chain(&error)))?;
        // Its end shows in the answer; it ends with the sender.
        tokio::spawn(async move { drop(connection.await) });
        Ok(sender)
    }

    fn request(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Request<Full<Bytes>>, NoAnswer> {
        let body = body.map(Value::to_string).unwrap_or_default();
        Request::builder()
            .method(method)
            .uri(path)
            .header("host", format!("127.0.0.1:{}", self.port))
            .header("authorization", &self.authorization)
            .header("content-type", "application/json")
            .body(Full::from(body))
            .map_err(|error| NoAnswer::before(error.to_string()))
    }
}
