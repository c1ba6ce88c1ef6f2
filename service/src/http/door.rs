//! The door: how connections are let in. A bound on how many there are, and on how long each may keep us waiting.
//!
//! One rule covers slow headers, slow bodies, idle connections and clients that do not read: within
//! [`PATIENCE`] of coming in, or of the last byte that it took from us, a client has sent its whole next request.
//! Without it a few hundred clients that send a byte a minute would hold every place.
//!
//! Who was let in with a large file may be given longer, by whoever reads it ([`Remote::may_take`]); nobody else is.
//!
//! With TLS a connection is greeted in its own task, when its first byte is asked for: the loop that accepts never waits
//! for a handshake. Handshakes are bounded in number by the places and in time by [`HANDSHAKE`].

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep};
use tokio_rustls::Accept;
use tokio_rustls::server::TlsStream;

use super::tls::Tls;

/// Connections at once: callers, each with many, a board in some browsers, a scraper or two, probes. More than
/// `rest.in_flight` and `rest.waiting`, so that who is too many is told so and does not wait unheard; below the usual limit of 1,024 files.
const PLACES: usize = 512;

/// How long a client may keep us waiting.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a TLS handshake may take: three round trips to the other side of the world, on a bad day.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// A listener with a bound.
pub struct Door {
    listener: TcpListener,
    places: Arc<Semaphore>,
    patience: Duration,
    tls: Option<Arc<Tls>>,
    handshake: Duration,
}

impl Door {
    /// A door with the usual bounds; with TLS when there is something to greet with.
    pub fn new(listener: TcpListener, tls: Option<Arc<Tls>>) -> Self {
        Self { tls, ..Self::bounded(listener, PLACES, PATIENCE) }
    }

    /// A door with other bounds, without TLS.
    pub fn bounded(listener: TcpListener, places: usize, patience: Duration) -> Self {
        let places = Arc::new(Semaphore::new(places));
        Self { listener, places, patience, tls: None, handshake: HANDSHAKE }
    }

    /// The same door with TLS.
    #[cfg(test)]
    pub fn secured(self, tls: Arc<Tls>, handshake: Duration) -> Self {
        Self { tls: Some(tls), handshake, ..self }
    }
}

impl Listener for Door {
    type Io = Visitor;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Visitor, SocketAddr) {
        let place = match Arc::clone(&self.places).acquire_owned().await {
            Ok(place) => place,
            // Nobody closes the semaphore; if somebody did, nobody would be let in.
            Err(_) => std::future::pending().await,
        };
        // Axum's own: it retries what fails, and waits while there are no file descriptors.
        let (stream, address) = Listener::accept(&mut self.listener).await;
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY");
        }
        let (stream, within) = match &self.tls {
            None => (Stream::Plain(stream), self.patience),
            Some(tls) => (Stream::Greeting(Box::new(tls.acceptor().accept(stream))), self.handshake),
        };
        let (until, leave) = (Box::pin(sleep(within)), Leave::default());
        (Visitor { stream, patience: self.patience, until, leave, _place: place }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// Milliseconds that a client has more, beyond the patience that it has; taken once.
type Leave = Arc<AtomicU64>;

/// Where a connection comes from.
#[derive(Debug, Clone)]
pub struct Remote {
    /// The address.
    pub address: SocketAddr,
    leave: Leave,
}

impl Remote {
    /// It may keep us waiting so much longer, once: when the time that it has is over, as long as the answer is held.
    pub fn may_take(&self, more: Duration) -> Longer {
        let longer = Longer { leave: Arc::clone(&self.leave) };
        longer.anew(more);
        longer
    }
}

/// The longer time that somebody was given. What of it was not needed is taken back when it is dropped.
#[derive(Debug)]
#[must_use = "dropped, it is taken back"]
pub struct Longer {
    leave: Leave,
}

impl Longer {
    /// So much longer once more, from when the time that it has is over.
    pub fn anew(&self, more: Duration) {
        self.leave.store(u64::try_from(more.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

impl Drop for Longer {
    fn drop(&mut self) {
        self.leave.store(0, Ordering::Relaxed);
    }
}

impl Connected<IncomingStream<'_, Door>> for Remote {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Self {
        Self { address: *stream.remote_addr(), leave: Arc::clone(&stream.io().leave) }
    }
}

/// How a connection speaks. Boxed, since a TLS session is a kilobyte and most of a plain door's connections have none.
enum Stream {
    Plain(TcpStream),
    Greeting(Box<Accept<TcpStream>>),
    Secure(Box<TlsStream<TcpStream>>),
    /// The handshake failed.
    Gone,
}

/// A connection.
pub struct Visitor {
    stream: Stream,
    patience: Duration,
    until: Pin<Box<Sleep>>,
    leave: Leave,
    _place: OwnedSemaphorePermit,
}

impl Visitor {
    /// An error once the client has kept us waiting too long.
    fn waiting<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        ready!(self.until.as_mut().poll(cx));
        if self.takes_leave() {
            ready!(self.until.as_mut().poll(cx));
        }
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// Takes the time that it was given beyond its own, if it was given some.
    fn takes_leave(&mut self) -> bool {
        let more_ms = self.leave.swap(0, Ordering::Relaxed);
        if more_ms > 0 {
            self.until.as_mut().reset(Instant::now() + Duration::from_millis(more_ms));
        }
        more_ms > 0
    }

    fn patience_anew(&mut self) {
        let until = Instant::now() + self.patience;
        self.until.as_mut().reset(until);
    }

    /// The greeting, if it is not over yet.
    fn poll_greeted(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Stream::Greeting(greeting) = &mut self.stream else { return Poll::Ready(Ok(())) };
        match Pin::new(greeting.as_mut()).poll(cx) {
            Poll::Pending => self.waiting(cx),
            Poll::Ready(Ok(stream)) => {
                self.stream = Stream::Secure(Box::new(stream));
                self.patience_anew();
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => {
                tracing::debug!(%error, "a TLS handshake failed");
                // It must not be asked again.
                self.stream = Stream::Gone;
                Poll::Ready(Err(error))
            }
        }
    }
}

impl AsyncRead for Visitor {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // The clock runs on while bytes come in: a request byte by byte is not a reason to wait longer.
        if self.until.is_elapsed() && !self.takes_leave() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        ready!(self.poll_greeted(cx))?;
        let read = match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(cx, into),
            Stream::Secure(stream) => Pin::new(stream.as_mut()).poll_read(cx, into),
            Stream::Greeting(_) | Stream::Gone => {
                return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
            }
        };
        match read {
            Poll::Pending => self.waiting(cx),
            done => done,
        }
    }
}

impl AsyncWrite for Visitor {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_greeted(cx))?;
        let written = match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Stream::Secure(stream) => Pin::new(stream.as_mut()).poll_write(cx, bytes),
            Stream::Greeting(_) | Stream::Gone => {
                return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
            }
        };
        match written {
            Poll::Pending => self.waiting(cx),
            done => {
                self.patience_anew();
                done
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Secure(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
            Stream::Greeting(_) | Stream::Gone => return Poll::Ready(Ok(())),
        };
        match flushed {
            // A session keeps up to 64 KiB that the client does not take.
            Poll::Pending => self.waiting(cx),
            done => done,
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Secure(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
            Stream::Greeting(_) | Stream::Gone => return Poll::Ready(Ok(())),
        };
        match shut {
            Poll::Pending => self.waiting(cx),
            done => done,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn who_is_given_longer_may_take_longer_and_nobody_else() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut door = Door::bounded(listener, 2, Duration::from_millis(100));
        let more = Duration::from_secs(5);
        for (is_given, is_kept) in [(false, false), (true, true), (true, false)] {
            let is_heard = is_given && is_kept;
            let mut client = TcpStream::connect(address).await.unwrap();
            let (mut visitor, from) = door.accept().await;
            let remote = Remote { address: from, leave: Arc::clone(&visitor.leave) };
            let longer = is_given.then(|| remote.may_take(more));
            // Whoever read its file is done with it, or gave up.
            let _longer = longer.filter(|_| is_kept);
            let late = async {
                tokio::time::sleep(Duration::from_millis(300)).await;
                client.write_all(b"x").await.unwrap();
            };
            let mut byte = [0];
            let ((), read) = tokio::join!(late, visitor.read(&mut byte));
            match read {
                Ok(bytes) => assert!(is_heard && bytes == 1, "it was not sent away"),
                Err(error) => assert!(!is_heard && error.kind() == io::ErrorKind::TimedOut, "{error}"),
            }
        }
    }
}
