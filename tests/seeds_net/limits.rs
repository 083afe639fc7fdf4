//! Each kind of I/O behind a limit of its own.

use std::cell::Cell;
use std::future::poll_fn;
use std::io::Write;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use ringspun::op::{Op, Read, Recv, SharedFd, Submission, submit};
use ringspun::uring::AsyncIoUring;
use tokio::sync::Semaphore;

use crate::support::block_on;

/// At most so many at a time, by a semaphore; and the most that the ring had of them.
struct Gate {
    operation: &'static str,
    permits: Semaphore,
    most: Cell<usize>,
}

impl Gate {
    fn new(operation: &'static str, limit: usize) -> Rc<Gate> {
        Rc::new(Gate { operation, permits: Semaphore::new(limit), most: Cell::new(0) })
    }

    async fn pass<T: Op>(&self, op: T) -> T::Output {
        let _permit = self.permits.acquire().await.expect("open");
        let mut op: Submission<T> = submit(op);
        poll_fn(|cx| {
            let answer = Pin::new(&mut op).poll(cx);
            let flying = AsyncIoUring::current().ops_in_flight();
            let count = flying.iter().filter(|op| op.operation == self.operation).count();
            self.most.set(self.most.get().max(count));
            answer
        })
        .await
    }
}

#[test]
fn b24_each_kind_of_io_has_its_own_limit() {
    const OPS: usize = 1000;
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(&[7; OPS]).expect("room");
    let file = SharedFd::new(file);
    let (ours, mut theirs) = std::os::unix::net::UnixStream::pair().expect("a pair");
    let ours = SharedFd::new(ours);
    block_on(async {
        let (reads, receives) = (Gate::new("READ", 8), Gate::new("RECV", 3));
        let reading = (0..OPS as u64).map(|at| {
            let (gate, file) = (Rc::clone(&reads), file.clone());
            ringspun::spawn(async move {
                let (count, _) = gate.pass(Read::new(&file, Vec::with_capacity(1), at)).await;
                count.expect("a byte")
            })
        });
        let reading = reading.collect::<Vec<_>>();
        let receiving = (0..OPS).map(|_| {
            let (gate, ours) = (Rc::clone(&receives), ours.clone());
            ringspun::spawn(async move {
                let (count, _) = gate.pass(Recv::new(&ours, Vec::with_capacity(1), 0)).await;
                count.expect("a byte")
            })
        });
        let receiving = receiving.collect::<Vec<_>>();
        let mut done = 0;
        // The files do not wait for the sockets.
        for read in reading {
            done += read.await.expect("no panic");
        }
        assert!(receiving.iter().all(|receive| !receive.is_finished()), "nobody has sent");
        theirs.write_all(&[7; OPS]).expect("room");
        for receive in receiving {
            done += receive.await.expect("no panic");
        }
        assert_eq!(done, 2 * OPS);
        assert_eq!((reads.most.get(), receives.most.get()), (8, 3));
        let idle = poll_fn(|_| Poll::Ready(AsyncIoUring::current().ops_in_flight())).await;
        assert!(idle.iter().all(|op| !["READ", "RECV"].contains(&op.operation)), "{idle:?}");
    });
}
