//! A read and a write of the same memory as one chain: the kernel starts the write when the read
//! has filled the buffer, and user space hears of both at once. Two operations written by a user of
//! the crate, for the library's own own their buffers alone.

#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::io;
use std::rc::Rc;

use ringspun::op::{Completion, IntoOpFd, Op, OpFd, SharedFd, Sqe, link};

const OP_READ: u8 = 22;
const OP_WRITE: u8 = 23;

/// Memory that a read fills and a write empties, never both at a time: the chain orders them, and
/// nothing else looks into it.
struct Block(UnsafeCell<Box<[u8]>>);

struct ReadBlock {
    fd: OpFd,
    block: Rc<Block>,
    len: u32,
    offset: u64,
}

struct WriteBlock {
    fd: OpFd,
    block: Rc<Block>,
    len: u32,
    offset: u64,
}

fn entry(opcode: u8, fd: &OpFd, block: &Block, len: u32, offset: u64) -> Sqe {
    let mut sqe = Sqe::new(opcode);
    fd.set(&mut sqe);
    sqe.addr = block.address();
    sqe.len = len;
    sqe.off = offset;
    sqe
}

impl Block {
    fn address(&self) -> u64 {
        // SAFETY: nobody else holds a reference into the cell.
        let block: *mut [u8] = unsafe { &raw mut **self.0.get() };
        block.cast::<u8>() as u64
    }
}

// SAFETY: O1: the entry points to the block, which `self` keeps, and names a descriptor that it
// owns. The block is behind an `Rc`, so it stays when `self` moves; nothing looks into it.
unsafe impl Op for ReadBlock {
    type Output = io::Result<u32>;

    fn prepare(&mut self) -> Sqe {
        entry(OP_READ, &self.fd, &self.block, self.len, self.offset)
    }

    unsafe fn complete(self, completion: Completion) -> io::Result<u32> {
        completion.into_result()
    }
}

// SAFETY: O1: as for `ReadBlock`.
unsafe impl Op for WriteBlock {
    type Output = io::Result<u32>;

    fn prepare(&mut self) -> Sqe {
        entry(OP_WRITE, &self.fd, &self.block, self.len, self.offset)
    }

    unsafe fn complete(self, completion: Completion) -> io::Result<u32> {
        completion.into_result()
    }
}

/// Copies `len` bytes at `from_offset` to `to_offset` (`u64::MAX`: the cursor), as one chain.
/// Answers how many were copied: fewer if the read or the write came short.
pub(crate) async fn copy_linked(
    from: &SharedFd,
    from_offset: u64,
    to: impl IntoOpFd,
    to_offset: u64,
    len: u32,
) -> io::Result<u32> {
    let block = Rc::new(Block(UnsafeCell::new(vec![0; len as usize].into_boxed_slice())));
    let to = to.into_op_fd();
    let read =
        ReadBlock { fd: from.into_op_fd(), block: Rc::clone(&block), len, offset: from_offset };
    let write = WriteBlock { fd: to, block, len, offset: to_offset };
    let (read, written) = link((read, write)).await?;
    match (read?, written) {
        // A short read breaks the chain: nothing was written.
        (short, _) if short < len => Ok(0),
        (_, written) => written,
    }
}
