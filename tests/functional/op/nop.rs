//! `NOP`.

use std::io;

use ringspun::op::{Completion, Nop, Op, Sqe, Submission, submit};

use super::suite::{self, Case};
use crate::support::Buffers;

/// A no-op, or one that the kernel refuses for its flags.
struct Checked {
    nop: Nop,
    flags: u32,
}

// SAFETY: O1: as `Nop`: no pointer, no descriptor, whatever the flags.
#[allow(unsafe_code, reason = "an op of one's own")]
unsafe impl Op for Checked {
    type Output = io::Result<()>;

    fn prepare(&mut self) -> Sqe {
        let mut sqe = self.nop.prepare();
        sqe.op_flags = self.flags;
        sqe
    }

    unsafe fn complete(self, completion: Completion) -> io::Result<()> {
        // SAFETY: the completion of the entry that the inner op prepared.
        unsafe { self.nop.complete(completion) }
    }
}

impl Case for Checked {
    type Op = Checked;

    const WAITS: bool = false;
    const ERRNO: i32 = libc::EINVAL;

    fn new(_: &Buffers) -> Checked {
        Checked { nop: Nop::new(), flags: 0 }
    }

    fn op(&mut self) -> Submission<Checked> {
        submit(Checked { nop: Nop::new(), flags: 0 })
    }

    fn check(&mut self, output: io::Result<()>) {
        output.expect("nothing can fail");
    }

    fn bad_op(&mut self) -> Submission<Checked> {
        submit(Checked { nop: Nop::new(), flags: 1 << 31 })
    }
}

#[test]
fn ok() {
    suite::ok::<Checked>();
}

#[test]
fn error() {
    suite::error::<Checked>();
}

#[test]
fn timeout() {
    suite::timeout::<Checked>();
}

#[test]
fn cancelled() {
    suite::cancelled::<Checked>();
}

#[test]
fn dropped_before_poll() {
    suite::dropped_before_poll::<Checked>();
}

#[test]
fn dropped_in_flight() {
    suite::dropped_in_flight::<Checked>();
}

#[test]
fn completed_then_dropped() {
    suite::completed_then_dropped::<Checked>();
}

#[test]
fn runtime_shut_down() {
    suite::runtime_shut_down::<Checked>();
}
