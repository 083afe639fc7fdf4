//! `AlignedBuf`: memory for direct I/O.
//!
//! A file opened with `O_DIRECT` wants address, length and file offset to be multiples of the
//! device's block size. A `Vec<u8>` promises no alignment and would lose it when it grows.
//!
//! # Safety
//!
//! A1: `ptr` is an allocation of `layout`, owned by this value alone, or dangling if the layout's
//! size is 0. A2: the first `len` bytes are initialised and `len` is at most the layout's size.

#![allow(unsafe_code)]

use std::alloc::{self, Layout};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use super::{IoBuf, IoBufMut};

/// A buffer of fixed capacity at an aligned address, for direct I/O.
///
/// Like a `Vec<u8>` it has a length, which is how much of it is initialised, and dereferences to
/// these bytes. It never grows beyond its capacity: that would move it.
///
/// # Examples
///
/// ```
/// use ringspun::buf::{AlignedBuf, IoBuf, IoBufMut};
///
/// let mut buf = AlignedBuf::new(8192, AlignedBuf::DIRECT_IO_ALIGN);
/// assert_eq!(buf.stable_ptr().addr() % 4096, 0);
/// assert_eq!((buf.len(), buf.capacity()), (0, 8192));
///
/// buf.extend_from_slice(b"block");
/// buf.resize(4096, 0);
/// assert_eq!(&buf[..6], b"block\0");
/// ```
pub struct AlignedBuf {
    ptr: NonNull<u8>,
    len: usize,
    layout: Layout,
}

// SAFETY: A1: nobody else has the memory, and bytes have no thread.
unsafe impl Send for AlignedBuf {}
// SAFETY: A1: `&self` gives reading access to bytes only.
unsafe impl Sync for AlignedBuf {}

impl AlignedBuf {
    /// An alignment that direct I/O takes on every usual block device: 4096.
    ///
    /// What a file really wants, `statx` says (`stx_dio_mem_align`).
    pub const DIRECT_IO_ALIGN: usize = 4096;

    /// An empty buffer with room for `capacity` bytes, at an address that is a multiple of `align`.
    ///
    /// # Panics
    ///
    /// If `align` is not a power of two, or `capacity` is beyond `isize::MAX`. Ends the process
    /// when memory has run out, as `Vec` does.
    #[track_caller]
    pub fn new(capacity: usize, align: usize) -> AlignedBuf {
        AlignedBuf::allocate(capacity, align, false)
    }

    /// A buffer of `len` zeros, full to its capacity.
    ///
    /// # Panics
    ///
    /// As [`new`](AlignedBuf::new).
    #[track_caller]
    pub fn zeroed(len: usize, align: usize) -> AlignedBuf {
        let mut buf = AlignedBuf::allocate(len, align, true);
        buf.len = len;
        buf
    }

    #[track_caller]
    fn allocate(capacity: usize, align: usize, zeroed: bool) -> AlignedBuf {
        let Ok(layout) = Layout::from_size_align(capacity, align) else {
            panic!(
                "no buffer of {capacity} bytes can be aligned to {align}: \
                 the alignment must be a power of two and the size below isize::MAX"
            );
        };
        let ptr = if capacity == 0 {
            std::ptr::without_provenance_mut(align)
        } else if zeroed {
            // SAFETY: the size is not 0.
            unsafe { alloc::alloc_zeroed(layout) }
        } else {
            // SAFETY: the size is not 0.
            unsafe { alloc::alloc(layout) }
        };
        let Some(ptr) = NonNull::new(ptr) else { alloc::handle_alloc_error(layout) };
        AlignedBuf { ptr, len: 0, layout }
    }

    /// How many bytes are initialised.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True if nothing is initialised.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many bytes there is room for.
    pub fn capacity(&self) -> usize {
        self.layout.size()
    }

    /// What the address is a multiple of.
    pub fn align(&self) -> usize {
        self.layout.align()
    }

    /// The initialised bytes.
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: A2, and A1: nobody writes to them while `self` is borrowed.
        unsafe { std::slice::from_raw_parts(self.ptr.as_ptr(), self.len) }
    }

    /// The initialised bytes, to be changed.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: A2, and A1: nobody else touches them while `self` is borrowed.
        unsafe { std::slice::from_raw_parts_mut(self.ptr.as_ptr(), self.len) }
    }

    /// Shortens to `len` bytes; does nothing if there are not more.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Shortens to nothing. The capacity stays.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// Makes it `len` bytes long; what is new is `value`.
    ///
    /// # Panics
    ///
    /// If `len` is beyond the capacity.
    #[track_caller]
    pub fn resize(&mut self, len: usize, value: u8) {
        if len > self.len {
            let count = len - self.len;
            let end = self.spare(count);
            // SAFETY: A1: `spare` says that `count` bytes may be written there.
            unsafe { end.write_bytes(value, count) };
        }
        self.len = len;
    }

    /// Appends `bytes`.
    ///
    /// # Panics
    ///
    /// If they do not fit.
    #[track_caller]
    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        let end = self.spare(bytes.len());
        // SAFETY: A1: `spare` says that so many bytes may be written there, and nobody else, so
        // not `bytes` either, is in the same memory.
        unsafe { end.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        self.len += bytes.len();
    }

    /// Where the next `count` bytes go, after a check that they fit.
    #[track_caller]
    fn spare(&mut self, count: usize) -> *mut u8 {
        let (len, capacity) = (self.len, self.capacity());
        assert!(
            count <= capacity - len,
            "{count} more bytes do not fit: length {len}, capacity {capacity}"
        );
        self.ptr.as_ptr().wrapping_add(len)
    }
}

impl Drop for AlignedBuf {
    fn drop(&mut self) {
        if self.layout.size() != 0 {
            // SAFETY: A1: allocated with this layout, and given back once.
            unsafe { alloc::dealloc(self.ptr.as_ptr(), self.layout) };
        }
    }
}

// SAFETY: B1: the bytes are in the allocation, which a move leaves alone. B2: A2. B3: A1.
unsafe impl IoBuf for AlignedBuf {
    #[inline]
    fn stable_ptr(&self) -> *const u8 {
        self.ptr.as_ptr()
    }

    #[inline]
    fn bytes_init(&self) -> usize {
        self.len
    }
}

// SAFETY: B1, B3: as its `IoBuf`. B2: the whole allocation may be written (A1).
unsafe impl IoBufMut for AlignedBuf {
    #[inline]
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        self.ptr.as_ptr()
    }

    #[inline]
    fn capacity(&self) -> usize {
        self.layout.size()
    }

    #[inline]
    unsafe fn set_init(&mut self, len: usize) {
        self.len = self.len.max(len);
    }
}

impl Deref for AlignedBuf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl DerefMut for AlignedBuf {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.as_mut_slice()
    }
}

impl AsRef<[u8]> for AlignedBuf {
    fn as_ref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl fmt::Debug for AlignedBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AlignedBuf")
            .field("len", &self.len)
            .field("capacity", &self.capacity())
            .field("align", &self.align())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::AlignedBuf;
    use crate::buf::io_buf_mut::tests::filled;
    use crate::buf::{IoBuf, IoBufMut};

    #[test]
    fn addresses_are_aligned() {
        for align in [1, 2, 64, 512, 4096, 65536] {
            for capacity in [0, 1, 4096] {
                let mut buf = AlignedBuf::new(capacity, align);
                assert_eq!(buf.stable_ptr().addr() % align, 0);
                assert_eq!(buf.stable_mut_ptr().cast_const(), buf.stable_ptr());
                assert_eq!((buf.capacity(), buf.align(), buf.len()), (capacity, align, 0));
            }
        }
    }

    #[test]
    fn filled_by_the_kernel() {
        let buf = filled(AlignedBuf::new(8, 512), b"abcd");
        assert_eq!(buf.as_slice(), b"abcd");
        let buf = filled(buf, b"xy");
        assert_eq!(buf.as_slice(), b"xycd");
        let buf = filled(buf.spare_capacity(), b"123456").into_inner();
        assert_eq!(*buf, *b"xycd1234");
    }

    #[test]
    fn grows_and_shrinks_within_its_capacity() {
        let mut buf = AlignedBuf::new(6, 64);
        buf.extend_from_slice(b"abc");
        buf.extend_from_slice(b"");
        buf.resize(6, b'-');
        assert_eq!(*buf, *b"abc---");
        buf.resize(2, b'x');
        buf.as_mut_slice()[0] = b'z';
        assert_eq!(*buf, *b"zb");
        buf.truncate(5);
        buf.truncate(1);
        assert_eq!(*buf, *b"z");
        buf.clear();
        assert!(buf.is_empty());
        assert_eq!(*AlignedBuf::zeroed(3, 4096), [0, 0, 0]);
        assert!(AlignedBuf::zeroed(0, 4096).is_empty());
    }

    #[test]
    #[should_panic(expected = "2 more bytes do not fit: length 3, capacity 4")]
    fn bytes_that_do_not_fit_panic() {
        let mut buf = AlignedBuf::new(4, 8);
        buf.extend_from_slice(b"abc");
        buf.extend_from_slice(b"de");
    }

    #[test]
    #[should_panic(expected = "the alignment must be a power of two")]
    fn an_odd_alignment_panics() {
        drop(AlignedBuf::new(4, 3));
    }

    #[test]
    #[should_panic(expected = "no buffer of")]
    fn a_huge_capacity_panics() {
        drop(AlignedBuf::new(usize::MAX, 8));
    }
}
