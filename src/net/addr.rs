//! Addresses, and what becomes one.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::vec;

use crate::blocking::spawn_blocking;

/// What can be turned into addresses: an address, several of them, or a name with a port.
///
/// Names (`"localhost:80"`, `("example.org", 443)`) are resolved by `getaddrinfo(3)` on the
/// blocking pool, so the core goes on meanwhile; everything else costs nothing. Implemented for
/// what tokio implements it for; it cannot be implemented elsewhere.
pub trait ToSocketAddrs: sealed::Sealed {}

/// The addresses of a name.
///
/// # Errors
///
/// [`InvalidInput`](io::ErrorKind::InvalidInput) for a string without a port; what `getaddrinfo`
/// says of a name that it does not find.
///
/// # Cancellation
///
/// If the future is dropped the lookup goes on in its thread, and its answer is dropped.
///
/// # Panics
///
/// Outside a runtime, for a name.
///
/// # Examples
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # ringspun::runtime::Runtime::new()?.block_on(async {
/// for address in ringspun::net::lookup_host("localhost:80").await? {
///     assert_eq!(address.port(), 80);
/// }
/// # Ok(())
/// # })
/// # }
/// ```
pub async fn lookup_host<T: ToSocketAddrs>(
    host: T,
) -> io::Result<impl Iterator<Item = SocketAddr>> {
    Ok(resolve(host).await?.into_iter())
}

/// The addresses of `host`: at least one.
pub(crate) async fn resolve<T: ToSocketAddrs>(host: T) -> io::Result<Vec<SocketAddr>> {
    let found = match host.target() {
        sealed::Target::Known(addresses) => addresses,
        sealed::Target::Name(host, port) => look_up(host, port).await?,
        sealed::Target::Invalid(what) => {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("`{what}` is no address: write host:port, or [ipv6]:port"),
            ));
        }
    };
    if found.is_empty() {
        let what = "there is no address to use: the list is empty";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    Ok(found)
}

async fn look_up(host: String, port: u16) -> io::Result<Vec<SocketAddr>> {
    let lookup = spawn_blocking(move || {
        let found = std::net::ToSocketAddrs::to_socket_addrs(&(host.as_str(), port));
        found.map(vec::IntoIter::collect).map_err(|error| {
            io::Error::new(error.kind(), format!("`{host}` was not resolved: {error}"))
        })
    });
    match lookup.await {
        Ok(found) => found,
        Err(error) => Err(io::Error::other(error)),
    }
}

mod sealed {
    use super::SocketAddr;

    /// What is to be done for the addresses.
    #[derive(Debug)]
    pub enum Target {
        Known(Vec<SocketAddr>),
        Name(String, u16),
        Invalid(String),
    }

    /// Keeps `ToSocketAddrs` to this crate.
    pub trait Sealed {
        fn target(&self) -> Target;
    }
}

use sealed::{Sealed, Target};

fn known(address: impl Into<SocketAddr>) -> Target {
    Target::Known(vec![address.into()])
}

fn named(host: &str, port: u16) -> Target {
    match host.parse::<IpAddr>() {
        Ok(ip) => known((ip, port)),
        Err(_) => Target::Name(host.to_owned(), port),
    }
}

impl ToSocketAddrs for SocketAddr {}
impl Sealed for SocketAddr {
    fn target(&self) -> Target {
        known(*self)
    }
}

impl ToSocketAddrs for SocketAddrV4 {}
impl Sealed for SocketAddrV4 {
    fn target(&self) -> Target {
        known(*self)
    }
}

impl ToSocketAddrs for SocketAddrV6 {}
impl Sealed for SocketAddrV6 {
    fn target(&self) -> Target {
        known(*self)
    }
}

impl ToSocketAddrs for (IpAddr, u16) {}
impl Sealed for (IpAddr, u16) {
    fn target(&self) -> Target {
        known(*self)
    }
}

impl ToSocketAddrs for (Ipv4Addr, u16) {}
impl Sealed for (Ipv4Addr, u16) {
    fn target(&self) -> Target {
        known(*self)
    }
}

impl ToSocketAddrs for (Ipv6Addr, u16) {}
impl Sealed for (Ipv6Addr, u16) {
    fn target(&self) -> Target {
        known(*self)
    }
}

impl ToSocketAddrs for &[SocketAddr] {}
impl Sealed for &[SocketAddr] {
    fn target(&self) -> Target {
        Target::Known(self.to_vec())
    }
}

impl ToSocketAddrs for str {}
impl Sealed for str {
    fn target(&self) -> Target {
        if let Ok(address) = self.parse::<SocketAddr>() {
            return known(address);
        }
        match self.rsplit_once(':').map(|(host, port)| (host, port.parse())) {
            Some((host, Ok(port))) if !host.is_empty() => named(host, port),
            _ => Target::Invalid(self.to_owned()),
        }
    }
}

impl ToSocketAddrs for String {}
impl Sealed for String {
    fn target(&self) -> Target {
        self.as_str().target()
    }
}

impl ToSocketAddrs for (&str, u16) {}
impl Sealed for (&str, u16) {
    fn target(&self) -> Target {
        named(self.0, self.1)
    }
}

impl ToSocketAddrs for (String, u16) {}
impl Sealed for (String, u16) {
    fn target(&self) -> Target {
        named(&self.0, self.1)
    }
}

impl<T: ToSocketAddrs + ?Sized> ToSocketAddrs for &T {}
impl<T: Sealed + ?Sized> Sealed for &T {
    fn target(&self) -> Target {
        (**self).target()
    }
}
