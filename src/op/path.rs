//! Paths as the kernel takes them: with a NUL byte at the end, and owned by the op.

use std::ffi::{CStr, CString, OsStr, OsString};
use std::fmt;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// What an op can take as a path: `&str`, `&Path`, `&OsStr`, `&CStr` are copied; `String`,
/// `PathBuf`, `OsString`, `CString` are taken over.
///
/// A path with a NUL byte inside makes the *op* fail, with an error of kind
/// [`InvalidInput`](io::ErrorKind::InvalidInput); the kernel never sees it.
pub trait IntoPath {
    /// Hands the path to an op.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput): the path contains a NUL byte.
    fn into_path(self) -> io::Result<CString>;
}

impl IntoPath for CString {
    fn into_path(self) -> io::Result<CString> {
        Ok(self)
    }
}

impl IntoPath for &CStr {
    fn into_path(self) -> io::Result<CString> {
        Ok(self.to_owned())
    }
}

impl IntoPath for Vec<u8> {
    fn into_path(self) -> io::Result<CString> {
        CString::new(self).map_err(|_| {
            io::Error::new(io::ErrorKind::InvalidInput, "the path contains a NUL byte")
        })
    }
}

impl IntoPath for &str {
    fn into_path(self) -> io::Result<CString> {
        self.as_bytes().to_vec().into_path()
    }
}

impl IntoPath for String {
    fn into_path(self) -> io::Result<CString> {
        self.into_bytes().into_path()
    }
}

impl IntoPath for &OsStr {
    fn into_path(self) -> io::Result<CString> {
        self.as_bytes().to_vec().into_path()
    }
}

impl IntoPath for OsString {
    fn into_path(self) -> io::Result<CString> {
        self.into_vec().into_path()
    }
}

impl IntoPath for &Path {
    fn into_path(self) -> io::Result<CString> {
        self.as_os_str().into_path()
    }
}

impl IntoPath for &PathBuf {
    fn into_path(self) -> io::Result<CString> {
        self.as_os_str().into_path()
    }
}

impl IntoPath for PathBuf {
    fn into_path(self) -> io::Result<CString> {
        self.into_os_string().into_path()
    }
}

/// A path as an op owns it, or why it cannot be one. Its bytes stay where they are when it moves.
pub(crate) struct OpPath(io::Result<CString>);

impl OpPath {
    pub(crate) fn new(path: impl IntoPath) -> OpPath {
        OpPath(path.into_path())
    }

    /// The name of an attribute, which is handed over as a path is.
    pub(crate) fn name(name: impl IntoPath) -> OpPath {
        OpPath(name.into_path().map_err(|error| match error.kind() {
            io::ErrorKind::InvalidInput => {
                io::Error::new(io::ErrorKind::InvalidInput, "the name contains a NUL byte")
            }
            _ => error,
        }))
    }

    /// In place of the path of an op that must not run any more.
    pub(crate) fn failed(errno: i32) -> OpPath {
        OpPath(Err(io::Error::from_raw_os_error(errno)))
    }

    /// Where it is, unless it cannot be a path.
    #[inline]
    pub(crate) fn address(&self) -> Option<u64> {
        self.0.as_ref().ok().map(|path| path.as_ptr() as u64)
    }

    /// Why it cannot be one.
    #[inline]
    pub(crate) fn check(self) -> io::Result<()> {
        self.0.map(drop)
    }
}

impl fmt::Debug for OpPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Ok(path) => path.fmt(f),
            Err(error) => error.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{IntoPath, OpPath};
    use std::io::ErrorKind;
    use std::path::PathBuf;

    #[test]
    fn nul_byte_inside() {
        for error in ["a\0b".into_path().err(), PathBuf::from("\0").into_path().err()] {
            assert_eq!(error.map(|error| error.kind()), Some(ErrorKind::InvalidInput));
        }
        assert!(OpPath::new("a\0b").address().is_none());
    }

    #[test]
    fn moved() {
        let path = OpPath::new("name");
        let before = path.address();
        let boxed = Box::new(path);
        assert_eq!(boxed.address(), before);
        assert!(boxed.check().is_ok());
    }
}
