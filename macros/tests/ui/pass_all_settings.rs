#![deny(warnings)]
#![deny(clippy::all)]

use std::time::Duration;

const ENTRIES: u32 = 128;

#[ringspun::main(
    cores = "all",
    pinned = false,
    entries = ENTRIES * 2,
    cq_entries = 1024,
    name = format!("core {}", 0),
    timer_slack = Duration::from_micros(50),
    blocking_threads = 4,
    blocking_keep_alive = Duration::from_secs(10),
    io_workers = (1, 2),
    file_ops = 64,
    shutdown_timeout = Duration::from_secs(1),
    park = ringspun::runtime::Park::Sleep,
    batch = 256,
)]
async fn main() {
    also(1).await;
}

async fn also(_: u32) {}
