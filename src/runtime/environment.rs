//! What the environment says where the program is silent.
//!
//! An explicit setting of the program counts, then the environment's, then the default.

use std::env;
use std::io;
use std::time::Duration;

use super::cores::Cores;

const CORES: &str = "RINGSPUN_CORES";
const BLOCKING_THREADS: &str = "RINGSPUN_BLOCKING_THREADS";
const BLOCKING_KEEP_ALIVE: &str = "RINGSPUN_BLOCKING_KEEP_ALIVE";
const IO_WORKERS: &str = "RINGSPUN_IO_WORKERS";

/// The cores that `All` means.
pub(super) fn cores() -> io::Result<Option<Cores>> {
    read(CORES, "\"all\", a number such as 4, or CPUs such as 0-3,8", |text| text.parse().ok())
}

pub(super) fn blocking_threads() -> io::Result<Option<usize>> {
    read(BLOCKING_THREADS, "a number of threads, at least 1", |text| {
        text.parse().ok().filter(|threads| *threads > 0)
    })
}

pub(super) fn blocking_keep_alive() -> io::Result<Option<Duration>> {
    read(BLOCKING_KEEP_ALIVE, "seconds, such as 10 or 0.5", |text| {
        Duration::try_from_secs_f64(text.parse().ok()?).ok()
    })
}

pub(super) fn io_workers() -> io::Result<Option<(u32, u32)>> {
    read(IO_WORKERS, "two numbers for each core, bounded and unbounded, such as 4,16", |text| {
        let (bounded, unbounded) = text.split_once(',')?;
        Some((bounded.trim().parse().ok()?, unbounded.trim().parse().ok()?))
    })
}

fn read<T>(
    name: &str,
    wanted: &str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> io::Result<Option<T>> {
    let Some(value) = env::var_os(name).filter(|value| !value.is_empty()) else { return Ok(None) };
    match value.to_str().and_then(|text| parse(text.trim())) {
        Some(setting) => Ok(Some(setting)),
        None => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("the environment has {name}={value:?}; it wants {wanted}"),
        )),
    }
}
