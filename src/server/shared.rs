//! What all cores of a server share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use super::address::LocalAddr;
use super::balance::Loads;
use super::builder::Settings;
use super::counts::Counts;
use super::log::Log;
use super::mailbox::Mailbox;

/// How far the server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    Serving,
    /// Nothing new; what there is may finish.
    Draining,
    /// What there is is cut off.
    Stopping,
}

/// What all cores of a server share.
pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) loads: Arc<Loads>,
    pub(super) mailboxes: Box<[Mailbox]>,
    pub(super) counts: Box<[Counts]>,
    pub(super) addrs: Vec<LocalAddr>,
    pub(super) log: Log,
    phase: AtomicU8,
    /// Accept loops that go on.
    accepting: AtomicUsize,
}

impl Shared {
    pub(super) fn new(settings: Settings, addrs: Vec<LocalAddr>, cores: usize) -> Shared {
        let (max, max_per_core) = (settings.max_connections, settings.max_connections_per_core);
        Shared {
            settings,
            loads: Arc::new(Loads::new(cores, max, max_per_core)),
            mailboxes: (0..cores).map(|_| Mailbox::default()).collect(),
            counts: (0..cores).map(|_| Counts::default()).collect(),
            addrs,
            log: Log::new(),
            phase: AtomicU8::new(Phase::Serving as u8),
            accepting: AtomicUsize::new(0),
        }
    }

    pub(super) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::SeqCst) {
            0 => Phase::Serving,
            1 => Phase::Draining,
            _ => Phase::Stopping,
        }
    }

    /// Goes on to `phase`, never back, and tells all cores.
    pub(super) fn enter(&self, phase: Phase) {
        self.phase.fetch_max(phase as u8, Ordering::SeqCst);
        self.tell_all();
    }

    pub(super) fn tell_all(&self) {
        self.mailboxes.iter().for_each(Mailbox::wake);
    }

    /// Counts an accept loop, until what it answers is dropped.
    pub(super) fn accepts(self: &Arc<Self>) -> Accepts {
        self.accepting.fetch_add(1, Ordering::SeqCst);
        Accepts { shared: Arc::clone(self) }
    }

    /// Nothing is taken from a listener any more.
    pub(super) fn accepts_nothing(&self) -> bool {
        self.accepting.load(Ordering::SeqCst) == 0
    }
}

/// An accept loop that goes on.
pub(super) struct Accepts {
    shared: Arc<Shared>,
}

impl Drop for Accepts {
    fn drop(&mut self) {
        if self.shared.accepting.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.shared.tell_all();
        }
    }
}
