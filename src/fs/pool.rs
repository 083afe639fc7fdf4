//! What has no opcode: a call of std on the blocking pool.

use std::io;
use std::panic;

use crate::blocking::spawn_blocking;

/// Runs `call` where it may block. It runs to its end also if nobody waits for it any more.
pub(super) async fn run<T: Send + 'static>(
    call: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let answer = match spawn_blocking(call).await {
        Ok(answer) => answer,
        Err(error) if error.is_panic() => panic::resume_unwind(error.into_panic()),
        Err(error) => return Err(error.into()),
    };
    answer.map_err(|error| match error.kind() {
        io::ErrorKind::Interrupted => io::Error::from_raw_os_error(libc::ECANCELED),
        _ => error,
    })
}

/// Whether an op failed because this kernel lacks its opcode, or a sandbox forbids it. A file
/// system that lacks something answers with an errno.
pub(super) fn lacks_opcode<T>(answer: &io::Result<T>) -> bool {
    matches!(answer, Err(error) if error.kind() == io::ErrorKind::Unsupported
        && error.raw_os_error().is_none())
}

#[cfg(test)]
mod tests {
    use super::lacks_opcode;
    use std::io;

    #[test]
    fn a_missing_opcode_is_told_from_a_file_system_that_cannot() {
        let missing = io::Error::new(io::ErrorKind::Unsupported, "it needs Linux 6.9 or newer");
        assert!(lacks_opcode::<()>(&Err(missing)));
        assert!(!lacks_opcode::<()>(&Err(io::Error::from_raw_os_error(libc::EOPNOTSUPP))));
        assert!(!lacks_opcode(&Ok(())));
    }
}
