//! Futures that lose a race are dropped, and nothing is lost with them: 100 000 `select!` races
//! over all that waits, on each kind of stream, against a peer that counts.
//!
//! - `RINGSPUN_RACES=1000000`: so many races in all.
//! - `RINGSPUN_RACES_SEED=7`: the same races again, as far as the kernel plays along. Each test
//!   prints its seed, and a failed one shows it.
//!
//! With the feature `chaos` and `RINGSPUN_CHAOS_SEED` the races run under faults.
//!
//! Another kind of stream is one impl of [`Kind`](support::Kind) and four lines in `kinds`.

mod accepts;
mod datagrams;
mod dropped;
mod reads;
mod shared;
mod support;
mod writes;

use support::{Core, Pipe, Tcp, Unix};

/// Each race on each kind.
mod kinds {
    use super::{Core, Pipe, Tcp, Unix, reads, shared, writes};

    #[test]
    fn reads_of_tcp_from_a_thread() {
        reads::from_a_thread::<Tcp>(Core::Usual, 6);
    }

    #[test]
    fn reads_of_tcp_from_a_task() {
        reads::from_a_task::<Tcp>(Core::Usual, 6);
    }

    #[test]
    fn writes_of_tcp() {
        writes::race::<Tcp>(Core::Usual, 6);
    }

    #[test]
    fn three_readers_of_one_tcp() {
        shared::race::<Tcp>(Core::Usual, 6);
    }

    #[test]
    fn reads_of_unix_from_a_thread() {
        reads::from_a_thread::<Unix>(Core::Usual, 6);
    }

    #[test]
    fn reads_of_unix_from_a_task() {
        reads::from_a_task::<Unix>(Core::Usual, 6);
    }

    #[test]
    fn writes_of_unix() {
        writes::race::<Unix>(Core::Usual, 6);
    }

    #[test]
    fn three_readers_of_one_unix() {
        shared::race::<Unix>(Core::Usual, 6);
    }

    #[test]
    fn reads_of_pipe_from_a_thread() {
        reads::from_a_thread::<Pipe>(Core::Usual, 5);
    }

    #[test]
    fn reads_of_pipe_from_a_task() {
        reads::from_a_task::<Pipe>(Core::Usual, 5);
    }

    #[test]
    fn writes_of_pipe() {
        writes::race::<Pipe>(Core::Usual, 5);
    }

    #[test]
    fn three_readers_of_one_pipe() {
        shared::race::<Pipe>(Core::Usual, 5);
    }
}

/// The same where something is short: it makes no difference to what arrives.
mod cores {
    use super::{Core, Pipe, Tcp, Unix, reads, shared, writes};

    #[test]
    fn two_buffers() {
        reads::from_a_thread::<Tcp>(Core::TinyPool, 2);
        reads::from_a_task::<Pipe>(Core::TinyPool, 1);
        shared::race::<Unix>(Core::TinyPool, 1);
    }

    #[test]
    fn no_buffers() {
        reads::from_a_thread::<Tcp>(Core::NoPool, 1);
        reads::from_a_thread::<Pipe>(Core::NoPool, 1);
        shared::race::<Tcp>(Core::NoPool, 1);
    }

    #[test]
    fn two_entries() {
        reads::from_a_thread::<Tcp>(Core::TinyQueue, 1);
        reads::from_a_thread::<Pipe>(Core::TinyQueue, 1);
        shared::race::<Unix>(Core::TinyQueue, 1);
        writes::race::<Tcp>(Core::TinyQueue, 1);
        writes::race::<Pipe>(Core::TinyQueue, 1);
    }

    #[test]
    fn an_older_kernel() {
        reads::from_a_thread::<Tcp>(Core::OldKernel, 1);
        reads::from_a_task::<Unix>(Core::OldKernel, 1);
        shared::race::<Tcp>(Core::OldKernel, 1);
        writes::race::<Unix>(Core::OldKernel, 1);
    }
}
