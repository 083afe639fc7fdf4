//! Signals: a handler that counts, and rings an eventfd.
//!
//! Masks are never changed and a `signalfd` is never used: one thread with the signal unblocked,
//! started by anybody, would end the process.
//!
//! # Safety
//!
//! G1: what runs in the handler is one atomic addition and one `write(2)` to an eventfd, which the
//! closure keeps open; both are async-signal-safe, allocate nothing and take no lock. `errno` is
//! put back by the registry.

#![allow(unsafe_code)]

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use signal_hook_registry::SigId;

use super::EventFd;

/// A signal that is being counted, until this is dropped.
#[derive(Debug)]
pub(crate) struct Watch {
    id: SigId,
    arrived: Arc<AtomicU64>,
}

impl Watch {
    /// Counts `signal` from now on; each rings `bell`.
    pub(crate) fn new(signal: i32, bell: &Arc<EventFd>) -> io::Result<Watch> {
        if signal <= 0 || signal_hook_registry::FORBIDDEN.contains(&signal) {
            let what = format!("signal {signal} cannot be waited for: no handler may take it");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        let arrived = Arc::new(AtomicU64::new(0));
        let (count, bell) = (Arc::clone(&arrived), Arc::clone(bell));
        let handler = move || {
            count.fetch_add(1, Ordering::Release);
            bell.signal();
        };
        // SAFETY: G1.
        let id = unsafe { signal_hook_registry::register(signal, handler) }?;
        Ok(Watch { id, arrived })
    }

    /// How often it has come.
    pub(crate) fn arrived(&self) -> u64 {
        self.arrived.load(Ordering::Acquire)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        signal_hook_registry::unregister(self.id);
    }
}
