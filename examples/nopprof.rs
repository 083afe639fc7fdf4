//! profile
use ringspun::op::{Nop, submit};
fn main() -> std::io::Result<()> {
    let rt = ringspun::runtime::Runtime::new()?;
    let n: u64 = std::env::args().nth(1).and_then(|s| s.parse().ok()).unwrap_or(20_000_000);
    let depth = 128;
    rt.block_on(async {
        let mut v = vec![];
        for _ in 0..depth {
            v.push(ringspun::spawn(async move {
                for _ in 0..n / depth {
                    submit(Nop::new()).await.unwrap();
                }
            }));
        }
        for t in v {
            t.await.unwrap();
        }
    });
    Ok(())
}
