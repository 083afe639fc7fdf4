//! `STATX`.

use std::fs::{File, FileTimes};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::time::{Duration, SystemTime};

use ringspun::op::{CWD, SharedFd, Statx, StatxResult, Submission, submit};

use super::files::{self, FileCase, Folder, assert_errno, assert_nul};
use super::suite::{self, Case};
use crate::support::{Buffers, Pipe, block_on};

const MASK: u32 = libc::STATX_BASIC_STATS | libc::STATX_BTIME;

/// The attributes of a file.
struct Ask {
    folder: Folder,
    last: String,
}

impl Case for Ask {
    type Op = Statx;

    const WAITS: bool = false;
    const ERRNO: i32 = libc::ENOENT;

    fn new(_: &Buffers) -> Ask {
        Ask { folder: Folder::new(), last: String::new() }
    }

    fn op(&mut self) -> Submission<Statx> {
        submit(self.plain())
    }

    fn check(&mut self, output: io::Result<StatxResult>) {
        assert_eq!(output.expect("it is there").size(), 4);
    }

    fn bad_op(&mut self) -> Submission<Statx> {
        submit(Statx::new(&self.folder.fd, "nothing", 0, MASK))
    }
}

impl FileCase for Ask {
    fn plain(&mut self) -> Statx {
        self.last = self.folder.file("text");
        Statx::new(&self.folder.fd, self.last.as_str(), 0, MASK)
    }
}

#[test]
fn ok() {
    suite::ok::<Ask>();
}

#[test]
fn error() {
    suite::error::<Ask>();
}

#[test]
fn timeout() {
    files::timeout::<Ask>();
}

#[test]
fn cancelled() {
    files::cancelled::<Ask>();
}

#[test]
fn dropped_before_poll() {
    suite::dropped_before_poll::<Ask>();
}

#[test]
fn dropped_in_flight() {
    files::dropped_in_flight::<Ask>();
}

#[test]
fn completed_then_dropped() {
    suite::completed_then_dropped::<Ask>();
}

#[test]
fn runtime_shut_down() {
    files::runtime_shut_down::<Ask>();
}

#[test]
fn as_std_has_them() {
    let mut folder = Folder::new();
    let name = folder.file("0123456789");
    let path = folder.path(&name);
    std::fs::hard_link(&path, folder.path("second")).expect("room");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).expect("ours");
    let answer = block_on(submit(Statx::new(CWD, &path, 0, MASK))).expect("it is there");
    let metadata = path.metadata().expect("it is there");
    assert_eq!(answer.mask() & libc::STATX_BASIC_STATS, libc::STATX_BASIC_STATS);
    assert_eq!(answer.size(), 10);
    assert_eq!(answer.mode(), metadata.mode());
    assert_eq!(answer.mode(), libc::S_IFREG | 0o640);
    assert_eq!(answer.inode(), metadata.ino());
    assert_eq!(answer.links(), 2);
    assert_eq!(answer.modified(), metadata.modified().ok());
    assert_eq!(answer.created(), metadata.created().ok());
    assert_eq!(answer.as_raw().stx_uid, metadata.uid());
    assert!(format!("{answer:?}").contains("size: 10"));
}

#[test]
fn before_1970_and_long_after() {
    let file = tempfile::tempfile().expect("a file");
    let distant = [
        SystemTime::UNIX_EPOCH - Duration::new(1_000_000, 250_000_000),
        SystemTime::UNIX_EPOCH + Duration::new(4_000_000_000, 1),
    ];
    for time in distant {
        file.set_times(FileTimes::new().set_modified(time)).expect("ours");
        let time = file.metadata().expect("a file").modified().expect("a time");
        let fd = SharedFd::new(file.try_clone().expect("a duplicate"));
        let answer = block_on(submit(Statx::new(fd, "", libc::AT_EMPTY_PATH, MASK)));
        assert_eq!(answer.expect("a file").modified(), Some(time));
    }
}

#[test]
fn of_a_descriptor() {
    let pipe = Pipe::new();
    let op = Statx::new(&pipe.reader, "", libc::AT_EMPTY_PATH, libc::STATX_TYPE);
    let answer = block_on(submit(op)).expect("a pipe");
    assert_eq!(answer.mode() & libc::S_IFMT, libc::S_IFIFO);
}

#[test]
fn of_a_link_and_of_its_target() {
    let mut folder = Folder::new();
    let name = folder.file("text");
    std::os::unix::fs::symlink(&name, folder.path("link")).expect("room");
    block_on(async {
        let kind = async |flags| {
            let answer = submit(Statx::new(&folder.fd, "link", flags, MASK)).await;
            answer.expect("it is there").mode() & libc::S_IFMT
        };
        assert_eq!(kind(0).await, libc::S_IFREG);
        assert_eq!(kind(libc::AT_SYMLINK_NOFOLLOW).await, libc::S_IFLNK);
    });
}

#[test]
fn what_was_not_found_is_not_made_up() {
    // procfs knows no time of birth.
    let answer = block_on(submit(Statx::new(CWD, "/proc/self/stat", 0, MASK)));
    let answer = answer.expect("procfs");
    assert_eq!(answer.mask() & libc::STATX_BTIME, 0);
    assert_eq!(answer.created(), None);
}

#[test]
fn an_empty_path_without_its_flag() {
    let file = SharedFd::new(File::open("/dev/null").expect("it is there"));
    block_on(async { assert_errno(submit(Statx::new(file, "", 0, MASK)).await, libc::ENOENT) });
}

#[test]
fn missing_directory() {
    let mut folder = Folder::new();
    let name = folder.file("text");
    block_on(async {
        assert_errno(submit(Statx::new(&folder.fd, "no/such", 0, MASK)).await, libc::ENOENT);
        let below = Statx::new(&folder.fd, format!("{name}/below"), 0, MASK);
        assert_errno(submit(below).await, libc::ENOTDIR);
    });
}

#[test]
fn nul_byte_in_the_path() {
    block_on(async { assert_nul(submit(Statx::new(CWD, "/\0", 0, MASK)).await) });
}
