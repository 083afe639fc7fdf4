//! `Slice`: part of an owned buffer.
//!
//! ```text
//!  buffer   [iiiiiiiiiiiiii..............]     i initialised, . spare capacity
//!  slice          ^begin          ^end         begin is never behind the last i
//!  to read        [iiiiiiii]                   bytes_init: what the kernel may read
//!  to fill        [iiiiiiii.......]            capacity: what it may write
//! ```
//!
//! # Safety
//!
//! S1: `begin <= bytes_init` and `begin <= end <= capacity` of the inner buffer hold from the check
//! in the constructor on, because nothing gives away `&mut B` (B2: the answers change through it
//! only) and `set_init` never shrinks. For the same reason `Slice` is not `Clone`: the copy of a
//! `Vec` has a smaller capacity.

#![allow(unsafe_code)]

use std::fmt;
use std::ops::{Bound, Deref, DerefMut, RangeBounds};

use super::{IoBuf, IoBufMut};

/// Part of an owned buffer, itself a buffer.
///
/// Made by [`IoBuf::slice`], [`IoBufMut::slice_mut`] and [`IoBufMut::spare_capacity`]. Dereferences
/// to its initialised bytes. [`into_inner`](Slice::into_inner) gives the whole buffer back.
///
/// # Examples
///
/// ```
/// use ringspun::buf::IoBuf;
///
/// let part = Vec::from(*b"hello world").slice(..5);
/// assert_eq!(&part[..], b"hello");
/// assert_eq!(part.into_inner(), b"hello world");
/// ```
pub struct Slice<B> {
    buf: B,
    begin: usize,
    end: usize,
}

impl<B: IoBuf> Slice<B> {
    #[track_caller]
    pub(super) fn of_init(buf: B, range: impl RangeBounds<usize>) -> Slice<B> {
        let init = buf.bytes_init();
        let (begin, end) = bounds(range, init);
        assert!(
            end <= init,
            "slice ends at {end}, but only {init} bytes of the buffer are initialised; \
             to name memory that a read shall fill use `slice_mut`"
        );
        Slice { buf, begin, end }
    }
}

impl<B: IoBufMut> Slice<B> {
    #[track_caller]
    pub(super) fn of_capacity(buf: B, range: impl RangeBounds<usize>) -> Slice<B> {
        let (init, capacity) = (buf.bytes_init(), buf.capacity());
        let (begin, end) = bounds(range, capacity);
        assert!(
            end <= capacity,
            "slice ends at {end}, but the capacity of the buffer is {capacity}"
        );
        assert!(
            begin <= init,
            "slice begins at {begin}, but only {init} bytes of the buffer are initialised; \
             a read into it would leave a gap that nobody wrote"
        );
        Slice { buf, begin, end }
    }
}

impl<B> Slice<B> {
    /// Where the slice begins in the buffer.
    pub fn begin(&self) -> usize {
        self.begin
    }

    /// Where the slice ends in the buffer.
    pub fn end(&self) -> usize {
        self.end
    }

    /// The whole buffer.
    ///
    /// There is no mutable form: a `Vec` shortened behind the slice's back would let the kernel
    /// touch what is not there any more.
    pub fn inner(&self) -> &B {
        &self.buf
    }

    /// Gives the whole buffer back.
    pub fn into_inner(self) -> B {
        self.buf
    }
}

// SAFETY: B1, B3: the inner buffer keeps them. B2: by S1 the pointer stays within the inner memory;
// from `begin` to the smaller one of `end` and the inner `bytes_init` all is initialised.
unsafe impl<B: IoBuf> IoBuf for Slice<B> {
    #[inline]
    fn stable_ptr(&self) -> *const u8 {
        self.buf.stable_ptr().wrapping_add(self.begin)
    }

    #[inline]
    fn bytes_init(&self) -> usize {
        self.buf.bytes_init().min(self.end).saturating_sub(self.begin)
    }
}

// SAFETY: B1, B3: the inner buffer keeps them. B2: by S1 `begin..end` is within the inner capacity.
unsafe impl<B: IoBufMut> IoBufMut for Slice<B> {
    #[inline]
    fn stable_mut_ptr(&mut self) -> *mut u8 {
        self.buf.stable_mut_ptr().wrapping_add(self.begin)
    }

    #[inline]
    fn capacity(&self) -> usize {
        self.end - self.begin
    }

    #[inline]
    unsafe fn set_init(&mut self, len: usize) {
        // SAFETY: by S1 the bytes before `begin` are initialised, the caller says it of the `len`
        // bytes from there, and they end within the inner capacity. What is initialised behind
        // them stays so: `set_init` never shrinks.
        unsafe { self.buf.set_init(self.begin + len) };
    }
}

impl<B: IoBuf> Deref for Slice<B> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.as_init()
    }
}

impl<B: IoBufMut> DerefMut for Slice<B> {
    fn deref_mut(&mut self) -> &mut [u8] {
        let len = self.bytes_init();
        let ptr = self.stable_mut_ptr();
        // SAFETY: B2: `len` bytes at `ptr` are initialised and may be written; B3: nobody else
        // touches them while `self` is borrowed, and the answer borrows `self`.
        unsafe { std::slice::from_raw_parts_mut(ptr, len) }
    }
}

impl<B: IoBuf> AsRef<[u8]> for Slice<B> {
    fn as_ref(&self) -> &[u8] {
        self.as_init()
    }
}

impl<B: fmt::Debug> fmt::Debug for Slice<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slice")
            .field("buf", &self.buf)
            .field("range", &(self.begin..self.end))
            .finish()
    }
}

/// The range in numbers, with `open_end` for an end that is left open.
#[track_caller]
fn bounds(range: impl RangeBounds<usize>, open_end: usize) -> (usize, usize) {
    const TOO_LARGE: &str = "slice bound is larger than any buffer";
    let begin = match range.start_bound() {
        Bound::Included(&begin) => begin,
        Bound::Excluded(&before) => before.checked_add(1).expect(TOO_LARGE),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(&last) => last.checked_add(1).expect(TOO_LARGE),
        Bound::Excluded(&end) => end,
        Bound::Unbounded => open_end,
    };
    assert!(begin <= end, "slice begins at {begin}, but ends at {end}");
    (begin, end)
}

#[cfg(test)]
mod tests {
    use crate::buf::io_buf_mut::tests::filled;
    use crate::buf::{IoBuf, IoBufMut};

    fn digits_with_spare() -> Vec<u8> {
        let mut buf = Vec::with_capacity(16);
        buf.extend_from_slice(b"0123456789");
        buf
    }

    #[test]
    fn reads_only_what_is_initialised() {
        assert_eq!(*digits_with_spare().slice(2..5), *b"234");
        assert_eq!(*digits_with_spare().slice(2..=5), *b"2345");
        assert_eq!(*digits_with_spare().slice(8..), *b"89");
        assert_eq!(*digits_with_spare().slice(..), *b"0123456789");
        assert_eq!(*digits_with_spare().slice(10..), *b"");
        assert_eq!(*digits_with_spare().slice_mut(8..16), *b"89");
        assert_eq!(*digits_with_spare().slice_mut(10..16), *b"");
    }

    #[test]
    fn a_fill_keeps_what_is_initialised_behind_it() {
        let part = filled(digits_with_spare().slice_mut(2..5), b"xyz---");
        assert_eq!(*part, *b"xyz");
        assert_eq!(part.into_inner(), b"01xyz56789");
    }

    #[test]
    fn a_fill_over_the_end_grows() {
        let part = filled(digits_with_spare().slice_mut(8..), b"abcd");
        assert_eq!((part.begin(), part.end()), (8, 16));
        assert_eq!(part.into_inner(), b"01234567abcd");
    }

    #[test]
    fn a_fill_of_the_spare_capacity_appends() {
        let part = filled(digits_with_spare().spare_capacity(), b"ab");
        assert_eq!(*part, *b"ab");
        assert_eq!(part.into_inner(), b"0123456789ab");
    }

    #[test]
    fn slices_of_slices() {
        let part = digits_with_spare().slice_mut(2..12).slice_mut(6..);
        assert_eq!(*part, *b"89");
        let part = filled(part, b"abcdef");
        assert_eq!(*part, *b"abcd");
        assert_eq!(part.into_inner().into_inner(), b"01234567abcd");
    }

    #[test]
    fn slices_of_boxes_and_shared_bytes() {
        let part = filled(Box::new([0_u8; 4]).slice_mut(1..3), b"ab");
        assert_eq!(*part.into_inner(), [0, b'a', b'b', 0]);
        assert_eq!(*std::sync::Arc::<[u8]>::from(*b"abc").slice(1..), *b"bc");
    }

    #[test]
    fn bytes_can_be_changed_in_place() {
        let mut part = digits_with_spare().slice(2..4);
        part.copy_from_slice(b"xy");
        assert_eq!(part.inner(), b"01xy456789");
    }

    #[test]
    fn empty_slices() {
        let part = filled(Vec::new().slice_mut(..), b"abc");
        assert_eq!((part.capacity(), part.bytes_init()), (0, 0));
        assert_eq!(*"".slice(..), *b"");
    }

    #[test]
    #[should_panic(expected = "slice ends at 12, but only 10 bytes of the buffer are initialised")]
    fn a_write_of_uninitialised_bytes_panics() {
        drop(digits_with_spare().slice(..12));
    }

    #[test]
    #[should_panic(expected = "slice ends at 17, but the capacity of the buffer is 16")]
    fn a_read_behind_the_capacity_panics() {
        drop(vec![0; 16].into_boxed_slice().slice_mut(..17));
    }

    #[test]
    #[should_panic(
        expected = "slice begins at 11, but only 10 bytes of the buffer are initialised"
    )]
    fn a_gap_panics() {
        drop(digits_with_spare().slice_mut(11..));
    }

    #[test]
    #[should_panic(expected = "slice begins at 5, but ends at 3")]
    fn a_backward_range_panics() {
        #[allow(clippy::reversed_empty_ranges)]
        drop(digits_with_spare().slice(5..3));
    }

    #[test]
    #[should_panic(expected = "slice bound is larger than any buffer")]
    fn a_huge_bound_panics() {
        drop(digits_with_spare().slice(..=usize::MAX));
    }
}
