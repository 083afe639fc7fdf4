//! Names that are slow to look up.

use std::cell::Cell;
use std::collections::{HashSet, VecDeque};
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ringspun::runtime::Builder;
use ringspun::time::sleep;

use crate::support::{is_child, run_alone};

const LOOKUPS: usize = 50;
/// A name server answers so late.
const DELAY: Duration = Duration::from_millis(200);

/// The most names that were asked for and not answered at a time.
type Most = Arc<AtomicUsize>;

/// A name server that is slow, but as much as is asked for at a time.
fn serve(socket: &UdpSocket, most: &Most) {
    let mut asked: VecDeque<(Instant, Vec<u8>, SocketAddr)> = VecDeque::new();
    let mut buf = [0; 512];
    loop {
        let due = asked.front().map(|(due, ..)| due.saturating_duration_since(Instant::now()));
        // Zero would be no limit.
        socket
            .set_read_timeout(due.map(|due| due.max(Duration::from_millis(1))))
            .expect("a socket");
        match socket.recv_from(&mut buf) {
            Ok((count, from)) => {
                asked.push_back((Instant::now() + DELAY, buf[..count].to_vec(), from));
                let names = asked.iter().map(|(_, query, _)| name(query)).collect::<HashSet<_>>();
                most.fetch_max(names.len(), Ordering::Relaxed);
            }
            Err(error) => {
                let late = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
                assert!(late || error.kind() == ErrorKind::Interrupted, "{error}");
            }
        }
        while asked.front().is_some_and(|(due, ..)| *due <= Instant::now()) {
            let (_, query, from) = asked.pop_front().expect("just seen");
            socket.send_to(&answer(&query), from).expect("it asked");
        }
    }
}

/// The header is 12 bytes; the question is the name, up to a zero, its type and its class.
fn name(query: &[u8]) -> &[u8] {
    let len = query[12..].iter().position(|byte| *byte == 0).expect("a name ends");
    &query[12..12 + len]
}

/// 127.0.0.1 to whoever asks for an address of IPv4 (type 1), nothing else.
fn answer(query: &[u8]) -> Vec<u8> {
    let question_end = 12 + name(query).len() + 1 + 4;
    let wants_v4 = query[question_end - 4..question_end - 2] == [0, 1];
    let mut answer = query[..question_end].to_vec();
    // A response, with recursion asked for and available, without an error.
    answer[2..4].copy_from_slice(&[0x81, 0x80]);
    answer[4..12].copy_from_slice(&[0, 1, 0, u8::from(wants_v4), 0, 0, 0, 0]);
    if wants_v4 {
        // The name is at byte 12; type and class; an hour; four bytes.
        answer.extend([0xC0, 12, 0, 1, 0, 1, 0, 0, 14, 16, 0, 4, 127, 0, 0, 1]);
    }
    answer
}

/// Looks so many names up, on so many threads.
fn look_up(threads: usize, most: &Most) {
    let rounds = LOOKUPS.div_ceil(threads) as u32;
    most.store(0, Ordering::Relaxed);
    let begun = Instant::now();
    let runtime = Builder::new().blocking_threads(threads).build().expect("a ring");
    runtime.block_on(async {
        let beats = Rc::new(Cell::new(0_u32));
        let counting = Rc::clone(&beats);
        let heart = ringspun::spawn(async move {
            loop {
                sleep(Duration::from_millis(1)).await;
                counting.set(counting.get() + 1);
            }
        });
        let lookups = (0..LOOKUPS).map(|number| {
            ringspun::spawn(async move {
                let host = format!("slow-{threads}-{number}.test.:80");
                let found = ringspun::net::lookup_host(host).await.expect("it is slow, but there");
                found.collect::<Vec<_>>()
            })
        });
        for lookup in lookups.collect::<Vec<_>>() {
            let found = lookup.await.expect("no panic");
            assert_eq!(found, ["127.0.0.1:80".parse().expect("an address")]);
        }
        heart.abort();
        let (elapsed, beats) = (begun.elapsed(), beats.get());
        println!("{threads} threads: {elapsed:?}, {beats} beats, {most:?} names at a time");
        assert!(elapsed >= DELAY * rounds, "{elapsed:?}: more at a time than there are threads");
        assert!(most.load(Ordering::Relaxed) <= threads);
        // One after the other would be one at a time; a core that is held up has no beat.
        assert!(most.load(Ordering::Relaxed) > threads / 2, "they are looked up side by side");
        assert!(beats >= 10 * rounds, "{beats} beats in {elapsed:?}");
    });
    assert!(runtime.metrics().blocking_threads_max <= threads);
}

/// The process has a mount namespace of its own, and in it another `/etc/resolv.conf`.
#[test]
fn b13_slow_names_do_not_hold_the_core() {
    const TEST: &str = "names::b13_slow_names_do_not_hold_the_core";
    if is_child() {
        let text = std::fs::read_to_string("/etc/resolv.conf").expect("just bound");
        let server = text.split_whitespace().nth(1).expect("a name server");
        let socket = UdpSocket::bind((server, 53)).expect("the parent could");
        let most = Most::default();
        let counting = Arc::clone(&most);
        std::thread::spawn(move || serve(&socket, &counting));
        for threads in [10, LOOKUPS] {
            look_up(threads, &most);
        }
        return;
    }
    // Any address of this network is the machine itself; this one is nobody else's.
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    let server = format!("127.{}.{middle}.{}", high | 64, low.clamp(1, 254));
    let can_serve = UdpSocket::bind((server.as_str(), 53)).map(drop);
    let can_mount = std::process::Command::new("unshare").args(["-m", "true"]).output();
    if can_serve.is_err() || !can_mount.is_ok_and(|output| output.status.success()) {
        eprintln!("b13 is skipped: it needs port 53 ({can_serve:?}) and unshare -m, as root");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("resolv.conf");
    let text = format!("nameserver {server}\noptions timeout:30 attempts:1\n");
    std::fs::write(&path, text).expect("room");
    let mount = "mount --bind \"$0\" /etc/resolv.conf && exec \"$@\"";
    let path = path.to_str().expect("text");
    run_alone(TEST, &["unshare", "-m", "sh", "-c", mount, path]);
}
