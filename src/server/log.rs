//! Lines on standard error, each kind at most once in a while.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What a line is about.
#[derive(Clone, Copy, Debug)]
pub(super) enum About {
    Accepting,
    Panics,
}

/// When each kind was said last.
pub(super) struct Log {
    begun: Instant,
    /// Milliseconds since it began, and one more; 0: never.
    said: [AtomicU64; 2],
}

const PAUSE: Duration = Duration::from_secs(5);

impl Log {
    pub(super) fn new() -> Log {
        Log { begun: Instant::now(), said: Default::default() }
    }

    /// Says it unless it, or something like it, was said just now.
    pub(super) fn say(&self, about: About, text: impl FnOnce() -> String) {
        let now = self.begun.elapsed().as_millis() as u64 + 1;
        let said = &self.said[about as usize];
        let last = said.load(Ordering::Relaxed);
        if last != 0 && now - last.min(now) < PAUSE.as_millis() as u64 {
            return;
        }
        if said.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            line(&text());
        }
    }
}

/// Says it now. Not by `eprintln!`, which panics when the stream is closed.
pub(super) fn line(text: &str) {
    let _ = std::io::stderr().write_all(format!("ringspun: server: {text}\n").as_bytes());
}
