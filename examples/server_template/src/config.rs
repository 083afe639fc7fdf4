//! What can be set: each by a flag, or by the variable of the environment that its help names.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use ringspun::runtime::Cores;

/// An HTTP/1.1 and HTTP/2 server on io_uring, one thread for each core.
#[derive(Clone, Debug, Parser)]
#[command(version)]
pub(crate) struct Config {
    /// Where to listen for plain HTTP; several are separated by commas. Not used for a socket that
    /// systemd has passed.
    #[arg(long, env = "ADDR", value_delimiter = ',', default_value = "127.0.0.1:8080")]
    pub(crate) addr: Vec<SocketAddr>,
    /// Where to listen for HTTPS. A socket that systemd has passed speaks TLS if its port is one
    /// of these.
    #[arg(long, env = "TLS_ADDR", value_delimiter = ',', requires = "tls_cert")]
    pub(crate) tls_addr: Vec<SocketAddr>,
    /// The chain of certificates, a PEM file. Read again at SIGHUP.
    #[arg(long, env = "TLS_CERT", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The private key, a PEM file. Read again at SIGHUP.
    #[arg(long, env = "TLS_KEY", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Where the page and the metrics are, and only there. Without it they are everywhere.
    #[arg(long, env = "ADMIN_ADDR")]
    pub(crate) admin_addr: Option<SocketAddr>,
    /// Which cores: a number, "all", or a list such as "0-3,6".
    #[arg(long, env = "CORES", default_value = "all")]
    pub(crate) cores: Cores,
    /// Connections at a time; more wait until one ends.
    #[arg(long, env = "MAX_CONNECTIONS", default_value_t = 10_000)]
    pub(crate) max_connections: usize,
    /// Seconds that connections have to come to their end after SIGTERM.
    #[arg(long, env = "DRAIN_SECONDS", default_value_t = 20)]
    pub(crate) drain_seconds: u64,
    /// Seconds that a connection may be there without a request.
    #[arg(long, env = "IDLE_TIMEOUT_SECONDS", default_value_t = 75)]
    pub(crate) idle_timeout_seconds: u64,
    /// Bytes that the body of a request may have.
    #[arg(long, env = "MAX_BODY_BYTES", default_value_t = 1 << 20)]
    pub(crate) max_body_bytes: usize,
    /// What is logged: error, warn, info, debug (with each request), trace; or by module, as
    /// "info,server_template=debug".
    #[arg(long, env = "LOG_LEVEL", default_value = "info")]
    pub(crate) log_level: String,
    /// How it is logged, on standard error.
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One object for each line.
    Json,
}

impl Config {
    /// Whether each connection's port says what it is for.
    pub(crate) fn check(&self) -> Result<(), String> {
        let plain = self.addr.iter().map(|addr| ("--addr", addr.port()));
        let tls = self.tls_addr.iter().map(|addr| ("--tls-addr", addr.port()));
        let admin = self.admin_addr.iter().map(|addr| ("--admin-addr", addr.port()));
        let special = tls.chain(admin);
        for (flag, port) in special.clone() {
            if port == 0 {
                return Err(format!("{flag} needs a port: what a connection is for goes by it"));
            }
            let mut others = plain.clone().chain(special.clone());
            if let Some((other, _)) = others.find(|other| other.1 == port && other.0 != flag) {
                return Err(format!(
                    "{other} and {flag} have the same port, {port}: what a connection is for goes \
                     by its port, so give each its own"
                ));
            }
        }
        Ok(())
    }

    /// How long connections have after SIGTERM.
    pub(crate) fn drain(&self) -> Duration {
        Duration::from_secs(self.drain_seconds)
    }

    /// How long a connection may be silent between requests.
    pub(crate) fn idle_timeout(&self) -> Duration {
        Duration::from_secs(self.idle_timeout_seconds)
    }
}
