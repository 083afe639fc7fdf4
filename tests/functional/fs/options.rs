//! `OpenOptions`.

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;

use ringspun::fs::{File, OpenOptions};

use super::{Folder, kind, start_and_drop, text};
use crate::support::{Ledger, block_on};

#[test]
fn what_contradicts_itself_is_refused() {
    let folder = Folder::new();
    let path = folder.file("file", "abc");
    let none = OpenOptions::default();
    let option = |set: fn(&mut OpenOptions) -> &mut OpenOptions| {
        let mut options = OpenOptions::new();
        set(&mut options);
        options
    };
    let wrong = [
        none,
        option(|options| options.read(true).truncate(true)),
        option(|options| options.read(true).create(true)),
        option(|options| options.read(true).create_new(true)),
        option(|options| options.append(true).truncate(true)),
        option(|options| options.custom_flags(libc::O_RDWR)),
    ];
    block_on(async {
        for options in wrong {
            let error = options.open(&path).await.expect_err("refused");
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{options:?}");
            assert!(error.to_string().contains("options"), "{error}");
        }
    });
    assert_eq!(text(&path), "abc");
}

#[test]
fn create_truncate_and_create_new() {
    let folder = Folder::new();
    let path = folder.at("file");
    block_on(async {
        let missing = OpenOptions::new().write(true).open(&path).await;
        assert_eq!(kind(missing), ErrorKind::NotFound);
        assert_eq!(kind(File::open(&path).await), ErrorKind::NotFound);

        let mut file = File::create(&path).await.expect("room");
        file.write_all(b"0123").await.expect("room");
        let mut same =
            OpenOptions::new().write(true).create(true).open(&path).await.expect("there");
        same.write_all(b"ab").await.expect("room");
        assert_eq!(text(&path), "ab23");

        assert_eq!(kind(File::create_new(&path).await), ErrorKind::AlreadyExists);
        let new = OpenOptions::new().write(true).create_new(true).open(&path).await;
        assert_eq!(kind(new), ErrorKind::AlreadyExists);

        OpenOptions::new().write(true).truncate(true).open(&path).await.expect("there");
        assert_eq!(text(&path), "");
        drop(File::create(&path).await.expect("there"));

        let mut file = File::create_new(folder.at("new")).await.expect("room");
        file.write_all(b"both").await.expect("room");
        file.rewind().await.expect("a file");
        let mut read = String::new();
        file.read_to_string(&mut read).await.expect("it can be read too");
        assert_eq!(read, "both");
    });
}

#[test]
fn mode_and_flags() {
    let folder = Folder::new();
    block_on(async {
        let path = folder.at("file");
        let mut options = File::options();
        options.write(true).create(true).mode(0o600);
        options.open(&path).await.expect("room");
        let mode = std::fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);

        std::os::unix::fs::symlink(&path, folder.at("link")).expect("room");
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(libc::O_NOFOLLOW);
        let error = options.open(folder.at("link")).await.expect_err("a link");
        assert_eq!(error.raw_os_error(), Some(libc::ELOOP));
        options.custom_flags(libc::O_DIRECTORY);
        assert_eq!(kind(options.open(&path).await), ErrorKind::NotADirectory);
    });
}

#[test]
fn a_path_with_a_nul_byte() {
    block_on(async {
        assert_eq!(kind(File::open("a\0b").await), ErrorKind::InvalidInput);
    });
}

#[test]
fn a_dropped_open_leaks_no_descriptor() {
    let ledger = Ledger::open();
    let folder = Folder::new();
    block_on(async {
        for n in 0..50 {
            let name = folder.at(&format!("file{n}"));
            let _any = start_and_drop(File::create(&name)).await;
            let _any = start_and_drop(File::open(folder.path())).await;
        }
    });
    drop(folder);
    ledger.close();
}
