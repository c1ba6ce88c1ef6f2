//! TLS over real sockets: who is greeted, who is sent away, and that nobody waits for somebody else.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P384_SHA384, date_time_ymd};
use tokio::net::TcpListener;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion,
};

use super::super::door::Door;
use super::*;

/// The two texts of a certificate for localhost.
fn pair() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

fn identity((certificate, key): &(String, String)) -> Identity {
    Identity::read(certificate, key).unwrap_or_else(|flaws| panic!("{flaws:?}"))
}

/// A server that greets with the pair; a handshake may take so long.
async fn serving(pair: &(String, String), places: usize, handshake: Duration) -> (SocketAddr, Arc<Tls>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let tls = Arc::new(Tls::new(&identity(pair)));
    let door = Door::bounded(listener, places, Duration::from_secs(30)).secured(Arc::clone(&tls), handshake);
    let router = Router::new().route("/", get(async || "in the open"));
    tokio::spawn(axum::serve(door, router).into_future());
    (address, tls)
}

fn client(trusted: &str, version: &'static SupportedProtocolVersion) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(trusted.as_bytes()).unwrap()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config
}

/// The answer to one request, and the protocol that was agreed on.
fn asked(address: SocketAddr, config: ClientConfig) -> std::io::Result<(String, Option<Vec<u8>>)> {
    let name = ServerName::try_from("localhost").unwrap();
    let session = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = StreamOwned::new(session, TcpStream::connect(address)?);
    stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok((text, stream.conn.alpn_protocol().map(<[u8]>::to_vec)))
}

async fn ask(
    address: SocketAddr,
    trusted: &str,
    version: &'static SupportedProtocolVersion,
) -> std::io::Result<(String, Option<Vec<u8>>)> {
    let config = client(trusted, version);
    tokio::task::spawn_blocking(move || asked(address, config)).await.unwrap()
}

/// What comes back for these bytes, until the other side closes.
async fn raw(address: SocketAddr, bytes: &'static [u8]) -> Vec<u8> {
    let exchange = move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.write_all(bytes).unwrap();
        let (mut all, mut some) = (Vec::new(), [0; 1_024]);
        // The other side may close before it has read all: what came before that counts.
        while let Ok(count @ 1..) = stream.read(&mut some) {
            all.extend_from_slice(&some[..count]);
        }
        all
    };
    tokio::task::spawn_blocking(exchange).await.unwrap()
}

/// The first byte that comes back.
async fn first(address: SocketAddr, bytes: &'static [u8]) -> u8 {
    let exchange = move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(bytes).unwrap();
        let mut some = [0];
        stream.read_exact(&mut some).unwrap();
        some[0]
    };
    tokio::task::spawn_blocking(exchange).await.unwrap()
}

const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn both_versions_are_spoken_and_http_1_is_agreed_on() {
    let pair = pair();
    let (address, _) = serving(&pair, 16, LONG).await;
    for version in [&TLS12, &TLS13] {
        let (text, protocol) = ask(address, &pair.0, version).await.unwrap();
        assert!(text.starts_with("HTTP/1.1 200 ") && text.ends_with("in the open"), "{text}");
        assert_eq!(protocol.as_deref(), Some(b"http/1.1".as_slice()));
    }
    // Somebody else's certificate is not taken for this one.
    assert!(ask(address, &self::pair().0, &TLS13).await.is_err());
}

#[tokio::test]
async fn plain_http_gets_no_answer_in_clear() {
    let (address, _) = serving(&pair(), 16, LONG).await;
    let back = raw(address, b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    assert!(!String::from_utf8_lossy(&back).contains("HTTP"), "{back:?}");
    // A fatal alert, or nothing.
    assert!(back.is_empty() || (back[0], back[5]) == (21, 2), "{back:?}");
}

#[tokio::test]
async fn old_protocols_are_refused() {
    let (address, _) = serving(&pair(), 16, LONG).await;
    let hello = |minor: u8| {
        // ClientHello: version, random, no session, one cipher suite, no compression; then groups, point formats and
        // signature schemes, so that nothing but the version can be wrong with it.
        let mut hello = vec![3, minor];
        hello.extend([7; 32]);
        hello.extend([0, 0, 2, 0xc0, 0x2b, 1, 0]);
        hello.extend([0, 22, 0, 10, 0, 4, 0, 2, 0, 23, 0, 11, 0, 2, 1, 0, 0, 13, 0, 4, 0, 2, 4, 3]);
        let mut bytes = vec![22, 3, 1, 0, (hello.len() + 4) as u8, 1, 0, 0, hello.len() as u8];
        bytes.extend(hello);
        bytes
    };
    // TLS 1.2 is answered: a ServerHello comes.
    assert_eq!(first(address, hello(3).leak()).await, 22);
    for minor in [0, 1, 2] {
        let back = raw(address, hello(minor).leak()).await;
        // Alert, fatal, protocol_version.
        assert_eq!((back[0], &back[5..]), (21, [2, 70].as_slice()), "3.{minor}: {back:?}");
    }
}

#[tokio::test]
async fn who_does_not_finish_the_handshake_is_sent_away_and_nobody_waits_for_it() {
    let pair = pair();
    let (address, _) = serving(&pair, 8, Duration::from_secs(3)).await;
    let began = Instant::now();
    let slow: Vec<_> = (0..7)
        .map(|_| {
            tokio::task::spawn_blocking(move || {
                let mut stream = TcpStream::connect(address).unwrap();
                stream.set_read_timeout(Some(LONG)).unwrap();
                // The beginning of a hello, and a byte of it now and then.
                let _ = stream.write_all(&[22, 3, 1, 0, 200, 1]);
                while stream.write_all(&[0]).is_ok() && began.elapsed() < LONG {
                    std::thread::sleep(Duration::from_millis(100));
                }
                began.elapsed()
            })
        })
        .collect();
    // One place is left: who comes to it is served while the others dawdle.
    for _ in 0..3 {
        assert!(ask(address, &pair.0, &TLS13).await.unwrap().0.ends_with("in the open"));
    }
    for slow in slow {
        assert!(slow.await.unwrap() < LONG, "it was never sent away");
    }
}

#[tokio::test]
async fn a_new_certificate_is_shown_to_the_next_and_no_connection_breaks() {
    let (old, new) = (pair(), pair());
    let (address, tls) = serving(&old, 16, LONG).await;
    let name = ServerName::try_from("localhost").unwrap();
    let session = ClientConnection::new(Arc::new(client(&old.0, &TLS13)), name).unwrap();
    let stands = tokio::task::spawn_blocking(move || {
        let mut stream = StreamOwned::new(session, TcpStream::connect(address).unwrap());
        stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
        let mut some = [0; 12];
        stream.read_exact(&mut some).unwrap();
        stream
    });
    let mut stands = stands.await.unwrap();
    tls.exchange(&identity(&new));
    assert!(ask(address, &new.0, &TLS13).await.is_ok());
    assert!(ask(address, &old.0, &TLS13).await.is_err(), "the old one is still shown");
    let again = tokio::task::spawn_blocking(move || {
        stands.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stands.read_to_string(&mut text).unwrap();
        text
    });
    assert!(again.await.unwrap().contains("HTTP/1.1 200 "));
}

#[test]
fn what_does_not_fit_or_is_none_is_said_of_both_files() {
    let (certificate, key) = pair();
    let (_, other_key) = pair();
    let p384 = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap().serialize_pem();
    let found = |certificate: &str, key: &str| {
        let flaws = Identity::read(certificate, key).expect_err("nothing wrong was found");
        flaws.into_iter().map(|flaw| format!("{flaw:?}")).collect::<Vec<_>>()
    };
    for key in [&other_key, &p384] {
        assert!(
            found(&certificate, key)[0].starts_with("Key(\"a key that does not fit"),
            "{:?}",
            found(&certificate, key)
        );
    }
    // The two swapped: both are wrong, and both are said.
    let swapped = found(&key, &certificate);
    assert_eq!(swapped.len(), 2, "{swapped:?}");
    assert!(
        swapped[0].starts_with("Certificate(\"no certificate")
            && swapped[1].starts_with("Key(\"no private key")
    );
    assert_eq!(found("", "").len(), 2);
    let encrypted = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    assert!(
        found(&certificate, &encrypted)[0].contains("no private key"),
        "{:?}",
        found(&certificate, &encrypted)
    );
    assert!(found(&certificate.replace("MII", "!!!"), &key)[0].contains("broken PEM"));
    let cut: String =
        certificate.lines().take(3).chain(["-----END CERTIFICATE-----"]).collect::<Vec<_>>().join("\n");
    assert!(found(&cut, &key)[0].starts_with("Certificate("), "{:?}", found(&cut, &key));
    assert!(found(&certificate.repeat(17), &key)[0].contains("more than 16"));
    for flaws in [found(&certificate, &other_key), swapped] {
        assert!(flaws.iter().all(|flaw| !flaw.contains(&key[40..60])), "{flaws:?}");
    }
}

#[test]
fn a_certificate_out_of_its_time_is_served_and_said() {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2026, 2, 1);
    let certificate = params.self_signed(&key).unwrap().pem();
    let identity = identity(&(certificate, key.serialize_pem()));
    let (january_ms, february_ms) = (1_767_225_600_000, 1_769_904_000_000);
    assert_eq!(identity.until_ms(), february_ms);
    assert_eq!(identity.untimely(january_ms), None);
    assert_eq!(identity.untimely(february_ms - 1), None);
    let late = identity.untimely(february_ms).unwrap();
    assert_eq!(late, "the certificate expired at 2026-02-01T00:00:00.000Z");
    assert!(identity.untimely(january_ms - 1).unwrap().contains("not good before 2026-01-01"));
}
