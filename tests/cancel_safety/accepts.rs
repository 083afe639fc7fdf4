//! Each connection carries its number, and comes once.

use std::cell::{Cell, RefCell};
use std::io::{self, Read, Write};
use std::rc::Rc;
use std::time::{Duration, Instant};

use ringspun::io::{Incoming, SocketKind, Stream};
use ringspun::net::{TcpListener, UnixListener};

use crate::support::{Dice, PATIENCE, block_on, passing, poll_and_drop, race, races, turns};

trait Connection: Read + Write + Send {}
impl<T: Read + Write + Send> Connection for T {}

type Connect = Box<dyn Fn() -> Box<dyn Connection> + Send>;

trait Listener: Sized + 'static {
    const NAME: &'static str;
    type Of: SocketKind;

    /// One that listens, and what connects to it.
    async fn new() -> (Self, Connect);
    async fn accept(&self) -> io::Result<Stream<Self::Of>>;
    fn incoming(&self) -> Incoming<'_, Self::Of>;
}

impl Listener for TcpListener {
    const NAME: &'static str = "tcp";
    type Of = ringspun::io::Tcp;

    async fn new() -> (Self, Connect) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let connect: Connect = Box::new(move || {
            let far = std::net::TcpStream::connect(address).expect("a listener");
            far.set_read_timeout(Some(PATIENCE)).expect("a socket");
            Box::new(far)
        });
        (listener, connect)
    }

    async fn accept(&self) -> io::Result<Stream<Self::Of>> {
        self.accept().await.map(|(stream, _)| stream)
    }

    fn incoming(&self) -> Incoming<'_, Self::Of> {
        self.incoming()
    }
}

impl Listener for UnixListener {
    const NAME: &'static str = "unix";
    type Of = ringspun::io::Unix;

    async fn new() -> (Self, Connect) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("socket");
        let listener = UnixListener::bind(&path).expect("a free name");
        let connect: Connect = Box::new(move || {
            // The folder goes with what knows its name.
            let path = folder.path().join("socket");
            let far = std::os::unix::net::UnixStream::connect(path).expect("a listener");
            far.set_read_timeout(Some(PATIENCE)).expect("a socket");
            Box::new(far)
        });
        (listener, connect)
    }

    async fn accept(&self) -> io::Result<Stream<Self::Of>> {
        self.accept().await.map(|(stream, _)| stream)
    }

    fn incoming(&self) -> Incoming<'_, Self::Of> {
        self.incoming()
    }
}

/// Connects so often; each says its number and waits for it to be said back.
fn connect_all(connect: &Connect, mut dice: Dice, numbers: std::ops::Range<u32>) {
    for number in numbers {
        let mut far = connect();
        far.write_all(&number.to_le_bytes()).expect("room");
        let mut echo = move || {
            let mut buf = [0; 4];
            far.read_exact(&mut buf).expect("somebody took it");
            assert_eq!(u32::from_le_bytes(buf), number);
        };
        if dice.roll(3) > 0 {
            echo();
        } else {
            // Leaves it to wait while the next comes.
            std::thread::spawn(echo);
        }
        if dice.roll(4) == 0 {
            std::thread::sleep(Duration::from_micros(dice.roll(50)));
        }
    }
}

async fn answer<K: SocketKind>(mut stream: Stream<K>, seen: &RefCell<Vec<u32>>) {
    let mut buf = [0; 4];
    while passing(stream.read_exact(&mut buf).await).is_none() {}
    let number = u32::from_le_bytes(buf) as usize;
    seen.borrow_mut()[number] += 1;
    stream.write_all(&buf).await.expect("room");
    ringspun::task::yield_now().await;
}

/// By `accept`, or by `incoming`, which is dropped after some: with what nobody has asked for.
async fn race_one<L: Listener>(listener: &L, dice: &mut Dice) -> Vec<Stream<L::Of>> {
    if dice.roll(2) == 0 {
        let accepted = race(dice, Listener::accept(listener)).await.and_then(passing);
        return accepted.into_iter().collect();
    }
    let mut incoming = Listener::incoming(listener).window(dice.roll(8) as usize + 1);
    let mut accepted = Vec::new();
    for _ in 0..=dice.roll(4) {
        let item = race(dice, incoming.next()).await;
        accepted.extend(item.and_then(|item| passing(item.expect("it does not end"))));
    }
    accepted
}

/// `waiters` tasks accept by turns.
fn accept_races<L: Listener>(share: u64, waiters: u64) {
    let mut dice = Dice::of(&format!("accepts of {} by {waiters}", L::NAME));
    block_on(async {
        let (listener, connect) = L::new().await;
        let listener = Rc::new(listener);
        let races = races(share);
        let connections = (races / 8).clamp(1, 4000) as u32;
        let seen = Rc::new(RefCell::new(vec![0; connections as usize]));
        let (taken, raced) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0_u64)));
        let last = Rc::new(Cell::new(Instant::now()));
        let peer = {
            let dice = dice.fork();
            std::thread::spawn(move || connect_all(&connect, dice, 0..connections))
        };
        let accepting: Vec<_> = (0..waiters)
            .map(|_| {
                let (listener, seen) = (Rc::clone(&listener), Rc::clone(&seen));
                let (taken, raced) = (Rc::clone(&taken), Rc::clone(&raced));
                let last = Rc::clone(&last);
                let mut dice = dice.fork();
                ringspun::task::spawn(async move {
                    // A race now and then after the last connection: nothing may come any more.
                    while taken.get() < connections || raced.get() < races {
                        raced.set(raced.get() + 1);
                        assert!(last.get().elapsed() < PATIENCE, "{taken:?} of {connections}");
                        for stream in race_one(&*listener, &mut dice).await {
                            taken.set(taken.get() + 1);
                            last.set(Instant::now());
                            answer(stream, &seen).await;
                        }
                    }
                })
            })
            .collect();
        for accepting in accepting {
            accepting.await.expect("no connection is lost");
        }
        peer.join().expect("the peer");
        println!("{} races, {connections} connections", raced.get());
        assert!(seen.borrow().iter().all(|count| *count == 1), "each of them once");
    });
}

#[test]
fn tcp_by_one() {
    accept_races::<TcpListener>(2, 1);
}

#[test]
fn tcp_by_three() {
    accept_races::<TcpListener>(2, 3);
}

#[test]
fn unix_by_one() {
    accept_races::<UnixListener>(2, 1);
}

#[test]
fn unix_by_three() {
    accept_races::<UnixListener>(2, 3);
}

/// `incoming` takes the place of an accept that waits; when it goes, that one goes on.
async fn an_accept_beside_incoming(takes: bool) {
    let (listener, connect) = <TcpListener as Listener>::new().await;
    let listener = Rc::new(listener);
    let waiting = {
        let listener = Rc::clone(&listener);
        ringspun::task::spawn(async move { listener.accept().await.map(drop) })
    };
    turns().await;
    let mut held = Vec::new();
    {
        let mut incoming = listener.incoming();
        poll_and_drop(incoming.next());
        turns().await;
        if takes {
            held.push(connect());
            turns().await;
        }
    }
    if !takes {
        held.push(connect());
    }
    let accepted = ringspun::time::timeout(PATIENCE, waiting).await;
    accepted.expect("it is told").expect("no panic").expect("a connection");
}

#[test]
fn an_accept_goes_on_when_incoming_has_gone() {
    block_on(an_accept_beside_incoming(false));
}

#[test]
fn an_accept_gets_what_incoming_had_taken() {
    block_on(an_accept_beside_incoming(true));
}

/// Two at a time: what the one had taken and nobody has asked for is for the other, which waits.
#[test]
fn an_incoming_gets_what_another_had_taken() {
    block_on(async {
        let (listener, connect) = <TcpListener as Listener>::new().await;
        let listener = Rc::new(listener);
        let mut first = listener.incoming();
        poll_and_drop(first.next());
        turns().await;
        let waiting = {
            let listener = Rc::clone(&listener);
            ringspun::task::spawn(async move { listener.incoming().next().await.map(drop) })
        };
        turns().await;
        let _held = connect();
        turns().await;
        drop(first);
        let accepted = ringspun::time::timeout(PATIENCE, waiting).await;
        accepted.expect("it is told").expect("no panic").expect("a connection");
    });
}
