//! The client: an address, a token, and how long to wait.

use std::fmt;
use std::net::IpAddr;
use std::sync::Once;

use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{RequestBuilder, Url};
use secrecy::{ExposeSecret, SecretString};

use super::call::Call;
use super::error::ClientError;
use super::patience::Patience;

/// Where the real API answers.
pub const PRODUCTION: &str = "https://api.hetzner.cloud/v1";

/// Speaks the load-balancer part of the Hetzner Cloud API.
#[derive(Clone)]
pub struct HetznerClient {
    http: reqwest::Client,
    base: Url,
    token: SecretString,
    patience: Patience,
}

impl HetznerClient {
    /// A client of the API at `base`, for example [`PRODUCTION`]; nothing is sent yet.
    ///
    /// Plain `http` is refused for anything but loopback addresses.
    pub fn new(base: &str, token: SecretString, patience: Patience) -> Result<Self, ClientError> {
        let (base, local) = checked(base)?;
        authorization(&token).ok_or(ClientError::Token)?;
        install_crypto();
        let builder = reqwest::Client::builder()
            .timeout(patience.request)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("kbz-infra/", env!("CARGO_PKG_VERSION")));
        // the lab is on this machine: a proxy could not reach it
        let builder = if local {
            builder.no_proxy()
        } else {
            builder.https_only(true)
        };
        // to read the machine's certificates takes longer than to ask
        let builder = if base.scheme() == "http" {
            builder.tls_certs_only([])
        } else {
            builder
        };
        let http = builder.build().map_err(ClientError::Http)?;
        Ok(Self {
            http,
            base,
            token,
            patience,
        })
    }

    pub(super) fn patience(&self) -> Patience {
        self.patience
    }

    pub(super) fn request(&self, call: &Call) -> RequestBuilder {
        let mut url = self.base.clone();
        url.set_path(&format!(
            "{}{}",
            self.base.path().trim_end_matches('/'),
            call.path
        ));
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&call.query);
        }
        let mut request = self.http.request(call.method.clone(), url);
        if let Some(value) = authorization(&self.token) {
            request = request.header(AUTHORIZATION, value);
        }
        match &call.body {
            Some(body) => request.json(body),
            None => request,
        }
    }
}

impl fmt::Debug for HetznerClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HetznerClient")
            .field("base", &self.base.as_str())
            .finish_non_exhaustive()
    }
}

/// The header with the token, if it can be one.
fn authorization(token: &SecretString) -> Option<HeaderValue> {
    let token = token.expose_secret();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    let mut value = HeaderValue::from_str(&format!("Bearer {token}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The address, and whether it is on this machine.
fn checked(address: &str) -> Result<(Url, bool), ClientError> {
    let given = || ClientError::Address {
        address: address.to_owned(),
    };
    let url = Url::parse(address).map_err(|_| given())?;
    let host = url.host_str().ok_or_else(given)?;
    let ip = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse::<IpAddr>();
    let local = host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback());
    match url.scheme() {
        "https" => Ok((url, local)),
        "http" if local => Ok((url, local)),
        "http" => Err(ClientError::Readable {
            address: address.to_owned(),
        }),
        _ => Err(given()),
    }
}

/// Chooses ring for TLS, once per process; a choice that someone made before stands.
fn install_crypto() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let _chosen_before = rustls::crypto::ring::default_provider().install_default();
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(base: &str, token: &str) -> Result<HetznerClient, ClientError> {
        HetznerClient::new(base, SecretString::from(token), Patience::default())
    }

    #[test]
    fn tokens_travel_encrypted_or_not_at_all() {
        let readable = |base: &str| matches!(new(base, "t"), Err(ClientError::Readable { .. }));
        assert!(readable("http://api.hetzner.cloud/v1"));
        assert!(readable("http://10.0.0.10/v1"));
        assert!(readable("http://127.0.0.1.example.com/v1"));
        assert!(new(PRODUCTION, "t").is_ok());
        assert!(new("http://127.0.0.1:8080/v1", "t").is_ok());
        assert!(new("http://[::1]:8080/v1", "t").is_ok());
        assert!(matches!(
            new("nonsense", "t"),
            Err(ClientError::Address { .. })
        ));
        assert!(matches!(
            new("ftp://localhost/", "t"),
            Err(ClientError::Address { .. })
        ));
    }

    #[test]
    fn the_token_is_never_shown() {
        let client = new(PRODUCTION, "verysecret").unwrap();
        assert!(!format!("{client:?}").contains("verysecret"));
        let request = client.request(&Call::get("/load_balancers").query("name", "a b&c"));
        assert!(!format!("{request:?}").contains("verysecret"));
        let url = request.build().unwrap().url().to_string();
        assert_eq!(
            url,
            "https://api.hetzner.cloud/v1/load_balancers?name=a+b%26c"
        );
        assert!(matches!(new(PRODUCTION, "a\nb"), Err(ClientError::Token)));
        assert!(matches!(new(PRODUCTION, ""), Err(ClientError::Token)));
    }
}
