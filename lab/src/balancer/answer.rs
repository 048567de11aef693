//! Answers: errors in Hetzner's form, and pages.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// An error as the API writes it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ApiError {
    pub(super) status: StatusCode,
    pub(super) code: String,
    pub(super) message: String,
    pub(super) details: Value,
}

impl ApiError {
    pub(super) fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        Self {
            status,
            code: code.to_owned(),
            message: message.into(),
            details: json!({}),
        }
    }

    /// A field that is wrong, and why.
    pub(super) fn invalid(field: &str, why: impl Into<String>) -> Self {
        let why = why.into();
        let message = format!("invalid input in field '{field}': {why}");
        let mut error = Self::unprocessable("invalid_input", message);
        error.details = json!({"fields": [{"name": field, "messages": [why]}]});
        error
    }

    /// A request that is well formed and cannot be.
    pub(super) fn unprocessable(code: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, message)
    }

    pub(super) fn conflict(code: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, message)
    }

    pub(super) fn not_found(what: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "not_found",
            format!("{what} not found"),
        )
    }

    pub(super) fn locked(code: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::LOCKED, code, message)
    }

    /// The error that belongs to a status, for faults on demand.
    pub(super) fn of_status(status: StatusCode) -> Self {
        let code = match status.as_u16() {
            401 => "unauthorized",
            403 => "forbidden",
            404 => "not_found",
            409 => "conflict",
            422 => "invalid_input",
            423 => "locked",
            429 => "rate_limit_exceeded",
            503 => "unavailable",
            504 => "timeout",
            _ => "server_error",
        };
        Self::new(status, code, "a fault that was ordered")
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = json!({"error": {
            "code": self.code, "message": self.message, "details": self.details,
        }});
        (self.status, Json(body)).into_response()
    }
}

/// Which part of a list is wanted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Page {
    number: usize,
    size: usize,
}

const DEFAULT_PAGE: usize = 25;
const LARGEST_PAGE: usize = 50;

impl Page {
    pub(super) fn parse(page: Option<&str>, per_page: Option<&str>) -> Result<Self, ApiError> {
        let number = |text: Option<&str>, field, default| match text.map(str::parse::<usize>) {
            None => Ok(default),
            Some(Ok(number)) if number > 0 => Ok(number),
            Some(_) => Err(ApiError::invalid(field, "must be a positive number")),
        };
        let size = number(per_page, "per_page", DEFAULT_PAGE)?.min(LARGEST_PAGE);
        Ok(Self {
            number: number(page, "page", 1)?,
            size,
        })
    }

    /// The part of `all` under `key`, with the place of the page among the others.
    pub(super) fn of(self, key: &str, all: Vec<Value>) -> Value {
        let total = all.len();
        let last = total.div_ceil(self.size).max(1);
        let part: Vec<Value> = all
            .into_iter()
            .skip((self.number - 1).saturating_mul(self.size))
            .take(self.size)
            .collect();
        json!({key: part, "meta": {"pagination": {
            "page": self.number, "per_page": self.size, "total_entries": total, "last_page": last,
            "previous_page": (self.number > 1).then(|| self.number - 1),
            "next_page": (self.number < last).then(|| self.number + 1),
        }}})
    }
}
