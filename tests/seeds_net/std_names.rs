//! The names and the parameters of std: one text, compiled against both.
//!
//! Where std waits, ours answers a future of the same; where it does not, the signatures are equal.
//! What std has and we do not: `connect_timeout` and the `*_timeout` options (`time::timeout` round
//! any call), `set_nonblocking` (always so), `try_clone` (`into_split`, or an `Rc`), and the
//! directions of `shutdown` (ours ends the writing one, as tokio's). The rest is compared with
//! tokio in docs/tokio-parity.md.

mod of_std {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream, UdpSocket};

    /// Waiting is over when the call returns.
    trait Answers<T> {}
    impl<T> Answers<T> for T {}

    include!("same_names.rs");
}

mod of_ours {
    use ringspun::net::{TcpListener, TcpStream, UdpSocket};

    /// Waiting is over when the future is ready.
    trait Answers<T>: Future<Output = T> {}
    impl<T, F: Future<Output = T>> Answers<T> for F {}

    include!("same_names.rs");
}

#[test]
fn n17_the_names_and_signatures_of_std() {
    assert_eq!(of_std::check(), of_ours::check());
}
