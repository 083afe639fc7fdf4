//! What cores cost each other: how long a wake takes from one to another (`wake`), what a message
//! costs a server that has two of them (`scale`), and what `server::Server` adds to it (`server`).
//!
//! `cargo bench --bench cores [wake | scale | server]`; without a word all.

#![allow(unsafe_code, reason = "raw rings, system calls and CPU clocks")]

#[path = "cores/contest.rs"]
mod contest;
#[path = "cores/scale.rs"]
mod scale;
#[path = "cores/server.rs"]
mod server;
mod support;
#[path = "cores/wake.rs"]
mod wake;
#[path = "cores/wake_raw.rs"]
mod wake_raw;

use std::io;

use ringspun::runtime::Runtime;

fn main() -> io::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.first().map(String::as_str) {
        Some(contest::CLIENT) => return contest::client(&words[1..]),
        Some(contest::VISITOR) => return contest::visitor(&words[1..]),
        Some(contest::NEIGHBOUR) => return contest::neighbour(),
        _ => {}
    }
    println!("{}\n", Runtime::new()?.info());
    let wanted = |name: &str| {
        let named = |word: &&String| matches!(word.as_str(), "wake" | "scale" | "server");
        let mut named = words.iter().filter(named).peekable();
        named.peek().is_none() || named.any(|word| word == name)
    };
    if wanted("wake") {
        // Pinned, and what it starts with it: the main thread stays free.
        std::thread::spawn(wake::compare).join().expect("no panic")?;
    }
    if wanted("scale") {
        scale::compare()?;
    }
    if wanted("server") {
        server::compare()?;
    }
    Ok(())
}

/// Each side has a CPU, so that neither waits for the other's.
fn pin_to(cpu: usize) {
    // SAFETY: a set of zeroes is the empty one.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the number is below the size of the set.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    // SAFETY: the pointer is valid during the call; 0 is the calling thread.
    let failed =
        unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) };
    if failed != 0 {
        eprintln!("CPU {cpu} is not to be had: {}", io::Error::last_os_error());
    }
}
