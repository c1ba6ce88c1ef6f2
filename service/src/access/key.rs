//! An API key: `tlk_` and 48 characters, which are 32 random bytes and their checksum; and what is kept of it.
//!
//! ```text
//!   tlk_ 3kF0…………………………………………………………… ……
//!   │    └ base64url( 32 random bytes ┊ CRC-32 of "tlk_" and them, big-endian ): 36 bytes are 48 characters, no rest
//!   └ fixed, so that secret scanners find a key that was committed or logged: \btlk_[A-Za-z0-9_-]{48}
//! ```
//! The checksum tells a typing error from a key that was withdrawn, without a look into any table.
//!
//! Kept is its SHA-256, plain and fast. A slow, salted hash (argon2) protects secrets that people make up and that can
//! be guessed; nobody guesses 256 random bits, so it would add nothing but a tenth of a second to each request. A hash
//! is looked up in a map: that comparison is not constant in time and need not be. What its time could tell of is the
//! hash, not the key; a caller can choose a key, not the hash that comes of it, so it cannot feel its way along, and a
//! hash that is known opens nothing.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// What a key begins with.
pub const PREFIX: &str = "tlk_";

/// Random bytes of a key.
pub const RANDOM_BYTES: usize = 32;

const ENCODED_CHARS: usize = 48;

/// What a hash begins with in the keys file.
const ALGORITHM: &str = "sha256:";

/// A key in clear text. It is shown once, when it is made.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(String);

/// Why a text is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// Not `Bearer` and a key.
    #[error("the header is not \"Authorization: Bearer tlk_...\"")]
    Header,
    /// It does not look like one.
    #[error("a key is tlk_ and 48 characters of A-Z a-z 0-9 _ -")]
    Form,
    /// It looks like one, but a character is another.
    #[error("the key's checksum is wrong: a character was changed")]
    Checksum,
}

impl Key {
    /// The key of these bytes, which must come from the operating system's random source.
    pub fn of(random: [u8; RANDOM_BYTES]) -> Self {
        let mut bytes = [0; RANDOM_BYTES + 4];
        bytes[..RANDOM_BYTES].copy_from_slice(&random);
        bytes[RANDOM_BYTES..].copy_from_slice(&checksum(&random));
        Self(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// A key that a caller shows.
    ///
    /// # Errors
    /// What is wrong with its form.
    pub fn parse(text: &str) -> Result<Self, Flaw> {
        let encoded = text.strip_prefix(PREFIX).filter(|rest| rest.len() == ENCODED_CHARS);
        let bytes = encoded.and_then(|rest| URL_SAFE_NO_PAD.decode(rest).ok()).ok_or(Flaw::Form)?;
        let (random, sum) = bytes.split_at_checked(RANDOM_BYTES).ok_or(Flaw::Form)?;
        if checksum(random) != sum {
            return Err(Flaw::Checksum);
        }
        Ok(Self(text.to_owned()))
    }

    /// The clear text, for the one who is to keep it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is kept of it.
    pub fn hash(&self) -> KeyHash {
        KeyHash(Sha256::digest(self.0.as_bytes()).into())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({PREFIX}...)")
    }
}

fn checksum(random: &[u8]) -> [u8; 4] {
    let mut sum = crc32fast::Hasher::new();
    sum.update(PREFIX.as_bytes());
    sum.update(random);
    sum.finalize().to_be_bytes()
}

/// The SHA-256 of a key. It may stand in a file: it opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    /// Reads `sha256:` and 64 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text.strip_prefix(ALGORITHM)?, &mut bytes).ok()?;
        Some(Self(bytes))
    }
}

impl fmt::Display for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{ALGORITHM}{}", hex::encode(self.0))
    }
}
