//! The log, on standard error. Writing it blocks the core: a terminal that stands still, or a pipe
//! that nobody reads, holds the server up. Under systemd and Docker it does not.

use std::error::Error;
use std::io::{IsTerminal, stderr};

use tracing_subscriber::EnvFilter;

use crate::config::{Config, LogFormat};

/// From here on `tracing`'s events are written.
pub(crate) fn start(config: &Config) -> Result<(), Box<dyn Error + Send + Sync>> {
    let filter = EnvFilter::try_new(&config.log_level)
        .map_err(|error| format!("--log-level {:?}: {error}", config.log_level))?;
    let log = tracing_subscriber::fmt()
        .with_writer(stderr)
        .with_env_filter(filter)
        .with_ansi(stderr().is_terminal());
    match config.log_format {
        LogFormat::Text => log.try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    }
}
