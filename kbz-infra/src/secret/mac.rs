//! A message authentication code, for verifiers and keyed hashes.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

/// A key of HMAC-SHA-256, taken in once for many messages. Wiped when it goes.
#[derive(Clone)]
pub(super) struct Key(Hmac<Sha256>);

impl Key {
    pub(super) fn new(key: &[u8]) -> Self {
        Self(Hmac::new_from_slice(key).expect("HMAC takes a key of any length"))
    }

    /// The code of `message`.
    pub(super) fn mac(&self, message: &[u8]) -> Zeroizing<[u8; 32]> {
        let mut mac = self.0.clone();
        mac.update(message);
        Zeroizing::new(mac.finalize().into_bytes().into())
    }
}
