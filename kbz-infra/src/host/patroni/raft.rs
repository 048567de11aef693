//! RAFT itself, asked by its own protocol (that of pysyncobj's `syncobj_admin`).
//!
//! A member answers over the address on which its partners reach it, to whoever knows the
//! password: each side sends a nonce, which the other puts before what it says, so that no
//! answer can be an old one. What comes back is what the member knows at this moment. It costs
//! the member no process, and three round trips.

mod fernet;
mod pickle;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use miniz_oxide::deflate::compress_to_vec_zlib;
use miniz_oxide::inflate::decompress_to_vec_zlib_with_limit;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::OnceCell;

use self::fernet::{Forged, Key};
use self::pickle::{Garbled, Heap, Id, Value};
use crate::host::transport::Stream;
use crate::probe::RaftReading;
use crate::secret::{SecretRef, Vault};

/// No message is larger, packed or not.
const LARGEST: usize = 1 << 20;

/// What a member says of a partner that it is connected to.
const CONNECTED: i64 = 2;
const PARTNER: &str = "partner_node_status_server_";

/// The time of every message: the other side only sees to it that it does not go back.
const TIME: u64 = 0;

/// How hard a short question is packed.
const PACKED: u8 = 1;

/// Why a member does not tell about RAFT.
#[derive(Debug, thiserror::Error)]
pub(super) enum RaftError {
    /// The connection broke; a wrong password looks the same.
    #[error("the connection to RAFT ended: {0}")]
    Lost(#[from] std::io::Error),
    /// Somebody else answers.
    #[error(transparent)]
    Forged(#[from] Forged),
    /// Not what RAFT says.
    #[error(transparent)]
    Garbled(#[from] Garbled),
    /// Not an answer to what was asked.
    #[error("its answer is {0}")]
    Wrong(&'static str),
}

/// The keys to the RAFT of clusters, each made of its password once: that takes a while on
/// purpose, against those who guess.
#[derive(Default)]
pub(in crate::host) struct RaftKeys(Mutex<BTreeMap<SecretRef, Slot>>);

/// A key, once it is made; `None` where nobody knows the secret.
type Slot = Arc<OnceCell<Option<Arc<RaftKey>>>>;

/// The key to the RAFT of a cluster.
pub(super) struct RaftKey(Key);

impl RaftKeys {
    /// The key of a secret, or `None` where nobody knows it.
    pub(super) async fn get(&self, secret: &SecretRef, vault: &Vault) -> Option<Arc<RaftKey>> {
        let slot = {
            let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(slots.entry(secret.clone()).or_default())
        };
        let make = || async {
            let password = vault.resolve(secret).ok()?;
            let made = tokio::task::spawn_blocking(move || Key::of(password.as_str())).await;
            made.ok().map(|key| Arc::new(RaftKey(key)))
        };
        slot.get_or_init(make).await.clone()
    }
}

/// What the member behind `stream` knows.
pub(super) async fn status(stream: Stream, key: &RaftKey) -> Result<RaftReading, RaftError> {
    let mut talk = Talk {
        stream,
        key: &key.0,
    };
    let ours: [u8; 32] = rand::random();
    talk.send(&nonce(&ours)).await?;
    let greeting = talk.receive().await?;
    let theirs = answered(&greeting, &ours)?;
    let Value::Bytes(theirs) = greeting.get(theirs) else {
        return Err(RaftError::Wrong("no nonce"));
    };
    talk.send(&question(theirs)).await?;
    let answer = talk.receive().await?;
    let status = answered(&answer, &ours)?;
    reading(&answer, status).ok_or(RaftError::Wrong("no status"))
}

/// A connection to a member.
struct Talk<'a> {
    stream: Stream,
    key: &'a Key,
}

impl Talk<'_> {
    async fn send(&mut self, pickled: &[u8]) -> Result<(), RaftError> {
        let packed = compress_to_vec_zlib(pickled, PACKED);
        let token = self.key.seal(&packed, TIME, rand::random());
        let length = i32::try_from(token.len()).map_err(|_| RaftError::Wrong("too long"))?;
        let mut message = length.to_le_bytes().to_vec();
        message.extend(token);
        self.stream.write_all(&message).await?;
        Ok(self.stream.flush().await?)
    }

    async fn receive(&mut self) -> Result<Heap, RaftError> {
        let length = self.stream.read_i32_le().await?;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > LARGEST {
            return Err(RaftError::Wrong("too long"));
        }
        let mut token = vec![0; length];
        self.stream.read_exact(&mut token).await?;
        let packed = self.key.open(&token)?;
        let pickled = decompress_to_vec_zlib_with_limit(&packed, LARGEST);
        let pickled = pickled.map_err(|_| RaftError::Wrong("badly packed"))?;
        Ok(Heap::read(&pickled)?)
    }
}

/// Bytes, pickled; a nonce has 32.
fn bytes(content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX);
    [b"B", length.to_le_bytes().as_slice(), content].concat()
}

fn nonce(ours: &[u8]) -> Vec<u8> {
    [b"\x80\x03", bytes(ours).as_slice(), b"."].concat()
}

/// `(theirs, ["status"])`
fn question(theirs: &[u8]) -> Vec<u8> {
    let command = b"]X\x06\0\0\0statusa\x86.";
    [b"\x80\x03", bytes(theirs).as_slice(), command].concat()
}

/// What was said, if our nonce stands before it.
fn answered(heap: &Heap, ours: &[u8]) -> Result<Id, RaftError> {
    let element = |place| heap.element(heap.root(), place);
    let (Some(first), Some(said)) = (element(0), element(1)) else {
        return Err(RaftError::Wrong("no pair"));
    };
    match heap.get(first) {
        Value::Bytes(nonce) if nonce == ours => Ok(said),
        _ => Err(RaftError::Wrong("one to another question")),
    }
}

fn reading(heap: &Heap, status: Id) -> Option<RaftReading> {
    let entries = heap.entries(status);
    let value = |key: &str| {
        let found = entries.iter().find(|(known, _)| *known == key)?;
        Some(found.1)
    };
    let Value::Bool(has_quorum) = heap.get(value("has_quorum")?) else {
        return None;
    };
    let partners = || {
        let entries = entries.iter();
        entries.filter_map(|(key, state)| Some((key.strip_prefix(PARTNER)?, heap.get(*state))))
    };
    let connected = partners().filter(|(_, state)| **state == Value::Int(CONNECTED));
    Some(RaftReading {
        has_quorum: *has_quorum,
        leader: node(heap, value("leader")?),
        connected: u32::try_from(connected.count()).ok()?,
        partners: partners().enumerate().map(address).collect(),
    })
}

/// The address of a partner. A name that is none counts, and is not repeated: it could be anything.
fn address((place, (name, _)): (usize, (&str, &Value))) -> String {
    match name.parse::<SocketAddr>() {
        Ok(_) => name.to_owned(),
        Err(_) => format!("an unreadable address ({})", place + 1),
    }
}

/// The address of a node; `None` where there is none.
fn node(heap: &Heap, id: Id) -> Option<String> {
    let fields = heap.entries(id);
    let (_, address) = fields.iter().find(|(key, _)| *key == "_id")?;
    match heap.get(*address) {
        Value::Text(address) => Some(address.clone()),
        _ => None,
    }
}
