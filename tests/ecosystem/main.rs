//! Crates that know nothing of ringspun run on it as they are: each file is a family of them.
//!
//! Every test moves data both ways and compares it. None has a runtime of tokio.

#![allow(clippy::async_yields_async, reason = "handles are carried out of the runtime on purpose")]

mod axum;
mod codecs;
mod files;
mod futures_traits;
mod h2;
mod http1;
mod http2;
mod redis;
mod support;
mod tls;
mod tokio_traits;
mod websocket;
