//! The door: how connections are let in. A bound on how many there are, and on how long each may keep us waiting.
//!
//! One rule covers slow headers, slow bodies, idle connections and clients that do not read: within
//! [`PATIENCE`] of coming in, or of the last byte that it took from us, a client has sent its whole next request.
//! Without it a few hundred clients that send a byte a minute would hold every place.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep};

/// Connections at once: a board in some browsers, a scraper or two, probes; far below the usual limit of 1,024 files.
const PLACES: usize = 256;

/// How long a client may keep us waiting.
const PATIENCE: Duration = Duration::from_secs(30);

/// A listener with a bound.
pub struct Door {
    listener: TcpListener,
    places: Arc<Semaphore>,
    patience: Duration,
}

impl Door {
    /// A door with the usual bounds.
    pub fn new(listener: TcpListener) -> Self {
        Self::bounded(listener, PLACES, PATIENCE)
    }

    /// A door with other bounds.
    pub fn bounded(listener: TcpListener, places: usize, patience: Duration) -> Self {
        Self { listener, places: Arc::new(Semaphore::new(places)), patience }
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
        let patience = self.patience;
        (Visitor { stream, patience, until: Box::pin(sleep(patience)), _place: place }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection.
pub struct Visitor {
    stream: TcpStream,
    patience: Duration,
    until: Pin<Box<Sleep>>,
    _place: OwnedSemaphorePermit,
}

impl Visitor {
    /// An error once the client has kept us waiting too long.
    fn waiting<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        ready!(self.until.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Visitor {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // The clock runs on while bytes come in: a request byte by byte is not a reason to wait longer.
        if self.until.is_elapsed() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        match Pin::new(&mut self.stream).poll_read(cx, into) {
            Poll::Pending => self.waiting(cx),
            done => done,
        }
    }
}

impl AsyncWrite for Visitor {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write(cx, bytes) {
            Poll::Pending => self.waiting(cx),
            done => {
                let until = Instant::now() + self.patience;
                self.until.as_mut().reset(until);
                done
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
