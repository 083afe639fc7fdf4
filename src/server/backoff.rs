//! Accepts that fail: which of them are for waiting, and how long.

use std::io;
use std::time::Duration;

/// How long an accept loop waits after failures in a row.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

const FIRST: Duration = Duration::from_millis(10);
const LAST: Duration = Duration::from_secs(1);

impl Backoff {
    /// After an accept that did not fail.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    /// Longer each time.
    pub(super) fn next(&mut self) -> Duration {
        let pause = FIRST.saturating_mul(1 << self.failures.min(10)).min(LAST);
        self.failures = self.failures.saturating_add(1);
        pause
    }
}

/// The error is that of one connection, which is gone; the next may be better. See `accept(2)`,
/// "Error handling".
pub(super) fn is_of_connection(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::ECONNABORTED
                | libc::ECONNRESET
                | libc::EPROTO
                | libc::EPERM
                | libc::ENOPROTOOPT
                | libc::EHOSTDOWN
                | libc::EHOSTUNREACH
                | libc::ENETDOWN
                | libc::ENETUNREACH
                | libc::ENONET
                | libc::ETIMEDOUT
        )
    )
}

/// Somebody else has what an accept needs, and may give it back.
pub(super) fn is_want(error: &io::Error) -> bool {
    let want = [libc::EMFILE, libc::ENFILE, libc::ENOMEM, libc::ENOBUFS];
    error.raw_os_error().is_some_and(|errno| want.contains(&errno))
}

/// What to do about it.
pub(super) fn advice(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EMFILE) => {
            "this process may have no more descriptors: raise RLIMIT_NOFILE (`ulimit -n`, \
             LimitNOFILE= of a systemd unit), or set max_connections below it"
        }
        Some(libc::ENFILE) => {
            "the system may have no more open files: raise fs.file-max, or close some"
        }
        Some(libc::ENOMEM | libc::ENOBUFS) => {
            "the kernel has no memory for it: look at the limits of the container, net.ipv4.tcp_mem"
        }
        _ => "the listening socket may have been shut down by somebody else",
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::time::Duration;

    use super::{Backoff, is_of_connection, is_want};

    #[test]
    fn longer_and_longer() {
        let mut backoff = Backoff::default();
        let pauses: Vec<Duration> = (0..40).map(|_| backoff.next()).collect();
        assert!(pauses.is_sorted());
        assert_eq!(pauses[0], Duration::from_millis(10));
        assert_eq!(pauses[39], Duration::from_secs(1));
        backoff.reset();
        assert_eq!(backoff.next(), Duration::from_millis(10));
    }

    #[test]
    fn whose_error() {
        assert!(is_of_connection(&io::Error::from_raw_os_error(libc::ECONNABORTED)));
        assert!(!is_of_connection(&io::Error::from_raw_os_error(libc::EMFILE)));
        assert!(is_want(&io::Error::from_raw_os_error(libc::EMFILE)));
        assert!(!is_want(&io::Error::from_raw_os_error(libc::EINVAL)));
    }
}
