//! `IoBuf`: memory that the kernel reads.
//!
//! # Safety
//!
//! Each `unsafe impl` says why the promises B1, B2 and B3 of the folder's head hold for its type.

#![allow(unsafe_code)]

use std::borrow::Cow;
use std::ops::RangeBounds;
use std::rc::Rc;
use std::sync::Arc;

use super::Slice;

/// Memory that the kernel may read after the call that named it has returned.
///
/// Implemented for what owns its bytes behind a pointer: `Vec<u8>`, `String`, `Box<[u8]>`,
/// `Box<[u8; N]>`, `Rc` and `Arc` of bytes, `&'static` bytes and text, [`AlignedBuf`], and `Bytes`
/// and `BytesMut` with the feature `bytes`. [Not for arrays](super#what-is-no-buffer).
///
/// An empty buffer is fine: the operation then has length 0.
///
/// [`AlignedBuf`]: super::AlignedBuf
///
/// # Safety
///
/// The implementer promises [B1, B2 and B3](super#promises). `IoBuf` alone lets the kernel read
/// only, so others may go on reading the memory.
///
/// # Examples
///
/// ```
/// use ringspun::buf::IoBuf;
///
/// let buf = vec![1, 2, 3];
/// assert_eq!(buf.bytes_init(), 3);
/// assert_eq!(buf.as_init(), [1, 2, 3]);
///
/// let part = buf.slice(1..);
/// assert_eq!(part.as_init(), [2, 3]);
/// assert_eq!(part.into_inner(), [1, 2, 3]);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no buffer for the kernel",
    label = "this must own bytes that stay in place when the value is moved",
    note = "pass a `Vec<u8>`, `Box<[u8]>`, `Box<[u8; N]>`, `Arc<[u8]>` or `&'static [u8]` by value"
)]
pub unsafe trait IoBuf: 'static {
    /// Where the bytes begin. Never null, also if there are none.
    fn stable_ptr(&self) -> *const u8;

    /// How many bytes are initialised, from the start.
    fn bytes_init(&self) -> usize;

    /// The initialised bytes.
    #[inline]
    fn as_init(&self) -> &[u8] {
        let len = self.bytes_init();
        let ptr = self.stable_ptr();
        // SAFETY: B2: `len` bytes at `ptr` are initialised; B3: nobody writes to them while `self`
        // is borrowed, and the answer borrows `self`.
        unsafe { std::slice::from_raw_parts(ptr, len) }
    }

    /// The part of the initialised bytes that `range` names, as a buffer of its own.
    ///
    /// An end left open is [`bytes_init`](IoBuf::bytes_init). To name memory that a read shall
    /// fill use [`slice_mut`](super::IoBufMut::slice_mut), which counts up to the capacity.
    ///
    /// # Panics
    ///
    /// If the range begins after its end or ends behind the initialised bytes: a short write must
    /// not pass unseen.
    #[inline]
    #[track_caller]
    fn slice(self, range: impl RangeBounds<usize>) -> Slice<Self>
    where
        Self: Sized,
    {
        Slice::of_init(self, range)
    }
}

// SAFETY: B1: the bytes are in the vector's allocation, which a move leaves alone. B2: `len` of
// them are initialised. B3: a vector shares with nobody.
unsafe impl IoBuf for Vec<u8> {
    #[inline]
    fn stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    #[inline]
    fn bytes_init(&self) -> usize {
        self.len()
    }
}

// SAFETY: B1, B2, B3: a string is a `Vec<u8>` that holds UTF-8.
unsafe impl IoBuf for String {
    #[inline]
    fn stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    #[inline]
    fn bytes_init(&self) -> usize {
        self.len()
    }
}

// SAFETY: B1: the bytes are in the box's allocation, which a move leaves alone. B2: all of them are
// initialised. B3: a box shares with nobody.
unsafe impl IoBuf for Box<[u8]> {
    #[inline]
    fn stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    #[inline]
    fn bytes_init(&self) -> usize {
        self.len()
    }
}

// SAFETY: B1, B2, B3: as `Box<[u8]>`; the array is in the box's allocation.
unsafe impl<const N: usize> IoBuf for Box<[u8; N]> {
    #[inline]
    fn stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    #[inline]
    fn bytes_init(&self) -> usize {
        N
    }
}

// SAFETY: B1, B2, B3: as `Box<[u8]>`.
unsafe impl IoBuf for Box<str> {
    #[inline]
    fn stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    #[inline]
    fn bytes_init(&self) -> usize {
        self.len()
    }
}

// SAFETY: B1, B2, B3: the value in the box keeps them, and it does not even move.
unsafe impl<B: IoBuf + ?Sized> IoBuf for Box<B> {
    #[inline]
    fn stable_ptr(&self) -> *const u8 {
        (**self).stable_ptr()
    }

    #[inline]
    fn bytes_init(&self) -> usize {
        (**self).bytes_init()
    }
}

// SAFETY: B1: the bytes are not in the reference and live for ever. B2: all are initialised.
// B3: behind a shared reference to plain bytes nobody writes.
unsafe impl IoBuf for &'static [u8] {
    #[inline]
    fn stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    #[inline]
    fn bytes_init(&self) -> usize {
        self.len()
    }
}

// SAFETY: B1, B2, B3: as `&'static [u8]`.
unsafe impl<const N: usize> IoBuf for &'static [u8; N] {
    #[inline]
    fn stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    #[inline]
    fn bytes_init(&self) -> usize {
        N
    }
}

// SAFETY: B1, B2, B3: as `&'static [u8]`.
unsafe impl IoBuf for &'static str {
    #[inline]
    fn stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    #[inline]
    fn bytes_init(&self) -> usize {
        self.len()
    }
}

// SAFETY: B1: the bytes are not in the reference and live for ever. B2: all are initialised.
// B3: the reference is unique.
unsafe impl IoBuf for &'static mut [u8] {
    #[inline]
    fn stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    #[inline]
    fn bytes_init(&self) -> usize {
        self.len()
    }
}

// SAFETY: B1, B2, B3: as `&'static mut [u8]`.
unsafe impl<const N: usize> IoBuf for &'static mut [u8; N] {
    #[inline]
    fn stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    #[inline]
    fn bytes_init(&self) -> usize {
        N
    }
}

// SAFETY: B1, B2, B3: as `&'static [u8]` or as `Vec<u8>`. It changes from one to the other through
// `&mut self` only.
unsafe impl IoBuf for Cow<'static, [u8]> {
    #[inline]
    fn stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    #[inline]
    fn bytes_init(&self) -> usize {
        self.len()
    }
}

// SAFETY: B1, B2, B3: as `Cow<'static, [u8]>`.
unsafe impl IoBuf for Cow<'static, str> {
    #[inline]
    fn stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    #[inline]
    fn bytes_init(&self) -> usize {
        self.len()
    }
}

// SAFETY: B1: the bytes are in the shared allocation. B2: all are initialised. B3: the other owners
// can only read: `Rc::get_mut` refuses while this owner lives, and bytes have no inner mutability.
unsafe impl IoBuf for Rc<[u8]> {
    #[inline]
    fn stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    #[inline]
    fn bytes_init(&self) -> usize {
        self.len()
    }
}

// SAFETY: B1, B2, B3: as `Rc<[u8]>`.
unsafe impl IoBuf for Rc<str> {
    #[inline]
    fn stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    #[inline]
    fn bytes_init(&self) -> usize {
        self.len()
    }
}

// SAFETY: B1, B2: as `Vec<u8>`. B3: as `Rc<[u8]>`: no owner can reach the vector mutably, so it
// neither grows nor changes. (`Rc<B>` for each `B: IoBuf` would not do: `B` could have a safe
// method that writes through `&self`, which B3 only forbids while an operation owns it alone.)
unsafe impl IoBuf for Rc<Vec<u8>> {
    #[inline]
    fn stable_ptr(&self) -> *const u8 {
        (**self).as_ptr()
    }

    #[inline]
    fn bytes_init(&self) -> usize {
        self.len()
    }
}

// SAFETY: B1, B2, B3: as `Rc<[u8]>`; that the other owners may read on another thread changes
// nothing.
unsafe impl IoBuf for Arc<[u8]> {
    #[inline]
    fn stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    #[inline]
    fn bytes_init(&self) -> usize {
        self.len()
    }
}

// SAFETY: B1, B2, B3: as `Arc<[u8]>`.
unsafe impl IoBuf for Arc<str> {
    #[inline]
    fn stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    #[inline]
    fn bytes_init(&self) -> usize {
        self.len()
    }
}

// SAFETY: B1, B2, B3: as `Rc<Vec<u8>>`.
unsafe impl IoBuf for Arc<Vec<u8>> {
    #[inline]
    fn stable_ptr(&self) -> *const u8 {
        (**self).as_ptr()
    }

    #[inline]
    fn bytes_init(&self) -> usize {
        self.len()
    }
}

#[cfg(test)]
mod tests {
    use super::IoBuf;
    use std::borrow::Cow;
    use std::mem::MaybeUninit;
    use std::rc::Rc;
    use std::sync::Arc;

    /// Does what an op and a kernel that reads do: address taken, value moved twice, memory read
    /// through the address, value taken back.
    fn written<B: IoBuf>(buf: B) -> (Vec<u8>, B) {
        let mut op = MaybeUninit::new(buf);
        // SAFETY: made from a value one line above.
        let prepared = unsafe { op.assume_init_mut() };
        let len = prepared.bytes_init();
        let ptr = prepared.stable_ptr();
        let boxed = Box::new(op);
        // SAFETY: B1, B2: `len` initialised bytes at `ptr`, wherever the value is now.
        let seen = unsafe { std::slice::from_raw_parts(ptr, len) }.to_vec();
        let op = *boxed;
        // SAFETY: holds the value that it was made from; it is taken once.
        (seen, unsafe { op.assume_init() })
    }

    #[test]
    fn each_type_is_read_where_it_was() {
        assert_eq!(written(vec![1, 2, 3]), (vec![1, 2, 3], vec![1, 2, 3]));
        assert_eq!(written(String::from("abc")).0, b"abc");
        assert_eq!(written(vec![1, 2].into_boxed_slice()).0, [1, 2]);
        assert_eq!(written(Box::new([4_u8, 5])).0, [4, 5]);
        assert_eq!(written(Box::<str>::from("box")).0, b"box");
        assert_eq!(written(b"static".as_slice()).0, b"static");
        assert_eq!(written(b"array").0, b"array");
        assert_eq!(written("text").0, b"text");
        assert_eq!(written(Cow::Borrowed("cow")).0, b"cow");
        assert_eq!(written(Cow::<'static, [u8]>::Owned(vec![1])).0, [1]);
        let boxed: Box<dyn IoBuf> = Box::new(vec![3_u8]);
        assert_eq!(written(boxed).0, [3]);
    }

    #[test]
    fn unique_references_are_read_where_they_point() {
        let (seen, slice) = written::<&'static mut [u8]>(Box::leak(Box::new([6, 7])));
        assert_eq!(seen, [6, 7]);
        // SAFETY: leaked above from a box; given back so that Miri sees no leak.
        drop(unsafe { Box::from_raw(slice) });
        let (seen, array) = written::<&'static mut [u8; 2]>(Box::leak(Box::new([8, 9])));
        assert_eq!(seen, [8, 9]);
        // SAFETY: as above.
        drop(unsafe { Box::from_raw(array) });
    }

    #[test]
    fn shared_owners_read_meanwhile() {
        let rc: Rc<[u8]> = Rc::from([1, 2]);
        assert_eq!(written(Rc::clone(&rc)).0, *rc);
        assert_eq!(written(Rc::<str>::from("rc")).0, b"rc");
        let vec = Rc::new(vec![3_u8, 4]);
        assert_eq!(written(Rc::clone(&vec)).0, *vec);
        let arc: Arc<[u8]> = Arc::from([5, 6]);
        assert_eq!(written(Arc::clone(&arc)).0, *arc);
        assert_eq!(written(Arc::<str>::from("arc")).0, b"arc");
        let vec = Arc::new(vec![7_u8, 8]);
        assert_eq!(written(Arc::clone(&vec)).0, *vec);
    }

    #[test]
    fn empty_buffers_have_a_pointer_and_no_bytes() {
        assert_eq!(written(Vec::new()).0, b"");
        assert_eq!(written(String::new()).0, b"");
        assert_eq!(written(Box::<[u8]>::default()).0, b"");
        assert_eq!(written("").0, b"");
        assert_eq!(written(Arc::<[u8]>::from([])).0, b"");
        assert!(!Vec::<u8>::new().stable_ptr().is_null());
        assert_eq!(Vec::<u8>::new().as_init(), b"");
    }

    #[test]
    fn spare_capacity_is_not_read() {
        let mut buf = Vec::with_capacity(64);
        buf.extend_from_slice(b"xyz");
        assert_eq!(buf.bytes_init(), 3);
        assert_eq!(written(buf).0, b"xyz");
    }
}
