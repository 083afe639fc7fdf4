//! Each connection carries its number, and comes once.

use std::cell::{Cell, RefCell};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream as StdStream};
use std::rc::Rc;
use std::time::Duration;

use ringspun::net::{TcpListener, TcpStream};

use crate::support::{Dice, PATIENCE, block_on, passing, race, races};

/// Connects so often; each says its number and waits for it to be said back.
fn connect(address: SocketAddr, mut dice: Dice, numbers: std::ops::Range<u32>) {
    for number in numbers {
        let mut far = StdStream::connect(address).expect("a listener");
        far.set_read_timeout(Some(PATIENCE)).expect("a socket");
        far.write_all(&number.to_le_bytes()).expect("room");
        if dice.roll(3) > 0 {
            let mut buf = [0; 4];
            far.read_exact(&mut buf).expect("somebody took it");
            assert_eq!(u32::from_le_bytes(buf), number);
        } else {
            // Leaves it to wait while the next comes.
            std::thread::spawn(move || {
                let mut buf = [0; 4];
                far.read_exact(&mut buf).expect("somebody took it");
                assert_eq!(u32::from_le_bytes(buf), number);
            });
        }
        if dice.roll(4) == 0 {
            std::thread::sleep(Duration::from_micros(dice.roll(50)));
        }
    }
}

async fn answer(mut stream: TcpStream, seen: &RefCell<Vec<u32>>) {
    let mut buf = [0; 4];
    while passing(stream.read_exact(&mut buf).await).is_none() {}
    let number = u32::from_le_bytes(buf) as usize;
    seen.borrow_mut()[number] += 1;
    // The end is ours, and a reset, so that no port is left waiting.
    stream.write_all(&buf).await.expect("room");
    ringspun::task::yield_now().await;
}

/// `waiters` tasks accept by turns.
fn accept_races(test: &str, share: u64, waiters: u64) {
    let mut dice = Dice::of(test);
    block_on(async {
        let listener = Rc::new(TcpListener::bind("127.0.0.1:0").await.expect("a free port"));
        let address = listener.local_addr().expect("bound");
        let races = races(share);
        let connections = (races / 8).clamp(1, 4000) as u32;
        let seen = Rc::new(RefCell::new(vec![0; connections as usize]));
        let (taken, raced) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0_u64)));
        let peer = {
            let dice = dice.fork();
            std::thread::spawn(move || connect(address, dice, 0..connections))
        };
        let accepting: Vec<_> = (0..waiters)
            .map(|_| {
                let (listener, seen) = (Rc::clone(&listener), Rc::clone(&seen));
                let (taken, raced) = (Rc::clone(&taken), Rc::clone(&raced));
                let mut dice = dice.fork();
                ringspun::task::spawn(async move {
                    // A race now and then after the last connection: nothing may come any more.
                    while taken.get() < connections || raced.get() < races {
                        raced.set(raced.get() + 1);
                        let accepted = race(&mut dice, listener.accept()).await.and_then(passing);
                        if let Some((stream, _)) = accepted {
                            taken.set(taken.get() + 1);
                            answer(stream, &seen).await;
                        }
                    }
                })
            })
            .collect();
        for accepting in accepting {
            accepting.await.expect("no panic");
        }
        peer.join().expect("the peer");
        println!("{} races, {connections} connections", raced.get());
        assert!(seen.borrow().iter().all(|count| *count == 1), "each of them once");
    });
}

#[test]
fn by_one() {
    accept_races("accepts by one", 5, 1);
}

#[test]
fn by_three() {
    accept_races("accepts by three", 5, 3);
}
