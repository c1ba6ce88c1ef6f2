//! The `Authorization` header: which key it shows.
//!
//! `Bearer` everywhere. `Basic`, with the key as the password and any user name, only where a person's browser asks for
//! the page: a browser can send nothing else when an address is typed. It would send it with requests that other sites
//! make too, so it opens nothing that changes anything.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::key::{Flaw, Key};

/// Longest header that is looked at: a key is 52 characters, a user name is short.
const MAX_BYTES: usize = 1_024;

/// Which ways of showing a key are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schemes {
    /// `Bearer`.
    Bearer,
    /// `Bearer`, and `Basic` for a browser.
    BearerOrBasic,
}

/// The key of a header.
///
/// # Errors
/// What is wrong with the header or the key in it.
pub fn key(header: &str, schemes: Schemes) -> Result<Key, Flaw> {
    if header.len() > MAX_BYTES {
        return Err(Flaw::Header);
    }
    let (scheme, rest) = header.trim().split_once(' ').ok_or(Flaw::Header)?;
    let rest = rest.trim_start();
    let text = if scheme.eq_ignore_ascii_case("bearer") {
        Cow::Borrowed(rest)
    } else if scheme.eq_ignore_ascii_case("basic") && schemes == Schemes::BearerOrBasic {
        Cow::Owned(password(rest).ok_or(Flaw::Header)?)
    } else {
        return Err(Flaw::Header);
    };
    Key::parse(&text)
}

fn password(encoded: &str) -> Option<String> {
    let text = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    text.split_once(':').map(|(_, password)| password.to_owned())
}
