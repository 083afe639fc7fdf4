//! `IORING_OP_NOP`: nothing, through the whole machine.

#![allow(unsafe_code)]

use std::io;

use io_uring::opcode;

use super::{Completion, Op};
use crate::ring::kernel::Sqe;

/// Does nothing. For measurements, and to pass through the ring once. Linux 5.1.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nop;

impl Nop {
    /// Makes one.
    #[must_use]
    #[inline]
    pub fn new() -> Nop {
        Nop
    }
}

// SAFETY: O1: the entry has no pointer and no descriptor.
unsafe impl Op for Nop {
    type Output = io::Result<()>;

    #[inline]
    fn prepare(&mut self) -> Sqe {
        Sqe::new(opcode::Nop::CODE)
    }

    #[inline]
    unsafe fn complete(self, completion: Completion) -> io::Result<()> {
        completion.into_result().map(drop)
    }
}
