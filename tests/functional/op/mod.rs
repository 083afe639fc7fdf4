//! One file per op: the eight situations of [`suite`], and what is its own.

pub(crate) mod suite;

pub(crate) mod files;

mod accept;
mod accept_multi;
mod bind;
mod cancel;
mod cancel_fd;
mod close;
mod connect;
mod epoll_ctl;
mod fallocate;
mod fsync;
mod held;
mod link_at;
mod link_timeout;
mod listen;
mod mkdir_at;
mod nop;
mod open_at;
mod poll_add;
mod poll_add_multi;
mod poll_remove;
mod poll_update;
mod read;
mod read_fixed;
mod readv;
mod recv;
mod recvmsg;
mod rename_at;
mod send;
mod send_zc;
mod sendmsg;
mod sendmsg_zc;
mod shutdown;
mod socket;
mod sockets;
mod statx;
mod symlink_at;
mod timeout;
mod timeout_remove;
mod unlink_at;
mod write;
mod write_fixed;
mod writev;
