//! `Bytes` and `BytesMut` of the crate `bytes` as buffers (feature `bytes`).
//!
//! # Safety
//!
//! Each `unsafe impl` says why the promises B1, B2 and B3 of the folder's head hold for its type.
//! They were checked in `bytes` 1: both types are a pointer and a length beside a handle of what
//! owns the memory, which is static or on the heap, also for `Bytes::from_owner`. Neither has kept
//! bytes inline since version 0.5.

#![allow(unsafe_code)]

use ::bytes::{Bytes, BytesMut};

use super::{IoBuf, IoBufMut};

// SAFETY: B1: the bytes are not in the handle. B2: all are initialised. B3: whoever shares them can
// only read: `try_into_mut` refuses while this handle lives.
unsafe impl IoBuf for Bytes {
    #[inline]
    fn stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    #[inline]
    fn bytes_init(&self) -> usize {
        self.len()
    }
}

// SAFETY: B1: the bytes are not in the handle. B2: `len` of them are initialised. B3: what other
// handles of the allocation see does not overlap with this one's bytes.
unsafe impl IoBuf for BytesMut {
    #[inline]
    fn stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    #[inline]
    fn bytes_init(&self) -> usize {
        self.len()
    }
}

// SAFETY: B1, B3: as its `IoBuf`. B2: the pointer is good for the whole capacity, see there.
unsafe impl IoBufMut for BytesMut {
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        let len = self.len();
        // A pointer made from the slice of initialised bytes would be good for these only. The
        // spare capacity of an empty `BytesMut` is all of it.
        // SAFETY: no bytes are initialised at least.
        unsafe { self.set_len(0) };
        let ptr = self.spare_capacity_mut().as_mut_ptr();
        // SAFETY: the length that it had; nothing was written.
        unsafe { self.set_len(len) };
        ptr.cast()
    }

    #[inline]
    fn capacity(&self) -> usize {
        BytesMut::capacity(self)
    }

    #[inline]
    unsafe fn set_init(&mut self, len: usize) {
        if self.len() < len {
            // SAFETY: the caller says that `len` bytes are initialised and within the capacity.
            unsafe { self.set_len(len) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Bytes, BytesMut};
    use crate::buf::io_buf_mut::tests::filled;
    use crate::buf::{IoBuf, IoBufMut};

    #[test]
    fn short_bytes_stay_in_place() {
        let bytes = Bytes::copy_from_slice(b"a");
        let before = bytes.stable_ptr();
        let moved = Box::new(bytes);
        assert_eq!(moved.stable_ptr(), before);
        assert_eq!(moved.as_init(), b"a");
    }

    #[test]
    fn bytes_of_an_owner_stay_in_place() {
        let bytes = Bytes::from_owner([1_u8, 2, 3]);
        let before = bytes.stable_ptr();
        let moved = Box::new(bytes);
        assert_eq!(moved.stable_ptr(), before);
        assert_eq!(moved.as_init(), [1, 2, 3]);
        assert_eq!(Bytes::new().as_init(), b"");
    }

    #[test]
    fn bytes_mut_is_filled_over_its_whole_capacity() {
        let mut buf = BytesMut::with_capacity(8);
        buf.extend_from_slice(b"12");
        let buf = filled(buf, b"abcdefgh");
        assert_eq!(*buf, *b"abcdefgh");
        assert_eq!(*filled(buf, b"xy"), *b"xycdefgh");
        assert!(filled(BytesMut::new(), b"abc").is_empty());
    }

    #[test]
    fn halves_of_one_allocation_are_apart() {
        let mut left = BytesMut::with_capacity(8);
        let right = left.split_off(4);
        let (left, right) = (filled(left, b"aaaaaa"), filled(right, b"bbbbbb"));
        assert_eq!((&*left, &*right), (b"aaaa".as_slice(), b"bbbb".as_slice()));
        let spare = filled(right.slice_mut(2..4), b"cc");
        assert_eq!(*spare.into_inner(), *b"bbcc");
    }
}
