//! The plain system calls that have no opcode.
//!
//! # Safety
//!
//! libc calls whose arguments live on this stack.

#![allow(unsafe_code)]

use std::ptr;
use std::sync::Once;
use std::time::Duration;

/// CLOCK_MONOTONIC as of the last timer tick, in milliseconds; wraps after 49 days.
#[inline]
pub(crate) fn coarse_clock_ms() -> u32 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is valid during the call.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_COARSE, &raw mut time) };
    (time.tv_sec as u32).wrapping_mul(1000).wrapping_add((time.tv_nsec / 1_000_000) as u32)
}

/// From one tick of that clock to the next.
pub(crate) fn coarse_clock_tick() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is valid during the call.
    unsafe { libc::clock_getres(libc::CLOCK_MONOTONIC_COARSE, &raw mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Ignores SIGPIPE where it still has its default of killing the process. Rust programs ignore it
/// already; a library in somebody else's program may find it otherwise.
pub(crate) fn ignore_sigpipe() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: a `sigaction` of zeroes is the default action with no flags.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        // SAFETY: the pointer is valid during the call; no action is set.
        let read = unsafe { libc::sigaction(libc::SIGPIPE, ptr::null(), &raw mut action) };
        if read == 0 && action.sa_sigaction == libc::SIG_DFL {
            // SAFETY: ignoring a signal runs no code.
            unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
        }
    });
}
