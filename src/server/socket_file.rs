//! The file of a Unix socket: made, found stale, and removed.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use socket2::{Domain, Socket, Type};

use crate::net::unix;

/// Removes the file when it is dropped, if it is still the same.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

/// A socket bound to `path`. A file that an earlier server has left is replaced.
pub(super) fn bind(path: &Path) -> io::Result<(Socket, SocketFile)> {
    let address = unix::SocketAddr::from_pathname(path)?.to_raw()?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    match socket.bind(&address) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_stale(path)? => {
            fs::remove_file(path)?;
            socket.bind(&address)?;
        }
        result => result?,
    }
    let found = fs::symlink_metadata(path)?;
    let file = SocketFile { path: path.to_owned(), device: found.dev(), inode: found.ino() };
    Ok((socket, file))
}

/// There is a socket, and nobody listens at it.
fn is_stale(path: &Path) -> io::Result<bool> {
    if !fs::symlink_metadata(path)?.file_type().is_socket() {
        let text = "there is a file that is no socket: remove it, or choose another path";
        return Err(io::Error::new(io::ErrorKind::AddrInUse, text));
    }
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // So that a full backlog does not hold this up.
    probe.set_nonblocking(true)?;
    match probe.connect(&unix::SocketAddr::from_pathname(path)?.to_raw()?) {
        Err(error) => Ok(error.kind() == io::ErrorKind::ConnectionRefused),
        Ok(()) => Ok(false),
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let same = fs::symlink_metadata(&self.path)
            .is_ok_and(|found| found.dev() == self.device && found.ino() == self.inode);
        if same {
            let _ = fs::remove_file(&self.path);
        }
    }
}
