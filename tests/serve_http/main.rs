//! HTTP on the server's connections: times, ends, and what a peer may do wrong.
//!
//! The peers are raw ones of std, which do exactly what they are told, and hyper's for HTTP/2.

mod http1;
mod http2;
mod server;
mod support;
