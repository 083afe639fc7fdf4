//! The `msghdr` of `sendmsg` and `recvmsg`, and all that it points to.
//!
//! ```text
//!  op: Box --> header --+--> address      in the same box
//!                       +--> iovecs       on the heap, and from there to the buffers (B1)
//!                       +--> control      on the heap
//! ```
//!
//! # Safety
//!
//! A `msghdr` is numbers and pointers; zero is one of its values. What it points to stays as long
//! as the box and is not touched between `describe` and the last completion (O6).

#![allow(unsafe_code)]

use std::fmt;

use socket2::{SockAddr, SockAddrStorage};

use super::Control;
use crate::buf::{IoVec, IoVectoredBuf, IoVectoredBufMut};

/// `MSG_CMSG_COMPAT`: the message is laid out as 32-bit programs have it.
const COMPAT: u32 = 0x8000_0000;
/// `MSG_SENDPAGE_NOPOLICY`, `MSG_NO_SHARED_FRAGS`, `MSG_SENDPAGE_DECRYPTED`, `MSG_SPLICE_PAGES`:
/// the kernel's own. The last makes it go on using the memory after the op has ended.
const INTERNAL: u32 = 0x1_0000 | 0x8_0000 | 0x10_0000 | 0x800_0000;
/// `MSG_SOCK_DEVMEM`: what is counted is not in the buffers.
const DEVICE_MEMORY: u32 = 0x200_0000;

/// The flags of a send: never the signal, and no memory in use after the end.
pub(super) fn send_flags(flags: u32) -> u32 {
    const AWAY: u32 = libc::MSG_ZEROCOPY as u32 | COMPAT | INTERNAL;
    (flags | libc::MSG_NOSIGNAL as u32) & !AWAY
}

/// The flags of a receive: what is counted is in the buffers.
pub(super) fn recv_flags(flags: u32) -> u32 {
    flags & !(COMPAT | DEVICE_MEMORY)
}

/// A message to be sent.
pub(super) struct Outgoing {
    header: libc::msghdr,
    iovecs: Vec<IoVec>,
    pub(super) address: Option<SockAddr>,
    pub(super) control: Control,
}

impl Outgoing {
    pub(super) fn new() -> Outgoing {
        let (iovecs, control) = (Vec::new(), Control::new());
        Outgoing { header: empty(), iovecs, address: None, control }
    }

    /// Points the header to everything; answers its address.
    pub(super) fn describe(&mut self, bufs: &impl IoVectoredBuf) -> u64 {
        self.iovecs.clear();
        bufs.iovecs(&mut self.iovecs);
        self.header = empty();
        self.header.msg_iov = self.iovecs.as_ptr().cast_mut().cast();
        self.header.msg_iovlen = self.iovecs.len() as _;
        if let Some(address) = &self.address {
            self.header.msg_name = address.as_ptr().cast_mut().cast();
            self.header.msg_namelen = address.len();
        }
        let control = self.control.as_bytes();
        if !control.is_empty() {
            self.header.msg_control = control.as_ptr().cast_mut().cast();
            self.header.msg_controllen = control.len() as _;
        }
        &raw mut self.header as u64
    }
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing")
            .field("address", &self.address)
            .field("control", &self.control)
            .finish_non_exhaustive()
    }
}

/// A message to be received.
pub(super) struct Incoming {
    header: libc::msghdr,
    storage: SockAddrStorage,
    iovecs: Vec<IoVec>,
    /// Zeros, up to what the kernel has written.
    pub(super) control: Vec<u8>,
}

impl Incoming {
    pub(super) fn new() -> Incoming {
        let storage = SockAddrStorage::zeroed();
        Incoming { header: empty(), storage, iovecs: Vec::new(), control: Vec::new() }
    }

    /// Points the header to everything; answers its address.
    pub(super) fn describe(&mut self, bufs: &mut impl IoVectoredBufMut) -> u64 {
        self.iovecs.clear();
        bufs.iovecs_mut(&mut self.iovecs);
        self.control.fill(0);
        self.storage = SockAddrStorage::zeroed();
        self.header = empty();
        self.header.msg_iov = self.iovecs.as_mut_ptr().cast();
        self.header.msg_iovlen = self.iovecs.len() as _;
        self.header.msg_namelen = self.storage.size_of();
        self.header.msg_name = (&raw mut self.storage).cast();
        if !self.control.is_empty() {
            self.header.msg_control = self.control.as_mut_ptr().cast();
            self.header.msg_controllen = self.control.len() as _;
        }
        &raw mut self.header as u64
    }

    /// Zeroes the buffers that `describe` named.
    pub(super) fn zero(&self) {
        for iovec in &self.iovecs {
            // SAFETY: B1, B2: so many bytes may be written there, and nobody else uses them.
            unsafe { iovec.ptr().write_bytes(0, iovec.len()) };
        }
    }

    /// How many bytes the buffers take in all.
    pub(super) fn room(&self) -> usize {
        self.iovecs.iter().fold(0, |sum, iovec| sum.saturating_add(iovec.len()))
    }

    /// The flags that the kernel has given back, without the one that is always set.
    pub(super) fn flags(&self) -> u32 {
        self.header.msg_flags as u32 & !(libc::MSG_CMSG_CLOEXEC as u32)
    }

    /// Where the message came from, if the socket is of a kind that says so.
    ///
    /// # Safety
    ///
    /// The kernel has filled the message, with success.
    pub(super) unsafe fn address(self) -> Option<SockAddr> {
        let (storage, told) = (self.storage, self.header.msg_namelen);
        // An address that did not fit is cut; its length is told in full.
        let len = told.min(storage.size_of());
        let has_family = len as usize >= size_of::<libc::sa_family_t>();
        // SAFETY: the kernel wrote a socket address of `len` bytes, and the rest is zero.
        has_family.then(|| unsafe { SockAddr::new(storage, len) })
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming").finish_non_exhaustive()
    }
}

fn empty() -> libc::msghdr {
    // SAFETY: see the head of this file.
    unsafe { std::mem::zeroed() }
}
