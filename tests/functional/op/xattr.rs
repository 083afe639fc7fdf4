//! What the tests of extended attributes share: a file, and its attributes by plain calls.
//!
//! # Safety
//!
//! libc calls whose arguments live on this stack.

#![allow(unsafe_code)]

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use ringspun::op::SharedFd;

use super::files::Folder;

/// An attribute that everybody may set.
pub(crate) const NAME: &str = "user.colour";

/// A file in a folder of its own.
pub(crate) struct WithAttributes {
    _folder: Folder,
    pub(crate) path: PathBuf,
    pub(crate) file: SharedFd,
}

impl WithAttributes {
    pub(crate) fn new() -> WithAttributes {
        let mut folder = Folder::new();
        let name = folder.file("text");
        let path = folder.path(&name);
        let file = SharedFd::new(File::open(&path).expect("it is there"));
        WithAttributes { _folder: folder, path, file }
    }

    pub(crate) fn opened_as(&self, flags: i32) -> OwnedFd {
        File::options().read(true).custom_flags(flags).open(&self.path).expect("it is there").into()
    }

    /// Sets an attribute.
    pub(crate) fn set(&self, name: &str, value: &[u8]) {
        let (fd, name) = (self.file.as_raw_fd(), CString::new(name).expect("no NUL"));
        let bytes = value.as_ptr().cast();
        // SAFETY: name and value are alive, and the length is that of the value.
        let answer = unsafe { libc::fsetxattr(fd, name.as_ptr(), bytes, value.len(), 0) };
        assert_eq!(answer, 0, "{}", io::Error::last_os_error());
    }

    /// The value of an attribute, if there is one.
    pub(crate) fn value(&self, name: &str) -> Option<Vec<u8>> {
        let (fd, name) = (self.file.as_raw_fd(), CString::new(name).expect("no NUL"));
        let mut value = vec![0_u8; 1024];
        let room = value.as_mut_ptr().cast();
        // SAFETY: name and value are alive, and the length is that of the room.
        let count = unsafe { libc::fgetxattr(fd, name.as_ptr(), room, value.len()) };
        value.truncate(usize::try_from(count).ok()?);
        Some(value)
    }
}

/// The answer to a name with a NUL byte inside: an error that says so.
#[track_caller]
pub(crate) fn assert_nul_in_name<T>(result: io::Result<T>) {
    let error = result.err().expect("it should fail");
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    assert_eq!(error.to_string(), "the name contains a NUL byte");
}
