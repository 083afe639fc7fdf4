//! Listening sockets that the process was started with, as systemd's socket activation passes them.
//!
//! `LISTEN_PID` names the process they are for, `LISTEN_FDS` says how many there are, as
//! descriptors 3 and on, and `LISTEN_FDNAMES` what they are called, with colons between.

use std::env;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use socket2::{Domain, SockRef, Type};

use crate::op::inherited;

/// One that no server has taken yet.
struct Inherited {
    fd: OwnedFd,
    name: String,
}

/// `None`: nobody has asked for them yet.
static LEFT: Mutex<Option<Vec<Inherited>>> = Mutex::new(None);

/// Those of this name, or all that are left.
pub(super) fn take(name: Option<&str>) -> io::Result<Vec<OwnedFd>> {
    let mut left = LEFT.lock().unwrap_or_else(PoisonError::into_inner);
    if left.is_none() {
        *left = Some(from_environment()?);
    }
    let all = left.take().unwrap_or_default();
    let (taken, rest): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|one| name.is_none_or(|name| one.name == name));
    *left = Some(rest);
    drop(left);
    if taken.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, missing(name)));
    }
    Ok(taken.into_iter().map(|one| one.fd).collect())
}

/// Whether there are any that nobody has taken.
pub(super) fn are_there() -> io::Result<bool> {
    let mut left = LEFT.lock().unwrap_or_else(PoisonError::into_inner);
    if left.is_none() {
        *left = Some(from_environment()?);
    }
    Ok(left.as_ref().is_some_and(|left| !left.is_empty()))
}

fn missing(name: Option<&str>) -> String {
    let which = name.map(|name| format!(" with the name `{name}`")).unwrap_or_default();
    format!(
        "there is no listening socket{which} that this process was started with: start it by a \
         systemd socket unit, or anything else that sets LISTEN_PID and LISTEN_FDS, and not behind \
         a shell (LISTEN_PID has to be this very process)"
    )
}

fn from_environment() -> io::Result<Vec<Inherited>> {
    let variable = |name| env::var(name).ok();
    let names = match parse(
        variable("LISTEN_PID").as_deref(),
        variable("LISTEN_FDS").as_deref(),
        variable("LISTEN_FDNAMES").as_deref(),
        std::process::id(),
    ) {
        Ok(names) => names,
        Err(text) => return Err(io::Error::new(io::ErrorKind::InvalidInput, text)),
    };
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let fds = inherited::take(names.len(), check).transpose()?.unwrap_or_default();
    Ok(fds.into_iter().zip(names).map(|(fd, name)| Inherited { fd, name }).collect())
}

/// The names of those that are for the process `own`, in order.
fn parse(
    pid: Option<&str>,
    fds: Option<&str>,
    names: Option<&str>,
    own: u32,
) -> Result<Vec<String>, String> {
    let (Some(pid), Some(fds)) = (pid, fds) else { return Ok(Vec::new()) };
    let pid: u32 = pid.parse().map_err(|_| format!("LISTEN_PID={pid} is not a process"))?;
    if pid != own {
        // Left over from a parent.
        return Ok(Vec::new());
    }
    let count: usize = fds.parse().map_err(|_| format!("LISTEN_FDS={fds} is not a number"))?;
    if count > FDS_MAX {
        return Err(format!("LISTEN_FDS={count} is more than a process can be given"));
    }
    let mut names = names.map(|names| names.split(':')).into_iter().flatten();
    Ok((0..count).map(|_| names.next().unwrap_or("unknown").to_owned()).collect())
}

/// More than any limit of descriptors that is in use.
const FDS_MAX: usize = 1 << 20;

fn check(fd: BorrowedFd<'_>) -> io::Result<()> {
    let socket = SockRef::from(&fd);
    let wrong = |what: &str| {
        let text = format!(
            "the inherited descriptor {} {what}: a server needs stream sockets that listen \
             (ListenStream= and Accept=no in a systemd socket unit)",
            fd.as_raw_fd()
        );
        Err(io::Error::new(io::ErrorKind::InvalidInput, text))
    };
    let Ok(kind) = socket.r#type() else { return wrong("is no socket") };
    if kind != Type::STREAM {
        return wrong("is no stream socket");
    }
    if !socket.is_listener()? {
        return wrong("does not listen");
    }
    if ![Domain::IPV4, Domain::IPV6, Domain::UNIX].contains(&socket.domain()?) {
        return wrong("is neither TCP nor Unix");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};
    use std::os::fd::AsFd;

    use super::{check, parse};

    #[test]
    fn for_this_process() {
        let names = parse(Some("7"), Some("3"), Some("web:admin"), 7).expect("well formed");
        assert_eq!(names, ["web", "admin", "unknown"]);
        assert_eq!(parse(Some("7"), Some("1"), None, 7).expect("well formed"), ["unknown"]);
    }

    #[test]
    fn for_another_process_or_none() {
        assert!(parse(Some("8"), Some("1"), None, 7).expect("well formed").is_empty());
        assert!(parse(None, Some("1"), None, 7).expect("well formed").is_empty());
        assert!(parse(Some("7"), None, None, 7).expect("well formed").is_empty());
        assert!(parse(Some("7"), Some("0"), None, 7).expect("well formed").is_empty());
    }

    #[test]
    fn nonsense() {
        assert!(parse(Some("x"), Some("1"), None, 7).is_err());
        assert!(parse(Some("7"), Some("-1"), None, 7).is_err());
        assert!(parse(Some("7"), Some("9999999999"), None, 7).is_err());
    }

    #[test]
    fn only_sockets_that_listen() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        assert!(check(listener.as_fd()).is_ok());
        let datagrams = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let error = check(datagrams.as_fd()).expect_err("datagrams");
        assert!(error.to_string().contains("no stream socket"), "{error}");
        let file = std::fs::File::open("/dev/null").expect("it is there");
        let error = check(file.as_fd()).expect_err("no socket");
        assert!(error.to_string().contains("is no socket"), "{error}");
    }
}
