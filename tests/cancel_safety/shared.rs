//! Several tasks wait for one object: they are served in turn, whoever of them goes.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ringspun::io::ReadEnd;

use crate::reads::{drain, write_until};
use crate::support::{Core, Dice, Kind, Place, passing, race as lose, races};

const READERS: u64 = 3;

pub(crate) fn race<K: Kind>(core: Core, share: u64) {
    let mut dice = Dice::of(&format!("three readers of {}, {core:?}", K::NAME));
    let (read, far) = K::incoming();
    let enough = Arc::new(AtomicBool::new(false));
    let peer = {
        let (enough, dice) = (Arc::clone(&enough), dice.fork());
        std::thread::spawn(move || write_until(far, dice, &enough))
    };
    core.block_on(async {
        let (read, place) = (Rc::new(read), Rc::new(RefCell::new(Place::default())));
        let left = Rc::new(Cell::new(races(share)));
        let readers: Vec<_> = (0..READERS)
            .map(|_| {
                let (read, place) = (Rc::clone(&read), Rc::clone(&place));
                let (left, mut dice) = (Rc::clone(&left), dice.fork());
                ringspun::task::spawn(async move {
                    while left.get() > 0 {
                        left.set(left.get() - 1);
                        race_one::<K>(&read, &place, &mut dice).await;
                    }
                })
            })
            .collect();
        for reader in readers {
            reader.await.expect("no panic");
        }
        enough.store(true, Ordering::Relaxed);
        let read = Rc::into_inner(read).expect("the readers are gone");
        let mut place = Rc::into_inner(place).expect("the readers are gone").into_inner();
        drain(read, &mut place).await;
        assert_eq!(place.0, peer.join().expect("the peer"), "all of it");
    });
}

/// What has come is taken into account in the poll that brought it, before anybody else is polled.
async fn race_one<K: Kind>(read: &ReadEnd<K::Of>, place: &RefCell<Place>, dice: &mut Dice) {
    let len = dice.len(40_000);
    match dice.roll(5) {
        0 => {
            let recv = async {
                let (result, buf) = read.recv(Vec::with_capacity(len)).await;
                if passing(result).is_some() {
                    assert!(!buf.is_empty(), "it has not ended");
                    place.borrow_mut().take(&buf);
                }
            };
            lose(dice, recv).await;
        }
        1 => {
            let recv = async {
                if let Some(buf) = passing(read.recv_pooled().await) {
                    assert!(!buf.is_empty(), "it has not ended");
                    place.borrow_mut().take(&buf);
                }
            };
            lose(dice, recv).await;
        }
        2 => {
            let peek = async {
                let mut buf = vec![0; len];
                let Some(peek) = K::peek(read, &mut buf) else { return };
                if let Some(count) = passing(peek.await) {
                    place.borrow().look(&buf[..count]);
                }
            };
            lose(dice, peek).await;
        }
        // Waits without a rival: whoever goes must have told it.
        3 => {
            if let Some(buf) = passing(read.recv_pooled().await) {
                place.borrow_mut().take(&buf);
            }
        }
        _ => {
            let readable = async {
                read.readable().await.expect("a socket");
                let mut buf = vec![0; len];
                if let Some(count) = passing(read.try_read(&mut buf)) {
                    assert_ne!(count, 0, "it has not ended");
                    place.borrow_mut().take(&buf[..count]);
                }
            };
            lose(dice, readable).await;
        }
    }
}
