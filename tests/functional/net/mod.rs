//! Sockets.

mod tcp;
