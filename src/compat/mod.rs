//! Other people's traits on the types of this crate, so that crates which know no ringspun run on
//! it unchanged. One feature and one chapter each:
//!
//! | feature | traits | for example for |
//! |---|---|---|
//! | `tokio` | `tokio::io::{AsyncRead, AsyncWrite, AsyncBufRead, AsyncSeek}` | tokio-rustls, tokio-util, tungstenite, redis |
//! | `futures` | `futures_io::{AsyncRead, AsyncWrite, AsyncBufRead, AsyncSeek}` | futures-rustls, async-* |
//! | `hyper` | `hyper::rt::{Read, Write, Executor, Timer, Sleep}` | hyper, axum, tonic |
//!
//! The traits are on streams and files themselves, there is nothing to wrap. Writes are forwarded
//! with all their slices. A read copies once, out of the buffer that the kernel has chosen; when
//! bytes come faster than they are read, it is the kernel that copies, straight into the caller's
//! slice. As everywhere here, a read that is given up loses nothing.
//!
//! # Where `Send` is asked for
//!
//! All here belongs to one core and is not [`Send`]. Some crates ask for it although they send
//! nothing: hyper for upgrades, axum for handlers, redis for its connection.
//! [`CoreBound`](crate::task::CoreBound) makes `Send` what stays on its core, and forwards all
//! traits named above; `CoreBound::future` does it for a future.
//!
//! # What does not run
//!
//! Code that calls `tokio::spawn`, `tokio::time` or `tokio::net` needs the runtime of tokio, and
//! panics here by its own words. Mostly there is another way: axum without `axum::serve` and
//! without its `ws`, redis without response timeouts. The chapters show it.

#[cfg(feature = "futures")]
mod futures;
#[cfg(feature = "hyper")]
pub mod hyper;
#[cfg(feature = "tokio")]
mod tokio;
