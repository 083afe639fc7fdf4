//! Ops with each kind of memory that an entry can point to, in the form that is the hardest to
//! keep: unique owners, whose move or use ends every pointer that was made before.
//!
//! # Safety
//!
//! O1: what the entries point to is on the heap, owned by the op, and is not used between
//! `prepare` and `complete`.

use std::ffi::CString;
use std::io;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd};
use std::sync::Mutex;

use io_uring::opcode;
use ringspun::op::{Completion, MultiOp, Op, Sqe};

/// A descriptor that nobody uses: the model does not look at it.
pub fn fd() -> BorrowedFd<'static> {
    ringspun::op::stdin()
}

/// Takes the address of unique memory.
fn address<T: ?Sized>(memory: &mut T) -> u64 {
    std::ptr::from_mut(memory).cast::<u8>() as u64
}

/// A descriptor with one owner, which the model knows again.
pub fn owned() -> OwnedFd {
    // SAFETY: the model made it just now and gives it away.
    unsafe { OwnedFd::from_raw_fd(ringspun::model::descriptor()) }
}

fn done(completion: Completion) -> io::Result<usize> {
    completion.into_result().map(|count| count as usize)
}

/// Memory that was leaked into a `&'static mut`. A static keeps it in reach, so it counts as none.
#[derive(Debug)]
pub struct Borrowed(&'static mut [u8]);

struct Keep(#[allow(dead_code, reason = "keeps it in reach")] *mut [u8]);

// SAFETY: the pointer is never used.
unsafe impl Send for Keep {}

static KEPT: Mutex<Vec<Keep>> = Mutex::new(Vec::new());

impl Borrowed {
    pub fn new(len: usize) -> Borrowed {
        let memory = Box::into_raw(vec![0; len].into_boxed_slice());
        KEPT.lock().expect("nobody panics here").push(Keep(memory));
        // SAFETY: it was just leaked, and this is the only use of the pointer.
        Borrowed(unsafe { &mut *memory })
    }
}

/// A read into a `&'static mut [u8]`.
pub struct ReadLeaked(Borrowed);

impl ReadLeaked {
    pub fn new(memory: Borrowed) -> ReadLeaked {
        ReadLeaked(memory)
    }
}

// SAFETY: O1: see the head of this file.
unsafe impl Op for ReadLeaked {
    type Output = (io::Result<usize>, Borrowed);

    fn prepare(&mut self) -> Sqe {
        let mut sqe = Sqe::new(opcode::Read::CODE);
        sqe.len = self.0.0.len() as u32;
        sqe.addr = address(self.0.0);
        sqe
    }

    unsafe fn complete(self, completion: Completion) -> Self::Output {
        self.0.0[0] ^= 1;
        (done(completion), self.0)
    }
}

pub struct Write(Box<[u8]>);

impl Write {
    pub fn new() -> Write {
        Write(vec![1; 8].into_boxed_slice())
    }
}

// SAFETY: O1: see the head of this file.
unsafe impl Op for Write {
    type Output = io::Result<usize>;

    fn prepare(&mut self) -> Sqe {
        let mut sqe = Sqe::new(opcode::Write::CODE);
        sqe.len = self.0.len() as u32;
        sqe.addr = address(&mut *self.0);
        sqe
    }

    unsafe fn complete(self, completion: Completion) -> Self::Output {
        done(completion)
    }
}

pub struct SendZc(Box<[u8]>);

impl SendZc {
    pub fn new() -> SendZc {
        SendZc(vec![1; 8].into_boxed_slice())
    }
}

// SAFETY: O1: see the head of this file.
unsafe impl Op for SendZc {
    type Output = io::Result<usize>;

    fn prepare(&mut self) -> Sqe {
        let mut sqe = Sqe::new(opcode::SendZc::CODE);
        sqe.len = self.0.len() as u32;
        sqe.addr = address(&mut *self.0);
        sqe
    }

    unsafe fn complete(mut self, completion: Completion) -> Self::Output {
        self.0[0] = 2;
        done(completion)
    }
}

pub struct Readv {
    buffers: Vec<Box<[u8]>>,
    vectors: Box<[libc::iovec]>,
}

impl Readv {
    pub fn new() -> Readv {
        let buffers = vec![vec![0; 3].into_boxed_slice(), vec![0; 5].into_boxed_slice()];
        let empty = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
        Readv { buffers, vectors: vec![empty; 2].into_boxed_slice() }
    }
}

/// Points `vectors` to `buffers`.
fn aim(vectors: &mut [libc::iovec], buffers: &mut [Box<[u8]>]) {
    for (vector, buffer) in vectors.iter_mut().zip(buffers) {
        let base = address(&mut **buffer);
        vector.iov_base = std::ptr::with_exposed_provenance_mut(base as usize);
        vector.iov_len = buffer.len();
    }
}

// SAFETY: O1: see the head of this file.
unsafe impl Op for Readv {
    type Output = (io::Result<usize>, Vec<Box<[u8]>>);

    fn prepare(&mut self) -> Sqe {
        aim(&mut self.vectors, &mut self.buffers);
        let mut sqe = Sqe::new(opcode::Readv::CODE);
        sqe.len = self.vectors.len() as u32;
        sqe.addr = address(&mut *self.vectors);
        sqe
    }

    unsafe fn complete(self, completion: Completion) -> Self::Output {
        (done(completion), self.buffers)
    }
}

pub struct RecvMsg {
    inner: Readv,
    name: Box<[u8; 28]>,
    header: Box<MaybeUninit<libc::msghdr>>,
}

impl RecvMsg {
    pub fn new() -> RecvMsg {
        RecvMsg {
            inner: Readv::new(),
            name: Box::new([0; 28]),
            header: Box::new(MaybeUninit::zeroed()),
        }
    }
}

// SAFETY: O1: see the head of this file.
unsafe impl Op for RecvMsg {
    type Output = (io::Result<usize>, Vec<Box<[u8]>>, u8, usize);

    fn prepare(&mut self) -> Sqe {
        aim(&mut self.inner.vectors, &mut self.inner.buffers);
        let name = address(&mut *self.name) as usize;
        let vectors = address(&mut *self.inner.vectors) as usize;
        // SAFETY: a header of zeroes is one.
        let header = unsafe { self.header.assume_init_mut() };
        header.msg_name = std::ptr::with_exposed_provenance_mut(name);
        header.msg_namelen = self.name.len() as u32;
        header.msg_iov = std::ptr::with_exposed_provenance_mut(vectors);
        header.msg_iovlen = self.inner.vectors.len();
        let mut sqe = Sqe::new(opcode::RecvMsg::CODE);
        sqe.addr = address(header);
        sqe.len = 1;
        sqe
    }

    unsafe fn complete(self, completion: Completion) -> Self::Output {
        // SAFETY: as in `prepare`.
        let header = unsafe { self.header.assume_init() };
        let (port, len) = (self.name[3], header.msg_namelen as usize);
        (done(completion), self.inner.buffers, port, len)
    }
}

#[repr(C)]
struct Peer {
    address: [u8; 28],
    len: libc::socklen_t,
}

pub struct Accept(Box<Peer>);

impl Accept {
    pub fn new() -> Accept {
        Accept(Box::new(Peer { address: [0; 28], len: 28 }))
    }
}

// SAFETY: O1: see the head of this file.
unsafe impl Op for Accept {
    type Output = io::Result<(OwnedFd, u8)>;

    fn prepare(&mut self) -> Sqe {
        let mut sqe = Sqe::new(opcode::Accept::CODE);
        sqe.addr = address(&mut self.0.address);
        sqe.off = address(&mut self.0.len);
        sqe
    }

    unsafe fn complete(self, completion: Completion) -> Self::Output {
        let fd = completion.into_result()?;
        // SAFETY: the kernel answers with a new descriptor.
        let fd = unsafe { OwnedFd::from_raw_fd(fd as i32) };
        assert_eq!(self.0.len as usize, size_of::<libc::sockaddr_in>());
        Ok((fd, self.0.address[3]))
    }
}

pub struct Connect(Box<[u8; 16]>);

impl Connect {
    pub fn new() -> Connect {
        Connect(Box::new([0; 16]))
    }
}

// SAFETY: O1: see the head of this file.
unsafe impl Op for Connect {
    type Output = io::Result<usize>;

    fn prepare(&mut self) -> Sqe {
        let mut sqe = Sqe::new(opcode::Connect::CODE);
        sqe.addr = address(&mut *self.0);
        sqe.off = self.0.len() as u64;
        sqe
    }

    unsafe fn complete(self, completion: Completion) -> Self::Output {
        done(completion)
    }
}

pub struct Statx {
    path: CString,
    record: Box<MaybeUninit<[u8; 256]>>,
}

impl Statx {
    pub fn new() -> Statx {
        Statx { path: CString::from(c"/etc"), record: Box::new(MaybeUninit::uninit()) }
    }
}

// SAFETY: O1: see the head of this file.
unsafe impl Op for Statx {
    type Output = io::Result<u32>;

    fn prepare(&mut self) -> Sqe {
        let mut sqe = Sqe::new(opcode::Statx::CODE);
        sqe.addr = self.path.as_ptr() as u64;
        sqe.off = address(&mut *self.record);
        sqe
    }

    unsafe fn complete(self, completion: Completion) -> Self::Output {
        completion.into_result()?;
        // SAFETY: after a success the kernel has written it.
        let record = unsafe { self.record.assume_init() };
        Ok(record.iter().map(|byte| u32::from(*byte)).sum())
    }
}

pub struct Timeout(Box<[i64; 2]>);

impl Timeout {
    pub fn new() -> Timeout {
        Timeout(Box::new([1, 0]))
    }
}

// SAFETY: O1: see the head of this file.
unsafe impl Op for Timeout {
    type Output = io::Result<usize>;

    fn prepare(&mut self) -> Sqe {
        let mut sqe = Sqe::new(opcode::Timeout::CODE);
        sqe.len = 1;
        sqe.addr = address(&mut *self.0);
        sqe
    }

    unsafe fn complete(mut self, completion: Completion) -> Self::Output {
        self.0[0] = 0;
        done(completion)
    }
}

/// Accepts again and again. O7: its entry has no pointer; `memory` is only its own.
pub struct AcceptMulti {
    memory: Box<usize>,
}

impl AcceptMulti {
    pub fn new() -> AcceptMulti {
        AcceptMulti { memory: Box::new(0) }
    }
}

// SAFETY: O1, O7: no pointer is in the entry.
unsafe impl MultiOp for AcceptMulti {
    type Item = io::Result<OwnedFd>;

    fn prepare(&mut self) -> Sqe {
        let mut sqe = Sqe::new(opcode::Accept::CODE);
        sqe.ioprio = 1;
        sqe
    }

    unsafe fn item(&mut self, completion: Completion) -> Option<Self::Item> {
        *self.memory += 1;
        // SAFETY: the kernel answers with a new descriptor.
        let open = |fd| unsafe { OwnedFd::from_raw_fd(fd as i32) };
        Some(completion.into_result().map(open))
    }
}
