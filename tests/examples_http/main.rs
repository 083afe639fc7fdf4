//! The examples that speak HTTP and TLS, as processes, with the clients that people have.
//!
//! A client that is neither here nor can be installed skips its tests, and says so;
//! `RINGSPUN_REQUIRE_CLIENTS=1` makes that a failure.

mod axum_server;
mod http_server;
#[path = "../examples/process.rs"]
mod process;
mod static_files;
mod support;
mod tls_echo;
