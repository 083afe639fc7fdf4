//! `fs`: files and directories.

mod atomic;
mod cursor;
mod direct;
mod dirs;
mod file;
mod functions;
mod nowait;
mod options;
mod streams;

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::Poll;

use crate::support::poll_once;

/// A folder that is gone at the end, and names in it.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A file with this in it.
    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.at(name);
        std::fs::write(&path, content).expect("room");
        path
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path()).expect("it is there");
        let name = |entry: io::Result<std::fs::DirEntry>| entry.expect("readable").file_name();
        let mut names: Vec<_> =
            entries.map(|entry| name(entry).into_string().expect("a plain name")).collect();
        names.sort();
        names
    }
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).expect("it is there")
}

/// Polls a future once, and drops it.
async fn start_and_drop<F: Future>(future: F) -> Poll<F::Output> {
    let mut future: Pin<Box<F>> = Box::pin(future);
    poll_once(&mut future).await
}

#[track_caller]
fn kind<T: std::fmt::Debug>(result: io::Result<T>) -> io::ErrorKind {
    result.expect_err("this has to fail").kind()
}

/// Bytes of which each place can be told from the next.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|index| (index % 251) as u8).collect()
}
