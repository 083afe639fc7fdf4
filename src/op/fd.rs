//! Descriptors that stay open while an op uses them (O4).
//!
//! # Safety
//!
//! A shared descriptor is taken out of its owner once: by `try_unwrap`, which keeps that from being
//! dropped, or by the drop. The standard streams are borrowed for ever: std opens what of them is
//! closed before `main`, and closing them is not possible in safe code.

#![allow(unsafe_code)]

use std::cell::Cell;
use std::fmt;
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::rc::{Rc, Weak};
use std::sync::Arc;

use crate::ring::kernel::{IOSQE_FIXED_FILE, Sqe};

/// A descriptor with many owners on one core, among them the ops in flight on it. The last one
/// closes it.
#[derive(Clone, Debug)]
pub struct SharedFd(Rc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Always there, but for the time in which it is given away or closed.
    fd: ManuallyDrop<OwnedFd>,
    /// Its close may take long (`SO_LINGER`): it is not to happen on this core.
    lingers: Cell<bool>,
    /// Bytes have moved since somebody looked.
    moved: Cell<bool>,
    /// One op sends for as long as it takes.
    sending: Cell<bool>,
}

/// Sees whether a descriptor is used, and does not keep it open.
#[derive(Debug)]
pub(crate) struct FdWatch(Weak<Shared>);

impl FdWatch {
    /// Whether bytes have moved since the last call, which has left `sent`. `None`: the descriptor
    /// is gone.
    pub(crate) fn take_moved(&self, sent: &mut u64) -> Option<bool> {
        let shared = self.0.upgrade()?;
        let moved = shared.moved.replace(false);
        if moved || !shared.sending.get() {
            return Some(moved);
        }
        // How far the op is only the kernel knows; of a Unix socket it does not tell.
        let now = super::now_message::bytes_acknowledged(shared.fd.as_fd());
        Some(now.map_or(true, |now| std::mem::replace(sent, now) != now))
    }
}

impl SharedFd {
    /// Takes a descriptor over.
    pub fn new(fd: impl Into<OwnedFd>) -> SharedFd {
        let fd = ManuallyDrop::new(fd.into());
        let (lingers, moved, sending) = Default::default();
        SharedFd(Rc::new(Shared { fd, lingers, moved, sending }))
    }

    /// The descriptor itself, if nobody else owns it, no op either.
    ///
    /// # Errors
    ///
    /// Gives itself back while there are other owners.
    pub fn try_unwrap(self) -> Result<OwnedFd, SharedFd> {
        let shared = Rc::try_unwrap(self.0).map_err(SharedFd)?;
        let mut shared = ManuallyDrop::new(shared);
        // SAFETY: O4: it is taken once: `shared` is never dropped, nor used again.
        Ok(unsafe { ManuallyDrop::take(&mut shared.fd) })
    }

    /// Whether its close may take long.
    pub(crate) fn lingers(&self) -> bool {
        self.0.lingers.get()
    }

    /// Says whether its close may take long.
    pub(crate) fn set_lingers(&self, lingers: bool) {
        self.0.lingers.set(lingers);
    }

    /// Says that bytes have moved.
    #[inline]
    pub(crate) fn note_moved(&self) {
        self.0.moved.set(true);
    }

    /// Says whether one op sends for as long as it takes.
    pub(crate) fn set_sending(&self, sending: bool) {
        self.0.sending.set(sending);
    }

    /// For who wants to know whether it is used.
    pub(crate) fn watch(&self) -> FdWatch {
        FdWatch(Rc::downgrade(&self.0))
    }

    /// How many owners there are.
    #[must_use]
    pub fn owners(&self) -> usize {
        Rc::strong_count(&self.0)
    }
}

impl AsFd for SharedFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.fd.as_fd()
    }
}

impl AsRawFd for SharedFd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.fd.as_raw_fd()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: O4: it is taken once: this is the drop, and `try_unwrap` prevents it.
        let fd = unsafe { ManuallyDrop::take(&mut self.fd) };
        if self.lingers.get() {
            super::close::close_aside(fd);
        }
    }
}

impl From<OwnedFd> for SharedFd {
    fn from(fd: OwnedFd) -> SharedFd {
        SharedFd::new(fd)
    }
}

/// The index of a registered file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fixed(pub u32);

/// The current working directory, for the operations that take a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cwd;

/// The current working directory.
pub const CWD: Cwd = Cwd;

/// A descriptor as an op owns it. Made by [`IntoOpFd`].
pub struct OpFd {
    raw: RawFd,
    keep: Keep,
}

enum Keep {
    Forever,
    Fixed,
    Owned(OwnedFd),
    Shared(SharedFd),
    Rc(#[allow(dead_code, reason = "keeps it open")] Rc<dyn AsFd>),
    Arc(#[allow(dead_code, reason = "keeps it open")] Arc<dyn AsFd>),
    Again(Rc<OpFd>),
}

impl OpFd {
    /// Names the descriptor in an entry.
    #[inline]
    pub fn set(&self, sqe: &mut Sqe) {
        sqe.fd = self.raw;
        if self.is_fixed() {
            sqe.flags |= IOSQE_FIXED_FILE;
        }
    }

    /// The number of the descriptor, or the index of the registered file.
    #[must_use]
    pub fn raw(&self) -> RawFd {
        self.raw
    }

    /// True for an index of a registered file.
    #[must_use]
    pub fn is_fixed(&self) -> bool {
        match &self.keep {
            Keep::Fixed => true,
            Keep::Again(shared) => shared.is_fixed(),
            _ => false,
        }
    }

    /// Its close may take long.
    pub(super) fn lingers(&self) -> bool {
        matches!(&self.keep, Keep::Shared(fd) if fd.lingers())
    }

    /// The same descriptor for one more op: for what submits several on it, one after the other.
    pub(crate) fn again(shared: &Rc<OpFd>) -> OpFd {
        OpFd { raw: shared.raw, keep: Keep::Again(Rc::clone(shared)) }
    }

    /// The number, for the fields of an entry in which the kernel looks for a number only: there
    /// an index would name a stranger.
    pub(crate) fn plain(&self) -> Option<RawFd> {
        (!self.is_fixed()).then_some(self.raw)
    }

    /// The error of an op that needs a number and was given an index.
    pub(crate) fn check_plain(&self) -> io::Result<()> {
        if !self.is_fixed() {
            return Ok(());
        }
        Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "a registered file cannot be used here: the kernel takes a descriptor only",
        ))
    }

    /// The descriptor, if the op is its only owner.
    pub(crate) fn into_owned(self) -> Result<OwnedFd, OpFd> {
        match self.keep {
            Keep::Owned(fd) => Ok(fd),
            Keep::Shared(fd) => {
                fd.try_unwrap().map_err(|fd| OpFd { raw: self.raw, keep: Keep::Shared(fd) })
            }
            keep => Err(OpFd { raw: self.raw, keep }),
        }
    }
}

impl fmt::Debug for OpFd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OpFd").field(&self.raw).finish()
    }
}

/// What an op can take as its descriptor: something that it can own, so that the number is never
/// given to somebody else while the kernel uses it.
///
/// - [`SharedFd`] (or `&SharedFd`): the usual one.
/// - [`OwnedFd`]: the op is the only owner; it is closed with it.
/// - `Rc<T>`, `Arc<T>` of anything that has a descriptor (`Rc<std::net::TcpStream>`).
/// - `BorrowedFd<'static>`: the standard streams, [`stdin`], [`stdout`], [`stderr`]. A bare number
///   needs `unsafe { BorrowedFd::borrow_raw(n) }`.
/// - [`Fixed`]: a registered file. [`CWD`]: where a directory is wanted.
///
/// A bare number is not enough:
///
/// ```compile_fail
/// fn takes(fd: impl ringspun::op::IntoOpFd) {}
/// takes(3_i32);
/// ```
pub trait IntoOpFd {
    /// Hands the descriptor to an op.
    fn into_op_fd(self) -> OpFd;
}

impl IntoOpFd for OpFd {
    fn into_op_fd(self) -> OpFd {
        self
    }
}

impl IntoOpFd for SharedFd {
    #[inline]
    fn into_op_fd(self) -> OpFd {
        OpFd { raw: self.as_raw_fd(), keep: Keep::Shared(self) }
    }
}

impl IntoOpFd for &SharedFd {
    #[inline]
    fn into_op_fd(self) -> OpFd {
        self.clone().into_op_fd()
    }
}

impl IntoOpFd for OwnedFd {
    fn into_op_fd(self) -> OpFd {
        OpFd { raw: self.as_raw_fd(), keep: Keep::Owned(self) }
    }
}

impl IntoOpFd for BorrowedFd<'static> {
    fn into_op_fd(self) -> OpFd {
        OpFd { raw: self.as_raw_fd(), keep: Keep::Forever }
    }
}

impl IntoOpFd for Fixed {
    fn into_op_fd(self) -> OpFd {
        // The kernel answers EBADF to an index beyond its table, also to these.
        OpFd { raw: i32::try_from(self.0).unwrap_or(i32::MAX), keep: Keep::Fixed }
    }
}

impl IntoOpFd for Cwd {
    fn into_op_fd(self) -> OpFd {
        OpFd { raw: libc::AT_FDCWD, keep: Keep::Forever }
    }
}

impl<T: AsFd + 'static> IntoOpFd for Rc<T> {
    fn into_op_fd(self) -> OpFd {
        OpFd { raw: self.as_fd().as_raw_fd(), keep: Keep::Rc(self) }
    }
}

impl<T: AsFd + 'static> IntoOpFd for Arc<T> {
    fn into_op_fd(self) -> OpFd {
        OpFd { raw: self.as_fd().as_raw_fd(), keep: Keep::Arc(self) }
    }
}

/// Standard input.
#[must_use]
pub fn stdin() -> BorrowedFd<'static> {
    // SAFETY: see the head of this file.
    unsafe { BorrowedFd::borrow_raw(libc::STDIN_FILENO) }
}

/// Standard output.
#[must_use]
pub fn stdout() -> BorrowedFd<'static> {
    // SAFETY: see the head of this file.
    unsafe { BorrowedFd::borrow_raw(libc::STDOUT_FILENO) }
}

/// Standard error.
#[must_use]
pub fn stderr() -> BorrowedFd<'static> {
    // SAFETY: see the head of this file.
    unsafe { BorrowedFd::borrow_raw(libc::STDERR_FILENO) }
}
