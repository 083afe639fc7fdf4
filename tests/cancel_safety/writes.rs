//! One writer, all faces by turns.
//!
//! Each op writes a record of its own: the upper five bits of each byte tell which, the lower three
//! its place in it. So the peer can say how much of each record has come, also of those whose
//! future was dropped; and that must be what their face promises.

use std::future::Future;
use std::io::Read;
use std::ops::RangeInclusive;

use ringspun::io::WriteEnd;

use crate::support::{Core, Dice, Kind, is_chaotic, passing, races};

/// The tags come again after so many records.
const TAGS: usize = 31;

fn record(number: usize, len: usize) -> Vec<u8> {
    let tag = (number % TAGS) as u8;
    (0..len).map(|place| tag << 3 | (place % 8) as u8).collect()
}

/// How much of a record may have come.
#[derive(Clone, Debug)]
enum Expected {
    Within(RangeInclusive<usize>),
    AllOrNothing(usize),
}

impl Expected {
    fn exactly(len: usize) -> Expected {
        Expected::Within(len..=len)
    }

    fn allows(&self, len: usize) -> bool {
        match self {
            Expected::Within(range) => range.contains(&len),
            Expected::AllOrNothing(all) => len == 0 || len == *all,
        }
    }
}

/// Which records have come, and how much of each.
fn read_records(mut far: Box<dyn Read + Send>, mut dice: Dice) -> Vec<(u8, usize)> {
    let mut records: Vec<(u8, usize)> = Vec::new();
    let mut buf = vec![0; 1 << 16];
    loop {
        let limit = dice.len(1 << 16).min(buf.len());
        let count = far.read(&mut buf[..limit]).expect("a writer");
        if count == 0 {
            return records;
        }
        for byte in &buf[..count] {
            let (tag, place) = (byte >> 3, usize::from(byte & 7));
            match records.last_mut() {
                Some((last, len)) if *last == tag => {
                    assert_eq!(*len % 8, place, "lost or doubled inside record {}", records.len());
                    *len += 1;
                }
                _ => {
                    assert_eq!(place, 0, "the beginning is lost of record {}", records.len());
                    records.push((tag, 1));
                }
            }
        }
        if dice.roll(8) == 0 {
            std::thread::sleep(std::time::Duration::from_micros(dice.roll(200)));
        }
    }
}

pub(crate) fn race<K: Kind>(core: Core, share: u64) {
    let mut dice = Dice::of(&format!("writes of {}, {core:?}", K::NAME));
    let (mut write, far) = K::outgoing();
    let peer = {
        let dice = dice.fork();
        std::thread::spawn(move || read_records(far, dice))
    };
    let mut expected = Vec::new();
    core.block_on(async {
        for number in 0..races(share) as usize {
            expected.push(race_one::<K>(&mut write, number, &mut dice).await);
        }
        write.shutdown().await.expect("connected");
        drop(write);
    });
    let won = expected.iter().filter(|expected| !expected.allows(0)).count();
    println!("{won} of {} races won", expected.len());
    compare(&expected, &peer.join().expect("the peer"));
}

async fn race_one<K: Kind>(
    write: &mut WriteEnd<K::Of>,
    number: usize,
    dice: &mut Dice,
) -> Expected {
    let len = dice.len(60_000);
    let bytes = record(number, len);
    if number.is_multiple_of(TAGS / 2) {
        // One that comes for sure, so that no tag is met twice in a row.
        write.write_all(&bytes).await.expect("room");
        return Expected::exactly(len);
    }
    match dice.roll(6) {
        0 => match self::lose(dice, write.write(&bytes)).await {
            Some(count) => Expected::exactly(count),
            None => Expected::exactly(0),
        },
        1 => {
            let (first, second) = bytes.split_at(len / 2);
            let slices = [std::io::IoSlice::new(first), std::io::IoSlice::new(second)];
            match self::lose(dice, write.write_vectored(&slices)).await {
                Some(count) => Expected::exactly(count),
                None => Expected::exactly(0),
            }
        }
        2 => match self::lose(dice, write.write_all(&bytes)).await {
            Some(()) => Expected::exactly(len),
            None => Expected::Within(0..=len),
        },
        3 => match crate::support::race(dice, write.send(bytes)).await {
            Some((result, _)) => Expected::exactly(passing(result).unwrap_or(0)),
            None if is_chaotic() || !K::SENDS_WHOLE => Expected::Within(0..=len),
            None => Expected::AllOrNothing(len),
        },
        4 => {
            if self::lose(dice, write.writable()).await.is_none() {
                return Expected::exactly(0);
            }
            Expected::exactly(passing(write.try_write(&bytes)).unwrap_or(0))
        }
        _ => Expected::exactly(passing(write.try_write(&bytes)).unwrap_or(0)),
    }
}

async fn lose<T>(dice: &mut Dice, op: impl Future<Output = std::io::Result<T>>) -> Option<T> {
    crate::support::race(dice, op).await.and_then(passing)
}

fn compare(expected: &[Expected], came: &[(u8, usize)]) {
    let mut number = 0;
    for (tag, len) in came {
        while number < expected.len() && number % TAGS != usize::from(*tag) {
            assert!(
                expected[number].allows(0),
                "record {number} was written: {:?}",
                expected[number]
            );
            number += 1;
        }
        let Some(expected) = expected.get(number) else { panic!("records from nowhere") };
        assert!(expected.allows(*len), "record {number}: {len} bytes, expected {expected:?}");
        number += 1;
    }
    for (number, expected) in expected.iter().enumerate().skip(number) {
        assert!(expected.allows(0), "record {number} was written: {expected:?}");
    }
}
