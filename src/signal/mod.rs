//! Signals of the system: Ctrl-C, `SIGTERM`, the end of children, and the others.
//!
//! ```text
//!  any thread: handler -- counts, rings --> eventfd of the core
//!                                              |
//!  Signal::recv <-- is its count new? <-- poll through the ring, while anybody waits
//! ```
//!
//! As [`tokio::signal`] has it: the first listener for a signal replaces what the signal did before
//! (ending the process, usually) for as long as the process lives, also when the listener is gone.
//! Each listener, on each core, sees each signal; several that come close together may be seen as
//! one. Signal masks are never changed.
//!
//! # Examples
//!
//! ```
//! use ringspun::signal::unix::{SignalKind, signal};
//!
//! # fn main() -> std::io::Result<()> {
//! # ringspun::runtime::Runtime::new()?.block_on(async {
//! let mut hangups = signal(SignalKind::hangup())?;
//! # let pid = std::process::id().to_string();
//! # std::process::Command::new("kill").args(["-HUP", &pid]).status()?;
//! hangups.recv().await;
//! println!("reading the configuration again");
//! # Ok(())
//! # })
//! # }
//! ```
//!
//! [`tokio::signal`]: https://docs.rs/tokio/latest/tokio/signal/index.html

mod bell;
mod kind;
mod listener;

pub use self::kind::SignalKind;
pub use self::listener::{Signal, ctrl_c, signal};

/// By the names of `tokio::signal::unix`.
pub mod unix {
    pub use crate::signal::{Signal, SignalKind, signal};
}
