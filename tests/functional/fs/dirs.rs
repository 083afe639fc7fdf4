//! Directories: made, listed, removed.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::rc::Rc;
use std::time::Duration;

use ringspun::fs::{self, DirBuilder};

use super::{Folder, kind, start_and_drop};
use crate::support::{Ledger, block_on};

#[test]
fn make_and_remove() {
    let folder = Folder::new();
    let path = folder.at("made");
    block_on(async {
        fs::create_dir(&path).await.expect("room");
        assert_eq!(kind(fs::create_dir(&path).await), ErrorKind::AlreadyExists);
        assert_eq!(kind(fs::create_dir(folder.at("no/way")).await), ErrorKind::NotFound);
        std::fs::write(path.join("file"), "").expect("room");
        assert_eq!(kind(fs::remove_dir(&path).await), ErrorKind::DirectoryNotEmpty);
        fs::remove_file(path.join("file")).await.expect("there");
        fs::remove_dir(&path).await.expect("empty");
        assert_eq!(kind(fs::remove_dir(&path).await), ErrorKind::NotFound);
    });
}

#[test]
fn all_on_the_way() {
    let folder = Folder::new();
    folder.file("file", "");
    block_on(async {
        let deep = folder.at("a/b/c/d");
        fs::create_dir_all(&deep).await.expect("room");
        fs::create_dir_all(&deep).await.expect("it is there");
        fs::create_dir_all(folder.at("a/b/x/../y/")).await.expect("room");
        assert!(folder.at("a/b/y").is_dir());
        fs::create_dir_all("").await.expect("nothing to do");
        fs::create_dir_all("/").await.expect("it is there");
        assert_eq!(kind(fs::create_dir_all(folder.at("file")).await), ErrorKind::AlreadyExists);
        let below = fs::create_dir_all(folder.at("file/below")).await;
        assert_eq!(kind(below), ErrorKind::NotADirectory);
        fs::remove_dir_all(folder.at("a")).await.expect("there");
        assert_eq!(kind(fs::remove_dir_all(folder.at("a")).await), ErrorKind::NotFound);
    });
    assert_eq!(folder.names(), ["file"]);
}

#[test]
fn builder() {
    let folder = Folder::new();
    block_on(async {
        let mut builder = DirBuilder::default();
        assert_eq!(kind(builder.create(folder.at("a/b")).await), ErrorKind::NotFound);
        builder.recursive(true).mode(0o700).create(folder.at("a/b")).await.expect("room");
        for name in ["a", "a/b"] {
            let mode = std::fs::metadata(folder.at(name)).expect("there").permissions().mode();
            assert_eq!(mode & 0o777, 0o700, "{name}");
        }
    });
}

#[test]
fn a_listing() {
    let folder = Folder::new();
    folder.file("file", "12345");
    std::fs::create_dir(folder.at("folder")).expect("room");
    std::os::unix::fs::symlink("file", folder.at("link")).expect("room");
    block_on(async {
        let mut listing = fs::read_dir(folder.path()).await.expect("there");
        assert!(format!("{listing:?}").contains("ReadDir"));
        let mut seen = BTreeSet::new();
        while let Some(entry) = listing.next_entry().await.expect("readable") {
            let name = entry.file_name().into_string().expect("a plain name");
            assert_eq!(entry.path(), folder.at(&name));
            let metadata = entry.metadata().await.expect("there");
            assert_eq!(entry.ino(), metadata.ino());
            let file_type = entry.file_type().await.expect("known");
            assert_eq!(file_type, metadata.file_type());
            assert_eq!(file_type.is_dir(), name == "folder");
            assert_eq!(file_type.is_symlink(), name == "link");
            assert!(format!("{entry:?}").contains(&name));
            assert!(seen.insert(name), "twice");
        }
        assert_eq!(Vec::from_iter(seen), ["file", "folder", "link"]);
        assert!(listing.next_entry().await.expect("still the end").is_none());
    });
}

#[test]
fn what_cannot_be_listed() {
    let folder = Folder::new();
    let file = folder.file("file", "");
    block_on(async {
        let none = fs::read_dir(folder.at("none")).await.expect_err("not there");
        assert_eq!(none.kind(), ErrorKind::NotFound);
        let file = fs::read_dir(file).await.expect_err("a file");
        assert_eq!(file.kind(), ErrorKind::NotADirectory);
    });
}

#[test]
fn an_entry_that_has_gone() {
    let folder = Folder::new();
    let file = folder.file("file", "");
    block_on(async {
        let mut listing = fs::read_dir(folder.path()).await.expect("there");
        let entry = listing.next_entry().await.expect("readable").expect("one");
        std::fs::remove_file(file).expect("there");
        assert_eq!(kind(entry.metadata().await), ErrorKind::NotFound);
    });
}

#[test]
fn many_entries_with_dropped_waits() {
    let ledger = Ledger::open();
    let folder = Folder::new();
    for n in 0..2000 {
        folder.file(&format!("file{n}"), "");
    }
    block_on(async {
        let mut listing = fs::read_dir(folder.path()).await.expect("there");
        let mut seen = BTreeSet::new();
        loop {
            let next = match start_and_drop(listing.next_entry()).await {
                std::task::Poll::Ready(next) => next,
                std::task::Poll::Pending => listing.next_entry().await,
            };
            let Some(entry) = next.expect("readable") else { break };
            assert!(seen.insert(entry.file_name()), "twice");
        }
        assert_eq!(seen.len(), 2000);

        let mut left = fs::read_dir(folder.path()).await.expect("there");
        // Until a job is on its way for the next ones, or each of them was quicker than this.
        while let std::task::Poll::Ready(next) = start_and_drop(left.next_entry()).await {
            if next.expect("readable").is_none() {
                break;
            }
        }
    });
    drop(folder);
    ledger.close();
}

#[test]
fn the_core_goes_on_while_a_large_directory_is_listed() {
    const ENTRIES: usize = 20_000;
    let folder = Folder::new();
    for n in 0..ENTRIES {
        std::os::unix::fs::symlink("nowhere", folder.at(&format!("{n}"))).expect("room");
    }
    block_on(async {
        let ticks = Rc::new(Cell::new(0));
        let counter = Rc::clone(&ticks);
        let heartbeat = ringspun::spawn(async move {
            loop {
                ringspun::time::sleep(Duration::from_micros(100)).await;
                counter.set(counter.get() + 1);
            }
        });
        let mut listing = fs::read_dir(folder.path()).await.expect("there");
        let mut count = 0;
        while listing.next_entry().await.expect("readable").is_some() {
            count += 1;
        }
        assert_eq!(count, ENTRIES);
        // 79 waits for the pool: a tick in some of them at least.
        assert!(ticks.get() >= 3, "{} ticks", ticks.get());
        heartbeat.abort();
    });
}
