//! A server in a process of its own, and what can be seen of it: its metrics, which it tells when
//! it is asked, and what `/proc` says of the process.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use ringspun::runtime::{Builder, CoreMetrics, Handle};
use ringspun::server::{Report, Serve};
use serde_json::{Value, json};

use crate::child;
use crate::support::{PATIENCE, ask, connect};

/// The test's harness prints too.
const MARK: &str = "@@";

/// In the process: runs the server on two cores and does what the other process tells it, until
/// that is gone. Words that are not known here go to `told`.
pub(crate) fn serve(server: Serve, told: impl Fn(&str) + Send + 'static) {
    let runtime = Builder::new().cores(2).build().expect("two cores");
    let (handle, cores) = (server.handle(), runtime.handle().clone());
    std::thread::spawn(move || {
        let listens = || handle.local_addrs().iter().find_map(|address| address.tcp());
        let address = loop {
            match listens() {
                Some(address) => break address,
                None => std::thread::yield_now(),
            }
        };
        say(&json!(address.to_string()));
        for line in io::stdin().lines().map_while(Result::ok) {
            match line.split_once(' ') {
                None if line == "figures" => say(&figures(&cores)),
                Some(("drain", millis)) => {
                    let millis = millis.parse().expect("a number");
                    handle.drain(Duration::from_millis(millis));
                }
                _ => told(&line),
            }
        }
        handle.stop();
    });
    let report = runtime.block_on(server.into_future()).expect("it ends well");
    say(&totals(&report));
}

fn say(value: &Value) {
    println!("{MARK}{value}");
}

fn figures(cores: &Handle) -> Value {
    cores.metrics().cores.iter().map(of_core).collect()
}

fn of_core(core: &CoreMetrics) -> Value {
    let ops: Value = core.ops_in_flight().map(|(op, count)| (op.to_owned(), count)).collect();
    let service = &core.service;
    json!({
        "asleep": core.asleep,
        "turns": core.turns,
        "tasks": core.tasks,
        "tasks_running": core.tasks_running,
        "longest_poll_ms": core.longest_poll.as_millis() as u64,
        "stale": core.stale,
        "ops": ops,
        "orphans": core.ops_orphaned,
        "buffers_out": core.buffers_out,
        "connections": service.connections,
        "accepted": service.accepted,
        "handed_over": service.handed_over,
        "received": service.received,
        "refused": service.refused,
        "handler_panics": service.handler_panics,
        "handler_errors": service.handler_errors,
        "accept_errors": service.accept_errors,
        "idle_closed": service.idle_closed,
    })
}

fn totals(report: &Report) -> Value {
    let all = report.totals();
    json!({
        "accepted": all.accepted,
        "handed_over": all.handed_over,
        "received": all.received,
        "finished": all.finished,
        "failed": all.failed,
        "panicked": all.panicked,
        "idle_closed": all.idle_closed,
        "cut": all.cut,
    })
}

/// What its metrics say.
pub(crate) struct Figures(Value);

impl Figures {
    pub(crate) fn of(&self, core: usize, name: &str) -> u64 {
        self.0[core][name].as_u64().unwrap_or_else(|| panic!("{name} in {}", self.0))
    }

    pub(crate) fn total(&self, name: &str) -> u64 {
        (0..2).map(|core| self.of(core, name)).sum()
    }

    pub(crate) fn is_asleep(&self, core: usize) -> bool {
        self.0[core]["asleep"].as_bool().expect("a flag")
    }

    pub(crate) fn op(&self, name: &str) -> u64 {
        self.0.as_array().expect("cores").iter().filter_map(|core| core["ops"][name].as_u64()).sum()
    }
}

/// Seen from outside; killed when it is dropped.
pub(crate) struct Process {
    child: Child,
    told: ChildStdin,
    said: Receiver<Value>,
    pub(crate) address: SocketAddr,
    before: Value,
}

impl Process {
    /// Starts the test `name` once more: its part of the server.
    pub(crate) fn start(name: &str) -> Process {
        Process::start_by(name, "exec \"$@\"")
    }

    /// By a shell's script.
    pub(crate) fn start_by(name: &str, script: &str) -> Process {
        let mut command = child::command(name, script);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let (told, out) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
        let (sender, said) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                let Some((_, text)) = line.split_once(MARK) else { continue };
                let value = serde_json::from_str(text).expect("JSON");
                if sender.send(value).is_err() {
                    return;
                }
            }
        });
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut process = Process { child, told, said, address, before: Value::Null };
        let address = process.hear();
        process.address = address.as_str().and_then(|text| text.parse().ok()).expect("an address");
        // What is made at the first need is there from now on.
        for _ in 0..8 {
            ask(&mut process.connect(), "hello");
        }
        process.before = process.steady();
        process
    }

    pub(crate) fn connect(&self) -> TcpStream {
        connect(self.address)
    }

    pub(crate) fn tell(&mut self, words: &str) {
        writeln!(self.told, "{words}").expect("it listens");
    }

    fn hear(&self) -> Value {
        self.said.recv_timeout(PATIENCE).expect("it answers")
    }

    pub(crate) fn figures(&mut self) -> Figures {
        self.tell("figures");
        Figures(self.hear())
    }

    /// The CPU time that it has used.
    pub(crate) fn cpu_time(&self) -> Duration {
        let stat = self.proc("stat");
        let (_, after_name) = stat.rsplit_once(')').expect("a name");
        let ticks: u64 =
            after_name.split_whitespace().skip(11).take(2).map(|n| n.parse::<u64>().unwrap()).sum();
        // USER_HZ is 100 on all architectures that io_uring runs on.
        Duration::from_millis(ticks * 10)
    }

    /// What it has in memory, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        let status = self.proc("status");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("it lives");
        line.split_whitespace().nth(1).and_then(|text| text.parse::<u64>().ok()).unwrap() * 1024
    }

    fn proc(&self, file: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.child.id())).expect("it lives")
    }

    /// What is to be the same when all clients are gone.
    fn still(&mut self) -> Value {
        let figures = self.figures();
        let fds = std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).expect("it lives");
        let ops: Vec<Value> = (0..2).map(|core| figures.0[core]["ops"].clone()).collect();
        json!({
            "descriptors": fds.count(),
            "tasks": figures.total("tasks"),
            "connections": figures.total("connections"),
            "orphans": figures.total("orphans"),
            "buffers_out": figures.total("buffers_out"),
            "ops": ops,
        })
    }

    /// The same, when nothing is connected, both cores accept, and nothing goes on any more.
    fn steady(&mut self) -> Value {
        let begun = Instant::now();
        let mut last = Value::Null;
        loop {
            let still = self.still();
            let mut cores = still["ops"].as_array().expect("cores").iter();
            let all_accept = cores.all(|core| core["ACCEPT"] == 1);
            if still["connections"] == 0 && all_accept && still == last {
                return still;
            }
            assert!(begun.elapsed() < PATIENCE, "clients are gone, and it has {still}");
            last = still;
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    /// Nothing has leaked: descriptors, tasks, connections and ops in flight are as they were
    /// before there were clients. It still serves.
    pub(crate) fn is_as_before(&mut self) -> Figures {
        ask(&mut self.connect(), "hello");
        let begun = Instant::now();
        loop {
            let now = self.steady();
            if now == self.before {
                let figures = self.figures();
                assert_eq!(figures.total("stale"), 0);
                assert_eq!(figures.total("handed_over"), figures.total("received"));
                return figures;
            }
            let (before, all) = (&self.before, PATIENCE);
            assert!(begun.elapsed() < all, "it leaks: {before} before, {now} afterwards");
        }
    }

    /// Drains it; gives the totals of its report.
    pub(crate) fn drain(mut self, deadline: Duration) -> Value {
        self.tell(&format!("drain {}", deadline.as_millis()));
        let report = self.hear();
        child::wait_for(&mut self.child);
        report
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
