//! Dice, rivals, numbered bytes, and the kinds of streams.

use std::env;
use std::future::Future;
use std::io::{self, Read, Write};
use std::pin::{Pin, pin};
use std::task::{Context, Waker};
use std::time::Duration;

use futures::future::{Either, select};
use ringspun::io::{ReadEnd, RecvStream, WriteEnd};
use ringspun::runtime::{BufferPool, Builder, Pretend};

/// Longer than anything here takes on a loaded machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    Core::Usual.block_on(future)
}

/// What a core is short of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Core {
    Usual,
    /// Two pooled buffers: mostly there is none.
    TinyPool,
    NoPool,
    /// Two entries: mostly ops wait for room, and are dropped there.
    TinyQueue,
    /// Linux 5.19: completions come at any system call, not only when the core asks for them.
    OldKernel,
}

impl Core {
    pub(crate) fn block_on<F: Future>(self, future: F) -> F::Output {
        let builder = Builder::new();
        let builder = match self {
            Core::Usual => builder,
            Core::TinyPool => {
                builder.buffer_pool(BufferPool::new().small(64, 2).large(512, 1).held_max(1))
            }
            Core::NoPool => builder.buffer_pool(BufferPool::off()),
            Core::TinyQueue => builder.entries(2),
            Core::OldKernel => {
                builder.pretend(Pretend { version: Some((5, 19)), ..Pretend::default() })
            }
        };
        builder.build().expect("a ring").block_on(future)
    }
}

/// Polls once and drops: what a `select!` does that another branch has won.
pub(crate) fn poll_and_drop<F: Future>(future: F) {
    let polled = pin!(future).poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending(), "nothing was to be there yet");
}

/// Lets the loop turn a few times.
pub(crate) async fn turns() {
    for _ in 0..4 {
        ringspun::task::yield_now().await;
    }
    ringspun::time::sleep(Duration::from_millis(1)).await;
}

/// So many races is this share, in hundredths of all.
pub(crate) fn races(share: u64) -> u64 {
    let all = env::var("RINGSPUN_RACES").ok().and_then(|text| text.parse().ok());
    all.unwrap_or(100_000) * share / 100
}

/// Whether faults are injected.
pub(crate) fn is_chaotic() -> bool {
    cfg!(feature = "chaos") && env::var_os("RINGSPUN_CHAOS_SEED").is_some()
}

/// Numbers that look random.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    /// Of a test; prints what brings them back.
    pub(crate) fn of(test: &str) -> Dice {
        let given = env::var("RINGSPUN_RACES_SEED").ok().and_then(|text| text.parse().ok());
        let seed = given.unwrap_or_else(|| u64::from(std::process::id()));
        println!("{test}: RINGSPUN_RACES_SEED={seed}");
        let name = test.bytes().fold(0_u64, |sum, byte| sum.rotate_left(9) ^ u64::from(byte));
        Dice(seed ^ name)
    }

    /// Others, that go their own way.
    pub(crate) fn fork(&mut self) -> Dice {
        Dice(self.next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Below `limit`.
    pub(crate) fn roll(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// A length: mostly small, now and then large; at least 1.
    pub(crate) fn len(&mut self, large: u64) -> usize {
        let limit = if self.roll(16) == 0 { large } else { 200 };
        self.roll(limit) as usize + 1
    }
}

/// What races against an op.
async fn rival(kind: u64, amount: u64) {
    match kind {
        0 => {}
        1..=4 => {
            for _ in 0..=amount % 4 {
                ringspun::task::yield_now().await;
            }
        }
        _ => ringspun::time::sleep(Duration::from_micros(amount)).await,
    }
}

/// Races `op` against a rival, and drops the loser. `None`: the op has lost.
pub(crate) async fn race<F: Future>(dice: &mut Dice, op: F) -> Option<F::Output> {
    let rival = rival(dice.roll(8), dice.roll(50));
    let (op, rival) = (pin!(op), pin!(rival));
    if dice.roll(4) == 0 {
        return match select(rival, op).await {
            Either::Left(_) => None,
            Either::Right((output, _)) => Some(output),
        };
    }
    match select(op, rival).await {
        Either::Left((output, _)) => Some(output),
        Either::Right(_) => None,
    }
}

/// `None` for a fault that passes.
pub(crate) fn passing<T>(result: io::Result<T>) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
        Err(error) if is_chaotic() && error.raw_os_error() == Some(libc::ENOMEM) => None,
        Err(error) => panic!("{error}"),
    }
}

/// The byte at this place of the numbered sequence.
pub(crate) fn byte_at(place: u64) -> u8 {
    (place.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8
}

/// A reader's place in the numbered sequence.
#[derive(Debug, Default)]
pub(crate) struct Place(pub(crate) u64);

impl Place {
    /// These bytes come next, and stay.
    #[track_caller]
    pub(crate) fn look(&self, bytes: &[u8]) {
        for (offset, byte) in bytes.iter().enumerate() {
            let place = self.0 + offset as u64;
            assert_eq!(*byte, byte_at(place), "lost, doubled or out of order at byte {place}");
        }
    }

    /// These bytes come next, and are taken.
    #[track_caller]
    pub(crate) fn take(&mut self, bytes: &[u8]) {
        self.look(bytes);
        self.0 += bytes.len() as u64;
    }

    /// Those that a writer sends next.
    pub(crate) fn give(&mut self, count: usize) -> Vec<u8> {
        let bytes = (self.0..self.0 + count as u64).map(byte_at).collect();
        self.0 += count as u64;
        bytes
    }
}

pub(crate) type FarWriter = Box<dyn Write + Send>;
pub(crate) type FarReader = Box<dyn Read + Send>;
pub(crate) type Local<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// A kind of stream.
pub(crate) trait Kind: Sized {
    const NAME: &'static str;
    /// An owned send that was dropped sends all or nothing; on a pipe it may send a part.
    const SENDS_WHOLE: bool = true;
    type Of: ringspun::io::Kind;

    /// We read what a thread writes.
    fn incoming() -> (ReadEnd<Self::Of>, FarWriter);
    /// We write what a thread reads.
    fn outgoing() -> (WriteEnd<Self::Of>, FarReader);
    /// We read what we write.
    fn near() -> (ReadEnd<Self::Of>, WriteEnd<Self::Of>);
    /// `None`: this kind cannot.
    fn peek<'a>(
        read: &'a ReadEnd<Self::Of>,
        buf: &'a mut [u8],
    ) -> Option<Local<'a, io::Result<usize>>>;
    /// `None`: this kind cannot.
    fn stream(read: &mut ReadEnd<Self::Of>) -> Option<RecvStream<'_>>;
}

/// TCP over the loopback interface.
#[derive(Debug)]
pub(crate) struct Tcp;

fn tcp_pair() -> (std::net::TcpStream, std::net::TcpStream) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    let near = std::net::TcpStream::connect(address).expect("a listener");
    let (far, _) = listener.accept().expect("a connection");
    near.set_nodelay(true).expect("a socket");
    far.set_nodelay(true).expect("a socket");
    far.set_read_timeout(Some(PATIENCE)).expect("a socket");
    far.set_write_timeout(Some(PATIENCE)).expect("a socket");
    (near, far)
}

impl Kind for Tcp {
    const NAME: &'static str = "tcp";
    type Of = ringspun::io::Tcp;

    fn incoming() -> (ReadEnd<Self::Of>, FarWriter) {
        let (near, far) = tcp_pair();
        let near = ringspun::net::TcpStream::from_std(near).expect("a socket");
        let (read, write) = near.into_split();
        write.forget();
        (read, Box::new(far))
    }

    fn outgoing() -> (WriteEnd<Self::Of>, FarReader) {
        let (near, far) = tcp_pair();
        socket2::SockRef::from(&near).set_send_buffer_size(16 << 10).expect("a socket");
        let near = ringspun::net::TcpStream::from_std(near).expect("a socket");
        (near.into_split().1, Box::new(far))
    }

    fn near() -> (ReadEnd<Self::Of>, WriteEnd<Self::Of>) {
        let (near, far) = tcp_pair();
        let near = ringspun::net::TcpStream::from_std(near).expect("a socket");
        let far = ringspun::net::TcpStream::from_std(far).expect("a socket");
        let (read, unused) = near.into_split();
        unused.forget();
        (read, far.into_split().1)
    }

    fn peek<'a>(
        read: &'a ReadEnd<Self::Of>,
        buf: &'a mut [u8],
    ) -> Option<Local<'a, io::Result<usize>>> {
        Some(Box::pin(read.peek(buf)))
    }

    fn stream(read: &mut ReadEnd<Self::Of>) -> Option<RecvStream<'_>> {
        Some(read.recv_stream())
    }
}

/// A pair of Unix domain sockets.
#[derive(Debug)]
pub(crate) struct Unix;

fn unix_pair() -> (ringspun::net::UnixStream, std::os::unix::net::UnixStream) {
    let (near, far) = std::os::unix::net::UnixStream::pair().expect("a pair");
    far.set_read_timeout(Some(PATIENCE)).expect("a socket");
    far.set_write_timeout(Some(PATIENCE)).expect("a socket");
    socket2::SockRef::from(&near).set_send_buffer_size(16 << 10).expect("a socket");
    (ringspun::net::UnixStream::from_std(near).expect("a socket"), far)
}

impl Kind for Unix {
    const NAME: &'static str = "unix";
    type Of = ringspun::io::Unix;

    fn incoming() -> (ReadEnd<Self::Of>, FarWriter) {
        let (near, far) = unix_pair();
        let (read, write) = near.into_split();
        write.forget();
        (read, Box::new(far))
    }

    fn outgoing() -> (WriteEnd<Self::Of>, FarReader) {
        let (near, far) = unix_pair();
        (near.into_split().1, Box::new(far))
    }

    fn near() -> (ReadEnd<Self::Of>, WriteEnd<Self::Of>) {
        let (near, far) = ringspun::net::UnixStream::pair().expect("a pair");
        let (read, unused) = near.into_split();
        unused.forget();
        (read, far.into_split().1)
    }

    fn peek<'a>(
        read: &'a ReadEnd<Self::Of>,
        buf: &'a mut [u8],
    ) -> Option<Local<'a, io::Result<usize>>> {
        Some(Box::pin(read.peek(buf)))
    }

    fn stream(read: &mut ReadEnd<Self::Of>) -> Option<RecvStream<'_>> {
        Some(read.recv_stream())
    }
}

/// A pipe.
#[derive(Debug)]
pub(crate) struct Pipe;

impl Kind for Pipe {
    const NAME: &'static str = "pipe";
    const SENDS_WHOLE: bool = false;
    type Of = ringspun::io::Pipe;

    fn incoming() -> (ReadEnd<Self::Of>, FarWriter) {
        let (near, far) = std::io::pipe().expect("a pipe");
        (ringspun::pipe::Receiver::from_owned_fd(near.into()).expect("a pipe"), Box::new(far))
    }

    fn outgoing() -> (WriteEnd<Self::Of>, FarReader) {
        let (far, near) = std::io::pipe().expect("a pipe");
        (ringspun::pipe::Sender::from_owned_fd(near.into()).expect("a pipe"), Box::new(far))
    }

    fn near() -> (ReadEnd<Self::Of>, WriteEnd<Self::Of>) {
        let (write, read) = ringspun::pipe::pipe().expect("a pipe");
        (read, write)
    }

    fn peek<'a>(_: &'a ReadEnd<Self::Of>, _: &'a mut [u8]) -> Option<Local<'a, io::Result<usize>>> {
        None
    }

    fn stream(_: &mut ReadEnd<Self::Of>) -> Option<RecvStream<'_>> {
        None
    }
}
