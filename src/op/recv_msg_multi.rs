//! `IORING_OP_RECVMSG` again and again: datagrams with their addresses, into buffers that the
//! kernel chooses.
//!
//! ```text
//!  buffer  | header | address, room for 128 | control, room as asked | payload |
//! ```

#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::fmt;
use std::io;
use std::mem;
use std::ops::Range;
use std::ptr;
use std::rc::Rc;

use io_uring::opcode;
use socket2::{SockAddr, SockAddrStorage};

use super::message::recv_flags;
use super::recv_multi::RECV_MULTISHOT;
use super::{BufGroup, Completion, IntoOpFd, MultiOp, OpFd, ReceivedControl, buf_group};
use crate::ring::PooledBuf;
use crate::ring::kernel::Sqe;

/// Receives datagrams again and again into pooled buffers, each with the address of its sender: one
/// entry for any number of them. See `recvmsg(2)`. Linux 6.0.
///
/// `flags` are `MSG_*` of libc, 0 for none; `MSG_CMSG_CLOEXEC` is always set, `MSG_TRUNC` never
/// ([`Datagram::flags`] has it if bytes were cut off). The buffers have to hold 144 bytes, the
/// control data and the payload: what does not fit of a datagram is cut off.
///
/// While the pool is empty the stream waits as [`RecvMulti`](super::RecvMulti) does.
///
/// # Errors
///
/// [`InvalidInput`](io::ErrorKind::InvalidInput) for the group of another runtime, or if its
/// buffers are too small; those of `recvmsg(2)`. An error is an item; the next poll tries again.
///
/// # Cancellation
///
/// As for [`Multishot`](super::Multishot). Buffers of items that nobody takes go back, descriptors
/// in their control messages are closed.
///
/// # Examples
///
/// ```
/// use std::net::UdpSocket;
///
/// use futures::StreamExt;
/// use ringspun::op::{self, BufClass, Multishot, RecvMsgMulti, SharedFd};
///
/// # fn main() -> std::io::Result<()> {
/// let ours = UdpSocket::bind("127.0.0.1:0")?;
/// let peer = UdpSocket::bind("127.0.0.1:0")?;
/// peer.send_to(b"hello", ours.local_addr()?)?;
/// let runtime = ringspun::runtime::Runtime::new()?;
/// runtime.block_on(async {
///     let Some(group) = op::buf_group(BufClass::Small) else {
///         return Ok(()); // Linux before 5.19
///     };
///     let mut stream = Multishot::new(RecvMsgMulti::new(SharedFd::new(ours), group, 0));
///     let datagram = stream.next().await.expect("it was not cancelled")?;
///     assert_eq!(datagram.payload(), b"hello");
///     let address = datagram.address().and_then(|address| address.as_socket());
///     assert_eq!(address, Some(peer.local_addr()?));
///     Ok(())
/// })
/// # }
/// ```
pub struct RecvMsgMulti {
    fd: OpFd,
    group: BufGroup,
    flags: u32,
    /// How much room there is for addresses and control data. Shared, so that no move of the op
    /// claims what the kernel looks at (O7).
    shape: Rc<UnsafeCell<libc::msghdr>>,
    control_room: usize,
    refused: Option<Refused>,
}

#[derive(Clone, Copy, Debug)]
enum Refused {
    Foreign,
    TooSmall,
}

/// One datagram: who sent it, its bytes, and what the kernel says besides.
pub struct Datagram {
    buf: PooledBuf,
    address: Range<usize>,
    control: ReceivedControl,
    payload: Range<usize>,
    flags: u32,
}

/// Room for the address of any family.
const ADDRESS_ROOM: usize = size_of::<libc::sockaddr_storage>();
/// `struct io_uring_recvmsg_out`: four words: the lengths of address, control data and payload as
/// they were before anything was cut off, and flags.
const HEADER: usize = 16;
/// The most that Linux takes for control data of a receive, with much to spare.
const CONTROL_ROOM_MAX: usize = 1 << 16;

impl RecvMsgMulti {
    /// Describes the receives, without control data.
    pub fn new(fd: impl IntoOpFd, group: BufGroup, flags: u32) -> RecvMsgMulti {
        // SAFETY: a `msghdr` of zeroes has no address, no vectors and no control data.
        let mut shape: libc::msghdr = unsafe { mem::zeroed() };
        shape.msg_namelen = ADDRESS_ROOM as libc::socklen_t;
        RecvMsgMulti {
            fd: fd.into_op_fd(),
            group,
            flags: recv_flags(flags),
            shape: Rc::new(UnsafeCell::new(shape)),
            control_room: 0,
            refused: None,
        }
    }

    /// Makes room for so many bytes of control data (`cmsg(3)`) before each payload.
    #[must_use]
    pub fn control_room(mut self, bytes: usize) -> RecvMsgMulti {
        let bytes = bytes.min(CONTROL_ROOM_MAX);
        if let Some(shape) = Rc::get_mut(&mut self.shape) {
            shape.get_mut().msg_controllen = bytes as _;
            self.control_room = bytes;
        }
        self
    }

    fn payload_start(&self) -> usize {
        HEADER + ADDRESS_ROOM + self.control_room
    }

    fn error(refused: Refused) -> io::Error {
        match refused {
            Refused::Foreign => buf_group::foreign(),
            Refused::TooSmall => io::Error::new(
                io::ErrorKind::InvalidInput,
                "the pooled buffers are too small for the address and the control data: see \
                 BufferPool::small",
            ),
        }
    }
}

// SAFETY: O1: the entry points to `shape` only, which is shared and never changed once it is
// prepared, and has no pointers; the kernel writes to buffers of the group only, which the op
// keeps, and never to one of another ring's, for then it is not asked. O7: a shared owner holds
// `shape`, and no reference to what is in its cell is made. O4: `fd` is owned.
unsafe impl MultiOp for RecvMsgMulti {
    type Item = io::Result<Datagram>;

    fn prepare(&mut self) -> Sqe {
        self.refused = match () {
            () if !self.group.is_here() => Some(Refused::Foreign),
            () if self.group.buf_len() < self.payload_start() => Some(Refused::TooSmall),
            () => None,
        };
        if self.refused.is_some() {
            return super::refused();
        }
        let mut sqe = Sqe::new(opcode::RecvMsg::CODE);
        self.fd.set(&mut sqe);
        self.group.select(&mut sqe);
        sqe.addr = self.shape.get() as u64;
        sqe.len = 1;
        let never = libc::MSG_TRUNC as u32;
        sqe.op_flags = self.flags & !never | libc::MSG_CMSG_CLOEXEC as u32;
        sqe.ioprio = RECV_MULTISHOT;
        sqe
    }

    unsafe fn item(&mut self, completion: Completion) -> Option<io::Result<Datagram>> {
        if let Some(refused) = self.refused {
            return Some(Err(RecvMsgMulti::error(refused)));
        }
        let received = self.group.clone().receive(completion);
        Some(received.and_then(|buf| Datagram::parse(buf, self.control_room)))
    }

    fn buf_group(&self) -> Option<&BufGroup> {
        self.refused.is_none().then_some(&self.group)
    }
}

impl Datagram {
    /// Finds the parts of what the kernel wrote. It is not believed further than the bytes go.
    fn parse(buf: PooledBuf, control_room: usize) -> io::Result<Datagram> {
        let address_start = HEADER;
        let control_start = address_start + ADDRESS_ROOM;
        let payload_start = control_start + control_room;
        if buf.len() < payload_start {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the kernel wrote less than the head of a datagram",
            ));
        }
        let word = |at: usize| {
            let bytes = [buf[at], buf[at + 1], buf[at + 2], buf[at + 3]];
            u32::from_ne_bytes(bytes)
        };
        let address_len = (word(0) as usize).min(ADDRESS_ROOM);
        let control_len = (word(4) as usize).min(control_room);
        let payload_len = (word(8) as usize).min(buf.len() - payload_start);
        // What was asked for is echoed.
        let flags = word(12) & !(libc::MSG_CMSG_CLOEXEC as u32);
        let control = buf[control_start..control_start + control_len].to_vec();
        // SAFETY: the kernel wrote these bytes for this datagram; a buffer is parsed once, and
        // nobody else takes over the descriptors in it.
        let control = unsafe { ReceivedControl::new(control) };
        Ok(Datagram {
            address: address_start..address_start + address_len,
            control,
            payload: payload_start..payload_start + payload_len,
            flags,
            buf,
        })
    }

    /// The sender. None, if the socket is connected and of a kind that does not say, or the sender
    /// has no name.
    #[must_use]
    pub fn address(&self) -> Option<SockAddr> {
        let bytes = &self.buf[self.address.clone()];
        if bytes.len() < size_of::<libc::sa_family_t>() {
            return None;
        }
        let mut storage = SockAddrStorage::zeroed();
        let len = bytes.len().min(storage.size_of() as usize);
        let to = (&raw mut storage).cast::<u8>();
        // SAFETY: `len` bytes are within both; any bytes are a storage of an address.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), to, len) };
        // SAFETY: the kernel wrote a socket address of `len` bytes, and the rest is zero.
        Some(unsafe { SockAddr::new(storage, len as libc::socklen_t) })
    }

    /// The bytes of the datagram.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.buf[self.payload.clone()]
    }

    /// The control messages that came with it. Descriptors that are not taken are closed with it.
    #[must_use]
    pub fn control(&self) -> &ReceivedControl {
        &self.control
    }

    /// To take the descriptors that came.
    pub fn control_mut(&mut self) -> &mut ReceivedControl {
        &mut self.control
    }

    /// What `recvmsg(2)` says in `msg_flags`: `MSG_TRUNC` if bytes of the datagram were cut off,
    /// `MSG_CTRUNC` if control data was.
    #[must_use]
    pub fn flags(&self) -> i32 {
        self.flags as i32
    }

    /// The bytes of the datagram, in the buffer that they are in. Descriptors that were not taken
    /// are closed.
    #[must_use]
    pub fn into_payload(self) -> PooledBuf {
        let mut buf = self.buf;
        buf.truncate(self.payload.end);
        buf.advance(self.payload.start);
        buf
    }
}

impl fmt::Debug for RecvMsgMulti {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvMsgMulti")
            .field("fd", &self.fd)
            .field("group", &self.group)
            .field("flags", &self.flags)
            .field("control_room", &self.control_room)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Datagram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Datagram")
            .field("address", &self.address())
            .field("payload_len", &self.payload.len())
            .field("control", &self.control)
            .field("flags", &self.flags)
            .finish_non_exhaustive()
    }
}
