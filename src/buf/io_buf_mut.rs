//! `IoBufMut`: memory that the kernel fills.
//!
//! # Safety
//!
//! Each `unsafe impl` says why the promises B1, B2 and B3 of the folder's head hold for its type
//! when the kernel writes.

#![allow(unsafe_code)]

use std::ops::RangeBounds;

use super::{IoBuf, Slice};

/// Memory that the kernel may fill after the call that named it has returned.
///
/// The kernel fills from the start up to the capacity, not from the end of what is initialised:
/// see [what a read does to a `Vec`](super#what-a-read-does-to-a-vec).
///
/// # Safety
///
/// The implementer promises [B1, B2 and B3](super#promises) for memory that is written.
///
/// # Examples
///
/// ```
/// use ringspun::buf::{IoBuf, IoBufMut};
///
/// let buf: Vec<u8> = Vec::with_capacity(4096);
/// assert_eq!(buf.bytes_init(), 0);
///
/// let at_most_16 = buf.slice_mut(..16);
/// assert_eq!(at_most_16.capacity(), 16);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no buffer that the kernel may fill",
    label = "this must own writable bytes that stay in place when the value is moved",
    note = "pass a `Vec<u8>`, `Box<[u8]>`, `Box<[u8; N]>` or `AlignedBuf` by value"
)]
pub unsafe trait IoBufMut: IoBuf {
    /// Where the memory begins: the same address as [`stable_ptr`](IoBuf::stable_ptr), good for
    /// writing `capacity` bytes.
    fn stable_mut_ptr(&mut self) -> *mut u8;

    /// How many bytes may be written, from the start; the initialised ones count.
    fn capacity(&self) -> usize;

    /// Makes known that the first `len` bytes are initialised. Never takes bytes away: if more are
    /// initialised already, nothing changes.
    ///
    /// # Safety
    ///
    /// The first `len` bytes are initialised, and `len` is at most `capacity`.
    unsafe fn set_init(&mut self, len: usize);

    /// The part of the memory that `range` names, as a buffer of its own, to read into.
    ///
    /// An end left open is [`capacity`](IoBufMut::capacity).
    ///
    /// # Panics
    ///
    /// If the range begins after its end, ends behind the capacity, or begins behind the
    /// initialised bytes: a read into it would leave a gap that nobody wrote.
    #[inline]
    #[track_caller]
    fn slice_mut(self, range: impl RangeBounds<usize>) -> Slice<Self>
    where
        Self: Sized,
    {
        Slice::of_capacity(self, range)
    }

    /// The memory behind the initialised bytes, as a buffer of its own: a read into it appends.
    ///
    /// ```
    /// use ringspun::buf::{IoBuf, IoBufMut};
    ///
    /// let mut buf = Vec::with_capacity(64);
    /// buf.extend_from_slice(b"head");
    /// let spare = buf.spare_capacity();
    /// assert_eq!((spare.bytes_init(), spare.capacity()), (0, 60));
    /// ```
    #[inline]
    fn spare_capacity(self) -> Slice<Self>
    where
        Self: Sized,
    {
        let init = self.bytes_init();
        Slice::of_capacity(self, init..)
    }
}

// SAFETY: B1, B3: as its `IoBuf`. B2: `as_mut_ptr` is good for the whole allocation; `set_init`
// changes the length only.
unsafe impl IoBufMut for Vec<u8> {
    #[inline]
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        self.as_mut_ptr()
    }

    #[inline]
    fn capacity(&self) -> usize {
        Vec::capacity(self)
    }

    #[inline]
    unsafe fn set_init(&mut self, len: usize) {
        if self.len() < len {
            // SAFETY: the caller says that `len` bytes are initialised and within the capacity.
            unsafe { self.set_len(len) };
        }
    }
}

// SAFETY: B1, B3: as its `IoBuf`. B2: all bytes are initialised and may be written.
unsafe impl IoBufMut for Box<[u8]> {
    #[inline]
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        self.as_mut_ptr()
    }

    #[inline]
    fn capacity(&self) -> usize {
        self.len()
    }

    #[inline]
    unsafe fn set_init(&mut self, _len: usize) {}
}

// SAFETY: B1, B2, B3: as `Box<[u8]>`.
unsafe impl<const N: usize> IoBufMut for Box<[u8; N]> {
    #[inline]
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        self.as_mut_ptr()
    }

    #[inline]
    fn capacity(&self) -> usize {
        N
    }

    #[inline]
    unsafe fn set_init(&mut self, _len: usize) {}
}

// SAFETY: B1, B2, B3: the value in the box keeps them, and it does not even move.
unsafe impl<B: IoBufMut + ?Sized> IoBufMut for Box<B> {
    #[inline]
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        (**self).stable_mut_ptr()
    }

    #[inline]
    fn capacity(&self) -> usize {
        (**self).capacity()
    }

    #[inline]
    unsafe fn set_init(&mut self, len: usize) {
        // SAFETY: the caller's promise, handed on.
        unsafe { (**self).set_init(len) };
    }
}

// SAFETY: B1, B3: as its `IoBuf`. B2: all bytes are initialised and may be written.
unsafe impl IoBufMut for &'static mut [u8] {
    #[inline]
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        self.as_mut_ptr()
    }

    #[inline]
    fn capacity(&self) -> usize {
        self.len()
    }

    #[inline]
    unsafe fn set_init(&mut self, _len: usize) {}
}

// SAFETY: B1, B2, B3: as `&'static mut [u8]`.
unsafe impl<const N: usize> IoBufMut for &'static mut [u8; N] {
    #[inline]
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        self.as_mut_ptr()
    }

    #[inline]
    fn capacity(&self) -> usize {
        N
    }

    #[inline]
    unsafe fn set_init(&mut self, _len: usize) {}
}

/// Copies `bytes` into `buf` from its first byte on, as far as they fit; answers how many did.
pub(crate) fn copy_into<B: IoBufMut>(buf: &mut B, bytes: &[u8]) -> usize {
    let count = bytes.len().min(buf.capacity());
    let start = buf.stable_mut_ptr();
    // SAFETY: B2: `capacity` bytes may be written; `bytes` is borrowed apart from `buf`, which is
    // borrowed uniquely.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), start, count) };
    // SAFETY: B2: the first `count` bytes have just been written.
    unsafe { buf.set_init(count) };
    count
}

#[cfg(test)]
pub(super) mod tests {
    use super::{IoBuf, IoBufMut};
    use std::mem::MaybeUninit;

    /// Does what an op and a kernel that fills do: address taken, value moved twice, memory written
    /// through the address, value taken back, count set.
    pub(in crate::buf) fn filled<B: IoBufMut>(buf: B, bytes: &[u8]) -> B {
        let mut op = MaybeUninit::new(buf);
        // SAFETY: made from a value one line above.
        let prepared = unsafe { op.assume_init_mut() };
        let asked = prepared.capacity();
        let ptr = prepared.stable_mut_ptr();
        let boxed = Box::new(op);
        let count = bytes.len().min(asked);
        // SAFETY: B1, B2: `asked` writable bytes at `ptr`, wherever the value is now.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), ptr, count) };
        let op = *boxed;
        // SAFETY: holds the value that it was made from; it is taken once.
        let mut buf = unsafe { op.assume_init() };
        // SAFETY: `count` bytes were written above; it is at most `asked`.
        unsafe { buf.set_init(count) };
        buf
    }

    #[test]
    fn a_vec_is_filled_from_the_start_and_never_shrinks() {
        assert_eq!(filled(Vec::with_capacity(8), b"abc"), b"abc");
        let mut longer = Vec::with_capacity(8);
        longer.extend_from_slice(b"12345");
        assert_eq!(filled(longer, b"ab"), b"ab345");
        let mut shorter = Vec::with_capacity(8);
        shorter.push(b'1');
        assert_eq!(filled(shorter, b"abcd"), b"abcd");
    }

    #[test]
    fn more_bytes_than_fit_are_cut() {
        let buf = filled(vec![0; 3].into_boxed_slice(), b"abcdef");
        assert_eq!(*buf, *b"abc");
    }

    #[test]
    fn each_type_is_filled_where_it_was() {
        assert_eq!(*filled(Box::new([0_u8; 2]), b"xy"), *b"xy");
        let boxed: Box<dyn IoBufMut> = Box::new(Vec::with_capacity(4));
        assert_eq!(filled(boxed, b"dyn").as_init(), b"dyn");
    }

    #[test]
    fn unique_references_are_filled_where_they_point() {
        let slice = filled::<&'static mut [u8]>(Box::leak(Box::new([0; 2])), b"xy");
        assert_eq!(*slice, *b"xy");
        // SAFETY: leaked above from a box; given back so that Miri sees no leak.
        drop(unsafe { Box::from_raw(slice) });
        let array = filled::<&'static mut [u8; 2]>(Box::leak(Box::new([0; 2])), b"xy");
        assert_eq!(*array, *b"xy");
        // SAFETY: as above.
        drop(unsafe { Box::from_raw(array) });
    }

    #[test]
    fn empty_buffers_take_nothing() {
        assert_eq!(filled(Vec::new(), b"abc"), b"");
        assert_eq!(*filled(Box::<[u8]>::default(), b"abc"), *b"");
    }
}
