//! Names and addresses of things: one newtype each, checked where it is made.
//!
//! A [`Urn`] is how a person names one managed object: `file@db-master-01:/etc/patroni/patroni.yml`,
//! `pg-role:kb_app`. It is unique in a stack and stable from run to run.
//!
//! The same few names stand in every graph, observation, plan and record, so all of them are
//! shared: a copy costs a pointer, and two copies are equal at a glance.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;
use std::sync::Arc;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Why a text is no valid name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} `{given}` {why}")]
pub struct InvalidName {
    what: &'static str,
    given: String,
    why: &'static str,
}

/// Writes a type as its text in one piece, and reads it without a copy of that.
macro_rules! as_text {
    ($name:ident, $text:expr) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&$text(self))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(InText(PhantomData))
            }
        }
    };
}

/// Reads what its type writes as text.
struct InText<T>(PhantomData<T>);

impl<T: FromStr<Err = InvalidName>> Visitor<'_> for InText<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $what:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub struct $name(Arc<str>);

        as_text!($name, $name::as_str);

        impl Ord for $name {
            fn cmp(&self, other: &Self) -> Ordering {
                if Arc::ptr_eq(&self.0, &other.0) {
                    return Ordering::Equal;
                }
                self.0.cmp(&other.0)
            }
        }

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl $name {
            /// Checks `text` and wraps it.
            pub fn new(text: impl AsRef<str>) -> Result<Self, InvalidName> {
                let given = text.as_ref();
                let check: fn(&str) -> Result<(), &'static str> = $check;
                match check(given) {
                    Ok(()) => Ok(Self(given.into())),
                    Err(why) => Err(InvalidName {
                        what: $what,
                        given: given.to_owned(),
                        why,
                    }),
                }
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;
            fn from_str(text: &str) -> Result<Self, InvalidName> {
                Self::new(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

/// RFC 1123: lower-case letters, digits and inner hyphens, at most 63 bytes.
fn dns_label(text: &str) -> Result<(), &'static str> {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if text.is_empty() || text.len() > 63 {
        Err("must have 1 to 63 characters")
    } else if !text.chars().all(inner) {
        Err("may hold lower-case letters, digits and hyphens only")
    } else if text.starts_with('-') || text.ends_with('-') {
        Err("must not start or end with a hyphen")
    } else {
        Ok(())
    }
}

name_type!(
    /// The name of a stack: a DNS label, used in paths and marks.
    StackName, "stack name", dns_label
);
name_type!(
    /// The name of a host as the inventory gives it: a DNS label.
    HostName, "host name", dns_label
);
name_type!(
    /// The kind of a resource, such as `file` or `pg-role`: a DNS label.
    Kind, "kind", dns_label
);

/// The address of one declared object: `KIND@HOST:NAME`, or `KIND:NAME` where no host holds it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Urn(Arc<Parts>);

as_text!(Urn, Urn::text);

impl Ord for Urn {
    fn cmp(&self, other: &Self) -> Ordering {
        if Arc::ptr_eq(&self.0, &other.0) {
            return Ordering::Equal;
        }
        self.0.order.cmp(&other.0.order)
    }
}

impl PartialOrd for Urn {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// What an address is made of.
struct Parts {
    kind: Kind,
    host: Option<HostName>,
    /// All of it in one piece, by which addresses are compared and sorted: kind, host and name, the
    /// first two closed by the character 0, which stands in neither.
    order: Box<str>,
    /// Where the name begins in it.
    name: usize,
}

impl Parts {
    fn new(kind: Kind, host: Option<HostName>, name: &str) -> Self {
        let holder = host.as_ref().map_or("", HostName::as_str);
        let order = [kind.as_str(), holder, name].join("\0");
        Self {
            kind,
            host,
            name: order.len() - name.len(),
            order: order.into(),
        }
    }
}

impl PartialEq for Parts {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl Eq for Parts {}

impl std::hash::Hash for Parts {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.order.hash(state);
    }
}

impl Urn {
    /// An object that one host holds.
    ///
    /// # Panics
    /// When `kind` is no valid [`Kind`]: kinds are constants of the program.
    pub fn on(kind: &str, host: &HostName, name: impl Into<String>) -> Self {
        Self::make(kind, Some(host.clone()), &name.into())
    }

    /// An object that no single host holds.
    ///
    /// # Panics
    /// When `kind` is no valid [`Kind`]: kinds are constants of the program.
    pub fn global(kind: &str, name: impl Into<String>) -> Self {
        Self::make(kind, None, &name.into())
    }

    fn make(kind: &str, host: Option<HostName>, name: &str) -> Self {
        let kind = Kind::new(kind).expect("the kind of a resource is a constant DNS label");
        Self(Arc::new(Parts::new(kind, host, name)))
    }

    /// The kind of the object.
    pub fn kind(&self) -> &Kind {
        &self.0.kind
    }

    /// The host that holds the object, if one does.
    pub fn host(&self) -> Option<&HostName> {
        self.0.host.as_ref()
    }

    fn text(&self) -> String {
        let mut text = String::with_capacity(self.0.order.len());
        text.push_str(self.kind().as_str());
        if let Some(host) = self.host() {
            text.push('@');
            text.push_str(host.as_str());
        }
        text.push(':');
        text.push_str(self.name());
        text
    }

    /// The name of the object among those of its kind and host.
    pub fn name(&self) -> &str {
        &self.0.order[self.0.name..]
    }
}

impl fmt::Display for Urn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl fmt::Debug for Urn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Urn")
            .field("kind", &self.0.kind)
            .field("host", &self.0.host)
            .field("name", &self.name())
            .finish()
    }
}

impl FromStr for Urn {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let invalid = || InvalidName {
            what: "resource address",
            given: text.to_owned(),
            why: "must read KIND@HOST:NAME or KIND:NAME",
        };
        let (head, name) = text.split_once(':').ok_or_else(invalid)?;
        if name.is_empty() {
            return Err(invalid());
        }
        let (kind, host) = match head.split_once('@') {
            Some((kind, host)) => (kind, Some(HostName::new(host)?)),
            None => (head, None),
        };
        Ok(Self(Arc::new(Parts::new(Kind::new(kind)?, host, name))))
    }
}

/// A place in the source of a program: where something was declared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// The file, as the compiler named it.
    pub file: Cow<'static, str>,
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
}

impl Place {
    /// The place that called the function that calls this, if that function is `#[track_caller]`.
    #[track_caller]
    pub fn caller() -> Self {
        let location = std::panic::Location::caller();
        Self {
            file: location.file().into(),
            line: location.line(),
            column: location.column(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// SHA-256 of something, shown as lower-case hex.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

as_text!(Digest, Digest::to_string);

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: impl AsRef<[u8]>) -> Self {
        use sha2::Digest as _;
        Self(sha2::Sha256::digest(bytes.as_ref()).into())
    }

    /// The digest of several parts, each kept apart from the next by its length.
    pub fn of_parts<T: AsRef<[u8]>>(parts: impl IntoIterator<Item = T>) -> Self {
        use sha2::Digest as _;
        let mut hasher = sha2::Sha256::new();
        for part in parts {
            let part = part.as_ref();
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        Self(hasher.finalize().into())
    }

    /// The first 12 hex characters: enough to tell versions apart, as in image tags.
    pub fn short(&self) -> String {
        hex::encode(&self.0[..6])
    }

    /// The raw bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Makes the digest of what is written to it, and keeps nothing of that.
#[derive(Default)]
pub struct Digester(sha2::Sha256);

impl Digester {
    /// The digest of all that was written.
    pub fn finish(self) -> Digest {
        use sha2::Digest as _;
        Digest(self.0.finalize().into())
    }
}

impl std::io::Write for Digester {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        use sha2::Digest as _;
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex_of(&self.0))
    }
}

/// 32 bytes as lower-case hex.
pub(crate) fn hex_of(bytes: &[u8; 32]) -> String {
    let mut text = [0; 64];
    hex::encode_to_slice(bytes, &mut text).expect("32 bytes are 64 digits");
    str::from_utf8(&text).expect("hex is ASCII").to_owned()
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({})", self.short())
    }
}

impl FromStr for Digest {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| InvalidName {
            what: "digest",
            given: text.to_owned(),
            why: "must be 64 hex characters",
        })?;
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_urn_reads_back_what_it_prints() {
        let host = HostName::new("db-master-01").unwrap();
        for urn in [
            Urn::on("file", &host, "/etc/patroni/patroni.yml"),
            Urn::on("firewall-rule", &host, "5432/tcp from 10.0.0.0/24"),
            Urn::global("pg-role", "kb_app"),
        ] {
            assert_eq!(urn.to_string().parse::<Urn>().unwrap(), urn);
        }
    }

    #[test]
    fn a_bad_name_says_what_is_wrong_with_it() {
        let error = HostName::new("DB_1").unwrap_err();
        assert_eq!(
            error.to_string(),
            "host name `DB_1` may hold lower-case letters, digits and hyphens only"
        );
        assert!("file".parse::<Urn>().is_err());
        assert!("file@:x".parse::<Urn>().is_err());
    }

    #[test]
    fn what_is_written_in_pieces_has_the_digest_of_the_whole() {
        use std::io::Write as _;
        let mut digester = Digester::default();
        write!(digester, "a").unwrap();
        write!(digester, "bc").unwrap();
        assert_eq!(digester.finish(), Digest::of("abc"));
    }

    #[test]
    fn parts_are_kept_apart() {
        assert_ne!(Digest::of_parts(["ab", "c"]), Digest::of_parts(["a", "bc"]));
    }
}
