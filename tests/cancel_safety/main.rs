//! Futures that lose a race are dropped, and nothing is lost with them: 100 000 `select!` races
//! over all that waits, on each kind of stream, against a peer that counts.
//!
//! - `RINGSPUN_RACES=1000000`: so many races in all.
//! - `RINGSPUN_RACES_SEED=7`: the same races again, as far as the kernel plays along. Each test
//!   prints its seed, and a failed one shows it.
//!
//! With the feature `chaos` and `RINGSPUN_CHAOS_SEED` the races run under faults.
//!
//! Another kind of stream is one impl of [`Kind`](support::Kind) and one line in `kinds`; datagrams
//! (`recv_from`) will be a file beside `reads`.

mod accepts;
mod dropped;
mod reads;
mod shared;
mod support;
mod writes;

use support::{Core, Tcp};

/// Each race on each kind.
mod kinds {
    use super::{Core, Tcp, reads, shared, writes};

    #[test]
    fn reads_of_tcp_from_a_thread() {
        reads::from_a_thread::<Tcp>(Core::Usual, 15);
    }

    #[test]
    fn reads_of_tcp_from_a_task() {
        reads::from_a_task::<Tcp>(Core::Usual, 15);
    }

    #[test]
    fn writes_of_tcp() {
        writes::race::<Tcp>(Core::Usual, 15);
    }

    #[test]
    fn three_readers_of_one_tcp() {
        shared::race::<Tcp>(Core::Usual, 15);
    }
}

/// The same where something is short: it makes no difference to what arrives.
mod cores {
    use super::{Core, Tcp, reads, shared, writes};

    #[test]
    fn two_buffers() {
        reads::from_a_thread::<Tcp>(Core::TinyPool, 6);
        reads::from_a_task::<Tcp>(Core::TinyPool, 3);
        shared::race::<Tcp>(Core::TinyPool, 3);
    }

    #[test]
    fn no_buffers() {
        reads::from_a_thread::<Tcp>(Core::NoPool, 5);
        shared::race::<Tcp>(Core::NoPool, 3);
    }

    #[test]
    fn two_entries() {
        reads::from_a_thread::<Tcp>(Core::TinyQueue, 4);
        shared::race::<Tcp>(Core::TinyQueue, 3);
        writes::race::<Tcp>(Core::TinyQueue, 3);
    }
}
