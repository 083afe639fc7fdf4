//! Memory that the kernel may touch.
//!
//! With io_uring the kernel reads or fills a buffer *later*, when the call that named it has long
//! returned. So an operation takes its buffer by value and hands it back with the result:
//!
//! ```text
//!  buf: B --moved in--> op --address, length--> kernel
//!                        |                        | reads `bytes_init` bytes, or
//!                        |                        v fills up to `capacity` bytes
//!  (io::Result<T>, B) <--+-------- answer: n <----+
//! ```
//!
//! | trait | the kernel | examples |
//! |---|---|---|
//! | [`IoBuf`] | reads it: `write`, `send` | `Vec<u8>`, `&'static str`, `String`, `Arc<[u8]>` |
//! | [`IoBufMut`] | fills it: `read`, `recv` | `Vec<u8>`, `Box<[u8]>`, [`AlignedBuf`] |
//! | [`IoVectoredBuf`], [`IoVectoredBufMut`] | several in a row | `Vec<Vec<u8>>`, tuples |
//!
//! Part of a buffer is a [`Slice`]: `buf.slice(2..10)` to write it, `buf.slice_mut(2..10)` to read
//! into it.
//!
//! # What a read does to a `Vec`
//!
//! The kernel writes from index 0 up to the *capacity*, whatever the length is. Afterwards the
//! length is the larger one of the old length and the count: [`IoBufMut::set_init`] only grows.
//! So the count, not the length, says how many bytes are new:
//!
//! | before | the kernel answers | after |
//! |---|---|---|
//! | length 0, capacity 4096 | 10 | length 10, all new |
//! | length 100, capacity 4096 | 10 | length 100, the first 10 new, 90 as they were |
//! | length 100, capacity 4096 | 300 | length 300, all new |
//!
//! Call `clear()` before a buffer is used again, or use [`slice_mut`](IoBufMut::slice_mut) to
//! bound a read and [`spare_capacity`](IoBufMut::spare_capacity) to append.
//!
//! # What is no buffer
//!
//! An array by value is none: its bytes move with it, so an address taken before the move names
//! memory that is somebody else's after it. `Box<[u8; N]>` and `&'static [u8; N]` are buffers.
//!
//! ```compile_fail,E0277
//! use ringspun::buf::IoBuf;
//!
//! fn write(buf: impl IoBuf) {}
//! write([0_u8; 16]);
//! ```
//!
//! A borrowed slice is none: the future may be dropped or forgotten while the kernel goes on.
//!
//! ```compile_fail,E0597
//! use ringspun::buf::IoBuf;
//!
//! fn write(buf: impl IoBuf) {}
//! let bytes = vec![0_u8; 16];
//! write(bytes.as_slice());
//! ```
//!
//! `String` can be written, not filled: the kernel does not promise UTF-8.
//! `Box<[MaybeUninit<u8>]>` is none: it could not remember how much of it was filled. Use
//! `Vec::with_capacity`.
//!
//! # Promises
//!
//! Who writes `unsafe impl` gives these; the operations rely on them.
//!
//! - **B1** (place) The address stays the same while the value is only moved, also as raw bytes.
//!   The memory lives until the value is dropped; if the value is forgotten, for ever.
//! - **B2** (extent) The pointer is never null. The first `bytes_init` bytes behind it are
//!   initialised and may be read; the first `capacity` bytes may be written; `bytes_init` is at
//!   most `capacity`, which is at most `isize::MAX`. The answers change through `&mut self` only;
//!   after `set_init(n)` `bytes_init` is at least `n` and not less than before, and the address and
//!   `capacity` are what they were.
//! - **B3** (alone) While an operation owns the value, or the value is borrowed, nobody else writes
//!   to the memory; and if the kernel may fill it, nobody else reads it either. Shared owners that
//!   can only read, as those of an `Arc<[u8]>`, are fine when the kernel only reads too.
//!
//! In return an operation keeps the buffer as `MaybeUninit` while the kernel has its address, and
//! calls the methods of these traits only before and after that. It takes lengths first and the
//! pointer last, and never calls `set_init` with more than it asked the kernel for.

mod aligned;
#[cfg(feature = "bytes")]
mod bytes;
mod io_buf;
mod io_buf_mut;
mod slice;
mod vectored;

use std::io;

pub use self::aligned::AlignedBuf;
pub use self::io_buf::IoBuf;
pub use self::io_buf_mut::IoBufMut;
pub(crate) use self::io_buf_mut::copy_into;
pub use self::slice::Slice;
pub use self::vectored::{IoVec, IoVectoredBuf, IoVectoredBufMut, VectoredSlice};
pub(crate) use self::vectored::{gather, scatter, vectored_room};

/// What an operation with a buffer gives back: the result, and the buffer in either case.
///
/// ```
/// use std::io;
/// use ringspun::buf::BufResult;
///
/// fn first_byte(answer: BufResult<usize, Vec<u8>>) -> io::Result<Option<u8>> {
///     let (result, buf) = answer;
///     let count = result?;
///     Ok(buf[..count].first().copied())
/// }
///
/// assert_eq!(first_byte((Ok(2), vec![7, 8]))?, Some(7));
/// # Ok::<(), io::Error>(())
/// ```
pub type BufResult<T, B> = (io::Result<T>, B);
