//! Where a server listens: as it is asked for, and as it came out.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::path::{Path, PathBuf};

use crate::net::unix;

/// Where a server listens. As text:
///
/// | text | what |
/// |---|---|
/// | `127.0.0.1:80`, `[::1]:80`, `localhost:80` | TCP; a name is resolved, and all its addresses are used |
/// | `unix:/run/app.sock` | a Unix socket |
/// | `unix:@name` | a Unix socket with an abstract name |
/// | `inherited`, `inherited:web` | what the process was started with: all, or those of this name |
///
/// A text that is none of these is an error when the server starts.
///
/// # Examples
///
/// ```
/// use ringspun::server::Address;
///
/// assert_eq!(Address::from("unix:@bus"), Address::Abstract(b"bus".to_vec()));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Address {
    /// TCP, at this address. Port 0 takes a free one.
    Tcp(SocketAddr),
    /// TCP: a name or an address, a colon, a port.
    Host(String),
    /// A Unix socket at this path. Its file goes when the server ends; a file that nobody listens
    /// at any more, which an earlier server has left, is replaced.
    Unix(PathBuf),
    /// A Unix socket with a name that is in no directory.
    Abstract(Vec<u8>),
    /// The listening sockets that the process was started with (`LISTEN_FDS`, as systemd's socket
    /// activation has it): all that no other server of this process has taken, or those that
    /// `LISTEN_FDNAMES` calls by this name.
    Inherited(Option<String>),
}

impl Address {
    /// The listening sockets that the process was started with.
    #[must_use]
    pub fn inherited() -> Address {
        Address::Inherited(None)
    }

    /// Those of them that have this name (`FileDescriptorName=` of a systemd socket unit).
    #[must_use]
    pub fn inherited_as(name: impl Into<String>) -> Address {
        Address::Inherited(Some(name.into()))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(address) => address.fmt(f),
            Address::Host(text) => f.write_str(text),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
            Address::Abstract(name) => write!(f, "unix:@{}", name.escape_ascii()),
            Address::Inherited(None) => f.write_str("inherited"),
            Address::Inherited(Some(name)) => write!(f, "inherited:{name}"),
        }
    }
}

impl From<&str> for Address {
    fn from(text: &str) -> Address {
        if let Ok(address) = text.parse() {
            return Address::Tcp(address);
        }
        match text.split_once(':') {
            None if text == "inherited" => Address::inherited(),
            Some(("inherited", name)) => Address::inherited_as(name),
            Some(("unix", name)) => match name.strip_prefix('@') {
                Some(name) => Address::Abstract(name.as_bytes().to_vec()),
                None => Address::Unix(name.into()),
            },
            _ => Address::Host(text.to_owned()),
        }
    }
}

impl From<String> for Address {
    fn from(text: String) -> Address {
        Address::from(text.as_str())
    }
}

impl From<&String> for Address {
    fn from(text: &String) -> Address {
        Address::from(text.as_str())
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Address {
        Address::Tcp(address)
    }
}

impl From<SocketAddrV4> for Address {
    fn from(address: SocketAddrV4) -> Address {
        Address::Tcp(address.into())
    }
}

impl From<SocketAddrV6> for Address {
    fn from(address: SocketAddrV6) -> Address {
        Address::Tcp(address.into())
    }
}

impl From<(IpAddr, u16)> for Address {
    fn from(address: (IpAddr, u16)) -> Address {
        Address::Tcp(address.into())
    }
}

impl From<(Ipv4Addr, u16)> for Address {
    fn from(address: (Ipv4Addr, u16)) -> Address {
        Address::Tcp(address.into())
    }
}

impl From<(Ipv6Addr, u16)> for Address {
    fn from(address: (Ipv6Addr, u16)) -> Address {
        Address::Tcp(address.into())
    }
}

impl From<(&str, u16)> for Address {
    fn from((host, port): (&str, u16)) -> Address {
        match host.parse::<IpAddr>() {
            Ok(ip) => Address::from((ip, port)),
            Err(_) => Address::Host(format!("{host}:{port}")),
        }
    }
}

impl From<PathBuf> for Address {
    fn from(path: PathBuf) -> Address {
        Address::Unix(path)
    }
}

impl From<&Path> for Address {
    fn from(path: &Path) -> Address {
        Address::Unix(path.to_owned())
    }
}

/// Where a server does listen. Its text is one that [`Address`] understands.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum LocalAddr {
    /// TCP.
    Tcp(SocketAddr),
    /// Unix domain.
    Unix(unix::SocketAddr),
}

impl LocalAddr {
    /// The internet address, if it is one.
    #[must_use]
    pub fn tcp(&self) -> Option<SocketAddr> {
        match self {
            LocalAddr::Tcp(address) => Some(*address),
            LocalAddr::Unix(_) => None,
        }
    }
}

impl fmt::Display for LocalAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LocalAddr::Tcp(address) => address.fmt(f),
            LocalAddr::Unix(name) => match (name.as_pathname(), name.as_abstract_name()) {
                (Some(path), _) => write!(f, "unix:{}", path.display()),
                (None, Some(name)) => write!(f, "unix:@{}", name.escape_ascii()),
                (None, None) => f.write_str("unix:"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Address, LocalAddr};
    use crate::net::unix;

    #[test]
    fn texts() {
        for (text, address) in [
            ("127.0.0.1:80", Address::Tcp("127.0.0.1:80".parse().expect("it is one"))),
            ("[::1]:80", Address::Tcp("[::1]:80".parse().expect("it is one"))),
            ("localhost:80", Address::Host("localhost:80".to_owned())),
            ("unix:/run/x", Address::Unix("/run/x".into())),
            ("unix:@x", Address::Abstract(b"x".to_vec())),
            ("inherited", Address::inherited()),
            ("inherited:web", Address::inherited_as("web")),
            ("nonsense", Address::Host("nonsense".to_owned())),
        ] {
            assert_eq!(Address::from(text), address);
            assert_eq!(address.to_string(), text);
        }
        assert_eq!(Address::from(("::1", 8)), Address::from("[::1]:8"));
        assert_eq!(Address::from(("here", 8)), Address::from("here:8"));
    }

    #[test]
    fn local_addresses_are_addresses() {
        let path = LocalAddr::Unix(unix::SocketAddr::from_pathname("/run/x").expect("short"));
        assert_eq!(path.to_string(), "unix:/run/x");
        let name = LocalAddr::Unix(unix::SocketAddr::from_abstract_name("x").expect("short"));
        assert_eq!(name.to_string(), "unix:@x");
    }
}
