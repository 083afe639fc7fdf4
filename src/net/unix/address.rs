//! The names of Unix sockets.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net;
use std::path::Path;

use socket2::{SockAddr, SockRef};

/// The name of a Unix socket: a path, an abstract name, or none.
///
/// # Examples
///
/// ```
/// use ringspun::net::unix::SocketAddr;
///
/// # fn main() -> std::io::Result<()> {
/// let name = SocketAddr::from_abstract_name("bus")?;
/// assert_eq!(name.as_abstract_name(), Some(&b"bus"[..]));
/// assert!(name.as_pathname().is_none() && !name.is_unnamed());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SocketAddr(net::SocketAddr);

impl SocketAddr {
    /// The socket at this path.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if it has a NUL byte, or more than 107 bytes.
    pub fn from_pathname<P: AsRef<Path>>(path: P) -> io::Result<SocketAddr> {
        Ok(SocketAddr(net::SocketAddr::from_pathname(path)?))
    }

    /// The socket with this name, which is no path.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if it has more than 107 bytes.
    pub fn from_abstract_name<N: AsRef<[u8]>>(name: N) -> io::Result<SocketAddr> {
        Ok(SocketAddr(net::SocketAddr::from_abstract_name(name)?))
    }

    /// A path, or after a NUL byte an abstract name.
    pub(crate) fn from_either(path: &Path) -> io::Result<SocketAddr> {
        match path.as_os_str().as_bytes() {
            [0, name @ ..] => SocketAddr::from_abstract_name(name),
            _ => SocketAddr::from_pathname(path),
        }
    }

    /// True for a socket without a name: it is not bound.
    #[must_use]
    pub fn is_unnamed(&self) -> bool {
        self.0.is_unnamed()
    }

    /// The path, if it has one.
    #[must_use]
    pub fn as_pathname(&self) -> Option<&Path> {
        self.0.as_pathname()
    }

    /// The abstract name, if it has one; without the NUL byte before it.
    #[must_use]
    pub fn as_abstract_name(&self) -> Option<&[u8]> {
        self.0.as_abstract_name()
    }

    pub(crate) fn to_raw(&self) -> io::Result<SockAddr> {
        match (self.as_abstract_name(), self.as_pathname()) {
            (Some(name), _) => SockAddr::unix(OsStr::from_bytes(&[&[0], name].concat())),
            (None, Some(path)) => SockAddr::unix(path),
            (None, None) => SockAddr::unix(""),
        }
    }

    pub(crate) fn from_raw(raw: &SockAddr) -> io::Result<SocketAddr> {
        if let Some(name) = raw.as_abstract_namespace() {
            return SocketAddr::from_abstract_name(name);
        }
        SocketAddr::from_pathname(raw.as_pathname().unwrap_or(Path::new("")))
    }

    pub(super) fn local(socket: &SockRef<'_>) -> io::Result<SocketAddr> {
        SocketAddr::from_raw(&socket.local_addr()?)
    }

    pub(super) fn peer(socket: &SockRef<'_>) -> io::Result<SocketAddr> {
        SocketAddr::from_raw(&socket.peer_addr()?)
    }
}

/// The path of a message for people.
pub(super) fn cannot(what: &str, address: &SocketAddr, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot {what} {address:?}: {error}"))
}

impl From<net::SocketAddr> for SocketAddr {
    fn from(address: net::SocketAddr) -> SocketAddr {
        SocketAddr(address)
    }
}

impl From<SocketAddr> for net::SocketAddr {
    fn from(address: SocketAddr) -> net::SocketAddr {
        address.0
    }
}

impl fmt::Debug for SocketAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::SocketAddr;

    #[test]
    fn there_and_back() {
        let all = [
            SocketAddr::from_pathname("/tmp/x").expect("short"),
            SocketAddr::from_abstract_name(b"a\0b").expect("short"),
            SocketAddr::from_abstract_name(b"").expect("short"),
            SocketAddr::from_either(Path::new("\0name")).expect("short"),
            SocketAddr::from_pathname("").expect("short"),
        ];
        for address in all {
            let back = SocketAddr::from_raw(&address.to_raw().expect("short")).expect("unix");
            assert_eq!(format!("{back:?}"), format!("{address:?}"));
            assert_eq!(back.is_unnamed(), address.is_unnamed());
        }
        assert!(SocketAddr::from_either(Path::new("a\0b")).is_err());
        assert!(SocketAddr::from_pathname("x".repeat(108)).is_err());
    }
}
