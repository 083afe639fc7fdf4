//! One reader, all faces by turns.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ringspun::io::ReadEnd;

use crate::support::{Core, Dice, Kind, Place, passing, race, races};

/// The peer is a thread: it writes while we are anywhere.
pub(crate) fn from_a_thread<K: Kind>(core: Core, share: u64) {
    let mut dice = Dice::of(&format!("reads of {} from a thread, {core:?}", K::NAME));
    let (read, far) = K::incoming();
    let enough = Arc::new(AtomicBool::new(false));
    let peer = {
        let (enough, dice) = (Arc::clone(&enough), dice.fork());
        std::thread::spawn(move || write_until(far, dice, &enough))
    };
    core.block_on(async {
        let (read, mut place) = race_reads::<K>(read, &mut dice, races(share)).await;
        enough.store(true, Ordering::Relaxed);
        drain(read, &mut place).await;
        assert_eq!(place.0, peer.join().expect("the peer"), "all of it");
    });
}

/// The peer is a task of the same core: it writes only while we wait.
pub(crate) fn from_a_task<K: Kind>(core: Core, share: u64) {
    let mut dice = Dice::of(&format!("reads of {} from a task, {core:?}", K::NAME));
    core.block_on(async {
        let (read, mut write) = K::near();
        let enough = std::rc::Rc::new(std::cell::Cell::new(false));
        let peer = {
            let (enough, mut dice) = (std::rc::Rc::clone(&enough), dice.fork());
            ringspun::task::spawn(async move {
                let mut place = Place::default();
                while !enough.get() {
                    let bytes = place.give(dice.len(20_000));
                    write.write_all(&bytes).await.expect("room");
                    for _ in 0..dice.roll(4) {
                        ringspun::task::yield_now().await;
                    }
                    if dice.roll(8) == 0 {
                        ringspun::time::sleep(Duration::from_micros(dice.roll(100))).await;
                    }
                }
                place.0
            })
        };
        let (read, mut place) = race_reads::<K>(read, &mut dice, races(share)).await;
        enough.set(true);
        drain(read, &mut place).await;
        assert_eq!(place.0, peer.await.expect("the peer"), "all of it");
    });
}

/// Writes the numbered sequence in pieces, until told to stop; answers how much it was.
pub(crate) fn write_until(
    mut far: Box<dyn Write + Send>,
    mut dice: Dice,
    enough: &AtomicBool,
) -> u64 {
    let mut place = Place::default();
    while !enough.load(Ordering::Relaxed) {
        let bytes = place.give(dice.len(20_000));
        far.write_all(&bytes).expect("a reader");
        match dice.roll(4) {
            0 => std::thread::sleep(Duration::from_micros(dice.roll(50))),
            1 => std::thread::yield_now(),
            _ => {}
        }
    }
    place.0
}

async fn race_reads<K: Kind>(
    mut read: ReadEnd<K::Of>,
    dice: &mut Dice,
    races: u64,
) -> (ReadEnd<K::Of>, Place) {
    let mut place = Place::default();
    let mut won = 0;
    for _ in 0..races {
        won += u64::from(race_one::<K>(&mut read, &mut place, dice).await);
    }
    println!("{won} of {races} races won, {} bytes", place.0);
    (read, place)
}

/// True if the op has won.
async fn race_one<K: Kind>(read: &mut ReadEnd<K::Of>, place: &mut Place, dice: &mut Dice) -> bool {
    let len = dice.len(40_000);
    let mut buf = vec![0; len];
    match dice.roll(8) {
        0 => {
            let Some(count) = race(dice, read.read(&mut buf)).await.and_then(passing) else {
                return false;
            };
            assert_ne!(count, 0, "it has not ended");
            place.take(&buf[..count]);
        }
        1 => {
            let exact = dice.roll(600) as usize + 1;
            buf.resize(exact, 0);
            let Some(count) = race(dice, read.read_exact(&mut buf)).await.and_then(passing) else {
                return false;
            };
            assert_eq!(count, exact);
            place.take(&buf);
        }
        2 => {
            let Some(peek) = K::peek(read, &mut buf) else { return false };
            let Some(count) = race(dice, peek).await.and_then(passing) else { return false };
            assert_ne!(count, 0, "it has not ended");
            place.look(&buf[..count]);
        }
        3 => {
            let Some((result, buf)) = race(dice, read.recv(Vec::with_capacity(len))).await else {
                return false;
            };
            let Some(count) = passing(result) else { return false };
            assert!(count != 0 && count == buf.len(), "it has not ended");
            place.take(&buf);
        }
        4 => {
            let Some(buf) = race(dice, read.recv_pooled()).await.and_then(passing) else {
                return false;
            };
            assert!(!buf.is_empty(), "it has not ended");
            place.take(&buf);
        }
        5 => return race_stream::<K>(read, place, dice).await,
        6 => {
            if race(dice, read.readable()).await.and_then(passing).is_none() {
                return false;
            }
            let Some(count) = passing(read.try_read(&mut buf)) else { return false };
            assert_ne!(count, 0, "it has not ended");
            place.take(&buf[..count]);
        }
        _ => {
            let Some(count) = passing(read.try_read(&mut buf)) else { return false };
            assert_ne!(count, 0, "it has not ended");
            place.take(&buf[..count]);
        }
    }
    true
}

/// A stream of buffers, which is dropped after some: with what it has taken and nobody has asked
/// for.
async fn race_stream<K: Kind>(
    read: &mut ReadEnd<K::Of>,
    place: &mut Place,
    dice: &mut Dice,
) -> bool {
    let Some(stream) = K::stream(read) else { return false };
    let mut stream = stream.window(dice.roll(16) as usize + 1);
    let mut won = false;
    for _ in 0..=dice.roll(4) {
        let Some(item) = race(dice, stream.next()).await else { continue };
        match passing(item.expect("it has not ended")) {
            Some(buf) => {
                assert!(!buf.is_empty(), "it has not ended");
                place.take(&buf);
                won = true;
            }
            None => return won,
        }
    }
    won
}

/// Reads up to the end.
pub(crate) async fn drain<K: ringspun::io::Kind>(mut read: ReadEnd<K>, place: &mut Place) {
    let mut buf = vec![0; 1 << 16];
    loop {
        match passing(read.read(&mut buf).await) {
            Some(0) => return,
            Some(count) => place.take(&buf[..count]),
            None => {}
        }
    }
}
