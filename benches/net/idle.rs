//! What an idle connection costs a server in memory of user space.

use std::io;
use std::net::TcpStream;

use ringspun::net::TcpListener;
use ringspun::runtime::Runtime;

/// Connects so many, lets each say and hear one byte, and says what the process grew by.
pub(crate) fn connections(wanted: usize) -> io::Result<()> {
    let limit = raise_file_limit();
    // A client end is a descriptor too.
    let open = std::fs::read_dir("/proc/self/fd")?.count();
    let count = wanted.min(limit.saturating_sub(open + 400) / 2);
    let runtime = Runtime::new()?;
    let (idle, spoken) = runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let mut clients = Vec::with_capacity(count);
        // The first ones warm up what is made once.
        for round in 0..2 {
            let before = resident();
            let share = if round == 0 { 100 } else { count };
            for _ in 0..share {
                clients.push(TcpStream::connect(address)?);
                let (mut stream, _) = listener.accept().await?;
                let _echo = ringspun::spawn(async move {
                    let mut buf = [0; 64];
                    while let Ok(count @ 1..) = stream.read(&mut buf).await {
                        if stream.write_all(&buf[..count]).await.is_err() {
                            return;
                        }
                    }
                });
            }
            ringspun::time::sleep(std::time::Duration::from_millis(100)).await;
            if round == 1 {
                let idle = resident() - before;
                for client in &mut clients {
                    io::Write::write_all(client, b"x")?;
                }
                ringspun::time::sleep(std::time::Duration::from_millis(500)).await;
                for client in &mut clients {
                    io::Read::read_exact(client, &mut [0; 1])?;
                }
                return Ok((idle, resident() - before));
            }
        }
        Err(io::Error::other("two rounds"))
    })?;
    println!("{count} idle TCP connections, memory of user space for each");
    println!("  as they came       {:>6.0} bytes", idle as f64 / count as f64);
    println!("  after one message  {:>6.0} bytes", spoken as f64 / count as f64);
    Ok(())
}

/// Resident memory of this process, in bytes.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: usize = text.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
    pages * 4096
}

/// As many descriptors as the hard limit allows.
fn raise_file_limit() -> usize {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is valid during the call.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: as above.
    unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    limit.rlim_cur as usize
}
