//! Buffers and files that are registered with a ring.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::ops::{Deref, DerefMut};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

use super::buf_ring::{BufferPool, Pools};
use super::{Counters, Ring};

/// What is registered now, to be undone at teardown.
#[derive(Debug)]
pub(crate) struct Registered {
    buffers: Cell<bool>,
    files: Cell<bool>,
    pub(super) pools: Pools,
}

impl Registered {
    pub(super) fn new(buffer_pool: BufferPool, counters: Arc<Counters>) -> Registered {
        Registered {
            buffers: Cell::new(false),
            files: Cell::new(false),
            pools: Pools::new(buffer_pool, counters),
        }
    }
}

/// A registered buffer: memory whose pages the kernel has pinned and mapped once, so that each
/// `read_fixed` and `write_fixed` is spared that work.
///
/// Made by [`AsyncIoUring::register_buffers`](crate::uring::AsyncIoUring::register_buffers). It
/// behaves like a `Vec<u8>` that never grows: the kernel knows its address.
pub struct FixedBuf {
    memory: Vec<u8>,
    index: u16,
    ring: u32,
}

impl FixedBuf {
    /// Its index among the ring's registered buffers.
    #[must_use]
    pub fn index(&self) -> u16 {
        self.index
    }

    /// How many bytes fit.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.memory.capacity()
    }

    /// Forgets the content.
    pub fn clear(&mut self) {
        self.memory.clear();
    }

    /// Appends as much of `bytes` as fits; answers how much that was.
    pub fn fill_from(&mut self, bytes: &[u8]) -> usize {
        let room = self.memory.capacity() - self.memory.len();
        let count = room.min(bytes.len());
        self.memory.extend_from_slice(&bytes[..count]);
        count
    }

    /// The ring it is registered with.
    #[allow(dead_code, reason = "read by the fixed ops")]
    pub(crate) fn ring_id(&self) -> u32 {
        self.ring
    }

    pub(crate) fn memory(&self) -> &Vec<u8> {
        &self.memory
    }

    /// The caller must not make it reallocate.
    pub(crate) fn memory_mut(&mut self) -> &mut Vec<u8> {
        &mut self.memory
    }
}

impl Deref for FixedBuf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.memory
    }
}

impl DerefMut for FixedBuf {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.memory
    }
}

impl fmt::Debug for FixedBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FixedBuf")
            .field("index", &self.index)
            .field("len", &self.memory.len())
            .field("capacity", &self.memory.capacity())
            .finish_non_exhaustive()
    }
}

impl Ring {
    /// Registers these buffers: all at once, as the kernel wants it.
    pub(crate) fn register_buffers(&self, buffers: Vec<Vec<u8>>) -> io::Result<Vec<FixedBuf>> {
        if buffers.len() > usize::from(u16::MAX) || buffers.iter().any(|b| b.capacity() == 0) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "registered buffers: 1 to 65535 of them, each with a capacity above 0",
            ));
        }
        let mut buffers = buffers;
        self.with_kernel(|kernel| kernel.register_buffers(&mut buffers))?;
        self.registered.buffers.set(true);
        let fixed = buffers.into_iter().zip(0_u16..);
        Ok(fixed.map(|(memory, index)| FixedBuf { memory, index, ring: self.id }).collect())
    }

    pub(crate) fn unregister_buffers(&self) -> io::Result<()> {
        self.with_kernel(|kernel| kernel.unregister_buffers())?;
        self.registered.buffers.set(false);
        Ok(())
    }

    /// The kernel takes references of its own; the descriptors may be closed afterwards.
    pub(crate) fn register_files(&self, files: &[OwnedFd]) -> io::Result<()> {
        let raw: Vec<i32> = files.iter().map(AsRawFd::as_raw_fd).collect();
        self.with_kernel(|kernel| kernel.register_files(&raw))?;
        self.registered.files.set(true);
        Ok(())
    }

    /// Puts files (or holes) into the places from `offset` on.
    pub(crate) fn register_files_update(
        &self,
        offset: u32,
        files: &[Option<OwnedFd>],
    ) -> io::Result<usize> {
        let raw: Vec<i32> =
            files.iter().map(|file| file.as_ref().map_or(-1, AsRawFd::as_raw_fd)).collect();
        self.with_kernel(|kernel| kernel.register_files_update(offset, &raw))
    }

    pub(crate) fn unregister_files(&self) -> io::Result<()> {
        self.with_kernel(|kernel| kernel.unregister_files())?;
        self.registered.files.set(false);
        Ok(())
    }

    /// Runs `call` on the kernel. Not for user code: the ring is borrowed.
    pub(crate) fn with_kernel<T>(
        &self,
        call: impl FnOnce(&super::Kernel) -> io::Result<T>,
    ) -> io::Result<T> {
        match &self.inner.borrow().kernel {
            Some(kernel) => call(kernel),
            None => Err(super::closed()),
        }
    }

    /// Teardown: the kernel lets go of pages and files before the ring is closed.
    /// `drained`: no op is left in flight.
    pub(crate) fn unregister_all(&self, drained: bool) {
        self.registered
            .pools
            .close(drained, |group| self.with_kernel(|kernel| kernel.unregister_buf_ring(group)));
        if self.registered.buffers.get() {
            let _ = self.unregister_buffers();
        }
        if self.registered.files.get() {
            let _ = self.unregister_files();
        }
    }
}
