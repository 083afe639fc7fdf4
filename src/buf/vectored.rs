//! Several buffers in one operation: `readv`, `writev`, `recvmsg`, `sendmsg`.
//!
//! ```text
//!  bufs   [head....] [body..........] [tail..]      each owned, each in place
//!             ^          ^                ^
//!  iovecs [ptr, len] [ptr, len]      [ptr, len]     owned by the operation, on the heap
//! ```
//!
//! The kernel goes through the list in order and leaves a buffer only when it is done with it. So
//! one count says how far each of them was filled.
//!
//! # Safety
//!
//! The `unsafe impl`s hand on what the single buffers promise: B1, B2 and B3 of the folder's head.

#![allow(unsafe_code)]

use std::fmt;

use super::{IoBuf, IoBufMut};

/// Address and length of one buffer, as the kernel takes them (`struct iovec`).
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct IoVec(libc::iovec);

impl IoVec {
    /// Memory to be read.
    #[inline]
    pub fn new(ptr: *const u8, len: usize) -> IoVec {
        IoVec(libc::iovec { iov_base: ptr.cast_mut().cast(), iov_len: len })
    }

    /// Memory to be filled.
    #[inline]
    pub fn new_mut(ptr: *mut u8, len: usize) -> IoVec {
        IoVec(libc::iovec { iov_base: ptr.cast(), iov_len: len })
    }

    /// Where the memory begins.
    #[inline]
    pub fn ptr(&self) -> *mut u8 {
        self.0.iov_base.cast()
    }

    /// How many bytes there are.
    #[inline]
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.0.iov_len
    }
}

impl fmt::Debug for IoVec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IoVec").field("ptr", &self.ptr()).field("len", &self.len()).finish()
    }
}

/// Buffers that the kernel may read in one operation, one after the other.
///
/// Implemented for `Vec<B>`, `Box<[B]>` and `[B; N]` with `B: IoBuf`, and for tuples of two or
/// three buffers of different types. An array is fine here: what stays in place is behind each `B`.
///
/// # Safety
///
/// The implementer promises [B1, B2 and B3](super#promises) for each address and length that
/// `iovecs` names, and that `iovecs` names the same until `&mut self` is used.
///
/// # Examples
///
/// ```
/// use ringspun::buf::IoVectoredBuf;
///
/// let message = ("HTTP/1.1 200 OK\r\n\r\n", vec![b'x'; 100]);
/// let mut iovecs = Vec::new();
/// message.iovecs(&mut iovecs);
/// assert_eq!(iovecs.iter().map(|iovec| iovec.len()).sum::<usize>(), 119);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no list of buffers for the kernel",
    note = "pass a `Vec<B>`, a `Box<[B]>`, an array or a tuple of buffers by value"
)]
pub unsafe trait IoVectoredBuf: 'static {
    /// Appends the initialised bytes of each buffer, in order. An empty buffer has its entry too.
    fn iovecs(&self, out: &mut Vec<IoVec>);

    /// The same buffers without their first `count` bytes, as after a short write.
    ///
    /// More than there are leave nothing.
    ///
    /// ```
    /// use ringspun::buf::IoVectoredBuf;
    ///
    /// let rest = ("ab", "cdef").skip_bytes(3);
    /// let mut iovecs = Vec::new();
    /// rest.iovecs(&mut iovecs);
    /// assert_eq!(iovecs.len(), 1);
    /// assert_eq!(iovecs[0].len(), 3);
    /// assert_eq!(rest.into_inner(), ("ab", "cdef"));
    /// ```
    #[inline]
    fn skip_bytes(self, count: usize) -> VectoredSlice<Self>
    where
        Self: Sized,
    {
        VectoredSlice { bufs: self, begin: count }
    }
}

/// Buffers that the kernel may fill in one operation, one after the other.
///
/// Implemented for `Vec<B>`, `Box<[B]>` and `[B; N]` with `B: IoBufMut`, and for tuples of two
/// or three such buffers. Each is filled from its start to its capacity before the
/// next one is begun.
///
/// # Safety
///
/// The implementer promises [B1, B2 and B3](super#promises), for memory that is written, for each
/// address and length that `iovecs_mut` names.
pub unsafe trait IoVectoredBufMut: IoVectoredBuf {
    /// Appends the whole capacity of each buffer, in order. A buffer without any has its entry too.
    fn iovecs_mut(&mut self, out: &mut Vec<IoVec>);

    /// Makes known that the first `total` bytes, counted through the capacities in order, are
    /// initialised. Never takes bytes away.
    ///
    /// # Safety
    ///
    /// They are initialised, and `total` is at most the sum of what `iovecs_mut` names.
    unsafe fn set_init_total(&mut self, total: usize);
}

/// Buffers without their first bytes: see [`IoVectoredBuf::skip_bytes`].
#[derive(Debug)]
pub struct VectoredSlice<V> {
    bufs: V,
    begin: usize,
}

impl<V> VectoredSlice<V> {
    /// How many bytes are left out.
    pub fn begin(&self) -> usize {
        self.begin
    }

    /// Gives all buffers back.
    pub fn into_inner(self) -> V {
        self.bufs
    }
}

// SAFETY: B1, B2, B3: names a part of what the inner buffers name: entries are left out, and one is
// cut at the front by less than its length.
unsafe impl<V: IoVectoredBuf> IoVectoredBuf for VectoredSlice<V> {
    fn iovecs(&self, out: &mut Vec<IoVec>) {
        let first = out.len();
        self.bufs.iovecs(out);
        let mut skip = self.begin;
        let done = out[first..].iter().take_while(|iovec| {
            let whole = iovec.len() <= skip;
            if whole {
                skip -= iovec.len();
            }
            whole
        });
        let done = done.count();
        out.drain(first..first + done);
        if let Some(iovec) = out.get_mut(first) {
            *iovec = IoVec::new_mut(iovec.ptr().wrapping_add(skip), iovec.len() - skip);
        }
    }
}

// SAFETY: B1: the elements' bytes stay where they are when the vector moves, and even when the
// elements do. B2, B3: each element keeps them.
unsafe impl<B: IoBuf> IoVectoredBuf for Vec<B> {
    fn iovecs(&self, out: &mut Vec<IoVec>) {
        out.extend(self.iter().map(to_read));
    }
}

// SAFETY: B1, B2, B3: as its `IoVectoredBuf`.
unsafe impl<B: IoBufMut> IoVectoredBufMut for Vec<B> {
    fn iovecs_mut(&mut self, out: &mut Vec<IoVec>) {
        out.extend(self.iter_mut().map(to_fill));
    }

    unsafe fn set_init_total(&mut self, total: usize) {
        // SAFETY: the caller's promise, handed on.
        unsafe { share_out(self, total) };
    }
}

// SAFETY: B1, B2, B3: as `Vec<B>`.
unsafe impl<B: IoBuf> IoVectoredBuf for Box<[B]> {
    fn iovecs(&self, out: &mut Vec<IoVec>) {
        out.extend(self.iter().map(to_read));
    }
}

// SAFETY: B1, B2, B3: as `Vec<B>`.
unsafe impl<B: IoBufMut> IoVectoredBufMut for Box<[B]> {
    fn iovecs_mut(&mut self, out: &mut Vec<IoVec>) {
        out.extend(self.iter_mut().map(to_fill));
    }

    unsafe fn set_init_total(&mut self, total: usize) {
        // SAFETY: the caller's promise, handed on.
        unsafe { share_out(self, total) };
    }
}

// SAFETY: B1: the elements move with the array, their bytes do not. B2, B3: as `Vec<B>`.
unsafe impl<B: IoBuf, const N: usize> IoVectoredBuf for [B; N] {
    fn iovecs(&self, out: &mut Vec<IoVec>) {
        out.extend(self.iter().map(to_read));
    }
}

// SAFETY: B1, B2, B3: as its `IoVectoredBuf`.
unsafe impl<B: IoBufMut, const N: usize> IoVectoredBufMut for [B; N] {
    fn iovecs_mut(&mut self, out: &mut Vec<IoVec>) {
        out.extend(self.iter_mut().map(to_fill));
    }

    unsafe fn set_init_total(&mut self, total: usize) {
        // SAFETY: the caller's promise, handed on.
        unsafe { share_out(self, total) };
    }
}

// SAFETY: B1: the members move with the tuple, their bytes do not. B2, B3: each member keeps them.
unsafe impl<A: IoBuf, B: IoBuf> IoVectoredBuf for (A, B) {
    fn iovecs(&self, out: &mut Vec<IoVec>) {
        out.extend([to_read(&self.0), to_read(&self.1)]);
    }
}

// SAFETY: B1, B2, B3: as its `IoVectoredBuf`.
unsafe impl<A: IoBufMut, B: IoBufMut> IoVectoredBufMut for (A, B) {
    fn iovecs_mut(&mut self, out: &mut Vec<IoVec>) {
        out.extend([to_fill(&mut self.0), to_fill(&mut self.1)]);
    }

    unsafe fn set_init_total(&mut self, total: usize) {
        // SAFETY: the caller's promise, handed on.
        let total = unsafe { take_share(&mut self.0, total) };
        // SAFETY: what the members before did not take is this one's.
        unsafe { take_share(&mut self.1, total) };
    }
}

// SAFETY: B1, B2, B3: as the tuple of two.
unsafe impl<A: IoBuf, B: IoBuf, C: IoBuf> IoVectoredBuf for (A, B, C) {
    fn iovecs(&self, out: &mut Vec<IoVec>) {
        out.extend([to_read(&self.0), to_read(&self.1), to_read(&self.2)]);
    }
}

// SAFETY: B1, B2, B3: as its `IoVectoredBuf`.
unsafe impl<A: IoBufMut, B: IoBufMut, C: IoBufMut> IoVectoredBufMut for (A, B, C) {
    fn iovecs_mut(&mut self, out: &mut Vec<IoVec>) {
        out.extend([to_fill(&mut self.0), to_fill(&mut self.1), to_fill(&mut self.2)]);
    }

    unsafe fn set_init_total(&mut self, total: usize) {
        // SAFETY: the caller's promise, handed on.
        let total = unsafe { take_share(&mut self.0, total) };
        // SAFETY: what the members before did not take is this one's and the next one's.
        let total = unsafe { take_share(&mut self.1, total) };
        // SAFETY: what the members before did not take is this one's.
        unsafe { take_share(&mut self.2, total) };
    }
}

#[inline]
fn to_read<B: IoBuf>(buf: &B) -> IoVec {
    let len = buf.bytes_init();
    IoVec::new(buf.stable_ptr(), len)
}

#[inline]
fn to_fill<B: IoBufMut>(buf: &mut B) -> IoVec {
    let len = buf.capacity();
    IoVec::new_mut(buf.stable_mut_ptr(), len)
}

/// Gives each buffer its share of the `total` bytes that were filled.
///
/// # Safety
///
/// The first `total` bytes, counted through the capacities in order, are initialised.
unsafe fn share_out<B: IoBufMut>(bufs: &mut [B], mut total: usize) {
    for buf in bufs {
        // SAFETY: what the buffers before did not take is for this one and the next ones.
        total = unsafe { take_share(buf, total) };
    }
}

/// Gives `buf` its share of `total`; answers what is left for the buffers behind it.
///
/// # Safety
///
/// The first bytes of `buf`, `total` of them or as many as its capacity, are initialised.
#[inline]
unsafe fn take_share<B: IoBufMut>(buf: &mut B, total: usize) -> usize {
    let share = total.min(buf.capacity());
    // SAFETY: the caller says that `share` bytes are initialised; it is at most the capacity.
    unsafe { buf.set_init(share) };
    total - share
}

/// How many bytes fit into them.
pub(crate) fn vectored_room<V: IoVectoredBufMut>(bufs: &mut V) -> usize {
    let mut vectors = Vec::new();
    bufs.iovecs_mut(&mut vectors);
    vectors.iter().map(IoVec::len).sum()
}

/// Copies `bytes` into the buffers in order, as far as they fit; answers how many did.
pub(crate) fn scatter<V: IoVectoredBufMut>(bufs: &mut V, bytes: &[u8]) -> usize {
    let mut vectors = Vec::new();
    bufs.iovecs_mut(&mut vectors);
    let mut total = 0;
    for vector in &vectors {
        let share = &bytes[total..];
        let count = vector.len().min(share.len());
        // SAFETY: B2: the vector names `len` bytes that may be written, and `bufs` is borrowed
        // uniquely, apart from `bytes`.
        unsafe { std::ptr::copy_nonoverlapping(share.as_ptr(), vector.ptr(), count) };
        total += count;
    }
    // SAFETY: B2: the first `total` bytes, counted through the buffers in order, were just written.
    unsafe { bufs.set_init_total(total) };
    total
}

/// A copy of the first `count` bytes, or of all there are.
pub(crate) fn gather<V: IoVectoredBuf>(bufs: &V, count: usize) -> Vec<u8> {
    let mut vectors = Vec::new();
    bufs.iovecs(&mut vectors);
    let mut bytes = Vec::with_capacity(count);
    for vector in &vectors {
        let share = vector.len().min(count - bytes.len());
        // SAFETY: B2: the vector names `len` initialised bytes of `bufs`, which is borrowed.
        let slice = unsafe { std::slice::from_raw_parts(vector.ptr().cast_const(), share) };
        bytes.extend_from_slice(slice);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::{IoVec, IoVectoredBuf, IoVectoredBufMut};
    use crate::buf::{IoBuf, IoBufMut};
    use std::mem::MaybeUninit;

    /// What a kernel reads through the list after the buffers were moved.
    fn written<V: IoVectoredBuf>(bufs: V) -> (Vec<u8>, V) {
        let op = MaybeUninit::new(bufs);
        let mut iovecs = Vec::new();
        // SAFETY: made from a value above.
        unsafe { op.assume_init_ref() }.iovecs(&mut iovecs);
        let boxed = Box::new(op);
        let mut seen = Vec::new();
        for iovec in &iovecs {
            // SAFETY: B1, B2: `len` initialised bytes at `ptr`, wherever the value is now.
            seen.extend_from_slice(unsafe { std::slice::from_raw_parts(iovec.ptr(), iovec.len()) });
        }
        let op = *boxed;
        // SAFETY: holds the value that it was made from; it is taken once.
        (seen, unsafe { op.assume_init() })
    }

    /// What a kernel does that fills the list after the buffers were moved.
    fn filled<V: IoVectoredBufMut>(bufs: V, mut bytes: &[u8]) -> V {
        let mut op = MaybeUninit::new(bufs);
        let mut iovecs = Vec::new();
        // SAFETY: made from a value above.
        unsafe { op.assume_init_mut() }.iovecs_mut(&mut iovecs);
        let boxed = Box::new(op);
        let mut total = 0;
        for iovec in &iovecs {
            let (now, later) = bytes.split_at(iovec.len().min(bytes.len()));
            // SAFETY: B1, B2: `len` writable bytes at `ptr`, wherever the value is now.
            unsafe { iovec.ptr().copy_from_nonoverlapping(now.as_ptr(), now.len()) };
            (total, bytes) = (total + now.len(), later);
        }
        let op = *boxed;
        // SAFETY: holds the value that it was made from; it is taken once.
        let mut bufs = unsafe { op.assume_init() };
        // SAFETY: `total` bytes were written above, in order.
        unsafe { bufs.set_init_total(total) };
        bufs
    }

    fn room(capacity: usize) -> Vec<u8> {
        Vec::with_capacity(capacity)
    }

    #[test]
    fn an_entry_is_what_the_kernel_takes() {
        assert_eq!(size_of::<IoVec>(), size_of::<libc::iovec>());
    }

    #[test]
    fn lists_are_read_in_order() {
        assert_eq!(written(vec!["ab", "", "cd"]).0, b"abcd");
        assert_eq!(written(["ab", "cd"]).0, b"abcd");
        assert_eq!(written(vec![vec![1_u8], vec![2, 3]].into_boxed_slice()).0, [1, 2, 3]);
        assert_eq!(written(("ab", vec![b'c'])).0, b"abc");
        assert_eq!(written(("a", String::from("b"), Box::new([b'c']))).0, b"abc");
        assert_eq!(written(("a", "b", vec![b'c'].slice(..1))).0, b"abc");
        assert_eq!(written(Vec::<Vec<u8>>::new()).0, b"");
    }

    #[test]
    fn a_count_is_shared_out_in_order() {
        let bufs = filled(vec![room(2), room(0), room(3), room(2)], b"abcd");
        assert_eq!(bufs, [b"ab".as_slice(), b"", b"cd", b""]);
        let bufs = filled([room(2), room(2)], b"");
        assert_eq!(bufs, [b"", b""]);
        let bufs = filled(vec![room(1), room(1)].into_boxed_slice(), b"abcdef");
        assert_eq!(*bufs, [b"a", b"b"]);
    }

    #[test]
    fn tuples_are_filled_in_order() {
        assert_eq!(filled((room(2), room(3)), b"abcd"), (b"ab".to_vec(), b"cd".to_vec()));
        let (head, body, tail) = filled((Box::new([0; 1]), room(1), room(1).slice_mut(..)), b"ab");
        assert_eq!((&*head, &*body, &*tail), (b"a", b"b".as_slice(), b"".as_slice()));
    }

    #[test]
    fn bytes_behind_a_short_fill_stay() {
        let mut second = room(4);
        second.extend_from_slice(b"1234");
        assert_eq!(filled((room(1), second), b"ab"), (b"a".to_vec(), b"b234".to_vec()));
    }

    #[test]
    fn skipped_bytes_are_not_read_again() {
        for done in 0..=6 {
            let (seen, rest) = written(["ab", "", "cde", "f"].skip_bytes(done));
            assert_eq!(seen, b"abcdef"[done..]);
            assert_eq!(rest.begin(), done);
        }
        assert_eq!(written(["ab"].skip_bytes(usize::MAX)).0, b"");
        assert_eq!(written(["abcd"].skip_bytes(1).skip_bytes(2)).0, b"d");
    }

    #[test]
    fn entries_are_appended() {
        let mut iovecs = vec![IoVec::new("keep".as_ptr(), 4)];
        ["ab", "cd"].skip_bytes(3).iovecs(&mut iovecs);
        assert_eq!(iovecs.iter().map(IoVec::len).collect::<Vec<_>>(), [4, 1]);
    }
}
