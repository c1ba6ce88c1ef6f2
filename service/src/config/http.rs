//! `[http]` and `[http.tls]`: where it listens, under which names, and what connections are greeted with.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use schemas::document::{FromToml, Section};
use schemas::time::{DurationMs, HOUR_MS, SECOND_MS};
use toml::Value;

use super::{read, text};
use crate::http::{Identity, TlsFlaw};
use crate::reload::Watched;

/// Most names of one service.
const MOST_HOSTS: usize = 100;

/// The HTTP listener.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Names that are taken in the `Host` header beside its own, in lower case.
    pub hosts: Vec<String>,
    /// `[http.tls]`; `None` where it speaks in clear.
    pub tls: Option<TlsConfig>,
}

/// What connections are greeted with.
#[derive(Debug, Clone)]
pub struct TlsConfig {
    /// The certificate with its key, found to fit.
    pub identity: Identity,
    /// The two files, certificate and key.
    pub files: Watched,
    /// How often they are looked at.
    pub watch: DurationMs,
}

struct Listen(SocketAddr);

impl FromToml for Listen {
    const EXPECTED: &'static str = "an IP address and a port, such as \"127.0.0.1:8080\" or \"[::1]:8080\"";
    fn from_toml(value: &Value) -> Option<Self> {
        value.as_str()?.parse().ok().map(Self)
    }
}

impl HttpConfig {
    /// Reads the section and the files that it names; problems are reported to its sink.
    pub(super) fn read(mut section: Section, folder: &Path) -> Option<Self> {
        let listen: Option<Listen> = section.required("listen");
        let insecure: Option<bool> = section.required("insecure");
        let hosts = hosts(&mut section);
        let tls = tls(section.section("tls"), folder);
        if let (Some(Listen(listen)), Some(false), Some(None)) = (&listen, insecure, &tls)
            && !listen.ip().is_loopback()
        {
            let expected = "certificate and key in [http.tls], or an address of this machine only, such as \
                            \"127.0.0.1:8080\"; insecure = true in [http] when a proxy in front does the TLS";
            let found = format!("{listen} without TLS, where others can read keys and payments on their way");
            section.report("listen", found, expected);
        }
        let Listen(listen) = insecure.and(listen)?;
        Some(Self { listen, hosts: hosts?, tls: tls? })
    }
}

fn hosts(section: &mut Section) -> Option<Vec<String>> {
    let hosts: Vec<String> = section.required("hosts")?;
    let is_host = |host: &String| {
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']');
        host.len() <= 255 && host.chars().all(legal)
    };
    if let Some(wrong) = hosts.iter().find(|host| !is_host(host)) {
        let found = format!("\"{}\"", wrong.chars().take(60).collect::<String>());
        section.report("hosts", found, "names such as \"tripline.example\" or \"tripline.example:8443\"");
        return None;
    }
    if hosts.len() > MOST_HOSTS {
        section.report("hosts", format!("{} names", hosts.len()), format!("at most {MOST_HOSTS}"));
        return None;
    }
    Some(hosts.iter().map(|host| host.to_ascii_lowercase()).collect())
}

/// `Some(None)` where neither file is named.
fn tls(mut section: Section, folder: &Path) -> Option<Option<TlsConfig>> {
    let is_there = ["certificate", "key"].map(|key| section.has(key));
    let certificate = text::named(&mut section, "certificate", folder, "a PEM file");
    let key = text::named(&mut section, "key", folder, "a PEM file");
    let watch = read::time(&mut section, "watch", SECOND_MS..=HOUR_MS);
    match is_there {
        [true, true] => {}
        [false, false] => return watch.map(|_| None),
        [has_certificate, _] => {
            let missing = if has_certificate { "key" } else { "certificate" };
            section.report(missing, "nothing", "both http.tls.certificate and http.tls.key, or neither");
            return None;
        }
    }
    let ((certificate, certificate_text), (key, key_text)) = (certificate?, key?);
    let identity = match Identity::read(&certificate_text, &key_text) {
        Ok(identity) => identity,
        Err(flaws) => {
            report(&section, &flaws, &certificate, &key);
            return None;
        }
    };
    let files = Watched::new(vec![certificate, key], &[&certificate_text, &key_text]);
    Some(Some(TlsConfig { identity, files, watch: watch? }))
}

fn report(section: &Section, flaws: &[TlsFlaw], certificate: &PathBuf, key: &PathBuf) {
    for flaw in flaws {
        let (name, file, found, expected) = match flaw {
            TlsFlaw::Certificate(found, expected) => ("certificate", certificate, found, expected),
            TlsFlaw::Key(found, expected) => ("key", key, found, expected),
        };
        section.report(name, format!("\"{}\" with {found}", file.display()), *expected);
    }
}
