//! The limit of operations on files: `Builder::file_ops` (row B24 of the design).
//!
//! What holds a place for as long as a test wants is an open, with `create`, of a FIFO that nobody
//! reads: the kernel gives it a worker, and there it waits for the reader.

use std::cell::RefCell;
use std::fs::File as StdFile;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use ringspun::fs::{self, File, OpenOptions};
use ringspun::op::{CancelFd, submit};
use ringspun::runtime::Runtime;

use super::support::{Buffers, Ledger, builder, own_files, poll_once, turn, until};

type Held = Pin<Box<dyn Future<Output = std::io::Result<File>>>>;

fn limited(limit: usize) -> Runtime {
    builder().file_ops(limit).build().expect("a ring")
}

/// With the kernel, the most at a time, waiting.
fn counts(runtime: &Runtime) -> (usize, usize, usize) {
    let metrics = runtime.metrics();
    (metrics.file_ops, metrics.file_ops_max, metrics.file_ops_waiting)
}

fn is_chaos() -> bool {
    std::env::var_os("RINGSPUN_CHAOS_SEED").is_some()
}

/// While somebody holds a place. A signal that comes between takes it from him, and lets the next
/// one in: then they are others.
#[track_caller]
fn assert_counts(runtime: &Runtime, expected: (usize, usize, usize)) {
    if !is_chaos() {
        assert_eq!(counts(runtime), expected);
    }
}

/// A directory with a file of 4 KiB in it, and FIFOs.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new(fifos: usize) -> Place {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("file"), [7; 4096]).expect("room");
        let place = Place { dir };
        for number in 0..fifos {
            let status = std::process::Command::new("mkfifo").arg(place.fifo(number)).status();
            assert!(status.expect("coreutils").success());
        }
        place
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("file")
    }

    fn fifo(&self, number: usize) -> PathBuf {
        self.dir.path().join(format!("fifo-{number}"))
    }

    /// An operation that holds a place until somebody opens the FIFO for reading.
    fn hold(&self, number: usize) -> Held {
        let path = self.fifo(number);
        Box::pin(async move { OpenOptions::new().write(true).create(true).open(path).await })
    }

    /// Lets it go.
    fn release(&self, number: usize) -> StdFile {
        let mut options = std::fs::OpenOptions::new();
        let options =
            std::os::unix::fs::OpenOptionsExt::custom_flags(options.read(true), libc::O_NONBLOCK);
        options.open(self.fifo(number)).expect("a FIFO")
    }
}

/// Polls an operation that will hold a place until it does.
async fn holds(held: &mut Held) {
    assert!(poll_once(held).await.is_pending());
    turn().await;
}

#[test]
fn b24_a_thousand_reads_with_a_limit_of_eight() {
    let place = Place::new(0);
    let runtime = limited(8);
    runtime.block_on(async {
        let file = Rc::new(File::open(place.file()).await.expect("there"));
        let reads = (0..1000).map(|number| {
            let file = Rc::clone(&file);
            ringspun::spawn(async move {
                let (count, buf) = file.read_at(Vec::with_capacity(16), number % 4000).await;
                assert_eq!(count.expect("read"), 16);
                assert_eq!(buf, [7; 16]);
            })
        });
        for read in reads.collect::<Vec<_>>() {
            read.await.expect("no panic");
        }
    });
    assert_eq!(counts(&runtime), (0, 8, 0));
}

#[test]
fn without_a_limit_nothing_is_counted() {
    let place = Place::new(1);
    let runtime = super::support::runtime();
    runtime.block_on(async {
        let mut held = place.hold(0);
        holds(&mut held).await;
        assert_eq!(counts(&runtime), (0, 0, 0));
        let _reader = place.release(0);
        held.await.expect("opened");
        assert_eq!(fs::read(place.file()).await.expect("read").len(), 4096);
    });
    assert_eq!(counts(&runtime), (0, 0, 0));
}

#[test]
fn zero_is_one() {
    let place = Place::new(0);
    let runtime = limited(0);
    let read = runtime.block_on(fs::read(place.file()));
    assert_eq!(read.expect("read").len(), 4096);
    assert_eq!(counts(&runtime), (0, 1, 0));
}

#[test]
fn first_come_first_served() {
    let place = Place::new(1);
    let runtime = limited(1);
    runtime.block_on(async {
        let file = Rc::new(File::open(place.file()).await.expect("there"));
        let mut held = place.hold(0);
        holds(&mut held).await;
        let order = Rc::new(RefCell::new(Vec::new()));
        let tasks: Vec<_> = (0..100)
            .map(|number| {
                let (file, order) = (Rc::clone(&file), Rc::clone(&order));
                ringspun::spawn(async move {
                    let (count, _) = file.read_at(Vec::with_capacity(8), number).await;
                    assert_eq!(count.expect("read"), 8);
                    order.borrow_mut().push(number);
                })
            })
            .collect();
        turn().await;
        assert_counts(&runtime, (1, 1, 100));
        assert!(order.borrow().is_empty() || is_chaos());
        let _reader = place.release(0);
        held.await.expect("opened");
        for task in tasks {
            task.await.expect("no panic");
        }
        // Whom a signal interrupts goes again, behind the others.
        let mut order = order.take();
        if is_chaos() {
            order.sort_unstable();
        }
        assert_eq!(order, (0..100).collect::<Vec<u64>>());
    });
    assert_eq!(counts(&runtime), (0, 1, 0));
}

#[test]
fn who_is_dropped_in_the_line_leaves_it() {
    let place = Place::new(2);
    let ledger = Ledger::open();
    let runtime = limited(2);
    runtime.block_on(async {
        let file = Rc::new(File::open(place.file()).await.expect("there"));
        let mut held = [place.hold(0), place.hold(1)];
        for held in &mut held {
            holds(held).await;
        }
        let tasks: Vec<_> = (0..10)
            .map(|_| {
                let (file, buf) = (Rc::clone(&file), ledger.buffers.empty(64));
                ringspun::spawn(async move { file.read_at(buf, 0).await.0 })
            })
            .collect();
        turn().await;
        assert_counts(&runtime, (2, 2, 10));
        for task in tasks.iter().step_by(2) {
            task.abort();
        }
        turn().await;
        assert_counts(&runtime, (2, 2, 5));
        assert!(ledger.buffers.live() == 5 || is_chaos(), "the kernel never had the others");
        let _readers = [place.release(0), place.release(1)];
        for held in held {
            held.await.expect("opened");
        }
        for (number, task) in tasks.into_iter().enumerate() {
            match task.await {
                Ok(count) => assert_eq!(count.expect("read"), 64),
                Err(error) => assert!(error.is_cancelled() && number % 2 == 0),
            }
        }
    });
    assert_eq!(counts(&runtime), (0, 2, 0));
    drop(runtime);
    ledger.close();
}

/// A deadline that ends one after the other while nobody comes through.
#[test]
fn ten_thousand_are_dropped_in_the_line() {
    let place = Place::new(1);
    let runtime = limited(1);
    runtime.block_on(async {
        let file = File::open(place.file()).await.expect("there");
        let mut held = place.hold(0);
        holds(&mut held).await;
        let mut last = Box::pin(file.read_at(Vec::with_capacity(8), 0));
        for _ in 0..10_000 {
            assert!(poll_once(&mut last).await.is_pending());
            last = Box::pin(file.read_at(Vec::with_capacity(8), 0));
        }
        assert!(poll_once(&mut last).await.is_pending());
        assert_counts(&runtime, (1, 1, 1));
        let _reader = place.release(0);
        held.await.expect("opened");
        assert_eq!(last.await.0.expect("read"), 8);
    });
}

#[test]
fn what_is_dropped_in_flight_keeps_its_place_until_the_last_answer() {
    let place = Place::new(1);
    let ledger = Ledger::open();
    let runtime = limited(1);
    runtime.block_on(async {
        let file = File::open(place.file()).await.expect("there");
        let mut held = place.hold(0);
        holds(&mut held).await;
        let mut read = Box::pin(file.read_at(ledger.buffers.empty(64), 0));
        assert!(poll_once(&mut read).await.is_pending());
        drop(held);
        assert_counts(&runtime, (1, 1, 1));
        assert_eq!(read.await.0.expect("read"), 64);
    });
    assert_eq!(counts(&runtime), (0, 1, 0));
    drop(runtime);
    ledger.close();
}

/// A place is free when the kernel has answered, not when somebody takes the answer.
#[test]
fn who_is_not_polled_any_more_stops_nobody() {
    let place = Place::new(1);
    let runtime = limited(1);
    runtime.block_on(async {
        let file = File::open(place.file()).await.expect("there");
        let mut answered = Box::pin(file.read_at(Vec::with_capacity(8), 0));
        assert!(poll_once(&mut answered).await.is_pending());
        let mut behind = Box::pin(file.read_at(Vec::with_capacity(8), 0));
        assert!(poll_once(&mut behind).await.is_pending());
        // Neither of them is polled while this one comes to its end.
        assert_eq!(fs::read(place.file()).await.expect("read").len(), 4096);
        assert_eq!(answered.await.0.expect("read"), 8);
        assert_eq!(behind.await.0.expect("read"), 8);

        // A borrowed write that was given up stays with its file.
        let mut file = OpenOptions::new().write(true).open(place.file()).await.expect("there");
        let mut held = place.hold(0);
        holds(&mut held).await;
        assert!(poll_once(&mut Box::pin(file.write(b"given up"))).await.is_pending());
        let _reader = place.release(0);
        held.await.expect("opened");
        assert_eq!(fs::read(place.file()).await.expect("read"), [7; 4096]);
        file.write_all(b"done").await.expect("written");
        assert_eq!(fs::read(place.file()).await.expect("read")[..4], *b"done");
    });
}

#[test]
fn cancelled_in_the_line() {
    let place = Place::new(1);
    let runtime = limited(1);
    runtime.block_on(async {
        let file = Rc::new(File::open(place.file()).await.expect("there"));
        let mut held = place.hold(0);
        holds(&mut held).await;
        let reader = Rc::clone(&file);
        let read = ringspun::spawn(async move { reader.read_at(Vec::with_capacity(8), 0).await });
        turn().await;
        assert_counts(&runtime, (1, 1, 1));
        // The kernel has nothing on this file, but who waits has ended.
        assert_eq!(submit(CancelFd::new(&*file)).await.expect("asked"), 0);
        let (answer, buf) = read.await.expect("no panic");
        assert_eq!(answer.expect_err("ended").raw_os_error(), Some(libc::ECANCELED));
        assert_eq!(buf.capacity(), 8);
        assert_counts(&runtime, (1, 1, 0));
        let _reader = place.release(0);
        held.await.expect("opened");
    });
}

#[test]
fn a_deadline_in_the_line() {
    let place = Place::new(1);
    let runtime = limited(1);
    runtime.block_on(async {
        let mut held = place.hold(0);
        holds(&mut held).await;
        let late = ringspun::time::timeout(Duration::from_millis(5), fs::read(place.file()));
        assert!(late.await.is_err());
        assert_counts(&runtime, (1, 1, 0));
        let _reader = place.release(0);
        held.await.expect("opened");
    });
}

#[test]
fn shut_down_while_a_thousand_wait() {
    let place = Place::new(1);
    let ledger = Ledger::open();
    let runtime = limited(1);
    let task = runtime.block_on(async {
        let file = Rc::new(File::open(place.file()).await.expect("there"));
        let mut held = place.hold(0);
        holds(&mut held).await;
        ringspun::spawn(held).detach();
        let tasks: Vec<_> = (0..1000)
            .map(|_| {
                let (file, buf) = (Rc::clone(&file), ledger.buffers.empty(64));
                ringspun::spawn(async move { file.read_at(buf, 0).await.0 })
            })
            .collect();
        turn().await;
        assert_counts(&runtime, (1, 1, 1000));
        tasks
    });
    drop(runtime);
    drop(task);
    ledger.close();
}

/// Held outside of the tasks, by somebody who outlives the runtime.
#[test]
fn shut_down_before_its_turn() {
    let place = Place::new(1);
    let buffers = Buffers::default();
    let file = Rc::new(RefCell::new(None));
    let runtime = limited(1);
    let buf = buffers.empty(64);
    let kept = Rc::clone(&file);
    let path = place.file();
    let mut read = Box::pin(async move {
        let opened = File::open(path).await.expect("there");
        let (answer, buf) = opened.read_at(buf, 0).await;
        *kept.borrow_mut() = Some(opened);
        (answer, buf)
    });
    runtime.block_on(async {
        let mut held = place.hold(0);
        holds(&mut held).await;
        assert!(poll_once(&mut read).await.is_pending());
        ringspun::spawn(held).detach();
    });
    drop(runtime);
    assert_eq!(buffers.live(), 1);
    drop(read);
    assert_eq!(buffers.live(), 0);
}

#[test]
fn operations_of_several_ops_with_a_limit_of_one() {
    let place = Place::new(0);
    let runtime = limited(1);
    runtime.block_on(async {
        let tasks: Vec<_> = (0..20)
            .map(|number| {
                let dir = place.dir.path().to_owned();
                ringspun::spawn(async move { everything(&dir, number).await })
            })
            .collect();
        for task in tasks {
            task.await.expect("no panic").expect("done");
        }
    });
    assert_eq!(counts(&runtime), (0, 1, 0));
}

async fn everything(dir: &Path, number: usize) -> std::io::Result<()> {
    let own = dir.join(format!("own-{number}")).join("below");
    fs::create_dir_all(&own).await?;
    let (one, two) = (own.join("one"), own.join("two"));
    fs::write(&one, "content").await?;
    assert_eq!(fs::copy(&one, &two).await?, 7);
    let mut file = OpenOptions::new().read(true).append(true).open(&two).await?;
    file.write_all(b", more").await?;
    file.sync_all().await?;
    file.rewind().await?;
    let mut text = String::new();
    file.read_to_string(&mut text).await?;
    assert_eq!(text, "content, more");
    let (answer, buf) = file.read_exact_at(Vec::with_capacity(4), 9).await;
    answer?;
    assert_eq!(buf, b"more");
    assert_eq!(file.metadata().await?.len(), 13);
    file.set_len(3).await?;
    file.close().await?;
    fs::rename(&two, &one).await?;
    assert_eq!(fs::read_to_string(&one).await?, "con");
    fs::remove_file(&one).await?;
    fs::remove_dir_all(&own).await
}

/// Who waits for somebody else, and maybe for ever, takes no place: the other one may be behind it.
#[test]
fn fifos_take_no_place() {
    let place = Place::new(2);
    let runtime = limited(1);
    runtime.block_on(async {
        let path = place.fifo(0);
        let reader = ringspun::spawn(async move {
            let mut reader = File::open(path).await?;
            let mut text = String::new();
            reader.read_to_string(&mut text).await?;
            std::io::Result::Ok(text)
        });
        turn().await;
        assert_eq!(fs::read(place.file()).await.expect("read").len(), 4096);
        let mut writer = OpenOptions::new().write(true).open(place.fifo(0)).await.expect("met");
        turn().await;
        assert_eq!(fs::read(place.file()).await.expect("read").len(), 4096);
        writer.write_all(b"text").await.expect("written");
        drop(writer);
        assert_eq!(reader.await.expect("no panic").expect("read"), "text");

        // By offset too, and before anything has asked for its kind.
        let (reader, writer) = std::io::pipe().expect("a pipe");
        let reader = File::from_std(StdFile::from(std::os::fd::OwnedFd::from(reader)));
        let mut read = Box::pin(reader.read_at(Vec::with_capacity(8), 0));
        assert!(poll_once(&mut read).await.is_pending());
        turn().await;
        assert_eq!(fs::read(place.file()).await.expect("read").len(), 4096);
        assert_eq!(counts(&runtime).0, 0);
        drop(writer);
        assert_eq!(read.await.0.expect("the end"), 0);
    });
}

#[test]
fn each_core_has_its_own() {
    own_files();
    let place = Place::new(1);
    let (one, two) = (limited(1), limited(1));
    let mut held = place.hold(0);
    one.block_on(async {
        holds(&mut held).await;
        until("the open is with the kernel", || counts(&one).0 == 1).await;
    });
    assert_eq!(two.block_on(fs::read(place.file())).expect("read").len(), 4096);
    let _reader = place.release(0);
    one.block_on(held).expect("opened");
    assert_eq!((counts(&one), counts(&two)), ((0, 1, 0), (0, 1, 0)));
}
