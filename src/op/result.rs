//! How the result of a completion becomes an `io::Result`.

use std::io;

use super::table;
use crate::ring::{Ask, Completion, Origin, is_interrupted};

impl Completion {
    /// The result as ops give it to their users.
    ///
    /// Interrupted ops (`ECANCELED`, `EINTR`, the kernel's restart codes) are an error of kind
    /// [`TimedOut`](io::ErrorKind::TimedOut) if their deadline ended them, else `ECANCELED`. So
    /// [`Interrupted`](io::ErrorKind::Interrupted), on which std's loops retry for ever, never
    /// leaves an op. An opcode that the kernel lacks is
    /// [`Unsupported`](io::ErrorKind::Unsupported), with its name and the kernel it needs.
    ///
    /// # Errors
    ///
    /// As above; otherwise the errno.
    #[inline]
    pub fn into_result(self) -> io::Result<u32> {
        let result = self.answer.result;
        if result >= 0 { Ok(result as u32) } else { Err(self.into_error()) }
    }

    #[cold]
    fn into_error(self) -> io::Error {
        if let Origin::Unsupported(opcode) = self.origin {
            return table::unsupported(opcode);
        }
        if !is_interrupted(self.answer.result) {
            return io::Error::from_raw_os_error(-self.answer.result);
        }
        match self.ask {
            Ask::Deadline => io::ErrorKind::TimedOut.into(),
            Ask::Nobody | Ask::Window | Ask::Cancel | Ask::Drop => {
                io::Error::from_raw_os_error(libc::ECANCELED)
            }
        }
    }
}
