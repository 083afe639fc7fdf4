//! The traits of `tokio::io`.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use ::tokio::io::{AsyncBufRead, AsyncRead, AsyncSeek, AsyncWrite, ReadBuf};

use crate::fs::File;
use crate::io::{Kind, ReadEnd, Stderr, Stdin, Stdout, Stream, WriteEnd};
use crate::task::CoreBound;

impl<K: Kind> AsyncRead for ReadEnd<K> {
    #[inline]
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let room = buf.remaining();
        if buf.initialized().len() == buf.capacity() {
            // A slice: it can be filled by the kernel.
            let count = ready!(self.poll_read_face(cx, buf.initialize_unfilled()))?;
            buf.advance(count);
        } else if room > 0 {
            // Memory that would have to be zeroed first: copying what has come is cheaper.
            ready!(self.poll_fill_face(cx))?;
            self.take_held(|held| {
                let count = held.len().min(room);
                buf.put_slice(&held[..count]);
                count
            });
        }
        Poll::Ready(Ok(()))
    }
}

/// Shows the bytes where the kernel has put them: lines of a half need no `BufReader`.
impl<K: Kind> AsyncBufRead for ReadEnd<K> {
    fn poll_fill_buf(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        ready!(self.poll_fill_face(cx))?;
        Poll::Ready(Ok(self.get_mut().held()))
    }

    fn consume(mut self: Pin<&mut Self>, count: usize) {
        self.take_held(|_| count);
    }
}

impl<K: Kind> AsyncWrite for WriteEnd<K> {
    #[inline]
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_face(cx, &[IoSlice::new(buf)])
    }

    #[inline]
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_face(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_shutdown_face(cx)
    }
}

/// Feature `tokio`.
///
/// # Examples
///
/// Code for tokio runs when its `use` lines name ringspun:
///
/// ```
/// use ringspun::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
/// use ringspun::net::{TcpListener, TcpStream};
///
/// # fn main() -> std::io::Result<()> {
/// # ringspun::runtime::Runtime::new()?.block_on(async {
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let address = listener.local_addr()?;
/// ringspun::spawn(async move {
///     let (mut stream, _) = listener.accept().await?;
///     stream.write_all(b"one\ntwo\n").await
/// });
///
/// let mut lines = BufReader::new(TcpStream::connect(address).await?).lines();
/// assert_eq!(lines.next_line().await?.as_deref(), Some("one"));
/// assert_eq!(lines.next_line().await?.as_deref(), Some("two"));
/// assert_eq!(lines.next_line().await?, None);
/// # Ok(())
/// # })
/// # }
/// ```
impl<K: Kind> AsyncRead for Stream<K> {
    #[inline]
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(self.get_mut().split().0).poll_read(cx, buf)
    }
}

/// Feature `tokio`. A write that was accepted is with the kernel; there is nothing to flush.
impl<K: Kind> AsyncWrite for Stream<K> {
    #[inline]
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.get_mut().split().1).poll_write(cx, buf)
    }

    #[inline]
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.get_mut().split().1).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.get_mut().split().1).poll_shutdown(cx)
    }
}

/// Feature `tokio`.
///
/// # Examples
///
/// ```
/// use std::io::SeekFrom;
///
/// use ringspun::fs::File;
/// use ringspun::io::{AsyncRead, AsyncReadExt, AsyncSeek, AsyncSeekExt, AsyncWrite, AsyncWriteExt};
///
/// async fn swap_ends(file: &mut (impl AsyncRead + AsyncWrite + AsyncSeek + Unpin)) -> u64 {
///     let (mut first, mut last) = ([0], [0]);
///     file.read_exact(&mut first).await.expect("a byte");
///     file.seek(SeekFrom::End(-1)).await.expect("a file");
///     file.read_exact(&mut last).await.expect("a byte");
///     file.seek(SeekFrom::Current(-1)).await.expect("a file");
///     file.write_all(&first).await.expect("room");
///     file.rewind().await.expect("a file");
///     file.write_all(&last).await.expect("room");
///     file.stream_position().await.expect("a file")
/// }
///
/// # fn main() -> std::io::Result<()> {
/// # ringspun::runtime::Runtime::new()?.block_on(async {
/// let mut file = File::from_std(tempfile::tempfile()?);
/// file.write_all(b"1234").await?;
/// file.rewind().await?;
/// assert_eq!(swap_ends(&mut file).await, 1);
/// file.rewind().await?;
/// let mut text = String::new();
/// file.read_to_string(&mut text).await?;
/// assert_eq!(text, "4231");
/// # Ok(())
/// # })
/// # }
/// ```
impl AsyncRead for File {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let file = self.get_mut();
        let most = buf.remaining().min(file.max_buf_size());
        let count = ready!(file.poll_read(cx, buf.initialize_unfilled_to(most)))?;
        buf.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for File {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        File::poll_write(self.get_mut(), cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        File::poll_write_vectored(self.get_mut(), cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        File::poll_flush(self.get_mut(), cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        File::poll_flush(self.get_mut(), cx)
    }
}

impl AsyncSeek for File {
    fn start_seek(self: Pin<&mut Self>, position: io::SeekFrom) -> io::Result<()> {
        self.get_mut().ask_to_seek(position);
        Ok(())
    }

    fn poll_complete(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<u64>> {
        self.get_mut().poll_asked_seek(cx)
    }
}

impl AsyncRead for Stdin {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let count = ready!(self.poll_read_face(cx, buf.initialize_unfilled()))?;
        buf.advance(count);
        Poll::Ready(Ok(()))
    }
}

/// Written is what was flushed: a text is on its way when `poll_write` answers.
impl AsyncWrite for Stdout {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_face(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_face(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush_face(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush_face(cx)
    }
}

/// As for [`Stdout`].
impl AsyncWrite for Stderr {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_face(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_face(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush_face(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush_face(cx)
    }
}

/// Feature `tokio`: a stream for crates that ask for `Send`. Panics on another thread.
///
/// # Examples
///
/// ```
/// use ringspun::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
/// use ringspun::net::{TcpListener, TcpStream};
/// use ringspun::task::CoreBound;
///
/// type Boxed = Box<dyn Connection + Send>;
/// trait Connection: AsyncRead + AsyncWrite + Unpin {}
/// impl<T: AsyncRead + AsyncWrite + Unpin> Connection for T {}
///
/// # fn main() -> std::io::Result<()> {
/// # ringspun::runtime::Runtime::new()?.block_on(async {
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let ours = TcpStream::connect(listener.local_addr()?).await?;
/// let (mut theirs, _) = listener.accept().await?;
///
/// let mut boxed: Boxed = Box::new(CoreBound::new(ours));
/// boxed.write_all(b"sent").await?;
/// boxed.shutdown().await?;
/// let mut text = String::new();
/// theirs.read_to_string(&mut text).await?;
/// assert_eq!(text, "sent");
/// # Ok(())
/// # })
/// # }
/// ```
impl<T: AsyncRead + Unpin> AsyncRead for CoreBound<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(self.get_mut().access_mut()).poll_read(cx, buf)
    }
}

impl<T: AsyncBufRead + Unpin> AsyncBufRead for CoreBound<T> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        Pin::new(self.get_mut().access_mut()).poll_fill_buf(cx)
    }

    fn consume(self: Pin<&mut Self>, count: usize) {
        Pin::new(self.get_mut().access_mut()).consume(count);
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for CoreBound<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.get_mut().access_mut()).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.get_mut().access_mut()).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.access().is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.get_mut().access_mut()).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.get_mut().access_mut()).poll_shutdown(cx)
    }
}

impl<T: AsyncSeek + Unpin> AsyncSeek for CoreBound<T> {
    fn start_seek(self: Pin<&mut Self>, position: io::SeekFrom) -> io::Result<()> {
        Pin::new(self.get_mut().access_mut()).start_seek(position)
    }

    fn poll_complete(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<u64>> {
        Pin::new(self.get_mut().access_mut()).poll_complete(cx)
    }
}
