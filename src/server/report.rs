//! What is said of a server: when it is ready, and when it has ended.

use std::fmt;
use std::ops::Add;
use std::time::Duration;

use super::address::LocalAddr;

/// The server listens. Given to [`Server::on_ready`](super::Server::on_ready).
#[derive(Clone, Debug)]
pub struct Ready {
    pub(super) addrs: Vec<LocalAddr>,
    pub(super) notes: Vec<String>,
    pub(super) cores: usize,
}

impl Ready {
    /// Where it listens, in the order in which the addresses were given: with the ports that were
    /// taken for 0.
    #[must_use]
    pub fn addrs(&self) -> &[LocalAddr] {
        &self.addrs
    }

    /// What whoever runs it should know: that a restart may lose connections, for instance.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// How many cores serve.
    #[must_use]
    pub fn cores(&self) -> usize {
        self.cores
    }
}

/// How a server has fared. The output of [`Serve`](super::Serve).
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// By core.
    pub cores: Vec<CoreReport>,
    /// How long the drain has taken: from its beginning to the end of the last connection.
    pub drain: Duration,
}

/// How a core has fared.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct CoreReport {
    /// Which core.
    pub core: usize,
    /// It ended before the server did: it panicked, or was shut down. Or the server ended without
    /// it: it was busy with a poll that did not end.
    pub lost: bool,
    /// What it has counted.
    pub totals: Totals,
}

/// What was counted, of a core or of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Totals {
    /// Connections that were taken from a listener and admitted.
    pub accepted: u64,
    /// Of these, given to another core.
    pub handed_over: u64,
    /// Connections that came from another core.
    pub received: u64,
    /// Connections that were refused: there was no room, or `on_connect` would not have them.
    pub refused: u64,
    /// Handlers that came to their end.
    pub finished: u64,
    /// Of these, with an error.
    pub failed: u64,
    /// Handlers that panicked.
    pub panicked: u64,
    /// Connections that were ended because nothing moved on them.
    pub idle_closed: u64,
    /// Connections that ended by themselves after the drain had begun.
    pub drained: u64,
    /// Connections that were cut off: at the deadline, or with their core.
    pub cut: u64,
    /// Accepts that failed, and connections that were gone before they were begun.
    pub accept_errors: u64,
}

impl Report {
    /// The sums over all cores.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.cores.iter().map(|core| core.totals).fold(Totals::default(), Add::add)
    }
}

impl Add for Totals {
    type Output = Totals;

    fn add(self, other: Totals) -> Totals {
        Totals {
            accepted: self.accepted + other.accepted,
            handed_over: self.handed_over + other.handed_over,
            received: self.received + other.received,
            refused: self.refused + other.refused,
            finished: self.finished + other.finished,
            failed: self.failed + other.failed,
            panicked: self.panicked + other.panicked,
            idle_closed: self.idle_closed + other.idle_closed,
            drained: self.drained + other.drained,
            cut: self.cut + other.cut,
            accept_errors: self.accept_errors + other.accept_errors,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.totals();
        writeln!(f, "served {} on {}", count(all.accepted, "connection"), self.on())?;
        for (number, what) in all.named() {
            if number > 0 {
                writeln!(f, "  {number} {what}")?;
            }
        }
        for core in self.cores.iter().filter(|_| self.cores.len() > 1) {
            let Totals { accepted, handed_over, received, cut, .. } = core.totals;
            write!(f, "  core {}: {accepted} accepted, ", core.core)?;
            write!(f, "{handed_over} handed over, {received} received, {cut} cut")?;
            writeln!(f, "{}", if core.lost { "; it ended early" } else { "" })?;
        }
        write!(f, "  drained in {:.3} s", self.drain.as_secs_f64())
    }
}

impl Report {
    fn on(&self) -> String {
        count(self.cores.len() as u64, "core")
    }
}

impl Totals {
    fn named(&self) -> [(u64, &'static str); 9] {
        [
            (self.finished, "finished"),
            (self.failed, "of them with an error"),
            (self.panicked, "panicked"),
            (self.refused, "refused"),
            (self.idle_closed, "closed for idleness"),
            (self.drained, "ended during the drain"),
            (self.cut, "cut off at the deadline"),
            (self.handed_over, "handed over between cores"),
            (self.accept_errors, "failed accepts"),
        ]
    }
}

fn count(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::{CoreReport, Report, Totals};

    #[test]
    fn a_text_for_people() {
        let core = |core, accepted, cut| CoreReport {
            core,
            lost: core == 1,
            totals: Totals { accepted, cut, ..Totals::default() },
        };
        let report = Report { cores: vec![core(0, 3, 0), core(1, 2, 1)], ..Report::default() };
        let text = report.to_string();
        assert!(text.starts_with("served 5 connections on 2 cores\n"), "{text}");
        assert!(text.contains("\n  1 cut off"), "{text}");
        assert!(
            text.contains("core 1: 2 accepted, 0 handed over, 0 received, 1 cut; it"),
            "{text}"
        );
        assert!(!text.contains("panicked"), "{text}");
    }
}
