//! TLS: the certificate and its key, read, checked, and exchanged while the service runs.
//!
//! TLS 1.2 and 1.3 through rustls with ring; nothing older, no renegotiation, no client certificates. ALPN offers
//! HTTP/1.1 only, which is all that the server speaks. Not here: the handshake, which each connection does in its own
//! task behind [`super::door`], and reading files.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use schemas::time::EventTime;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{Error, ServerConfig};
use x509_cert::der::Decode;

/// Longest chain: a leaf and more intermediates than any authority has.
const MOST_CERTIFICATES: usize = 16;

/// Makes ring the process's TLS for clients too; the first call counts.
pub fn use_ring() {
    // An error: it is set already.
    let _ = default_provider().install_default();
}

/// What is wrong with a certificate or its key: what was found, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsFlaw {
    /// Of the certificate's file.
    Certificate(String, &'static str),
    /// Of the key's file.
    Key(String, &'static str),
}

const CERTIFICATE: &str =
    "a PEM file with the certificate first and then its chain, -----BEGIN CERTIFICATE-----";
const KEY: &str = "a PEM file with the private key (PKCS#8, PKCS#1 or SEC1), not encrypted";

/// A certificate with its key, found to fit.
#[derive(Clone)]
pub struct Identity {
    config: Arc<ServerConfig>,
    from_ms: i64,
    until_ms: i64,
}

impl Identity {
    /// Reads the texts of the two files.
    ///
    /// # Errors
    /// Everything that is wrong with both.
    pub fn read(certificate: &str, key: &str) -> Result<Self, Vec<TlsFlaw>> {
        let (chain, key) = match (chain(certificate), private_key(key)) {
            (Ok(chain), Ok(key)) => (chain, key),
            (chain, key) => return Err([chain.err(), key.err()].into_iter().flatten().collect()),
        };
        let (from_ms, until_ms) = validity(&chain).map_err(|flaw| vec![flaw])?;
        let config = config(chain, key).map_err(|error| vec![flaw(&error)])?;
        Ok(Self { config: Arc::new(config), from_ms, until_ms })
    }

    /// The time until which it is good, milliseconds.
    pub fn until_ms(&self) -> i64 {
        self.until_ms
    }

    /// Why no client will take it at this time, if so. It is served all the same: clients say it louder than a service
    /// that does not start.
    pub fn untimely(&self, wall_ms: i64) -> Option<String> {
        let at = |ms: i64| EventTime::from_ms(ms).map_or_else(|| format!("{ms} ms"), |time| time.to_string());
        if wall_ms >= self.until_ms {
            return Some(format!("the certificate expired at {}", at(self.until_ms)));
        }
        (wall_ms < self.from_ms).then(|| format!("the certificate is not good before {}", at(self.from_ms)))
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("until_ms", &self.until_ms).finish_non_exhaustive()
    }
}

fn chain(text: &str) -> Result<Vec<CertificateDer<'static>>, TlsFlaw> {
    let read: Result<Vec<_>, _> =
        CertificateDer::pem_slice_iter(text.as_bytes()).take(MOST_CERTIFICATES + 1).collect();
    match read {
        Ok(chain) if chain.is_empty() => {
            Err(TlsFlaw::Certificate("no certificate in it".to_owned(), CERTIFICATE))
        }
        Ok(chain) if chain.len() > MOST_CERTIFICATES => {
            Err(TlsFlaw::Certificate("more than 16 certificates".to_owned(), CERTIFICATE))
        }
        Ok(chain) => Ok(chain),
        Err(_) => Err(TlsFlaw::Certificate("broken PEM".to_owned(), CERTIFICATE)),
    }
}

fn private_key(text: &str) -> Result<PrivateKeyDer<'static>, TlsFlaw> {
    // The error's own words could hold a piece of the key.
    PrivateKeyDer::from_pem_slice(text.as_bytes())
        .map_err(|_| TlsFlaw::Key("no private key in it".to_owned(), KEY))
}

/// From when and until when the first certificate is good, milliseconds.
fn validity(chain: &[CertificateDer<'_>]) -> Result<(i64, i64), TlsFlaw> {
    let first = chain.first().and_then(|first| x509_cert::Certificate::from_der(first).ok());
    let validity = first.map(|certificate| certificate.tbs_certificate.validity);
    let validity =
        validity.ok_or_else(|| TlsFlaw::Certificate("a broken certificate".to_owned(), CERTIFICATE))?;
    let ms =
        |time: x509_cert::time::Time| i64::try_from(time.to_unix_duration().as_millis()).unwrap_or(i64::MAX);
    Ok((ms(validity.not_before), ms(validity.not_after)))
}

fn config(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<ServerConfig, Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn flaw(error: &Error) -> TlsFlaw {
    match error {
        Error::InconsistentKeys(_) => TlsFlaw::Key(
            "a key that does not fit the certificate".to_owned(),
            "the private key of the first certificate in http.tls.certificate",
        ),
        Error::InvalidCertificate(_) => {
            TlsFlaw::Certificate("a certificate that cannot be served".to_owned(), CERTIFICATE)
        }
        _ => TlsFlaw::Key("a key that cannot be used".to_owned(), KEY),
    }
}

/// What connections are greeted with.
#[derive(Debug)]
pub struct Tls(ArcSwap<ServerConfig>);

impl Tls {
    /// Greets with this.
    pub fn new(identity: &Identity) -> Self {
        Self(ArcSwap::new(Arc::clone(&identity.config)))
    }

    /// New connections are greeted with this from now on; those that stand go on.
    pub fn exchange(&self, identity: &Identity) {
        self.0.store(Arc::clone(&identity.config));
    }

    /// For one connection.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.0.load_full())
    }
}

#[cfg(test)]
mod tests;
