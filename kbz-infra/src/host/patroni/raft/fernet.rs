//! Fernet, the envelope of RAFT's messages: AES-128 in CBC mode below an HMAC.
//!
//! A token is base64 of a version, the time, an initial vector, the encrypted content and the
//! code of all of that. Nothing is decrypted before its code was found to be right.

use aes::Aes128;
use aes::cipher::block_padding::Pkcs7;
use aes::cipher::{BlockModeDecrypt as _, BlockModeEncrypt as _, KeyIvInit as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE as BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

/// The salt and the rounds by which RAFT makes a key of its password.
const SALT: [u8; 16] = *b"\x15%q\xe6\xbb\x02\xa6\xf8\x13q\x90\xcf6+\x1e\xeb";
const ROUNDS: u32 = 100_000;

const VERSION: u8 = 0x80;
/// Version, time and initial vector.
const HEAD: usize = 1 + 8 + 16;
const CODE: usize = 32;

/// A key, made of a password.
pub(super) struct Key(Zeroizing<[u8; 32]>);

/// A token that nobody with the same key has made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("its answer was not sealed with the password of RAFT")]
pub(in crate::host::patroni) struct Forged;

impl Key {
    /// The key of a password. Takes as long as guessing it once should.
    pub(super) fn of(password: &str) -> Self {
        let key = pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(password.as_bytes(), &SALT, ROUNDS);
        Self(Zeroizing::new(key))
    }

    fn signing(&self) -> Hmac<Sha256> {
        Hmac::new_from_slice(&self.0[..16]).expect("a code takes a key of any length")
    }

    fn encrypting(&self) -> &[u8] {
        &self.0[16..]
    }

    /// Seals a message, with the time in seconds and 16 bytes of chance.
    pub(super) fn seal(&self, message: &[u8], time: u64, chance: [u8; 16]) -> Vec<u8> {
        let mut token = vec![VERSION];
        token.extend(time.to_be_bytes());
        token.extend(chance);
        let cipher = cbc::Encryptor::<Aes128>::new_from_slices(self.encrypting(), &chance);
        let cipher = cipher.expect("both halves of the key have 16 bytes");
        token.extend(cipher.encrypt_padded_vec::<Pkcs7>(message));
        let code = self.signing().chain_update(&token).finalize();
        token.extend(code.into_bytes());
        BASE64.encode(token).into_bytes()
    }

    /// Opens a token.
    pub(super) fn open(&self, token: &[u8]) -> Result<Vec<u8>, Forged> {
        let token = BASE64.decode(token).map_err(|_| Forged)?;
        let sealed = token.len().checked_sub(CODE).ok_or(Forged)?;
        let (signed, code) = token.split_at(sealed);
        let signing = self.signing().chain_update(signed);
        signing.verify_slice(code).map_err(|_| Forged)?;
        if signed.first() != Some(&VERSION) || signed.len() < HEAD {
            return Err(Forged);
        }
        let (vector, content) = (&signed[HEAD - 16..HEAD], &signed[HEAD..]);
        let cipher = cbc::Decryptor::<Aes128>::new_from_slices(self.encrypting(), vector);
        let cipher = cipher.map_err(|_| Forged)?;
        let message = cipher.decrypt_padded_vec::<Pkcs7>(content);
        message.map_err(|_| Forged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of Fernet's specification.
    #[test]
    fn a_token_is_that_of_the_specification() {
        let key = BASE64.decode("cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=");
        let key = Key(Zeroizing::new(key.unwrap().try_into().unwrap()));
        let chance = std::array::from_fn(|index| u8::try_from(index).unwrap());
        let token = key.seal(b"hello", 499_162_800, chance);
        let expected = "gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDA==";
        assert_eq!(String::from_utf8(token.clone()).unwrap(), expected);
        assert_eq!(key.open(&token), Ok(b"hello".to_vec()));
        for place in 0..token.len() {
            let mut other = token.clone();
            other[place] ^= 2;
            assert_eq!(key.open(&other), Err(Forged), "{place}");
        }
        assert_eq!(key.open(&token[..40]), Err(Forged));
        assert_eq!(key.open(b""), Err(Forged));
    }
}
