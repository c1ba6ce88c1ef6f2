//! Made: a decision that was given to a caller before its payment came to the stream, and the seal by which the
//! stream knows it for its own.
//!
//! It travels in a header of the payment's record. Whoever may write to the topic may write headers, so it carries a
//! MAC (HMAC-SHA-256, RFC 2104) over the record's value and itself: one that was not made here, or was moved to
//! another payment, does not open. It is JSON, since a record may wait in the topic for longer than one version of
//! this program runs: fields go by name, and new ones have defaults.

use hmac::{Hmac, KeyInit, Mac};
use schemas::decision::Decision;
use schemas::name::Name;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// Name of the header.
pub const DECISION_HEADER: &str = "tripline-decision";

/// Largest header that is made, and looked at, bytes: a thousand features fit.
const MOST_BYTES: usize = 128 << 10;

/// First byte of the header: how the rest is laid out.
const FORMAT: u8 = 1;

const MAC_BYTES: usize = 32;

/// The JSON in a header, whoever made it: for the archive, which keeps what was there.
pub fn json_of(header: &[u8]) -> Option<String> {
    let body = header.get(1 + MAC_BYTES..).filter(|_| header.first() == Some(&FORMAT))?;
    String::from_utf8(body.to_vec()).ok()
}

/// A decision that stands, and the alert rule that matched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Made {
    /// The decision as the caller was told it; where its record stands in the topic was not known then.
    pub decision: Decision,
    /// The policy's rule that raised an alert, if one did.
    #[serde(default)]
    pub alert_rule: Option<Name>,
}

/// The key of the seal, and those before it, which still open.
#[derive(Clone)]
pub struct Seal {
    current: Hmac<Sha256>,
    before: Vec<Hmac<Sha256>>,
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seal")
    }
}

impl Seal {
    /// A seal with this key, of any length.
    pub fn new(key: &[u8]) -> Option<Self> {
        Some(Self { current: Hmac::new_from_slice(key).ok()?, before: Vec::new() })
    }

    /// The same, which opens what was sealed with another key too: while one is exchanged for the other.
    #[must_use]
    pub fn after(mut self, before: &[u8]) -> Self {
        self.before.extend(Hmac::new_from_slice(before).ok());
        self
    }

    /// The header for a decision on the payment whose record has this value; `None` for one that is too large.
    pub fn close(&self, made: &Made, value: &[u8]) -> Option<Vec<u8>> {
        let body = serde_json::to_vec(made).ok()?;
        let mut header = Vec::with_capacity(1 + MAC_BYTES + body.len());
        header.push(FORMAT);
        header.extend_from_slice(&over(&self.current, value, &body).finalize().into_bytes());
        header.extend_from_slice(&body);
        (header.len() <= MOST_BYTES).then_some(header)
    }

    /// The decision in a header; `None` when it was not made here for this value.
    pub fn open(&self, header: &[u8], value: &[u8]) -> Option<Made> {
        if header.len() > MOST_BYTES || *header.first()? != FORMAT {
            return None;
        }
        let mac = header.get(1..=MAC_BYTES)?;
        let body = header.get(1 + MAC_BYTES..)?;
        let keys = std::iter::once(&self.current).chain(&self.before);
        keys.map(|key| over(key, value, body).verify_slice(mac)).find_map(Result::ok)?;
        serde_json::from_slice(body).ok()
    }
}

fn over(key: &Hmac<Sha256>, value: &[u8], body: &[u8]) -> Hmac<Sha256> {
    let mut mac = key.clone();
    mac.update(&[FORMAT]);
    mac.update(&(value.len() as u64).to_be_bytes());
    mac.update(value);
    mac.update(body);
    mac
}
