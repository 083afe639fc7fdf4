//! What `server::Server` with its default settings, which hand connections over, adds to a bare
//! loop that accepts: to a message, with one core and with two, and to a connection that comes and
//! goes.
//!
//! Clients share the CPU of the core that serves them, as in `scale`: of those that come to a
//! server on two cores each client keeps the connections that its core has got.

use std::io;

use crate::contest::{CLIENT, CONNECTIONS, Contest, Kind, VISITOR};
use crate::scale::{say, say_ratio};
use crate::support::{median, rounds};

/// Times that each connection is served in a round.
const TURNS: usize = 200;
/// Times that so many clients come in a round.
const VISITS: usize = 20;

pub(crate) fn compare() -> io::Result<()> {
    let one = |kind| Contest::new(kind, &[0], CLIENT)?.with_neighbour();
    let two = |kind| Contest::new(kind, &[0, 1], CLIENT);
    let visited = |kind| Contest::new(kind, &[0], VISITOR);
    let mut contests = [
        ("message, bare, 1 core", one(Kind::Bare)?, TURNS),
        ("message, Server, 1 core", one(Kind::Bound)?, TURNS),
        ("message, bare, 2 cores", two(Kind::Bare)?, TURNS),
        ("message, Server, 2 cores", two(Kind::Bound)?, TURNS),
        ("connection, bare", visited(Kind::Bare)?, VISITS),
        ("connection, Server", visited(Kind::Bound)?, VISITS),
    ];
    for (_, contest, turns) in &mut contests {
        contest.round(*turns)?;
    }
    let mut samples: [Vec<f64>; 6] = Default::default();
    for _ in 0..rounds() {
        for ((_, contest, turns), samples) in contests.iter_mut().zip(&mut samples) {
            let by_core = contest.round(*turns)?;
            samples.push(by_core.iter().sum::<f64>() / by_core.len() as f64);
        }
    }
    println!(
        "server: CPU time of a core, {CONNECTIONS} connections each, {} rounds; 1 core: another \
         process beside",
        rounds()
    );
    for ((name, ..), samples) in contests.iter().zip(&samples) {
        println!("  {name:<32} {:>8.0} ns", median(samples.clone()));
    }
    let [bare_1, bound_1, bare_2, bound_2, bare_visit, bound_visit] = &samples;
    say("message: Server / bare, 1 core", bound_1, bare_1);
    say("message: Server / bare, 2 cores", bound_2, bare_2);
    say("message: Server, 2 cores / 1", bound_2, bound_1);
    say_ratio("connection: Server / bare", bound_visit, bare_visit);
    println!();
    Ok(())
}
