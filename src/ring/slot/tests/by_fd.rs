//! A cancel by descriptor: whom it marks.

use std::sync::Arc;
use std::task::Waker;

use super::super::{Counters, Meta, Polled, SlotKey, Slots};
use super::meta;
use crate::ring::completion::{Answer, Ask};
use crate::wake::LocalWaker;

/// An op on `fd` that a signal ends, before or after the mark, and what its future hears.
fn polled(slots: &mut Slots, meta: Meta, early: bool) -> Polled {
    let key: SlotKey = slots.reserve();
    slots.start(key, LocalWaker::new(Waker::noop()), meta, false);
    let interrupted = Answer::synthetic(libc::EINTR);
    if early {
        drop(slots.complete(key.index, key.sequence as u32, interrupted));
    }
    slots.asked_by_fd(7, false);
    slots.asked_by_fd(-1, false);
    if !early {
        drop(slots.complete(key.index, key.sequence as u32, interrupted));
    }
    slots.poll(key, Waker::noop(), true)
}

#[test]
fn only_ops_on_the_file_are_marked() {
    for early in [false, true] {
        let mut slots = Slots::new(Arc::new(Counters::new()));
        let on = |fd, fixed, opcode| Meta { fd, fixed, opcode, ..meta() };
        let meant = polled(&mut slots, on(7, false, 0), early);
        assert!(matches!(meant, Polled::Ready(_, Ask::Cancel)));
        let socket = io_uring::opcode::Socket::CODE;
        for (fd, fixed, opcode) in [(8, false, 0), (7, true, 0), (-1, false, 0), (7, false, socket)]
        {
            let stranger = polled(&mut slots, on(fd, fixed, opcode), early);
            assert!(matches!(stranger, Polled::Restart), "{fd} {fixed} {opcode}");
        }
    }
}
