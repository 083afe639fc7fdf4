//! A child process that was started.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::process::{ExitStatus, Output};
use std::task::Poll;

use super::orphan;
use crate::op::{PollAdd, SharedFd, WaitId, children, submit};
use crate::pipe::{Receiver, Sender};
use crate::signal::{SignalKind, signal};

/// The writing end of a child's standard input.
pub type ChildStdin = Sender;

/// The reading end of a child's standard output.
pub type ChildStdout = Receiver;

/// The reading end of a child's standard error.
pub type ChildStderr = Receiver;

/// A child process. Made by [`Command::spawn`](super::Command::spawn).
///
/// # Drop
///
/// Dropping it before its end lets it go on, or kills it if
/// [`kill_on_drop`](super::Command::kill_on_drop) was set. In either case it is reaped when it
/// ends; if the runtime has gone by then, when the process makes or drops another child.
pub struct Child {
    /// Its standard input, if it is piped. [`wait`](Child::wait) closes it.
    pub stdin: Option<ChildStdin>,
    /// Its standard output, if it is piped.
    pub stdout: Option<ChildStdout>,
    /// Its standard error, if it is piped.
    pub stderr: Option<ChildStderr>,
    /// Gone when the child was waited for, and given away at the drop.
    running: Option<std::process::Child>,
    pidfd: Option<SharedFd>,
    status: Option<ExitStatus>,
    kill_on_drop: bool,
}

impl Child {
    /// Takes over a child of std's. Our ends of its pipes become non-blocking; its own stay as they
    /// are.
    ///
    /// # Errors
    ///
    /// Those of `fcntl(2)`: none, in practice.
    pub fn from_std(mut child: std::process::Child) -> io::Result<Child> {
        Ok(Child {
            stdin: child.stdin.take().map(Sender::from_std).transpose()?,
            stdout: child.stdout.take().map(Receiver::from_std).transpose()?,
            stderr: child.stderr.take().map(Receiver::from_std).transpose()?,
            running: Some(child),
            pidfd: None,
            status: None,
            kill_on_drop: false,
        })
    }

    pub(super) fn kills_on_drop(&mut self, kill_on_drop: bool) {
        self.kill_on_drop = kill_on_drop;
    }

    /// Its process id; `None` when it was waited for: the number may be another's then.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.running.as_ref().map(std::process::Child::id)
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    ///
    /// `ECHILD` if somebody else has waited for it, or `SIGCHLD` is ignored.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        let Some(running) = &mut self.running else { return Ok(self.status) };
        self.status = running.try_wait()?;
        if self.status.is_some() {
            self.running = None;
            self.pidfd = None;
        }
        Ok(self.status)
    }

    /// Closes its standard input, waits for its end, and says how it ended; also when asked again.
    /// By `waitid(2)` through the ring (Linux 6.7), by a poll (5.3), or by `SIGCHLD` where a
    /// sandbox refuses `pidfd_open(2)`.
    ///
    /// # Errors
    ///
    /// As [`try_wait`](Child::try_wait).
    ///
    /// # Cancellation
    ///
    /// Dropping the future loses nothing.
    ///
    /// # Panics
    ///
    /// Outside a runtime, if it has to wait.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        drop(self.stdin.take());
        if let Some(status) = self.try_wait()? {
            return Ok(status);
        }
        match self.pidfd() {
            Ok(pidfd) => self.wait_by(pidfd).await,
            Err(_) => self.wait_by_signal().await,
        }
    }

    /// The number is its own until it is waited for.
    fn pidfd(&mut self) -> io::Result<SharedFd> {
        if let Some(pidfd) = &self.pidfd {
            return Ok(pidfd.clone());
        }
        let Some(running) = &self.running else { return Err(io::ErrorKind::NotFound.into()) };
        let pidfd = SharedFd::new(children::pidfd(running.id())?);
        Ok(self.pidfd.insert(pidfd).clone())
    }

    /// `WNOWAIT` leaves the child to be waited for, so a dropped future cannot lose its status; so
    /// does a poll, where the kernel lacks `WAITID`.
    async fn wait_by(&mut self, pidfd: SharedFd) -> io::Result<ExitStatus> {
        loop {
            match submit(WaitId::pidfd(&pidfd, libc::WEXITED | libc::WNOWAIT)).await {
                Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                    submit(PollAdd::new(&pidfd, libc::POLLIN as u32)).await?;
                }
                ended => drop(ended?),
            }
            if let Some(status) = self.try_wait()? {
                return Ok(status);
            }
        }
    }

    async fn wait_by_signal(&mut self) -> io::Result<ExitStatus> {
        let mut ends = signal(SignalKind::child())?;
        loop {
            if let Some(status) = self.try_wait()? {
                return Ok(status);
            }
            if ends.recv().await.is_none() {
                return Err(io::Error::other("this kernel tells neither by pidfd nor by signal"));
            }
        }
    }

    /// Kills it (`SIGKILL`). It is still to be waited for. Does nothing if it has ended.
    ///
    /// # Errors
    ///
    /// Those of `kill(2)`: it runs as another user.
    pub fn start_kill(&mut self) -> io::Result<()> {
        match &mut self.running {
            Some(running) => running.kill(),
            None => Ok(()),
        }
    }

    /// Kills it and waits for its end.
    ///
    /// # Errors
    ///
    /// As [`start_kill`](Child::start_kill) and [`wait`](Child::wait).
    pub async fn kill(&mut self) -> io::Result<()> {
        self.start_kill()?;
        self.wait().await.map(drop)
    }

    /// Closes its standard input, reads what is piped of its output to the end, and waits for its
    /// end.
    ///
    /// # Errors
    ///
    /// As [`wait`](Child::wait), and those of the reads; the child is dropped then.
    ///
    /// # Cancellation
    ///
    /// Dropping the future drops the child and what it had said.
    pub async fn wait_with_output(mut self) -> io::Result<Output> {
        drop(self.stdin.take());
        let (out, err) = (self.stdout.take(), self.stderr.take());
        let mut stdout = pin!(read_all(out));
        let mut stderr = pin!(read_all(err));
        let (mut out, mut err) = (None, None);
        // Both at once: a child that fills one pipe does not go on with the other.
        poll_fn(|cx| {
            if out.is_none()
                && let Poll::Ready(read) = stdout.as_mut().poll(cx)
            {
                out = Some(read);
            }
            if err.is_none()
                && let Poll::Ready(read) = stderr.as_mut().poll(cx)
            {
                err = Some(read);
            }
            let failed = matches!((&out, &err), (Some(Err(_)), _) | (_, Some(Err(_))));
            if failed || (out.is_some() && err.is_some()) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        let (stdout, stderr) = (out.transpose()?, err.transpose()?);
        let status = self.wait().await?;
        Ok(Output {
            status,
            stdout: stdout.unwrap_or_default(),
            stderr: stderr.unwrap_or_default(),
        })
    }
}

async fn read_all(end: Option<Receiver>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(mut end) = end {
        end.read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}

impl Drop for Child {
    fn drop(&mut self) {
        let Some(mut running) = self.running.take() else { return };
        if self.kill_on_drop {
            // It has ended, or is another user's now: nothing more can be done.
            let _ = running.kill();
        }
        orphan::adopt(running, self.pidfd.take());
    }
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child")
            .field("id", &self.id())
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use crate::process::Command;
    use crate::runtime::Runtime;

    #[test]
    fn waited_for_by_signal() {
        let status = Runtime::new().expect("a ring").block_on(async {
            let mut child = Command::new("sh").args(["-c", "sleep 0.05; exit 3"]).spawn().unwrap();
            child.wait_by_signal().await
        });
        assert_eq!(status.expect("it ends").code(), Some(3));
    }
}
