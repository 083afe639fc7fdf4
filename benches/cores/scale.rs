//! Whether an echo server scales by cores: what a message costs in CPU time with two cores, beside
//! what it costs with one.
//!
//! Each core has a listener of its own. Counted is the CPU time of the cores' threads alone; the
//! clients are other processes, one for each core. This machine may have two CPUs only, so a core
//! and its client share one: they take turns, 64 connections at a time, in the same way in each of
//! the contests. Two busy CPUs may slow each other down whatever they run (caches, hyper-threads),
//! so one core is measured twice: alone, and beside a process of its own that does the same on the
//! other CPU. Only the latter says what the two cores of one process cost each other.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use ringspun::net::TcpListener;
use ringspun::runtime::{Builder, Cores};

use crate::pin_to;
use crate::support::{median, percentile, rounds};

/// The words by which this program starts itself.
pub(crate) const CLIENT: &str = "client-of-scale";
pub(crate) const NEIGHBOUR: &str = "neighbour-of-scale";

const CONNECTIONS: usize = 64;
const BYTES: usize = 64;
/// Times that each connection is served in a round.
const TURNS: usize = 400;

/// The CPU clock of a core's thread.
struct Clock(libc::clockid_t);

impl Clock {
    fn of_this_thread() -> Clock {
        let mut clock = 0;
        // SAFETY: no arguments.
        let thread = unsafe { libc::pthread_self() };
        // SAFETY: the pointer is valid during the call; the thread is the calling one.
        let failed = unsafe { libc::pthread_getcpuclockid(thread, &raw mut clock) };
        assert_eq!(failed, 0, "a thread has a clock");
        Clock(clock)
    }

    fn now(&self) -> Duration {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the pointer is valid during the call.
        let failed = unsafe { libc::clock_gettime(self.0, &raw mut time) };
        assert_eq!(failed, 0, "the core's thread lives");
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    }
}

/// An echo server on the cores of one runtime, in a thread that waits for its end.
struct Server {
    cores: Vec<(SocketAddr, Clock)>,
    end: Option<mpsc::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    fn start(cpus: Vec<usize>) -> io::Result<Server> {
        let (said, heard) = mpsc::channel();
        let (end, ended) = mpsc::channel::<()>();
        let count = cpus.len();
        let thread = std::thread::Builder::new().name("server".into()).spawn(move || {
            let runtime = Builder::new().cores(Cores::List(cpus)).build().expect("cores");
            for core in runtime.handle().cores() {
                let (index, said) = (core.index(), said.clone());
                let _serving = core.spawn(move || serve(index, said));
            }
            runtime.block_on(async {
                // Until the other side is gone.
                let _gone = ringspun::spawn_blocking(move || ended.recv()).await;
            });
        })?;
        let mut cores: Vec<_> = heard.iter().take(count).collect();
        cores.sort_by_key(|(index, ..)| *index);
        let cores = cores.into_iter().map(|(_, address, clock)| (address, clock)).collect();
        Ok(Server { cores, end: Some(end), thread: Some(thread) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(index: usize, said: mpsc::Sender<(usize, SocketAddr, Clock)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    said.send((index, address, Clock::of_this_thread())).expect("heard");
    loop {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        let _echo = ringspun::spawn(async move {
            let mut buf = vec![0; BYTES];
            while let Ok(count @ 1..) = stream.read(&mut buf).await {
                if stream.write_all(&buf[..count]).await.is_err() {
                    return;
                }
            }
        });
    }
}

/// A process of its own that does as it is told by a line: so many turns.
struct Process {
    child: Child,
    told: ChildStdin,
    says: BufReader<ChildStdout>,
}

impl Process {
    fn start(words: &[String]) -> io::Result<Process> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (told, says) = (child.stdin.take(), child.stdout.take());
        let (Some(told), Some(says)) = (told, says) else {
            return Err(io::Error::other("no pipes"));
        };
        let mut process = Process { child, told, says: BufReader::new(says) };
        process.done()?;
        Ok(process)
    }

    fn client(cpu: usize, address: SocketAddr) -> io::Result<Process> {
        Process::start(&[CLIENT.to_owned(), cpu.to_string(), address.to_string()])
    }

    fn tell(&mut self, turns: usize) -> io::Result<()> {
        writeln!(self.told, "{turns}")?;
        self.told.flush()
    }

    fn done(&mut self) -> io::Result<()> {
        let mut line = String::new();
        self.says.read_line(&mut line)?;
        if line.trim() == "done" { Ok(()) } else { Err(io::Error::other("a client ended")) }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Does what each line of the input says, and says when it is done.
fn obey(mut turns: impl FnMut(usize) -> io::Result<()>) -> io::Result<()> {
    println!("done");
    for line in io::stdin().lines() {
        turns(line?.trim().parse().map_err(io::Error::other)?)?;
        println!("done");
    }
    Ok(())
}

/// The process of a client.
pub(crate) fn client(words: &[String]) -> io::Result<()> {
    let [cpu, address, ..] = words else { return Err(io::Error::other("a CPU, an address")) };
    pin_to(cpu.parse().map_err(io::Error::other)?);
    let mut streams = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        streams.push(stream);
    }
    obey(|turns| exchange(&mut streams, turns))
}

fn exchange(streams: &mut [TcpStream], turns: usize) -> io::Result<()> {
    let mut answer = [0; BYTES];
    for _ in 0..turns {
        for stream in &mut *streams {
            stream.write_all(&[7; BYTES])?;
        }
        for stream in &mut *streams {
            stream.read_exact(&mut answer)?;
        }
    }
    Ok(())
}

/// A process with a server of one core on the second CPU, and a client of it there.
pub(crate) fn neighbour() -> io::Result<()> {
    let server = Server::start(vec![1])?;
    let mut client = Process::client(1, server.cores[0].0)?;
    obey(|turns| {
        client.tell(turns)?;
        client.done()
    })
}

/// A server and all that keeps it and the machine busy.
struct Contest {
    server: Server,
    clients: Vec<Process>,
    neighbour: Option<Process>,
}

impl Contest {
    fn new(cpus: Vec<usize>, with_neighbour: bool) -> io::Result<Contest> {
        let server = Server::start(cpus.clone())?;
        let of_core = |(cpu, core): (&usize, &(SocketAddr, Clock))| Process::client(*cpu, core.0);
        let clients = cpus.iter().zip(&server.cores).map(of_core).collect::<io::Result<_>>()?;
        let neighbour =
            with_neighbour.then(|| Process::start(&[NEIGHBOUR.to_owned()])).transpose()?;
        Ok(Contest { server, clients, neighbour })
    }

    /// What a message cost on each core, in nanoseconds of CPU time.
    fn round(&mut self, turns: usize) -> io::Result<Vec<f64>> {
        let clocks = || self.server.cores.iter().map(|(_, clock)| clock.now());
        let before: Vec<Duration> = clocks().collect();
        let mut busy: Vec<&mut Process> =
            self.clients.iter_mut().chain(self.neighbour.as_mut()).collect();
        for process in &mut busy {
            process.tell(turns)?;
        }
        for process in &mut busy {
            process.done()?;
        }
        let messages = (turns * CONNECTIONS) as f64;
        let spent = clocks().zip(before).map(|(now, before)| now - before);
        Ok(spent.map(|spent| spent.as_nanos() as f64 / messages).collect())
    }
}

pub(crate) fn compare() -> io::Result<()> {
    let mut alone = Contest::new(vec![0], false)?;
    let mut beside = Contest::new(vec![0], true)?;
    let mut both = Contest::new(vec![0, 1], false)?;
    for contest in [&mut alone, &mut beside, &mut both] {
        contest.round(TURNS / 4)?;
    }
    let mut samples: [Vec<f64>; 4] = Default::default();
    for _ in 0..rounds() {
        let one = alone.round(TURNS)?[0];
        let neighbours = beside.round(TURNS)?[0];
        let two = both.round(TURNS)?;
        for (kept, new) in samples.iter_mut().zip([one, neighbours, two[0], two[1]]) {
            kept.push(new);
        }
    }
    let [one, neighbours, first, second] = samples;
    println!(
        "echo of {BYTES} bytes, {CONNECTIONS} connections a core: CPU time of a core for a \
         message, {} rounds",
        rounds()
    );
    for (name, own) in [
        ("1 core, alone", &one),
        ("1 core, another process beside", &neighbours),
        ("2 cores, the first", &first),
        ("2 cores, the second", &second),
    ] {
        println!("  {name:<32} {:>8.0} ns", median(own.clone()));
    }
    let mean: Vec<f64> = first.iter().zip(&second).map(|(one, two)| (one + two) / 2.0).collect();
    say("2 cores / 1 core alone", &mean, &one);
    say("2 cores / 1 core, beside", &mean, &neighbours);
    say("its first core alone: / beside", &first, &neighbours);
    Ok(())
}

fn say(what: &str, own: &[f64], other: &[f64]) {
    let mut ratios: Vec<f64> = own.iter().zip(other).map(|(own, other)| own / other).collect();
    let at = [0.1, 0.25, 0.5, 0.75, 0.9].map(|part| percentile(&mut ratios, part));
    let within = (at[2] - 1.0).abs() <= 0.05;
    println!(
        "  {what:<32} {:.3}  (quartiles {:.3} to {:.3}, tenths {:.3} to {:.3}): {}",
        at[2],
        at[1],
        at[3],
        at[0],
        at[4],
        if within { "within 5 %" } else { "NOT within 5 %" }
    );
}
