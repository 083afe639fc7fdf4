//! What runs in the child between `fork` and `exec`.
//!
//! # Safety
//!
//! The one function here hands its caller's promise on to std.

#![allow(unsafe_code)]

use std::io;
use std::os::unix::process::CommandExt;

use super::Command;

impl Command {
    /// Runs `f` in the child just before the program starts.
    ///
    /// # Safety
    ///
    /// As [`CommandExt::pre_exec`]: between `fork` and `exec` only what is async-signal-safe may be
    /// done. Nothing of ringspun is: the ring belongs to the parent.
    pub unsafe fn pre_exec(
        &mut self,
        f: impl FnMut() -> io::Result<()> + Send + Sync + 'static,
    ) -> &mut Command {
        // SAFETY: the caller's promise.
        unsafe { self.as_std_mut().pre_exec(f) };
        self
    }
}
