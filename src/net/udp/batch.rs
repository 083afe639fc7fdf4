//! Many datagrams with one wait.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use super::{UdpSocket, named};
use crate::op::now;

/// Room for datagrams, to be filled again and again by [`UdpSocket::recv_batch`]: allocated once.
pub struct Batch {
    bytes: Vec<u8>,
    room: usize,
    count: usize,
    filled: Vec<(usize, SocketAddr)>,
    /// An error that came behind datagrams: it has left the socket, and is told by the next call.
    error: Option<io::Error>,
}

/// A datagram of a [`Batch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Datagram<'a> {
    /// What it says.
    pub bytes: &'a [u8],
    /// Where it came from.
    pub from: SocketAddr,
}

impl Batch {
    /// Room for `count` datagrams of at most `room` bytes each; at least one.
    #[must_use]
    pub fn new(count: usize, room: usize) -> Batch {
        let count = count.max(1);
        let filled = Vec::with_capacity(count);
        Batch { bytes: vec![0; count * room], room, count, filled, error: None }
    }

    /// How many datagrams are in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.filled.len()
    }

    /// Whether none is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.filled.is_empty()
    }

    /// The datagrams, in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = Datagram<'_>> {
        self.filled.iter().enumerate().map(|(index, (len, from))| {
            let begin = index * self.room;
            Datagram { bytes: &self.bytes[begin..begin + len], from: *from }
        })
    }

    /// Receives until it is full or there is nothing more.
    fn fill(
        &mut self,
        mut receive: impl FnMut(&mut [u8]) -> io::Result<(usize, SocketAddr)>,
    ) -> io::Result<usize> {
        while self.filled.len() < self.count {
            let begin = self.filled.len() * self.room;
            match receive(&mut self.bytes[begin..begin + self.room]) {
                Ok(received) => self.filled.push(received),
                Err(error) if self.filled.is_empty() => return Err(error),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => {
                    self.error = Some(error);
                    break;
                }
            }
        }
        Ok(self.filled.len())
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl UdpSocket {
    /// Waits for a datagram, and receives it and those behind it that are there, up to what `batch`
    /// has room for. What was in it is replaced. Answers how many came: at least one.
    ///
    /// # Errors
    ///
    /// An error behind the first datagram is that of the next call with this batch.
    ///
    /// # Cancellation
    ///
    /// Dropping the future loses nothing.
    ///
    /// # Examples
    ///
    /// ```
    /// use ringspun::net::UdpSocket;
    /// use ringspun::net::udp::Batch;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// # ringspun::runtime::Runtime::new()?.block_on(async {
    /// let ours = UdpSocket::bind("127.0.0.1:0").await?;
    /// for word in ["one", "two"] {
    ///     ours.send_to(word.as_bytes(), ours.local_addr()?).await?;
    /// }
    /// let mut batch = Batch::new(32, 1500);
    /// assert_eq!(ours.recv_batch(&mut batch).await?, 2);
    /// assert!(batch.iter().map(|datagram| datagram.bytes).eq([b"one", b"two"]));
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub async fn recv_batch(&self, batch: &mut Batch) -> io::Result<usize> {
        batch.filled.clear();
        if let Some(error) = batch.error.take() {
            return Err(error);
        }
        self.datagrams.input.call(|fd| batch.fill(|room| named(now::recv_from(fd, room, 0)))).await
    }
}
