//! `PooledBuf`: bytes that the kernel has received, in a buffer that goes back when it is dropped.
//!
//! # Safety
//!
//! P2 of the folder: a `PooledBuf` is the only one of its buffer, or of its part of it, so these
//! bytes are its own as long as it lives. All are initialised: the memory was zeroed when mapped.

#![allow(unsafe_code)]

use std::fmt;
use std::ops::Deref;
use std::rc::Rc;

use super::BufPool;
use crate::buf::IoBuf;

/// Received bytes, in a buffer that the kernel chose from the pool of this core, or in memory of
/// their own.
///
/// Dropping it gives the buffer back, and whoever waits for one goes on. Who holds many holds
/// others up: copy what is to be kept ([`into_vec`](PooledBuf::into_vec)). Beyond
/// [`BufferPool::held_max`](crate::runtime::BufferPool::held_max) that is done already.
///
/// An item of [`RecvIncremental`](crate::op::RecvIncremental) is a part of a buffer, which goes
/// back with the last of its parts.
///
/// It stays on its thread, and outlives its runtime if need be.
///
/// # Examples
///
/// ```
/// use std::io::Write;
/// use std::os::unix::net::UnixStream;
///
/// use ringspun::op::{self, BufClass, RecvSelect, SharedFd};
///
/// # fn main() -> std::io::Result<()> {
/// let (ours, mut peer) = UnixStream::pair()?;
/// peer.write_all(b"PING 7")?;
/// let runtime = ringspun::runtime::Runtime::new()?;
/// runtime.block_on(async {
///     let Some(group) = op::buf_group(BufClass::Small) else {
///         return Ok(()); // Linux before 5.19
///     };
///     let mut buf = op::submit(RecvSelect::new(SharedFd::new(ours), group, 0)).await?;
///     assert_eq!(&buf[..4], b"PING");
///     buf.advance(5);
///     assert_eq!(buf.into_vec(), b"7");
///     Ok(())
/// })
/// # }
/// ```
#[derive(Default)]
pub struct PooledBuf {
    /// Where the bytes begin in their memory. `start + len` is within it. P2: it only shrinks.
    start: usize,
    len: usize,
    memory: Memory,
}

enum Memory {
    Private(Vec<u8>),
    /// This number of that pool.
    Pooled(Pooled),
}

/// One buffer of a pool that is out, or a share of one. P2: the only one of these bytes.
struct Pooled {
    pool: Rc<BufPool>,
    id: u16,
}

impl Pooled {
    /// Only of the range of the `PooledBuf`: the rest may be another's, or the kernel's.
    #[inline]
    fn bytes(&self, start: usize, len: usize) -> &[u8] {
        let size = self.pool.buf_len();
        assert!(start <= size && len <= size - start, "a buffer has ended before its bytes");
        let at = self.pool.memory.buffer(self.id).wrapping_add(start);
        // SAFETY: P2: nobody else has these bytes, and the kernel does not until they are given
        // back; P3: mapped as long as the pool lives, and within the buffer; they are initialised.
        unsafe { std::slice::from_raw_parts(at, len) }
    }
}

impl Drop for Pooled {
    #[inline]
    fn drop(&mut self) {
        self.pool.give_back(self.id);
    }
}

impl Default for Memory {
    fn default() -> Memory {
        Memory::Private(Vec::new())
    }
}

impl PooledBuf {
    /// The first `len` bytes of a buffer that `Book::take` has just given.
    #[inline]
    pub(super) fn taken(pool: Rc<BufPool>, id: u16, len: usize) -> PooledBuf {
        let len = len.min(pool.buf_len());
        PooledBuf { start: 0, len, memory: Memory::Pooled(Pooled { pool, id }) }
    }

    /// The part of a buffer that `Pieces::take` has just given.
    pub(super) fn piece(pool: Rc<BufPool>, id: u16, start: usize, len: usize) -> PooledBuf {
        PooledBuf { start, len, memory: Memory::Pooled(Pooled { pool, id }) }
    }

    /// The bytes in memory of their own; the buffer goes back.
    #[cold]
    pub(super) fn into_private(self) -> PooledBuf {
        PooledBuf::from(self.into_vec())
    }

    /// How many bytes there are. None, if it was the end of a stream or an empty datagram.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// True if there are no bytes.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Drops `count` bytes at the front.
    ///
    /// # Panics
    ///
    /// If there are fewer.
    #[track_caller]
    #[inline]
    pub fn advance(&mut self, count: usize) {
        assert!(count <= self.len, "cannot drop {count} bytes of {}", self.len);
        self.start += count;
        self.len -= count;
    }

    /// Keeps the first `len` bytes; with fewer there is nothing to do.
    #[inline]
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// The bytes as a vector: copied out of a pooled buffer, which goes back.
    #[must_use]
    pub fn into_vec(self) -> Vec<u8> {
        match self.memory {
            Memory::Private(mut bytes) => {
                bytes.truncate(self.start + self.len);
                bytes.drain(..self.start);
                bytes
            }
            Memory::Pooled(pooled) => pooled.bytes(self.start, self.len).to_vec(),
        }
    }

    /// True if dropping it gives a buffer back to the pool; false if its memory is its own.
    #[must_use]
    pub fn is_pooled(&self) -> bool {
        matches!(self.memory, Memory::Pooled(_))
    }
}

impl Deref for PooledBuf {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match &self.memory {
            Memory::Private(bytes) => &bytes[self.start..self.start + self.len],
            Memory::Pooled(pooled) => pooled.bytes(self.start, self.len),
        }
    }
}

impl AsRef<[u8]> for PooledBuf {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl From<Vec<u8>> for PooledBuf {
    /// Memory of its own.
    fn from(bytes: Vec<u8>) -> PooledBuf {
        PooledBuf { start: 0, len: bytes.len(), memory: Memory::Private(bytes) }
    }
}

// SAFETY: B1: the bytes are in a vector's allocation or in the pool's mapping, which lives as long
// as this value (P3). B2: `deref` borrows exactly these bytes, all initialised. B3: P2.
unsafe impl IoBuf for PooledBuf {
    #[inline]
    fn stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    #[inline]
    fn bytes_init(&self) -> usize {
        self.len
    }
}

impl fmt::Debug for PooledBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PooledBuf")
            .field("len", &self.len)
            .field("is_pooled", &self.is_pooled())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::PooledBuf;
    use crate::buf::IoBuf;

    #[test]
    fn a_private_one() {
        let mut buf = PooledBuf::from(b"hello world".to_vec());
        assert!(!buf.is_pooled() && buf.len() == 11);
        buf.advance(6);
        buf.truncate(100);
        buf.truncate(3);
        assert_eq!(&buf[..], b"wor");
        assert_eq!(buf.as_init(), b"wor");
        assert_eq!(buf.into_vec(), b"wor");
    }

    #[test]
    fn an_empty_one() {
        let mut buf = PooledBuf::default();
        assert!(buf.is_empty());
        buf.advance(0);
        assert!(!buf.stable_ptr().is_null());
        assert_eq!(buf.into_vec(), b"");
    }

    #[test]
    #[should_panic(expected = "cannot drop 4 bytes of 3")]
    fn more_than_there_is() {
        PooledBuf::from(vec![1, 2, 3]).advance(4);
    }
}
