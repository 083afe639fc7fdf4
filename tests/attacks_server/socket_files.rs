//! The files of Unix sockets: stale, in use, replaced, no socket at all.

use std::fs;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use ringspun::server::Server;

use crate::support::{PATIENCE, Running, ask, echo, start};

fn serve_at(path: &Path) -> Running {
    start(Server::bind(path).cores(2).handle_signals(false).serve(echo))
}

fn refused_at(path: &Path) -> String {
    let server = Server::bind(path).cores(1).handle_signals(false).serve(echo);
    server.run().expect_err("it cannot listen there").to_string()
}

#[test]
fn what_is_at_the_path() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("socket");
    // A file, a folder, a link to nowhere: left alone.
    fs::write(&path, "mine").expect("written");
    assert!(refused_at(&path).contains("no socket"));
    assert_eq!(fs::read_to_string(&path).expect("still there"), "mine");
    fs::remove_file(&path).expect("removed");
    std::os::unix::fs::symlink(folder.path().join("nowhere"), &path).expect("linked");
    assert!(refused_at(&path).contains("no socket"));
    assert!(path.symlink_metadata().is_ok());
    fs::remove_file(&path).expect("removed");
    // One that somebody listens at.
    let other = UnixListener::bind(&path).expect("bound");
    refused_at(&path);
    UnixStream::connect(&path).expect("it is still the other's");
    // One that nobody listens at any more.
    drop(other);
    let running = serve_at(&path);
    ask(&mut UnixStream::connect(&path).expect("it listens"), "hello");
    running.drain(PATIENCE);
    assert!(path.symlink_metadata().is_err(), "removed at the end");
}

#[test]
fn replaced_meanwhile() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("socket");
    let running = serve_at(&path);
    ask(&mut UnixStream::connect(&path).expect("it listens"), "hello");
    fs::remove_file(&path).expect("removed");
    let other = UnixListener::bind(&path).expect("bound");
    running.drain(PATIENCE);
    UnixStream::connect(&path).expect("the other's file is still there");
    drop(other);
}

#[test]
fn a_second_address_that_fails_leaves_no_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("socket");
    let server = Server::bind(&*path).and("256.0.0.1:1").cores(1).handle_signals(false);
    let error = server.serve(echo).run().expect_err("no such address");
    assert!(error.to_string().contains("256.0.0.1:1"), "{error}");
    assert!(path.symlink_metadata().is_err());
}

#[test]
fn a_file_that_is_gone_and_one_server_after_the_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("socket");
    for _ in 0..5 {
        let running = serve_at(&path);
        ask(&mut UnixStream::connect(&path).expect("it listens"), "hello");
        fs::remove_file(&path).expect("removed");
        running.drain(Duration::from_secs(60));
    }
    refused_at(&folder.path().join("none").join("socket"));
    refused_at(&folder.path().join("x".repeat(200)));
}
