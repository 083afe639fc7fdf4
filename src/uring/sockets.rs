//! The methods of `AsyncIoUring` for sockets beyond send and receive.

use std::rc::Rc;

use socket2::SockAddr;

use super::{AsyncIoUring, FixedBuf};
use crate::buf::{IoBuf, IoVectoredBuf, IoVectoredBufMut};
use crate::op::{
    AcceptMulti, Bind, CancelFd, Control, IntoOpFd, Listen, Multishot, RecvMsg, SendMsg, SendMsgZc,
    SendZc, SendZcFixed, Socket, Submission,
};

impl AsyncIoUring {
    /// Takes each connection that comes; `flags` are `SOCK_*`. See [`AcceptMulti`].
    ///
    /// # Examples
    ///
    /// ```
    /// use futures::StreamExt;
    /// use ringspun::op::SharedFd;
    /// use ringspun::uring::AsyncIoUring;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let runtime = ringspun::runtime::Runtime::new()?;
    /// let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    /// let _client = std::net::TcpStream::connect(listener.local_addr()?)?;
    /// runtime.block_on(async {
    ///     let mut incoming = AsyncIoUring::current().accept_multi(SharedFd::new(listener), 0);
    ///     let first = incoming.next().await.expect("it was not cancelled")?;
    ///     drop(std::net::TcpStream::from(first));
    ///     Ok(())
    /// })
    /// # }
    /// ```
    #[track_caller]
    pub fn accept_multi(&self, fd: impl IntoOpFd, flags: u32) -> Multishot<AcceptMulti> {
        Multishot::on(AcceptMulti::new(fd, flags), Rc::clone(&self.ring))
    }

    /// Makes a socket; `domain` is `AF_*`, `kind` is `SOCK_*`. See [`Socket`].
    #[track_caller]
    pub fn socket(&self, domain: i32, kind: i32, protocol: i32) -> Submission<Socket> {
        self.submit(Socket::new(domain, kind, protocol))
    }

    /// Gives a socket its address. See [`Bind`].
    #[track_caller]
    pub fn bind(&self, fd: impl IntoOpFd, address: impl Into<SockAddr>) -> Submission<Bind> {
        self.submit(Bind::new(fd, address))
    }

    /// Has a socket take connections. See [`Listen`].
    #[track_caller]
    pub fn listen(&self, fd: impl IntoOpFd, backlog: i32) -> Submission<Listen> {
        self.submit(Listen::new(fd, backlog))
    }

    /// Sends without copying; `flags` are `MSG_*`. See [`SendZc`], which also takes an address.
    #[track_caller]
    pub fn send_zc<B: IoBuf>(
        &self,
        fd: impl IntoOpFd,
        buf: B,
        flags: u32,
    ) -> Submission<SendZc<B>> {
        self.submit(SendZc::new(fd, buf, flags))
    }

    /// Sends a registered buffer without copying. See [`SendZcFixed`].
    #[track_caller]
    pub fn send_zc_fixed(
        &self,
        fd: impl IntoOpFd,
        buf: FixedBuf,
        flags: u32,
    ) -> Submission<SendZcFixed> {
        self.submit(SendZc::fixed(fd, buf, flags))
    }

    /// Sends several buffers, to an address if one is given, with control messages;
    /// `flags` are `MSG_*`. See [`SendMsg`].
    ///
    /// # Examples
    ///
    /// A descriptor goes to another process:
    ///
    /// ```
    /// use ringspun::op::{Control, SharedFd};
    /// use ringspun::uring::AsyncIoUring;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let runtime = ringspun::runtime::Runtime::new()?;
    /// let (ours, theirs) = std::os::unix::net::UnixDatagram::pair()?;
    /// let (reader, _writer) = std::io::pipe()?;
    /// runtime.block_on(async {
    ///     let ring = AsyncIoUring::current();
    ///     let control = Control::new().rights([SharedFd::new(reader)]);
    ///     let ours = SharedFd::new(ours);
    ///     ring.sendmsg(ours, ["take ", "this"], None, control, 0).await.0?;
    ///
    ///     let room = Control::space(size_of::<i32>());
    ///     let theirs = SharedFd::new(theirs);
    ///     let (message, bufs) = ring.recvmsg(theirs, [vec![0; 64]], room, 0).await;
    ///     let mut message = message?;
    ///     assert_eq!(&bufs[0][..message.count], b"take this");
    ///     assert_eq!(message.control.take_rights().len(), 1);
    ///     Ok(())
    /// })
    /// # }
    /// ```
    #[track_caller]
    pub fn sendmsg<V: IoVectoredBuf>(
        &self,
        fd: impl IntoOpFd,
        bufs: V,
        address: Option<SockAddr>,
        control: Control,
        flags: u32,
    ) -> Submission<SendMsg<V>> {
        let op = SendMsg::new(fd, bufs, flags).control(control);
        self.submit(match address {
            Some(address) => op.to(address),
            None => op,
        })
    }

    /// Like [`sendmsg`](AsyncIoUring::sendmsg), without copying. See [`SendMsgZc`].
    #[track_caller]
    pub fn sendmsg_zc<V: IoVectoredBuf>(
        &self,
        fd: impl IntoOpFd,
        bufs: V,
        address: Option<SockAddr>,
        control: Control,
        flags: u32,
    ) -> Submission<SendMsgZc<V>> {
        let op = SendMsgZc::new(fd, bufs, flags).control(control);
        self.submit(match address {
            Some(address) => op.to(address),
            None => op,
        })
    }

    /// Receives into several buffers, with the sender's address and up to `control` bytes of
    /// control messages; `flags` are `MSG_*`. See [`RecvMsg`].
    #[track_caller]
    pub fn recvmsg<V: IoVectoredBufMut>(
        &self,
        fd: impl IntoOpFd,
        bufs: V,
        control: usize,
        flags: u32,
    ) -> Submission<RecvMsg<V>> {
        self.submit(RecvMsg::new(fd, bufs, flags).control(control))
    }

    /// Asks for the end of all ops on a descriptor; answers how many there were.
    /// See [`CancelFd`].
    #[track_caller]
    pub fn cancel_fd(&self, fd: impl IntoOpFd) -> Submission<CancelFd> {
        self.submit(CancelFd::new(fd))
    }
}
