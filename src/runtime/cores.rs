//! How many cores, and on which CPUs.

use std::fmt;
use std::fs;
use std::io;
use std::str::FromStr;
use std::thread;

use crate::ring::affinity::CpuSet;

/// The cores of a runtime: how many, or which CPUs. For
/// [`Builder::cores`](super::Builder::cores).
///
/// As text: `"all"`, a number of cores (`"4"`), or CPUs by number (`"0-3"`, `"0-3,8"`, and `"5,"`
/// for the one CPU 5).
///
/// # Examples
///
/// ```
/// use ringspun::runtime::Cores;
///
/// assert_eq!("2".parse(), Ok(Cores::Count(2)));
/// assert_eq!("all".parse(), Ok(Cores::All));
/// assert_eq!("0-2,5".parse(), Ok(Cores::List(vec![0, 1, 2, 5])));
/// assert!("0-".parse::<Cores>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cores {
    /// So many. With more than there are CPUs, several share one.
    Count(usize),
    /// As many as this process may use: the CPUs of its affinity mask and cpuset, and no more than
    /// the CPU quota of its control group grants. The environment may say otherwise, by
    /// `RINGSPUN_CORES` with the text of a `Cores`.
    All,
    /// One for each of these CPUs, by their numbers.
    List(Vec<usize>),
    /// A text that means nothing; [`build`](super::Builder::build) says so.
    #[doc(hidden)]
    Invalid(String),
}

/// A text that names no cores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseCoresError(String);

impl fmt::Display for ParseCoresError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} names no cores: write \"all\", a number such as \"4\", or CPUs such as \"0-3,8\"",
            self.0
        )
    }
}

impl std::error::Error for ParseCoresError {}

impl FromStr for Cores {
    type Err = ParseCoresError;

    fn from_str(text: &str) -> Result<Cores, ParseCoresError> {
        let wrong = || ParseCoresError(text.to_owned());
        let trimmed = text.trim();
        if trimmed.eq_ignore_ascii_case("all") {
            return Ok(Cores::All);
        }
        if let Ok(count) = trimmed.parse::<usize>() {
            return if count == 0 { Err(wrong()) } else { Ok(Cores::Count(count)) };
        }
        let trimmed = trimmed.strip_suffix(',').unwrap_or(trimmed);
        let mut cpus = Vec::new();
        for part in trimmed.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let first: usize = first.trim().parse().map_err(|_| wrong())?;
            let last: usize = last.trim().parse().map_err(|_| wrong())?;
            if first > last || last >= CPUS_MAX {
                return Err(wrong());
            }
            cpus.extend((first..=last).filter(|cpu| !cpus.contains(cpu)).collect::<Vec<_>>());
        }
        Ok(Cores::List(cpus))
    }
}

/// More than any kernel has.
const CPUS_MAX: usize = 1 << 16;

impl fmt::Display for Cores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cores::Count(count) => write!(f, "{count}"),
            Cores::All => f.write_str("all"),
            Cores::List(cpus) => {
                for (index, cpu) in cpus.iter().enumerate() {
                    write!(f, "{}{cpu}", if index == 0 { "" } else { "," })?;
                }
                // A number alone would be a count.
                if cpus.len() == 1 { f.write_str(",") } else { Ok(()) }
            }
            Cores::Invalid(text) => f.write_str(text),
        }
    }
}

impl From<usize> for Cores {
    fn from(count: usize) -> Cores {
        Cores::Count(count)
    }
}

impl From<Vec<usize>> for Cores {
    fn from(cpus: Vec<usize>) -> Cores {
        Cores::List(cpus)
    }
}

/// What the text means, or an error of `build`.
impl From<&str> for Cores {
    fn from(text: &str) -> Cores {
        text.parse().unwrap_or_else(|_| Cores::Invalid(text.to_owned()))
    }
}

/// What the text means, or an error of `build`.
impl From<String> for Cores {
    fn from(text: String) -> Cores {
        Cores::from(text.as_str())
    }
}

impl Cores {
    /// The CPU of each core, out of `allowed`.
    pub(super) fn place(&self, allowed: &CpuSet) -> io::Result<Vec<usize>> {
        let invalid = |text: String| io::Error::new(io::ErrorKind::InvalidInput, text);
        let count = match self {
            Cores::Count(0) => return Err(invalid("a runtime has at least one core".to_owned())),
            Cores::Count(count) if *count > CPUS_MAX => {
                return Err(invalid(format!("{count} cores are more than any machine has CPUs")));
            }
            Cores::Count(count) => *count,
            Cores::All => thread::available_parallelism().map_or(1, usize::from),
            Cores::Invalid(text) => return Err(invalid(ParseCoresError(text.clone()).to_string())),
            Cores::List(cpus) => {
                if cpus.is_empty() {
                    return Err(invalid("the list of CPUs is empty".to_owned()));
                }
                if let Some(cpu) = cpus.iter().find(|cpu| !allowed.contains(**cpu)) {
                    let allowed = Cores::List(allowed.iter().collect());
                    return Err(invalid(format!(
                        "CPU {cpu} is not one that this process may run on: those are {allowed} \
                         (by the system, its affinity mask and its cpuset)"
                    )));
                }
                return Ok(cpus.clone());
            }
        };
        let order = spread(allowed);
        Ok((0..count).filter_map(|core| order.get(core % order.len().max(1)).copied()).collect())
    }
}

/// The CPUs with one thread of each physical core first: two threads of one share its caches and
/// its arithmetic.
fn spread(allowed: &CpuSet) -> Vec<usize> {
    let mut order: Vec<(usize, usize)> = allowed.iter().map(|cpu| (rank(cpu), cpu)).collect();
    order.sort_unstable();
    order.into_iter().map(|(_, cpu)| cpu).collect()
}

/// Which of the threads of its physical core a CPU is, from 0.
fn rank(cpu: usize) -> usize {
    let path = format!("/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list");
    let siblings = fs::read_to_string(path).unwrap_or_default();
    match siblings.trim().parse() {
        Ok(Cores::List(cpus)) => cpus.iter().position(|sibling| *sibling == cpu).unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(cpus: &[usize]) -> CpuSet {
        let mut set = CpuSet::of_none();
        cpus.iter().for_each(|cpu| set.insert(*cpu));
        set
    }

    #[test]
    fn texts() {
        for (text, cores) in [
            ("all", Cores::All),
            (" ALL ", Cores::All),
            ("1", Cores::Count(1)),
            ("0-3", Cores::List(vec![0, 1, 2, 3])),
            ("2,", Cores::List(vec![2])),
            ("0, 2 - 4 ,3", Cores::List(vec![0, 2, 3, 4])),
        ] {
            assert_eq!(text.parse(), Ok(cores.clone()), "{text}");
            assert_eq!(cores.to_string().parse(), Ok(cores), "{text}");
        }
        for text in ["", "0", "-1", "0-", "3-1", "a", "1,,2", "0-99999999", "1.5", ","] {
            assert!(text.parse::<Cores>().is_err(), "{text}");
        }
    }

    #[test]
    fn more_than_there_are_share() {
        let cpus = Cores::Count(5).place(&allowed(&[70, 3])).unwrap();
        assert_eq!(cpus.len(), 5);
        assert_eq!(cpus[0], cpus[2]);
        assert_ne!(cpus[0], cpus[1]);
    }

    #[test]
    fn what_is_not_allowed_is_named() {
        let error = Cores::List(vec![1, 2]).place(&allowed(&[0, 1])).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert!(error.to_string().contains("CPU 2"), "{error}");
        assert!(error.to_string().contains("0,1"), "{error}");
        assert!(Cores::Count(0).place(&allowed(&[0])).is_err());
        assert!(Cores::Count(usize::MAX).place(&allowed(&[0])).is_err());
        assert!(Cores::List(Vec::new()).place(&allowed(&[0])).is_err());
        assert!(Cores::from("x").place(&allowed(&[0])).is_err());
    }
}
