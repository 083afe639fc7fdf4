//! Opening what a server listens on: for each core one socket of each address.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};

use super::address::{Address, LocalAddr};
use super::builder::{Launch, Settings};
use super::inherited;
use super::policy::Accept;
use super::socket_file::{self, SocketFile};
use super::stream::local_addr;
use crate::net::{resolve, unix};
use crate::op::now_message;

/// A socket that a core accepts from.
pub(super) struct Listener {
    /// Shared by all cores where there is one for all.
    pub(super) fd: Arc<OwnedFd>,
    /// Which of the addresses it is of.
    pub(super) address: usize,
    /// There is one for all cores.
    pub(super) is_shared: bool,
}

/// All that a server listens on.
pub(super) struct Opened {
    /// By core.
    pub(super) listeners: Vec<Vec<Listener>>,
    pub(super) addrs: Vec<LocalAddr>,
    pub(super) files: Vec<SocketFile>,
    pub(super) notes: Vec<String>,
}

struct Opening<'a> {
    settings: &'a Settings,
    launch: &'a Launch,
    /// By core.
    cpus: &'a [Option<usize>],
    opened: Opened,
    /// There is a TCP socket that goes with this process.
    has_own_tcp: bool,
}

/// Opens all addresses, or none.
pub(super) async fn open(
    settings: &Settings,
    launch: &Launch,
    cpus: &[Option<usize>],
) -> io::Result<Opened> {
    let opened = Opened {
        listeners: cpus.iter().map(|_| Vec::new()).collect(),
        addrs: Vec::new(),
        files: Vec::new(),
        notes: Vec::new(),
    };
    let mut opening = Opening { settings, launch, cpus, opened, has_own_tcp: false };
    if launch.prefer_inherited && inherited::are_there()? {
        opening.inherited(None)?;
    } else {
        for address in &launch.addresses {
            let done = opening.address(address).await;
            done.map_err(|error| {
                io::Error::new(error.kind(), format!("cannot listen at {address}: {error}"))
            })?;
        }
    }
    opening.note();
    Ok(opening.opened)
}

impl Opening<'_> {
    async fn address(&mut self, address: &Address) -> io::Result<()> {
        match address {
            Address::Tcp(address) => self.tcp(*address),
            Address::Host(text) => self.host(text).await,
            Address::Unix(path) => {
                let (socket, file) = socket_file::bind(path)?;
                self.opened.files.push(file);
                self.unix(socket)
            }
            Address::Abstract(name) => {
                let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
                socket.bind(&unix::SocketAddr::from_abstract_name(name)?.to_raw()?)?;
                self.unix(socket)
            }
            Address::Inherited(name) => self.inherited(name.as_deref()),
        }
    }

    /// All addresses of a name, but for those of a family that this machine does not have.
    async fn host(&mut self, text: &str) -> io::Result<()> {
        let mut failed = None;
        let before = self.opened.addrs.len();
        for address in resolve(text).await? {
            match self.tcp(address) {
                Ok(()) => {}
                Err(error) if is_missing(&error) => failed = Some(error),
                Err(error) => return Err(error),
            }
        }
        if self.opened.addrs.len() > before { Ok(()) } else { failed.map_or(Ok(()), Err) }
    }

    fn tcp(&mut self, address: SocketAddr) -> io::Result<()> {
        self.has_own_tcp = true;
        let own = self.settings.accept != Accept::LeastLoaded;
        let first = self.bound(&address.into(), self.launch.share_port)?;
        let bound = first.local_addr()?;
        if !own {
            self.listen(&first)?;
            return self.share(first.into());
        }
        // Set only now, it keeps a second server from sharing the address by accident.
        first.set_reuse_port(true)?;
        let mut sockets = vec![first];
        for _ in 1..self.cpus.len() {
            sockets.push(self.bound(&bound, true)?);
        }
        // The order in which they begin to listen is that by which they can be steered to.
        for socket in &sockets {
            self.listen(socket)?;
        }
        if self.launch.steer_by_cpu {
            now_message::steer_by_cpu(sockets[0].as_fd(), self.cpus)?;
        }
        let address = self.opened.addrs.len();
        self.opened.addrs.push(local_addr(&SockRef::from(&sockets[0]))?);
        for (listeners, socket) in self.opened.listeners.iter_mut().zip(sockets) {
            let fd = Arc::new(OwnedFd::from(socket));
            listeners.push(Listener { fd, address, is_shared: false });
        }
        Ok(())
    }

    fn bound(&self, address: &SockAddr, reuse_port: bool) -> io::Result<Socket> {
        let socket = Socket::new(address.domain(), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        if reuse_port {
            socket.set_reuse_port(true)?;
        }
        // What is accepted has it from here.
        socket.set_tcp_nodelay(self.launch.nodelay)?;
        socket.bind(address)?;
        Ok(socket)
    }

    fn listen(&self, socket: &Socket) -> io::Result<()> {
        socket.listen(i32::try_from(self.settings.backlog).unwrap_or(i32::MAX))
    }

    fn unix(&mut self, socket: Socket) -> io::Result<()> {
        self.listen(&socket)?;
        self.share(socket.into())
    }

    fn inherited(&mut self, name: Option<&str>) -> io::Result<()> {
        for fd in inherited::take(name)? {
            let socket = SockRef::from(&fd);
            if !socket.local_addr()?.is_unix() {
                socket.set_tcp_nodelay(self.launch.nodelay)?;
            }
            self.share(fd)?;
        }
        Ok(())
    }

    /// One socket for all cores.
    fn share(&mut self, fd: OwnedFd) -> io::Result<()> {
        let address = self.opened.addrs.len();
        self.opened.addrs.push(local_addr(&SockRef::from(&fd))?);
        let fd = Arc::new(fd);
        for listeners in &mut self.opened.listeners {
            listeners.push(Listener { fd: Arc::clone(&fd), address, is_shared: true });
        }
        Ok(())
    }

    fn note(&mut self) {
        if self.has_own_tcp && !migrates() {
            self.opened.notes.push(
                "a restart may lose connections that are being made at that moment: pass the \
                 listening socket on (LISTEN_FDS, as systemd's socket activation does), or set \
                 net.ipv4.tcp_migrate_req=1 and let both processes share the port"
                    .to_owned(),
            );
        }
    }
}

/// Whether handshakes move to another socket of the address when one is closed.
fn migrates() -> bool {
    let setting = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_migrate_req");
    setting.is_ok_and(|setting| setting.trim() == "1")
}

/// This machine does not have such addresses.
fn is_missing(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    matches!(code, Some(libc::EADDRNOTAVAIL | libc::EAFNOSUPPORT))
}
