//! The memory of a buffer ring: where we offer buffers to the kernel, and the buffers.
//!
//! ```text
//!  entries  | addr len id | addr len id | ...      tail: how many were ever offered
//!               |             |
//!  buffers  |  0  |  1  |  2  | ...                mapped, touched by whoever fills them first
//! ```
//!
//! The kernel takes entries from its own head up to the tail that we publish. To an entry it writes
//! only if buffers are filled piece by piece, while it is the one at the head (`addr`, `len`); and
//! to a buffer only from the moment its entry is published until the completion that names it. One
//! that is filled piece by piece it fills further until a completion says that this was the last.
//!
//! # Safety
//!
//! The mappings live as long as the value. Who drops it has unregistered the ring, with no op in
//! flight that could have taken a buffer; else it has to be leaked. All memory is zeroed by the
//! kernel, so each byte of a buffer is initialised before anybody wrote to it.

#![allow(unsafe_code)]
#![cfg_attr(ringspun_model, allow(dead_code, reason = "the model has no buffer rings"))]

use std::io;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU16, Ordering};

/// The most entries that the kernel takes.
pub(crate) const BUF_RING_ENTRIES_MAX: usize = 1 << 15;

/// What lies between buffers: a cache line. Buffers of whole pages would all begin in the same set
/// of the cache, and short messages push each other out of it.
const COLOUR: usize = 64;

/// `struct io_uring_buf`. The last field of the first entry is the ring's tail.
#[repr(C)]
struct Entry {
    addr: u64,
    len: u32,
    id: u16,
    tail: u16,
}

const _: () = assert!(size_of::<Entry>() == 16);

/// The entries and the buffers of one group.
#[derive(Debug)]
pub(crate) struct BufRing {
    entries: Pages,
    buffers: Pages,
    group: u16,
    count: u16,
    mask: u16,
    size: u32,
    stride: usize,
}

impl BufRing {
    /// Maps `count` buffers of `size` bytes, and room to offer them all at once.
    pub(crate) fn map(group: u16, count: u16, size: u32) -> io::Result<BufRing> {
        let too_many = || io::Error::from(io::ErrorKind::InvalidInput);
        let entries = usize::from(count).checked_next_power_of_two().ok_or_else(too_many)?;
        if count == 0 || size == 0 || entries > BUF_RING_ENTRIES_MAX {
            return Err(too_many());
        }
        let stride = (size as usize).checked_add(COLOUR).ok_or_else(too_many)?;
        let bytes = usize::from(count).checked_mul(stride).ok_or_else(too_many)?;
        let ring = Pages::map(entries * size_of::<Entry>())?;
        // The kernel has pinned these pages: a child that shared them would take them from us.
        ring.keep_from_children();
        Ok(BufRing {
            entries: ring,
            buffers: Pages::map(bytes)?,
            group,
            count,
            mask: (entries - 1) as u16,
            size,
            stride,
        })
    }

    pub(crate) fn group(&self) -> u16 {
        self.group
    }

    pub(crate) fn count(&self) -> u16 {
        self.count
    }

    #[inline]
    pub(crate) fn size(&self) -> u32 {
        self.size
    }

    /// How many entries there are: a power of two.
    pub(crate) fn entries(&self) -> u16 {
        self.mask + 1
    }

    pub(crate) fn entries_address(&self) -> u64 {
        self.entries.start.as_ptr() as u64
    }

    /// Where buffer `id` begins.
    #[inline]
    pub(crate) fn buffer(&self, id: u16) -> *mut u8 {
        assert!(id < self.count, "there is no such buffer");
        self.buffers.start.as_ptr().wrapping_add(usize::from(id) * self.stride)
    }

    /// Writes the entry that will be offered when the tail is published beyond `tail`.
    ///
    /// # Safety
    ///
    /// Nobody else uses the buffer, and nobody will until a completion names it; at most as many
    /// buffers are offered at a time as there are entries.
    #[inline]
    pub(crate) unsafe fn write(&self, tail: u16, id: u16) {
        let addr = self.buffer(id) as u64;
        let at = usize::from(tail & self.mask);
        let entry = self.entries.start.cast::<Entry>().as_ptr().wrapping_add(at);
        // SAFETY: `at` is below the number of entries, which are mapped; the kernel reads only what
        // is between its head and the tail, and this is not. The tail, which lies in the first
        // entry, is left alone.
        unsafe { (*entry).addr = addr };
        // SAFETY: as above.
        unsafe { (*entry).len = self.size };
        // SAFETY: as above.
        unsafe { (*entry).id = id };
    }

    /// Offers all that was written before `tail`.
    #[inline]
    pub(crate) fn publish(&self, tail: u16) {
        let place = self.entries.start.as_ptr().wrapping_add(std::mem::offset_of!(Entry, tail));
        // SAFETY: the field is mapped and aligned; the kernel reads it by one load, and only this
        // thread (R1) writes it, only here.
        let shared = unsafe { AtomicU16::from_ptr(place.cast()) };
        // What was done to buffers and entries is seen by who sees this.
        shared.store(tail, Ordering::Release);
    }
}

/// Private memory from the system, all zero, not touched yet.
#[derive(Debug)]
struct Pages {
    start: NonNull<u8>,
    len: usize,
}

impl Pages {
    fn map(len: usize) -> io::Result<Pages> {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: no address is asked for, so nothing that exists is touched.
        let start = unsafe { libc::mmap(ptr::null_mut(), len, access, kind, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        match NonNull::new(start.cast()) {
            Some(start) => Ok(Pages { start, len }),
            None => Err(io::ErrorKind::OutOfMemory.into()),
        }
    }

    fn keep_from_children(&self) {
        // SAFETY: the pages are ours; in this process nothing changes.
        unsafe { libc::madvise(self.start.as_ptr().cast(), self.len, libc::MADV_DONTFORK) };
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: mapped by `map` with this length, and unmapped once; see the head of this file.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}
