//! How tests drive the model. Not for users; there with `--cfg ringspun_model` only.
//!
//! All of it speaks of the rings of the calling thread. The `nth` op is counted among those that
//! the kernel works on, in the order of their submission: members of a chain that wait for the one
//! before them do not count.

use super::super::Sqe;
use super::random::Random;
use super::world::{Mode, with};

/// `IORING_CQE_F_MORE`: not the last completion of its entry.
pub const MORE: u32 = 1 << 1;
/// `IORING_CQE_F_NOTIF`: the memory of a zero-copy send is free.
pub const NOTIF: u32 = 1 << 3;

/// From now on the test completes the ops. The state of each new thread.
pub fn manual() {
    with(|world| world.mode = Mode::Manual);
}

/// From now on ops complete by themselves whenever the loop waits, in random order with random
/// results that Linux may give.
pub fn automatic(seed: u64) {
    with(|world| {
        world.mode = Mode::Automatic;
        world.random = Random::new(seed);
    });
}

/// From now on cancels are answered but end nothing, as for an op in a kernel worker; or they do
/// again.
pub fn deaf(deaf: bool) {
    with(|world| world.deaf = deaf);
}

/// Says whether other threads may end a sleep. If not, a sleep for ever is a panic.
pub fn expect_wakes(expected: bool) {
    with(|world| world.expects_wakes = expected);
}

/// The entries that the kernel works on.
#[must_use]
pub fn pending() -> Vec<Sqe> {
    with(|world| world.running(0).into_iter().map(|index| world.entry(index)).collect())
}

/// How many entries were submitted on this thread, cancels and the poll on notifiers among them.
#[must_use]
pub fn submitted() -> u64 {
    with(|world| world.submitted)
}

/// Does the nth op, up to `result`, and posts that. With [`MORE`] in `flags` it stays pending.
///
/// # Panics
///
/// If there is no such op.
#[track_caller]
pub fn complete(nth: usize, result: i32, flags: u32) {
    with(|world| {
        let running = world.running(0);
        assert!(nth < running.len(), "only {} ops are in the kernel", running.len());
        world.complete(running[nth], result, flags);
    });
}

/// Does the nth op with a random result that Linux may give.
///
/// # Panics
///
/// If there is no such op.
#[track_caller]
pub fn finish(nth: usize) {
    with(|world| {
        let running = world.running(0);
        assert!(nth < running.len(), "only {} ops are in the kernel", running.len());
        world.finish(running[nth]);
    });
}

/// A descriptor to be used as a result: whoever gets it owns it.
#[must_use]
pub fn descriptor() -> i32 {
    with(|world| world.open_placeholder())
}

/// How many of the descriptors that this thread's model gave away are still open.
#[must_use]
pub fn descriptors_open() -> usize {
    with(|world| world.placeholders_open())
}
