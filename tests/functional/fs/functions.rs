//! The functions that take a path.

use std::fs::Permissions;
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;

use ringspun::fs;

use super::{Folder, kind, pattern, start_and_drop, text};
use crate::support::block_on;

#[test]
fn whole_files() {
    let folder = Folder::new();
    let path = folder.at("file");
    block_on(async {
        for len in [0, 1, 31, 32, 33, 4096, 3_000_000] {
            fs::write(&path, pattern(len)).await.expect("room");
            assert!(fs::read(&path).await.expect("there") == pattern(len), "{len} bytes");
        }
        fs::write(&path, "text").await.expect("room");
        assert_eq!(fs::read_to_string(&path).await.expect("UTF-8"), "text");
        fs::write(&path, [0xff]).await.expect("room");
        assert_eq!(kind(fs::read_to_string(&path).await), ErrorKind::InvalidData);
        assert_eq!(kind(fs::read(folder.at("none")).await), ErrorKind::NotFound);
        assert_eq!(kind(fs::read(folder.path()).await), ErrorKind::IsADirectory);
        assert_eq!(kind(fs::write(folder.path(), "x").await), ErrorKind::IsADirectory);
        // It does not say how long it is.
        let status = fs::read_to_string("/proc/self/status").await.expect("procfs");
        assert!(status.starts_with("Name:"), "{status}");
    });
}

#[test]
fn copy_takes_content_and_permissions() {
    let folder = Folder::new();
    let from = folder.file("from", pattern(20_000_000));
    std::fs::set_permissions(&from, Permissions::from_mode(0o751)).expect("ours");
    let to = folder.file("to", "something longer or shorter");
    block_on(async {
        assert_eq!(fs::copy(&from, &to).await.expect("room"), 20_000_000);
        assert!(std::fs::read(&to).expect("there") == pattern(20_000_000), "not the same");
        assert_eq!(std::fs::metadata(&to).expect("there").mode() & 0o777, 0o751);

        let empty = folder.file("empty", "");
        assert_eq!(fs::copy(&empty, &to).await.expect("room"), 0);
        assert_eq!(text(&to), "");
        assert_eq!(kind(fs::copy(folder.path(), &to).await), ErrorKind::InvalidInput);
        assert_eq!(kind(fs::copy(folder.at("none"), &to).await), ErrorKind::NotFound);
        let status = fs::copy("/proc/self/status", &to).await.expect("procfs");
        assert_eq!(text(&to).len() as u64, status);
    });
}

#[test]
fn names() {
    let folder = Folder::new();
    let (one, two) = (folder.file("one", "content"), folder.at("two"));
    block_on(async {
        fs::hard_link(&one, &two).await.expect("room");
        assert_eq!(fs::metadata(&one).await.expect("there").nlink(), 2);
        assert_eq!(kind(fs::hard_link(&one, &two).await), ErrorKind::AlreadyExists);
        fs::remove_file(&one).await.expect("there");
        assert_eq!(kind(fs::remove_file(&one).await), ErrorKind::NotFound);
        fs::rename(&two, &one).await.expect("there");
        assert_eq!(kind(fs::rename(&two, &one).await), ErrorKind::NotFound);
        assert_eq!(text(&one), "content");
        assert_eq!(kind(fs::remove_file(folder.path()).await), ErrorKind::IsADirectory);
    });
    assert_eq!(folder.names(), ["one"]);
}

#[test]
fn links() {
    let folder = Folder::new();
    let file = folder.file("file", "content");
    let (link, broken) = (folder.at("link"), folder.at("broken"));
    block_on(async {
        fs::symlink("file", &link).await.expect("room");
        fs::symlink("nothing", &broken).await.expect("room");
        assert_eq!(kind(fs::symlink("file", &link).await), ErrorKind::AlreadyExists);
        assert_eq!(fs::read_link(&link).await.expect("a link"), Path::new("file"));
        assert_eq!(kind(fs::read_link(&file).await), ErrorKind::InvalidInput);
        let real = std::fs::canonicalize(&file).expect("there");
        assert_eq!(fs::canonicalize(&link).await.expect("there"), real);
        assert_eq!(kind(fs::canonicalize(&broken).await), ErrorKind::NotFound);

        assert!(fs::metadata(&link).await.expect("there").is_file());
        assert!(fs::symlink_metadata(&link).await.expect("there").is_symlink());
        assert_eq!(kind(fs::metadata(&broken).await), ErrorKind::NotFound);
        assert!(fs::try_exists(&link).await.expect("can be told"));
        assert!(fs::exists(&file).await.expect("can be told"));
        assert!(!fs::try_exists(&broken).await.expect("can be told"));
        let below = fs::try_exists(file.join("below")).await;
        assert_eq!(kind(below), ErrorKind::NotADirectory);
    });
}

#[test]
fn permissions() {
    let folder = Folder::new();
    let path = folder.file("file", "");
    block_on(async {
        fs::set_permissions(&path, Permissions::from_mode(0o604)).await.expect("ours");
        let metadata = fs::metadata(&path).await.expect("there");
        assert_eq!(metadata.permissions().mode() & 0o777, 0o604);
        let none = fs::set_permissions(folder.at("none"), metadata.permissions()).await;
        assert_eq!(kind(none), ErrorKind::NotFound);
    });
}

#[test]
fn kinds_are_what_std_says() {
    let folder = Folder::new();
    let _socket = std::os::unix::net::UnixListener::bind(folder.at("socket")).expect("room");
    folder.file("file", "");
    std::os::unix::fs::symlink("file", folder.at("link")).expect("room");
    let paths = [folder.at("socket"), folder.at("file"), folder.at("link"), "/dev/null".into()];
    block_on(async {
        for path in paths.iter().chain([&folder.path().to_owned()]) {
            let std = std::fs::symlink_metadata(path).expect("there").file_type();
            let ours = fs::symlink_metadata(path).await.expect("there").file_type();
            assert_eq!(
                [ours.is_file(), ours.is_dir(), ours.is_symlink(), ours.is_socket()],
                [std.is_file(), std.is_dir(), std.is_symlink(), std.is_socket()]
            );
            assert_eq!(
                [ours.is_fifo(), ours.is_char_device(), ours.is_block_device()],
                [std.is_fifo(), std.is_char_device(), std.is_block_device()]
            );
            assert!(!format!("{ours:?}").contains("unknown"));
        }
    });
}

#[test]
fn dropped_calls_are_done_or_not() {
    let folder = Folder::new();
    block_on(async {
        for n in 0..20 {
            let (one, two) = (folder.file("one", "1"), folder.file("two", "2"));
            let _any = start_and_drop(fs::rename(&one, &two)).await;
            let _any = start_and_drop(fs::copy(&two, folder.at("three"))).await;
            let _any = start_and_drop(fs::create_dir_all(folder.at(&format!("a{n}/b")))).await;
            let _any = start_and_drop(fs::read_dir(folder.path())).await;
            let _any = start_and_drop(fs::write(folder.at("four"), pattern(10_000))).await;
            let now = fs::read_to_string(&two).await.expect("always there");
            assert!(now == "1" || now == "2", "{now}");
        }
    });
}
