//! An echo server on the bare `io-uring` crate, with the same set-up flags as ours.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use io_uring::{IoUring, opcode, squeue, types};

const ACCEPT: u64 = u64::MAX;
/// Set in the user data of a send; the rest is the connection.
const SENT: u64 = 1 << 32;

struct Connection {
    fd: OwnedFd,
    buf: Vec<u8>,
}

/// Echoes until the process ends; `direct`: sends by `send(2)`.
pub(crate) fn serve(
    bytes: usize,
    direct: bool,
    tell: Box<dyn FnOnce(SocketAddr)>,
) -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    tell(listener.local_addr()?);
    let mut ring = IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_taskrun_flag()
        .setup_submit_all()
        .setup_no_sqarray()
        .setup_cqsize(4096)
        .build(1024)?;
    let mut connections: Vec<Connection> = Vec::new();
    push(&mut ring, accept(listener.as_raw_fd()));
    loop {
        ring.submit_and_wait(1)?;
        let done: Vec<(u64, i32)> =
            ring.completion().map(|entry| (entry.user_data(), entry.result())).collect();
        for (data, result) in done {
            if data == ACCEPT {
                // SAFETY: the kernel has just made it for us.
                let fd = unsafe { OwnedFd::from_raw_fd(result) };
                socket2::SockRef::from(&fd).set_tcp_nodelay(true)?;
                connections.push(Connection { fd, buf: vec![0; bytes] });
                let index = connections.len() - 1;
                push(&mut ring, receive(&mut connections[index], index as u64));
                push(&mut ring, accept(listener.as_raw_fd()));
                continue;
            }
            let index = data & !SENT;
            let connection = &mut connections[index as usize];
            if result <= 0 {
                continue;
            }
            if data & SENT != 0 {
                push(&mut ring, receive(connection, index));
            } else if direct {
                let (fd, start) = (connection.fd.as_raw_fd(), connection.buf.as_ptr());
                // SAFETY: the buffer holds as many bytes as were received.
                unsafe { libc::send(fd, start.cast(), result as usize, libc::MSG_NOSIGNAL) };
                push(&mut ring, receive(connection, index));
            } else {
                let (fd, start) = (types::Fd(connection.fd.as_raw_fd()), connection.buf.as_ptr());
                let send =
                    opcode::Send::new(fd, start, result as u32).flags(libc::MSG_NOSIGNAL).build();
                push(&mut ring, send.user_data(index | SENT));
            }
        }
    }
}

fn accept(listener: RawFd) -> squeue::Entry {
    let none = std::ptr::null_mut();
    opcode::Accept::new(types::Fd(listener), none, none.cast()).build().user_data(ACCEPT)
}

fn receive(connection: &mut Connection, index: u64) -> squeue::Entry {
    let (start, len) = (connection.buf.as_mut_ptr(), connection.buf.len() as u32);
    opcode::Recv::new(types::Fd(connection.fd.as_raw_fd()), start, len).build().user_data(index)
}

fn push(ring: &mut IoUring, entry: squeue::Entry) {
    // SAFETY: buffers and descriptors live as long as the server, which is for ever.
    while unsafe { ring.submission().push(&entry) }.is_err() {
        ring.submit().expect("enter");
    }
}
