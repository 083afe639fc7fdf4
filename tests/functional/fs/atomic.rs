//! `write_atomic`.

use std::fs::Permissions;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::time::Duration;

use ringspun::fs::{self, write_atomic};

use super::{Folder, kind, pattern, start_and_drop, text};
use crate::support::{block_on, until};

#[test]
fn a_new_file_and_a_replaced_one() {
    let folder = Folder::new();
    let path = folder.at("file");
    block_on(async {
        write_atomic(&path, "first").await.expect("room");
        assert_eq!(text(&path), "first");
        std::fs::set_permissions(&path, Permissions::from_mode(0o640)).expect("ours");
        let before = std::fs::metadata(&path).expect("there").ino();
        write_atomic(&path, pattern(3_000_000)).await.expect("room");
        assert!(fs::read(&path).await.expect("there") == pattern(3_000_000));
        let after = std::fs::metadata(&path).expect("there");
        assert_eq!(after.mode() & 0o777, 0o640);
        assert_ne!(after.ino(), before, "another file has the name");
    });
    assert_eq!(folder.names(), ["file"]);
}

#[test]
fn a_link_stays_one() {
    let folder = Folder::new();
    let path = folder.file("file", "old");
    std::fs::create_dir(folder.at("other")).expect("room");
    let link = folder.at("other/link");
    std::os::unix::fs::symlink("../file", &link).expect("room");
    block_on(write_atomic(&link, "new")).expect("room");
    assert_eq!(text(&path), "new");
    assert!(link.symlink_metadata().expect("there").is_symlink());
    assert_eq!(folder.names(), ["file", "other"]);
}

#[test]
fn errors_leave_all_as_it_was() {
    let folder = Folder::new();
    folder.file("file", "old");
    std::fs::create_dir(folder.at("folder")).expect("room");
    block_on(async {
        let missing = write_atomic(folder.at("no/way"), "x").await;
        assert_eq!(kind(missing), ErrorKind::NotFound);
        let below = write_atomic(folder.at("file/below"), "x").await;
        assert_eq!(kind(below), ErrorKind::NotADirectory);
        write_atomic(folder.at("folder"), "x").await.expect_err("a directory stays one");
        assert_eq!(kind(write_atomic("/", "x").await), ErrorKind::IsADirectory);
        assert_eq!(kind(write_atomic("a\0b", "x").await), ErrorKind::InvalidInput);
    });
    assert_eq!(folder.names(), ["file", "folder"]);
    assert_eq!(text(&folder.at("file")), "old");
}

#[test]
fn dropped_at_any_time_it_is_the_old_or_the_new_one() {
    let folder = Folder::new();
    let path = folder.at("file");
    let contents = [vec![b'a'; 300_000], vec![b'b'; 2_500_000]];
    std::fs::write(&path, &contents[0]).expect("room");
    block_on(async {
        for turn in 0..20_u32 {
            let new = &contents[(turn % 2) as usize];
            let write = Box::pin(write_atomic(&path, new));
            let wait = Duration::from_micros(u64::from(turn) * 300);
            let _done_or_not = ringspun::time::timeout(wait, write).await;
            let now = std::fs::read(&path).expect("always there");
            assert!(contents.contains(&now), "neither old nor new: {} bytes", now.len());
        }
        let _any = start_and_drop(write_atomic(&path, "c")).await;
        until("the temporary files are gone", || folder.names() == ["file"]).await;
    });
}
