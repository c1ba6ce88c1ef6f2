//! Keys and certificate exchanged while the service runs: what happens when one of their files has changed.
//!
//! One that is bad is refused with its reasons, once, and what was there before goes on: a typing error in a keys file
//! locks nobody out. Not here: when a file is looked at, that is [`crate::reload`].

use std::sync::Arc;

use super::Entrance;
use super::gate::Gate;
use super::tls::{Identity, Tls};
use crate::access::{Callers, Terms};
use crate::clock::Clock;
use crate::config::{AccessConfig, HttpConfig};
use crate::reload::{Texts, keep};

/// What is exchanged.
pub struct Renewal {
    entrance: Entrance,
    clock: Arc<dyn Clock + Sync>,
}

impl Renewal {
    /// The exchange of what is at this entrance.
    pub fn of(entrance: &Entrance, clock: Arc<dyn Clock + Sync>) -> Self {
        Self { entrance: entrance.clone(), clock }
    }

    /// Watches the files of the config for as long as the runtime runs; nothing to watch is nothing done.
    pub fn start(self, access: &AccessConfig, http: &HttpConfig, runtime: &tokio::runtime::Handle) {
        let Self { entrance: Entrance { gate, tls }, clock } = self;
        if let Some(file) = &access.file {
            let terms = access.terms;
            let take = move |texts| keys(&gate, terms, texts);
            runtime.spawn(keep(file.clone(), access.watch.std(), take));
        }
        if let (Some(config), Some(tls)) = (&http.tls, tls) {
            let take = move |texts| certificate(&tls, texts, clock.now().wall_ms);
            runtime.spawn(keep(config.files.clone(), config.watch.std(), take));
        }
    }
}

fn keys(gate: &Gate, terms: Terms, texts: Texts) {
    let before = gate.callers();
    let read = texts.and_then(|texts| {
        let text = texts.first().map(String::as_str).unwrap_or_default();
        Callers::read("access.keys", text, terms, Some(&before)).map_err(|problems| problems.to_string())
    });
    match read {
        Ok(callers) => {
            gate.exchange(callers);
            tracing::info!("the keys file was read again");
        }
        Err(reason) => tracing::error!(reason, "the keys file was refused; the keys of before go on"),
    }
}

fn certificate(tls: &Tls, texts: Texts, wall_ms: i64) {
    let read = texts.and_then(|texts| match texts.as_slice() {
        [certificate, key] => Identity::read(certificate, key).map_err(|flaws| format!("{flaws:?}")),
        _ => Err("two files are needed".to_owned()),
    });
    match read {
        Ok(identity) => {
            tls.exchange(&identity);
            tracing::info!("another certificate is shown");
            if let Some(reason) = identity.untimely(wall_ms) {
                tracing::warn!(reason, "clients will not take it");
            }
        }
        Err(reason) => tracing::error!(reason, "the certificate was refused; the one of before is shown"),
    }
}

#[cfg(test)]
mod tests;
