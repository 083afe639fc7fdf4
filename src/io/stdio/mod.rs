//! Standard input, output and error.
//!
//! These descriptors are shared with other processes, so their flags are never changed: all goes
//! by operations that wait in the kernel, with buffers of our own. The operations belong to the
//! core, not to the handle nor to its futures: all handles on a core stand in one line.

mod input;
mod output;

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

pub use self::input::{Stdin, stdin};
pub use self::output::{Stderr, Stdout, stderr, stdout};
use crate::op;

impl AsFd for Stdin {
    fn as_fd(&self) -> BorrowedFd<'_> {
        op::stdin()
    }
}

impl AsRawFd for Stdin {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl AsFd for Stdout {
    fn as_fd(&self) -> BorrowedFd<'_> {
        op::stdout()
    }
}

impl AsRawFd for Stdout {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl AsFd for Stderr {
    fn as_fd(&self) -> BorrowedFd<'_> {
        op::stderr()
    }
}

impl AsRawFd for Stderr {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}
