//! hyper on ringspun: its I/O traits on our streams, an [`Executor`], a [`Timer`].
//!
//! Feature `hyper`. The traits `hyper::rt::{Read, Write}` are on [`TcpStream`] and all other
//! streams, without a wrapper. What hyper starts in the background runs on the core that called it,
//! and services need not be `Send`.
//!
//! ```
//! use std::convert::Infallible;
//! use std::time::Duration;
//!
//! use http_body_util::{BodyExt, Empty};
//! use hyper::body::{Bytes, Incoming};
//! use hyper::service::service_fn;
//! use hyper::{Request, Response};
//! use ringspun::compat::hyper::Timer;
//! use ringspun::net::{TcpListener, TcpStream};
//!
//! async fn hello(request: Request<Incoming>) -> Result<Response<String>, Infallible> {
//!     ringspun::time::sleep(Duration::from_millis(1)).await;
//!     Ok(Response::new(format!("{} is here", request.uri().path())))
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # ringspun::runtime::Runtime::new()?.block_on(async {
//! let listener = TcpListener::bind("127.0.0.1:0").await?;
//! let address = listener.local_addr()?;
//! ringspun::spawn(async move {
//!     while let Ok((stream, _)) = listener.accept().await {
//!         let mut http = hyper::server::conn::http1::Builder::new();
//!         http.timer(Timer::new());
//!         ringspun::spawn(http.serve_connection(stream, service_fn(hello)));
//!     }
//! });
//!
//! let stream = TcpStream::connect(address).await?;
//! let (mut client, connection) = hyper::client::conn::http1::handshake(stream).await?;
//! ringspun::spawn(connection);
//! let request = Request::get("/index").header("host", "here").body(Empty::<Bytes>::new())?;
//! let response = client.send_request(request).await?;
//! assert_eq!(response.into_body().collect().await?.to_bytes(), "/index is here");
//! # Ok(())
//! # })
//! # }
//! ```
//!
//! # HTTP 2
//!
//! `hyper::server::conn::http2::Builder::new(Executor::new())`, and the same for clients.
//!
//! # Upgrades
//!
//! `with_upgrades` asks for a stream that is `Send`: give it `CoreBound::new(stream)`. What
//! `hyper::upgrade::on` answers stays on the core then, and panics elsewhere.
//!
//! # axum
//!
//! A `Router` is a service: `hyper_util::service::TowerToHyperService::new(router)`. Handlers have
//! to be `Send`; what is not, because it sleeps or uses a stream, goes into
//! [`CoreBound::future`]. `axum::serve`, `ws` and the keep-alive of `Sse` need tokio's runtime.
//!
//! [`TcpStream`]: crate::net::TcpStream

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use ::hyper::rt::{Read, ReadBufCursor, Write};

use crate::io::{Kind, ReadEnd, Stream, WriteEnd};
use crate::task::{self, CoreBound};
use crate::time;

/// Spawns what hyper runs in the background, on the core that asks for it.
///
/// # Panics
///
/// `execute` panics outside a runtime.
///
/// # Examples
///
/// ```
/// use ringspun::compat::hyper::{Executor, Timer};
///
/// let mut http = hyper::server::conn::http2::Builder::new(Executor::new());
/// http.timer(Timer::new());
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Executor;

impl Executor {
    /// It has no state.
    pub fn new() -> Executor {
        Executor
    }
}

impl<F> ::hyper::rt::Executor<F> for Executor
where
    F: Future + 'static,
    F::Output: 'static,
{
    fn execute(&self, future: F) {
        // Dropping the handle detaches it.
        drop(task::spawn(future));
    }
}

/// The clock of the core, for hyper's timeouts and pings.
///
/// # Panics
///
/// `sleep` and `sleep_until` panic outside a runtime.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Timer;

impl Timer {
    /// It has no state.
    pub fn new() -> Timer {
        Timer
    }
}

impl ::hyper::rt::Timer for Timer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn ::hyper::rt::Sleep>> {
        Box::pin(Sleep(CoreBound::new(time::sleep(duration))))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn ::hyper::rt::Sleep>> {
        Box::pin(Sleep(CoreBound::new(time::sleep_until(deadline))))
    }

    fn reset(&self, sleep: &mut Pin<Box<dyn ::hyper::rt::Sleep>>, deadline: Instant) {
        match sleep.as_mut().downcast_mut_pin::<Sleep>() {
            Some(own) => own.get_mut().0.with_mut(|sleep| sleep.reset(deadline)),
            None => *sleep = self.sleep_until(deadline),
        }
    }
}

/// A sleep that is `Send`, as hyper asks, and stays where it is.
struct Sleep(CoreBound<time::Sleep>);

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl ::hyper::rt::Sleep for Sleep {}

impl<K: Kind> Read for ReadEnd<K> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if buf.remaining() > 0 {
            ready!(self.poll_fill_face(cx))?;
            self.take_held(|held| {
                let count = held.len().min(buf.remaining());
                buf.put_slice(&held[..count]);
                count
            });
        }
        Poll::Ready(Ok(()))
    }
}

impl<K: Kind> Write for WriteEnd<K> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_face(cx, &[IoSlice::new(buf)])
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_shutdown_face(cx)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_face(cx, bufs)
    }
}

/// Feature `hyper`; see [`compat::hyper`](self).
impl<K: Kind> Read for Stream<K> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(self.get_mut().split().0).poll_read(cx, buf)
    }
}

/// Feature `hyper`; see [`compat::hyper`](self).
impl<K: Kind> Write for Stream<K> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.get_mut().split().1).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.get_mut().split().1).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.get_mut().split().1).poll_write_vectored(cx, bufs)
    }
}

/// Feature `hyper`: a stream that can be upgraded. Panics on another thread.
impl<T: Read + Unpin> Read for CoreBound<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(self.get_mut().access_mut()).poll_read(cx, buf)
    }
}

impl<T: Write + Unpin> Write for CoreBound<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.get_mut().access_mut()).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.get_mut().access_mut()).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.get_mut().access_mut()).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.access().is_write_vectored()
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.get_mut().access_mut()).poll_write_vectored(cx, bufs)
    }
}
