//! One request, and what its answer means.

#![expect(
    clippy::disallowed_methods,
    reason = "the API names moments of the wall clock to wait for"
)]

use std::time::Duration;

use reqwest::header::HeaderMap;
use serde::de::DeserializeOwned;

use super::call::Call;
use super::client::HetznerClient;
use super::error::HetznerError;
use super::patience::Clock;
use super::wire;

/// Without a word from the API about when to come back.
const DEFAULT_RATE_PAUSE: Duration = Duration::from_secs(5);
/// The API names the moment at which the whole quota is back, up to an hour away, while
/// single requests come back every second: there is no need to wait for all of them.
const LONGEST_RATE_PAUSE: Duration = Duration::from_mins(1);

impl HetznerClient {
    /// Sends a request until it is answered, refused or too late.
    ///
    /// A `POST` that was perhaps carried out is not sent again; the caller looks first.
    pub(super) async fn send<T: DeserializeOwned>(
        &self,
        call: &Call,
        clock: &Clock,
    ) -> Result<T, HetznerError> {
        let mut clock = clock.again(self.patience());
        loop {
            let error = match self.attempt(call).await {
                Ok(bytes) => match parse(call, &bytes) {
                    Ok(answer) => return Ok(answer),
                    Err(error) => return Err(error),
                },
                Err(Failed::RateLimited { pause }) => {
                    let because = HetznerError::RateLimited { call: call.name() };
                    clock.pause_for(pause, because).await?;
                    continue;
                }
                Err(Failed::Error(error)) => error,
            };
            let again = matches!(error, HetznerError::Busy { .. })
                || (error.is_unsure() && call.is_idempotent());
            if !again {
                return Err(error);
            }
            clock.pause(error).await?;
        }
    }

    async fn attempt(&self, call: &Call) -> Result<Vec<u8>, Failed> {
        let no_answer = |source| HetznerError::NoAnswer {
            call: call.name(),
            source,
        };
        let answer = self.request(call).send().await.map_err(no_answer)?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let bytes = answer.bytes().await.map_err(no_answer)?;
        if (200..300).contains(&status) {
            return Ok(bytes.to_vec());
        }
        Err(failure(call, status, &headers, &bytes))
    }
}

fn parse<T: DeserializeOwned>(call: &Call, bytes: &[u8]) -> Result<T, HetznerError> {
    // a deletion is answered with nothing
    let bytes = if bytes.is_empty() { b"null" } else { bytes };
    serde_json::from_slice(bytes).map_err(|source| HetznerError::Garbled {
        call: call.name(),
        source,
    })
}

enum Failed {
    Error(HetznerError),
    RateLimited { pause: Duration },
}

impl From<HetznerError> for Failed {
    fn from(error: HetznerError) -> Self {
        Self::Error(error)
    }
}

fn failure(call: &Call, status: u16, headers: &HeaderMap, bytes: &[u8]) -> Failed {
    let call = call.name();
    // a proxy in between answers without Hetzner's form; the status says enough
    let error = serde_json::from_slice::<wire::Failure>(bytes)
        .map(|f| f.error)
        .unwrap_or_default();
    let wire::Error { code, message } = error;
    match status {
        401 => HetznerError::Unauthorized.into(),
        429 => Failed::RateLimited {
            pause: rate_pause(headers, jiff::Timestamp::now().as_second()),
        },
        500.. => HetznerError::Server {
            call,
            status,
            code,
            message,
        }
        .into(),
        _ if ["locked", "conflict", "robot_unavailable"].contains(&code.as_str()) => {
            HetznerError::Busy { call, code }.into()
        }
        _ => HetznerError::Refused {
            call,
            status,
            code,
            message,
        }
        .into(),
    }
}

/// How long until the API answers again, as `RateLimit-Reset` says.
fn rate_pause(headers: &HeaderMap, now: i64) -> Duration {
    let reset = headers
        .get("RateLimit-Reset")
        .and_then(|value| value.to_str().ok());
    let ahead = reset
        .and_then(|text| text.parse::<i64>().ok())
        .map(|reset| reset.saturating_sub(now));
    ahead
        .map_or(DEFAULT_RATE_PAUSE, |seconds| {
            Duration::from_secs(seconds.max(1).unsigned_abs())
        })
        .min(LONGEST_RATE_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reset_says_how_long_to_wait() {
        let pause = |reset: Option<&str>| {
            let mut headers = HeaderMap::new();
            if let Some(reset) = reset {
                headers.insert("RateLimit-Reset", reset.parse().unwrap());
            }
            rate_pause(&headers, 1_000).as_secs()
        };
        assert_eq!(pause(Some("1007")), 7);
        assert_eq!(pause(Some("990")), 1);
        assert_eq!(pause(Some("4600")), 60);
        assert_eq!(pause(Some("-9223372036854775808")), 1);
        assert_eq!(pause(Some("soon")), 5);
        assert_eq!(pause(None), 5);
    }
}
