//! Pools on a real ring: what completions may not do, and the end.

use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::{BufClass, BufPool, BufferPool};
use crate::ring::kernel::{CQE_F_BUF_MORE, CQE_F_BUFFER};
use crate::ring::{Config, Ring};

fn ring() -> Rc<Ring> {
    let config = Config {
        sq_entries: 8,
        cq_entries: None,
        io_workers: None,
        file_ops: None,
        buffer_pool: BufferPool::new().small(64, 4).held_max(4),
        pretend: None,
        chaos: None,
    };
    Ring::new(&config).expect("a ring")
}

fn pool(ring: &Ring) -> Rc<BufPool> {
    ring.buf_pool(BufClass::Small).expect("this kernel has buffer rings")
}

fn flags(id: u32) -> u32 {
    CQE_F_BUFFER | id << 16
}

#[test]
fn made_once() {
    let ring = ring();
    assert!(Rc::ptr_eq(&pool(&ring), &pool(&ring)));
    assert_eq!((pool(&ring).available(), pool(&ring).buf_len()), (4, 64));
}

/// Whatever a completion says, a buffer has one owner.
#[test]
fn completions_that_are_not_believed() {
    let ring = ring();
    let pool = pool(&ring);
    let claim = |flags, len| Rc::clone(&pool).claim(flags, len);
    let first = claim(flags(2), 10).expect("it was offered");
    assert!(claim(flags(2), 10).is_none(), "somebody has it");
    assert!(claim(flags(4), 10).is_none(), "there are four");
    assert!(claim(flags(0xffff), 10).is_none());
    assert!(claim(2 << 16, 10).is_none(), "it names no buffer");
    assert_eq!((first.len(), pool.available()), (10, 3));
    drop(first);
    let longer = claim(flags(2), usize::MAX).expect("it is back");
    assert_eq!(longer.len(), 64, "not more than there is");
    let empty = claim(flags(1), 0).expect("it was offered");
    assert!(!empty.is_pooled() && pool.available() == 3, "nothing to hold it for");
}

#[test]
fn each_comes_back_under_its_number() {
    let ring = ring();
    let pool = pool(&ring);
    for round in 0..100_000_u32 {
        let id = round % 4;
        let buf = Rc::clone(&pool).claim(flags(id), 1).expect("it is back");
        assert_eq!(pool.available(), 3);
        drop(buf);
    }
    // What the kernel took is none: only the tail has moved.
    let head = ring.with_kernel(|kernel| kernel.buf_ring_head(pool.group()));
    assert!(head.is_err() || head.is_ok_and(|head| head == 0));
}

#[test]
fn freed_after_a_drained_ring() {
    let ring = ring();
    let pool = pool(&ring);
    let kept = Rc::clone(&pool).claim(flags(0), 8).expect("it was offered");
    assert!(ring.shutdown(Instant::now() + Duration::from_secs(1)).is_empty());
    assert_eq!(pool.available(), 0);
    drop(ring);
    assert_eq!(&kept[..], [0; 8]);
    assert_eq!(Rc::strong_count(&pool), 2, "the caller's and the buffer's");
    drop(kept);
    assert_eq!(Rc::strong_count(&pool), 1);
}

/// What the kernel may still write to is never unmapped.
#[test]
fn leaked_when_the_kernel_may_have_it() {
    for (drained, unregistered) in [(true, true), (true, false), (false, true), (false, false)] {
        let ring = ring();
        let pool = pool(&ring);
        let answer = || if unregistered { Ok(()) } else { Err(io::Error::other("no")) };
        ring.registered.pools.close(drained, |_| answer());
        drop(ring);
        let leaked = Rc::strong_count(&pool) - 1;
        assert_eq!(leaked, usize::from(!(drained && unregistered)));
    }
}

#[test]
fn an_incremental_group_ends_with_its_op() {
    let ring = ring();
    let Ok(pool) = ring.open_incremental(2, 64) else { return };
    let other = ring.open_incremental(2, 64).expect("the first was possible");
    assert!(pool.group() >= 2 && pool.group() != other.group());
    let more = flags(0) | CQE_F_BUF_MORE;
    let piece = Rc::clone(&pool).claim(more, 60).expect("it was offered");
    assert!(Rc::clone(&pool).claim(more, 5).is_none(), "4 are left");
    ring.close_incremental(&pool);
    ring.close_incremental(&pool);
    assert_eq!((Rc::strong_count(&pool), piece.len()), (2, 60), "the caller's and the piece's");
    // The other's op may be in flight for ever.
    ring.registered.pools.close(false, |_| Ok(()));
    drop(ring);
    assert_eq!((Rc::strong_count(&pool), Rc::strong_count(&other)), (2, 2));
}
