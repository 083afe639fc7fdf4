// Included twice by `std_names.rs`, after the `use` line that says whose types these are.

use std::io::{self, IoSlice};
use std::net::{Ipv6Addr, SocketAddr};

/// Calls that wait, with one, two and three parameters.
fn waits<A, T, F: Answers<T>>(_: impl Fn(A) -> F) -> usize {
    1
}

fn waits_2<A, B, T, F: Answers<T>>(_: impl Fn(A, B) -> F) -> usize {
    1
}

fn waits_3<A, B, C, T, F: Answers<T>>(_: impl Fn(A, B, C) -> F) -> usize {
    1
}

type Get<S, T> = fn(&S) -> io::Result<T>;
type Set<S, T> = fn(&S, T) -> io::Result<()>;

/// How many names there are that wait; the others are compared by the compiler alone.
pub(super) fn check() -> usize {
    options();
    waiting()
}

fn options() {
    let addresses: [Get<TcpStream, SocketAddr>; 2] = [TcpStream::local_addr, TcpStream::peer_addr];
    let errors: Get<TcpStream, Option<io::Error>> = TcpStream::take_error;
    let flag: (Get<TcpStream, bool>, Set<TcpStream, bool>) =
        (TcpStream::nodelay, TcpStream::set_nodelay);
    let number: (Get<TcpStream, u32>, Set<TcpStream, u32>) = (TcpStream::ttl, TcpStream::set_ttl);
    let _ = (addresses, errors, flag, number);

    let address: Get<TcpListener, SocketAddr> = TcpListener::local_addr;
    let errors: Get<TcpListener, Option<io::Error>> = TcpListener::take_error;
    let number: (Get<TcpListener, u32>, Set<TcpListener, u32>) =
        (TcpListener::ttl, TcpListener::set_ttl);
    let _ = (address, errors, number);

    let addresses: [Get<UdpSocket, SocketAddr>; 2] = [UdpSocket::local_addr, UdpSocket::peer_addr];
    let errors: Get<UdpSocket, Option<io::Error>> = UdpSocket::take_error;
    let flags: [(Get<UdpSocket, bool>, Set<UdpSocket, bool>); 3] = [
        (UdpSocket::broadcast, UdpSocket::set_broadcast),
        (UdpSocket::multicast_loop_v4, UdpSocket::set_multicast_loop_v4),
        (UdpSocket::multicast_loop_v6, UdpSocket::set_multicast_loop_v6),
    ];
    let numbers: [(Get<UdpSocket, u32>, Set<UdpSocket, u32>); 2] = [
        (UdpSocket::ttl, UdpSocket::set_ttl),
        (UdpSocket::multicast_ttl_v4, UdpSocket::set_multicast_ttl_v4),
    ];
    // Those of IPv4 take values, as tokio's do; std's take references.
    type Group = fn(&UdpSocket, &Ipv6Addr, u32) -> io::Result<()>;
    let groups: [Group; 2] = [UdpSocket::join_multicast_v6, UdpSocket::leave_multicast_v6];
    let _ = (addresses, errors, flags, numbers, groups);
}

fn waiting() -> usize {
    type Buf = &'static mut [u8];
    type Bytes = &'static [u8];
    type Slices = &'static [IoSlice<'static>];
    type Sized = io::Result<usize>;
    type Done = io::Result<()>;

    waits::<SocketAddr, io::Result<TcpStream>, _>(TcpStream::connect)
        + waits::<&'static str, io::Result<TcpStream>, _>(TcpStream::connect)
        + waits::<(&'static str, u16), io::Result<TcpStream>, _>(TcpStream::connect)
        + waits_2::<&'static TcpStream, Buf, Sized, _>(TcpStream::peek)
        + waits_2::<&'static mut TcpStream, Buf, Sized, _>(TcpStream::read)
        + waits_2::<&'static mut TcpStream, &'static mut Vec<u8>, Sized, _>(TcpStream::read_to_end)
        + waits_2::<&'static mut TcpStream, &'static mut String, Sized, _>(
            TcpStream::read_to_string,
        )
        + waits_2::<&'static mut TcpStream, Bytes, Sized, _>(TcpStream::write)
        + waits_2::<&'static mut TcpStream, Bytes, Done, _>(TcpStream::write_all)
        + waits_2::<&'static mut TcpStream, Slices, Sized, _>(TcpStream::write_vectored)
        + waits::<&'static mut TcpStream, Done, _>(TcpStream::flush)
        + waits::<SocketAddr, io::Result<TcpListener>, _>(TcpListener::bind)
        + waits::<&'static TcpListener, io::Result<(TcpStream, SocketAddr)>, _>(TcpListener::accept)
        + waits::<SocketAddr, io::Result<UdpSocket>, _>(UdpSocket::bind)
        + waits_2::<&'static UdpSocket, SocketAddr, Done, _>(UdpSocket::connect)
        + waits_2::<&'static UdpSocket, Bytes, Sized, _>(UdpSocket::send)
        + waits_3::<&'static UdpSocket, Bytes, SocketAddr, Sized, _>(UdpSocket::send_to)
        + waits_2::<&'static UdpSocket, Buf, Sized, _>(UdpSocket::recv)
        + waits_2::<&'static UdpSocket, Buf, io::Result<(usize, SocketAddr)>, _>(
            UdpSocket::recv_from,
        )
        + waits_2::<&'static UdpSocket, Buf, Sized, _>(UdpSocket::peek)
        + waits_2::<&'static UdpSocket, Buf, io::Result<(usize, SocketAddr)>, _>(
            UdpSocket::peek_from,
        )
}
