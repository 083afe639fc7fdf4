//! A stream becomes one of std's.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;

use socket2::SockRef;

use super::kind::SocketKind;
use super::stream::Stream;

impl<K: SocketKind> Stream<K> {
    /// The descriptor, non-blocking, if nothing is held.
    pub(crate) fn into_std_fd(self) -> Result<OwnedFd, IntoStdError<K>> {
        if let Some(error) = self.take_stopped_error() {
            return Err(IntoStdError { error, stream: Some(Box::new(self)) });
        }
        if self.holds_bytes() {
            let what = "bytes that were received and not read would be lost: see into_parts";
            let error = io::Error::other(what);
            return Err(IntoStdError { error, stream: Some(Box::new(self)) });
        }
        match self.into_std_parts() {
            Ok((fd, _)) => Ok(fd),
            Err(error) => Err(IntoStdError { error, stream: None }),
        }
    }

    /// The descriptor, non-blocking, and what was received and not read.
    pub(crate) fn into_std_parts(self) -> io::Result<(OwnedFd, Vec<u8>)> {
        let (fd, bytes) = self.into_owned_parts()?;
        SockRef::from(&fd).set_nonblocking(true)?;
        Ok((fd, bytes))
    }
}

/// Why a stream did not become one of std's. Becomes an [`io::Error`] by `?`; then the stream, if
/// it is in here, is closed.
pub struct IntoStdError<K: SocketKind> {
    error: io::Error,
    /// In a box, for errors are to be small.
    stream: Option<Box<Stream<K>>>,
}

impl<K: SocketKind> IntoStdError<K> {
    /// The stream, if it is still whole: bytes were held.
    pub fn into_stream(self) -> Option<Stream<K>> {
        self.stream.map(|stream| *stream)
    }
}

impl<K: SocketKind> fmt::Debug for IntoStdError<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntoStdError").field("error", &self.error).finish_non_exhaustive()
    }
}

impl<K: SocketKind> fmt::Display for IntoStdError<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<K: SocketKind> std::error::Error for IntoStdError<K> {}

impl<K: SocketKind> From<IntoStdError<K>> for io::Error {
    fn from(error: IntoStdError<K>) -> io::Error {
        error.error
    }
}
