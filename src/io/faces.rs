//! The poll functions that the traits of `compat` are made of.
//!
//! They have the object for themselves (`&mut`): there is no line to stand in.

#![allow(dead_code, reason = "which of them are used depends on the features")]

use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};

use super::kind::Kind;
use super::read_end::ReadEnd;
use super::write_end::WriteEnd;

impl<K: Kind> ReadEnd<K> {
    /// Reads into `buf`.
    #[inline]
    pub(crate) fn poll_read_face(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.inbound.alone().poll_read(cx, buf)
    }

    /// Waits until bytes are held, or the end has come.
    #[inline]
    pub(crate) fn poll_fill_face(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inbound.alone().poll_fill(cx)
    }

    /// What is held; empty after `poll_fill_face` it is the end.
    pub(crate) fn held(&mut self) -> &[u8] {
        self.inbound.held()
    }

    /// Shows what is held; `look` answers how much of it it took.
    #[inline]
    pub(crate) fn take_held(&mut self, look: impl FnOnce(&[u8]) -> usize) -> usize {
        self.inbound.consume(look)
    }
}

impl<K: Kind> WriteEnd<K> {
    /// Writes a part of `bufs`.
    #[inline]
    pub(crate) fn poll_write_face(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.outbound.alone().poll_write(cx, bufs)
    }

    /// Says that no more will be written. A peer who has gone already is no error, as with tokio:
    /// the traits speak of the caller's own bytes, and those have been taken.
    pub(crate) fn poll_shutdown_face(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.outbound.alone().poll_sent(cx));
        Poll::Ready(match self.shut_down() {
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            result => result,
        })
    }
}
