//! Echo servers on chosen CPUs, the processes that keep them busy, and what that costs their cores.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use ringspun::net::TcpListener;
use ringspun::runtime::{Builder, Cores};
use ringspun::server::{Context, Server, Stream};
use socket2::SockRef;

use crate::pin_to;

/// The words by which this program starts itself.
pub(crate) const CLIENT: &str = "client-of-scale";
pub(crate) const VISITOR: &str = "visitor-of-scale";
pub(crate) const NEIGHBOUR: &str = "neighbour-of-scale";

pub(crate) const CONNECTIONS: usize = 64;
pub(crate) const BYTES: usize = 64;

/// What serves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A listener for each core, and a loop that accepts.
    Bare,
    /// `server::Server` with its default settings.
    Bound,
}

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
struct Echo {
    cores: Vec<(SocketAddr, Clock)>,
    end: Option<mpsc::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

type Said = mpsc::Sender<(usize, SocketAddr, Clock)>;

impl Echo {
    fn start(kind: Kind, cpus: Vec<usize>) -> io::Result<Echo> {
        let (said, heard) = mpsc::channel();
        let (end, ended) = mpsc::channel::<()>();
        let count = cpus.len();
        let thread = std::thread::Builder::new().name("server".into()).spawn(move || {
            let runtime = Builder::new().cores(Cores::List(cpus)).build().expect("cores");
            for core in runtime.handle().cores().iter().filter(|_| kind == Kind::Bare) {
                let (index, said) = (core.index(), said.clone());
                let _serving = core.spawn(move || serve_bare(index, said));
            }
            runtime.block_on(async {
                let _serving = (kind == Kind::Bound).then(|| ringspun::spawn(serve_bound(said)));
                // Until the other side is gone.
                let _gone = ringspun::spawn_blocking(move || ended.recv()).await;
            });
        })?;
        let mut cores: Vec<_> = heard.iter().take(count).collect();
        cores.sort_by_key(|(index, ..)| *index);
        let cores = cores.into_iter().map(|(_, address, clock)| (address, clock)).collect();
        Ok(Echo { cores, end: Some(end), thread: Some(thread) })
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve_bare(index: usize, said: Said) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    said.send((index, address, Clock::of_this_thread())).expect("heard");
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        let _echo = ringspun::spawn(echo(stream.into(), index));
    }
}

async fn serve_bound(said: Said) {
    // Told with the clocks, which each core knows before the server says where it listens.
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = free.local_addr().expect("bound");
    drop(free);
    let server = Server::bind(address).handle_signals(false).on_ready(|_| {});
    let server = server.state(move || {
        let index = ringspun::runtime::core_index().expect("on a core");
        said.send((index, address, Clock::of_this_thread())).expect("heard");
    });
    let served = server.serve(|stream, context: Context<()>| echo(stream, context.core())).await;
    served.expect("the port is still free");
}

/// Says first on which core it is.
async fn echo(mut stream: Stream, core: usize) {
    if stream.write_all(&[core as u8]).await.is_err() {
        return;
    }
    let mut buf = vec![0; BYTES];
    while let Ok(count @ 1..) = stream.read(&mut buf).await {
        if stream.write_all(&buf[..count]).await.is_err() {
            return;
        }
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

    fn client(word: &str, core: usize, cpu: usize, address: SocketAddr) -> io::Result<Process> {
        Process::start(&[word.to_owned(), cpu.to_string(), address.to_string(), core.to_string()])
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

fn parsed<T: std::str::FromStr>(word: &str) -> io::Result<T> {
    word.parse().map_err(|_| io::Error::other(format!("not understood: {word}")))
}

/// Connects, and hears on which core it is served.
fn connect(address: &str) -> io::Result<(u8, TcpStream)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    // Ports are free again at once.
    SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
    let mut core = [0];
    stream.read_exact(&mut core)?;
    Ok((core[0], stream))
}

/// The process of a client, which has connections to one core.
pub(crate) fn client(words: &[String]) -> io::Result<()> {
    let [cpu, address, wanted] = words else { return Err(io::Error::other("3 words")) };
    pin_to(parsed(cpu)?);
    let wanted: u8 = parsed(wanted)?;
    let (mut streams, mut others) = (Vec::with_capacity(CONNECTIONS), Vec::new());
    while streams.len() < CONNECTIONS {
        let (core, stream) = connect(address)?;
        // Those of other cores stay until there are enough: they are what is handed over.
        if core == wanted { &mut streams } else { &mut others }.push(stream);
    }
    drop(others);
    obey(|turns| exchange(&mut streams, turns))
}

/// The process of a client that comes, hears a word and goes.
pub(crate) fn visitor(words: &[String]) -> io::Result<()> {
    let [cpu, address, ..] = words else { return Err(io::Error::other("3 words")) };
    pin_to(parsed(cpu)?);
    obey(|turns| {
        for _ in 0..turns {
            let visits = (0..CONNECTIONS).map(|_| TcpStream::connect(address));
            for stream in visits.collect::<io::Result<Vec<_>>>()? {
                SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
                (&stream).read_exact(&mut [0])?;
            }
        }
        Ok(())
    })
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
    let server = Echo::start(Kind::Bare, vec![1])?;
    let mut client = Process::client(CLIENT, 0, 1, server.cores[0].0)?;
    obey(|turns| {
        client.tell(turns)?;
        client.done()
    })
}

/// A server and all that keeps it and the machine busy.
pub(crate) struct Contest {
    server: Echo,
    clients: Vec<Process>,
    neighbour: Option<Process>,
}

impl Contest {
    /// `word`: what the clients do.
    pub(crate) fn new(kind: Kind, cpus: &[usize], word: &str) -> io::Result<Contest> {
        let server = Echo::start(kind, cpus.to_vec())?;
        let mut clients = Vec::new();
        for (index, (cpu, (address, _))) in cpus.iter().zip(&server.cores).enumerate() {
            clients.push(Process::client(word, index, *cpu, *address)?);
        }
        Ok(Contest { server, clients, neighbour: None })
    }

    /// Something else does the same on the other CPU meanwhile.
    pub(crate) fn with_neighbour(mut self) -> io::Result<Contest> {
        self.neighbour = Some(Process::start(&[NEIGHBOUR.to_owned()])?);
        Ok(self)
    }

    /// What a message (of visitors: a connection) cost on each core, in nanoseconds of CPU time.
    pub(crate) fn round(&mut self, turns: usize) -> io::Result<Vec<f64>> {
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
