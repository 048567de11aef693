//! Small HTTP requests through the SSH connection of a host, as Patroni's REST API wants
//! them: one connection per request, an answer of limited size, a deadline for all of it.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;

use super::transport::{Transport, TransportError};

/// No answer of a REST API is longer; what is, is something else.
const BODY_LIMIT: usize = 4 << 20;

/// Where an HTTP server listens, and who asks.
#[derive(Debug, Clone)]
pub struct HttpTarget {
    /// The address as seen from the host.
    pub address: String,
    /// The port.
    pub port: u16,
    /// A user and a password, for basic authentication.
    pub auth: Option<(String, SecretString)>,
    /// How long a request may take.
    pub deadline: Duration,
}

/// What a server answered.
#[derive(Debug, Clone)]
pub struct HttpAnswer {
    /// The status code.
    pub status: u16,
    /// The body.
    pub body: Bytes,
}

impl HttpAnswer {
    /// Whether the status says that the request was carried out.
    pub fn success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body as JSON.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.body)
    }

    /// The body as text; bytes that are no UTF-8 are replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The way to the server failed: it has not seen the request.
    #[error("http://{target} cannot be reached")]
    Unreachable {
        /// What was asked.
        target: String,
        /// What went wrong.
        #[source]
        why: TransportError,
    },
    /// The request cannot be put into HTTP.
    #[error("a request to http://{target} cannot be made")]
    Invalid {
        /// What was to be asked.
        target: String,
        /// What is wrong with it.
        #[source]
        why: hyper::http::Error,
    },
    /// The server hung up or does not speak HTTP; it may have acted.
    #[error("http://{target} gave no proper answer")]
    Broken {
        /// What was asked.
        target: String,
        /// What went wrong.
        #[source]
        why: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The server took too long; it may have acted.
    #[error("http://{target} did not answer within {deadline:.1?}")]
    Deadline {
        /// What was asked.
        target: String,
        /// How long was waited.
        deadline: Duration,
    },
}

impl HttpTarget {
    /// Asks for `path`.
    pub async fn get(&self, host: &dyn Transport, path: &str) -> Result<HttpAnswer, HttpError> {
        self.send(host, Method::GET, path, None).await
    }

    /// Posts JSON to `path`.
    pub async fn post(
        &self,
        host: &dyn Transport,
        path: &str,
        body: &serde_json::Value,
    ) -> Result<HttpAnswer, HttpError> {
        self.send(host, Method::POST, path, Some(body)).await
    }

    /// Patches what is at `path` with JSON.
    pub async fn patch(
        &self,
        host: &dyn Transport,
        path: &str,
        body: &serde_json::Value,
    ) -> Result<HttpAnswer, HttpError> {
        self.send(host, Method::PATCH, path, Some(body)).await
    }

    async fn send(
        &self,
        host: &dyn Transport,
        method: Method,
        path: &str,
        body: Option<&serde_json::Value>,
    ) -> Result<HttpAnswer, HttpError> {
        let target = format!("{}:{}{path}", self.address, self.port);
        let request = self.request(method, path, body);
        let request = request.map_err(|why| HttpError::Invalid {
            target: target.clone(),
            why,
        })?;
        let exchange = self.exchange(host, request, &target);
        match tokio::time::timeout(self.deadline, exchange).await {
            Ok(answer) => answer,
            Err(_) => Err(HttpError::Deadline {
                target,
                deadline: self.deadline,
            }),
        }
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<&serde_json::Value>,
    ) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
        let mut builder = Request::builder().method(method).uri(path);
        builder = builder.header(HOST, format!("{}:{}", self.address, self.port));
        if let Some((user, password)) = &self.auth {
            let pair = format!("{user}:{}", password.expose_secret());
            let value = format!("Basic {}", STANDARD.encode(pair));
            let mut value = HeaderValue::try_from(value)?;
            value.set_sensitive(true);
            builder = builder.header(AUTHORIZATION, value);
        }
        if body.is_some() {
            builder = builder.header(CONTENT_TYPE, "application/json");
        }
        let body = body.map(ToString::to_string).unwrap_or_default();
        builder.body(Full::from(body))
    }

    async fn exchange(
        &self,
        host: &dyn Transport,
        request: Request<Full<Bytes>>,
        target: &str,
    ) -> Result<HttpAnswer, HttpError> {
        let stream = host.tcp(&self.address, self.port).await;
        let stream = stream.map_err(|why| HttpError::Unreachable {
            target: target.to_owned(),
            why,
        })?;
        talk(TokioIo::new(stream), request).await.map_err(|why| {
            let target = target.to_owned();
            HttpError::Broken { target, why }
        })
    }
}

async fn talk(
    stream: TokioIo<super::transport::Stream>,
    request: Request<Full<Bytes>>,
) -> Result<HttpAnswer, Box<dyn std::error::Error + Send + Sync>> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
    let traffic = tokio::spawn(connection);
    let exchange = async {
        let response = sender.send_request(request).await?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), BODY_LIMIT);
        let body = body.collect().await?.to_bytes();
        Ok(HttpAnswer { status, body })
    };
    let answer = exchange.await;
    // Nothing more is asked on this connection.
    traffic.abort();
    answer
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
