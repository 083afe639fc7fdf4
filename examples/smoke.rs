use ringspun::op::{Nop, Read, link, submit};
use std::time::{Duration, Instant};
fn main() -> std::io::Result<()> {
    let rt = ringspun::runtime::Runtime::new()?;
    println!("{}", rt.info());
    rt.block_on(submit(Nop::new()))?;
    println!("linked {:?}", rt.block_on(link((Nop::new(), Nop::new())))?);
    let (r, w) = std::io::pipe()?;
    let r = std::rc::Rc::new(std::os::fd::OwnedFd::from(r));
    let out = rt.block_on(submit(Read::new(r.clone(), Vec::with_capacity(10), u64::MAX)).timeout(Duration::from_millis(20)));
    println!("timed {out:?}");
    let h = rt.handle();
    let t = std::thread::spawn(move || { std::thread::sleep(Duration::from_millis(30)); drop(w); h.spawn(|| async { 5 }) });
    let out = rt.block_on(submit(Read::new(r.clone(), Vec::with_capacity(10), u64::MAX)));
    println!("eof {out:?}");
    println!("remote {:?}", rt.block_on(t.join().unwrap()));
    let t0 = Instant::now();
    rt.block_on(async { ringspun::time::sleep(Duration::from_millis(10)).await });
    println!("slept {:?}", t0.elapsed());
    let n = 3_000_000u64;
    for depth in [1u64, 32, 128] {
        let t0 = Instant::now();
        rt.block_on(async {
            let mut v = vec![];
            for _ in 0..depth {
                v.push(ringspun::spawn(async move { for _ in 0..n / depth { submit(Nop::new()).await.unwrap(); } }));
            }
            for t in v { t.await.unwrap(); }
        });
        println!("nop depth {depth}: {:?} ns", t0.elapsed().as_nanos() as f64 / n as f64);
    }
    Ok(())
}
