//! What can go wrong between this program and Hetzner.

/// Why there can be no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address is no URL.
    #[error("`{address}` is no address of an API: give one like https://api.hetzner.cloud/v1")]
    Address {
        /// What was given.
        address: String,
    },
    /// The token would travel readable.
    #[error("`{address}` is not https: plain http is for an API on this machine's loopback only")]
    Readable {
        /// What was given.
        address: String,
    },
    /// The token cannot be a header.
    #[error("the Hetzner token is empty or has characters that no token has")]
    Token,
    /// The HTTP client cannot be built.
    #[error("no HTTP client can be made")]
    Http(#[source] reqwest::Error),
}

/// Why a read or a change failed.
#[derive(Debug, thiserror::Error)]
pub enum HetznerError {
    /// The token is not accepted.
    #[error("Hetzner refuses the token: check that it is of this project, valid, and may write")]
    Unauthorized,
    /// The request is understood and refused.
    #[error("{call}: refused with {code} ({status}): {message}")]
    Refused {
        /// Method and path.
        call: String,
        /// The HTTP status.
        status: u16,
        /// Hetzner's word for the error.
        code: String,
        /// Hetzner's explanation.
        message: String,
    },
    /// Another action runs on the same object.
    #[error("{call}: the load balancer is busy ({code})")]
    Busy {
        /// Method and path.
        call: String,
        /// Hetzner's word for it.
        code: String,
    },
    /// Too many requests in the last hour.
    #[error("{call}: the request limit is reached")]
    RateLimited {
        /// Method and path.
        call: String,
    },
    /// The API itself is broken; whether the request was carried out is not known.
    #[error("{call}: Hetzner failed with {code} ({status}): {message}")]
    Server {
        /// Method and path.
        call: String,
        /// The HTTP status.
        status: u16,
        /// Hetzner's word for the error.
        code: String,
        /// Hetzner's explanation.
        message: String,
    },
    /// No answer; whether the request was carried out is not known.
    #[error("{call}: no answer")]
    NoAnswer {
        /// Method and path.
        call: String,
        /// What the connection said.
        #[source]
        source: reqwest::Error,
    },
    /// The answer is not what the API's documentation says.
    #[error("{call}: the answer cannot be read")]
    Garbled {
        /// Method and path.
        call: String,
        /// Where the parser gave up.
        #[source]
        source: serde_json::Error,
    },
    /// There was always another page.
    #[error("{call}: its pages do not end")]
    Unending {
        /// Method and path.
        call: String,
    },
    /// An action has not ended yet.
    #[error("action {id} ({command}) is still running")]
    Running {
        /// The action's number.
        id: u64,
        /// What it does.
        command: String,
    },
    /// An action ended badly.
    #[error("action {id} ({command}) failed with {code}: {message}")]
    ActionFailed {
        /// The action's number.
        id: u64,
        /// What it does.
        command: String,
        /// Hetzner's word for the error.
        code: String,
        /// Hetzner's explanation.
        message: String,
    },
    /// The deadline came first.
    #[error("not done in time: run again to go on")]
    TooLate {
        /// What was waited for.
        #[source]
        cause: Box<HetznerError>,
    },
    /// The world is not the one that the change was planned for.
    #[error("load balancer {name} is not as planned: {why}; plan again")]
    Unexpected {
        /// The balancer's name.
        name: String,
        /// What is different.
        why: String,
    },
    /// The network does not exist.
    #[error("the project has no network `{name}`: create it, or correct the declaration")]
    NoNetwork {
        /// The network's name.
        name: String,
    },
    /// A target of a kind that this version does not know.
    #[error("{target} cannot be removed by this version: remove it in Hetzner's console")]
    ForeignTarget {
        /// How Hetzner names it.
        target: String,
    },
}

/// Words with which Hetzner says that what was asked for is already so.
const ALREADY: [&str; 5] = [
    "source_port_already_used",
    "target_already_defined",
    "load_balancer_already_attached",
    "uniqueness_error",
    "load_balancer_not_attached_to_network",
];

impl HetznerError {
    /// Whether the request may or may not have been carried out.
    pub(super) fn is_unsure(&self) -> bool {
        matches!(
            self,
            Self::Server { .. } | Self::NoAnswer { .. } | Self::Garbled { .. }
        )
    }

    /// Whether the refusal can mean that the change was carried out before.
    pub(super) fn may_be_done(&self) -> bool {
        match self {
            Self::Refused { code, .. } => {
                ALREADY.contains(&code.as_str()) || code.ends_with("not_found")
            }
            _ => false,
        }
    }

    pub(super) fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { status: 404, .. })
    }
}
