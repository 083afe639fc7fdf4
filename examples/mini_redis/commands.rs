//! What each command does, with the errors of Redis, word for word.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::ops::Range;
use std::time::{Duration, Instant};

use crate::answer::Answers;
use crate::pattern;
use crate::request::{Argument, number};
use crate::store::{Store, WrongType};

/// What happens to the connection after a command.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    GoOn,
    Close,
}

type Outcome = Result<(), Cow<'static, str>>;
type Run = fn(&mut Store, &[Argument<'_>], &mut Answers) -> Outcome;

const NOT_AN_INTEGER: Cow<'static, str> = Cow::Borrowed("value is not an integer or out of range");
const SYNTAX: Cow<'static, str> = Cow::Borrowed("syntax error");
const MANY: usize = usize::MAX;

/// Name, how many arguments it takes at least and at most, and what it does with them.
const COMMANDS: [(&str, usize, usize, Run); 26] = [
    ("PING", 0, 1, ping),
    ("ECHO", 1, 1, echo),
    ("GET", 1, 1, get),
    ("SET", 2, MANY, set),
    ("DEL", 1, MANY, del),
    ("EXISTS", 1, MANY, exists),
    ("INCR", 1, 1, |store, arguments, answers| add(store, &arguments[0], 1, answers)),
    ("DECR", 1, 1, |store, arguments, answers| add(store, &arguments[0], -1, answers)),
    ("EXPIRE", 2, 2, expire),
    ("TTL", 1, 1, ttl),
    ("MGET", 1, MANY, mget),
    ("MSET", 2, MANY, mset),
    ("LPUSH", 2, MANY, |store, arguments, answers| {
        push(store, arguments, VecDeque::push_front, answers)
    }),
    ("RPUSH", 2, MANY, |store, arguments, answers| {
        push(store, arguments, VecDeque::push_back, answers)
    }),
    ("LPOP", 1, 2, |store, arguments, answers| pop(store, arguments, VecDeque::pop_front, answers)),
    ("RPOP", 1, 2, |store, arguments, answers| pop(store, arguments, VecDeque::pop_back, answers)),
    ("LRANGE", 3, 3, lrange),
    ("LLEN", 1, 1, llen),
    ("KEYS", 1, 1, keys),
    ("FLUSHALL", 0, 1, flushall),
    ("SELECT", 1, 1, select),
    ("QUIT", 0, MANY, |_, _, answers| ok(answers)),
    // What clients ask for before they begin.
    ("COMMAND", 0, MANY, |_, _, answers| {
        answers.array(0);
        Ok(())
    }),
    ("CONFIG", 1, MANY, config),
    ("CLIENT", 1, MANY, |_, _, answers| ok(answers)),
    ("DBSIZE", 0, 0, |store, _, answers| {
        answers.integer(store.keys().count() as i64);
        Ok(())
    }),
];

/// Does what the command says, and answers it. There is at least one argument: the command's name.
pub(crate) fn execute(
    store: &mut Store,
    arguments: &[Argument<'_>],
    answers: &mut Answers,
) -> Then {
    let (name, arguments) = (&arguments[0], &arguments[1..]);
    let command = COMMANDS.iter().find(|command| is(name, command.0));
    let Some((name, least, most, run)) = command else {
        answers.error(&unknown(name, arguments));
        return Then::GoOn;
    };
    if arguments.len() < *least || arguments.len() > *most {
        answers.error(&wrong_number(name));
    } else if let Err(problem) = run(store, arguments, answers) {
        answers.error(&problem);
    }
    if *name == "QUIT" { Then::Close } else { Then::GoOn }
}

fn is(argument: &[u8], word: &str) -> bool {
    argument.eq_ignore_ascii_case(word.as_bytes())
}

fn unknown(name: &[u8], arguments: &[Argument<'_>]) -> String {
    let quoted = |text: &[u8]| format!("'{:.128}'", String::from_utf8_lossy(text));
    let mut said = String::new();
    for argument in arguments.iter().take_while({
        let mut len = 0;
        move |argument| {
            len += argument.len();
            len < 128
        }
    }) {
        said += &quoted(argument);
        said.push(' ');
    }
    format!("unknown command {}, with args beginning with: {said}", quoted(name))
}

fn wrong_number(name: &str) -> String {
    format!("wrong number of arguments for '{}' command", name.to_ascii_lowercase())
}

impl From<WrongType> for Cow<'static, str> {
    fn from(_: WrongType) -> Cow<'static, str> {
        "WRONGTYPE Operation against a key holding the wrong kind of value".into()
    }
}

fn ok(answers: &mut Answers) -> Outcome {
    answers.simple("OK");
    Ok(())
}

fn ping(_: &mut Store, arguments: &[Argument<'_>], answers: &mut Answers) -> Outcome {
    match arguments {
        [] => answers.simple("PONG"),
        [text, ..] => answers.bulk(text),
    }
    Ok(())
}

fn echo(_: &mut Store, arguments: &[Argument<'_>], answers: &mut Answers) -> Outcome {
    answers.bulk(&arguments[0]);
    Ok(())
}

fn get(store: &mut Store, arguments: &[Argument<'_>], answers: &mut Answers) -> Outcome {
    match store.text(&arguments[0])? {
        Some(text) => answers.bulk(text),
        None => answers.nothing(),
    }
    Ok(())
}

fn set(store: &mut Store, arguments: &[Argument<'_>], answers: &mut Answers) -> Outcome {
    let (key, text) = (&arguments[0], &arguments[1]);
    // It must be there, or must not.
    let mut wanted = None;
    let mut expires = None;
    let mut options = arguments[2..].iter();
    while let Some(option) = options.next() {
        match option {
            option if is(option, "NX") && wanted != Some(true) => wanted = Some(false),
            option if is(option, "XX") && wanted != Some(false) => wanted = Some(true),
            option if (is(option, "EX") || is(option, "PX")) && expires.is_none() => {
                let unit = if is(option, "EX") { 1000 } else { 1 };
                expires = Some((options.next().ok_or(SYNTAX)?, unit));
            }
            _ => return Err(SYNTAX),
        }
    }
    let at = match expires {
        Some((count, unit)) => {
            let count = number(count).ok_or(NOT_AN_INTEGER)?;
            let at = later(count, unit).filter(|_| count > 0);
            Some(at.ok_or("invalid expire time in 'set' command")?)
        }
        None => None,
    };
    if wanted.is_some_and(|wanted| wanted != store.contains(key)) {
        answers.nothing();
        return Ok(());
    }
    store.set(key, text);
    if let Some(at) = at {
        store.expire_at(key, at);
    }
    ok(answers)
}

/// So many units of milliseconds from now; `None` if that is beyond all clocks.
fn later(count: i64, unit: u64) -> Option<Instant> {
    let milliseconds = u64::try_from(count).unwrap_or(0).checked_mul(unit)?;
    // Redis counts from 1970 in milliseconds: far enough.
    let is_near = milliseconds < i64::MAX as u64 / 2;
    is_near.then(|| Instant::now().checked_add(Duration::from_millis(milliseconds)))?
}

fn expire(store: &mut Store, arguments: &[Argument<'_>], answers: &mut Answers) -> Outcome {
    let seconds = number(&arguments[1]).ok_or(NOT_AN_INTEGER)?;
    let at = later(seconds, 1000).ok_or("invalid expire time in 'expire' command")?;
    let is_there = match seconds {
        ..=0 => store.remove(&arguments[0]),
        _ => store.expire_at(&arguments[0], at),
    };
    answers.integer(is_there.into());
    Ok(())
}

fn ttl(store: &mut Store, arguments: &[Argument<'_>], answers: &mut Answers) -> Outcome {
    answers.integer(match store.expires(&arguments[0]) {
        None => -2,
        Some(None) => -1,
        Some(Some(at)) => {
            let left = at.saturating_duration_since(Instant::now());
            (left + Duration::from_millis(500)).as_secs() as i64
        }
    });
    Ok(())
}

fn del(store: &mut Store, arguments: &[Argument<'_>], answers: &mut Answers) -> Outcome {
    let removed = arguments.iter().filter(|key| store.remove(key)).count();
    answers.integer(removed as i64);
    Ok(())
}

fn exists(store: &mut Store, arguments: &[Argument<'_>], answers: &mut Answers) -> Outcome {
    let there = arguments.iter().filter(|key| store.contains(key)).count();
    answers.integer(there as i64);
    Ok(())
}

fn add(store: &mut Store, key: &[u8], by: i64, answers: &mut Answers) -> Outcome {
    let old = match store.text(key)? {
        Some(text) => number(text).ok_or(NOT_AN_INTEGER)?,
        None => 0,
    };
    let new = old.checked_add(by).ok_or("increment or decrement would overflow")?;
    store.update(key, new.to_string().as_bytes());
    answers.integer(new);
    Ok(())
}

fn mget(store: &mut Store, arguments: &[Argument<'_>], answers: &mut Answers) -> Outcome {
    answers.array(arguments.len());
    for key in arguments {
        match store.text(key) {
            Ok(Some(text)) => answers.bulk(text),
            Ok(None) | Err(WrongType) => answers.nothing(),
        }
    }
    Ok(())
}

fn mset(store: &mut Store, arguments: &[Argument<'_>], answers: &mut Answers) -> Outcome {
    let (pairs, rest) = arguments.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(wrong_number("mset").into());
    }
    for [key, text] in pairs {
        store.set(key, text);
    }
    ok(answers)
}

fn push(
    store: &mut Store,
    arguments: &[Argument<'_>],
    push: fn(&mut VecDeque<Vec<u8>>, Vec<u8>),
    answers: &mut Answers,
) -> Outcome {
    let list = store.list_mut(&arguments[0])?;
    for element in &arguments[1..] {
        push(list, element.to_vec());
    }
    answers.integer(list.len() as i64);
    Ok(())
}

fn pop(
    store: &mut Store,
    arguments: &[Argument<'_>],
    pop: fn(&mut VecDeque<Vec<u8>>) -> Option<Vec<u8>>,
    answers: &mut Answers,
) -> Outcome {
    let key = &arguments[0];
    let count = match arguments.get(1) {
        Some(count) => {
            let count = number(count).and_then(|count| usize::try_from(count).ok());
            Some(count.ok_or("value is out of range, must be positive")?)
        }
        None => None,
    };
    match (store.list(key)?.map(VecDeque::len), count) {
        (None, None) => answers.nothing(),
        (None, Some(_)) => answers.no_array(),
        (Some(len), count) => {
            let list = store.list_mut(key)?;
            if let Some(count) = count {
                answers.array(count.min(len));
            }
            for element in std::iter::from_fn(|| pop(list)).take(count.unwrap_or(1)) {
                answers.bulk(&element);
            }
            if list.is_empty() {
                store.remove(key);
            }
        }
    }
    Ok(())
}

fn lrange(store: &mut Store, arguments: &[Argument<'_>], answers: &mut Answers) -> Outcome {
    let first = number(&arguments[1]).ok_or(NOT_AN_INTEGER)?;
    let last = number(&arguments[2]).ok_or(NOT_AN_INTEGER)?;
    let Some(list) = store.list(&arguments[0])? else {
        answers.array(0);
        return Ok(());
    };
    let range = range_of(first, last, list.len());
    answers.array(range.len());
    for element in list.range(range) {
        answers.bulk(element);
    }
    Ok(())
}

/// From the first to the last, both included; negative ones count from the end.
fn range_of(first: i64, last: i64, len: usize) -> Range<usize> {
    let place = |index: i64| match usize::try_from(index) {
        Ok(index) => index as i128,
        Err(_) => len as i128 + i128::from(index),
    };
    let begin = place(first).clamp(0, len as i128) as usize;
    let end = (place(last) + 1).clamp(begin as i128, len as i128) as usize;
    begin..end
}

fn llen(store: &mut Store, arguments: &[Argument<'_>], answers: &mut Answers) -> Outcome {
    answers.integer(store.list(&arguments[0])?.map_or(0, VecDeque::len) as i64);
    Ok(())
}

fn keys(store: &mut Store, arguments: &[Argument<'_>], answers: &mut Answers) -> Outcome {
    let keys: Vec<&[u8]> =
        store.keys().filter(|key| pattern::matches(&arguments[0], key)).collect();
    answers.array(keys.len());
    for key in keys {
        answers.bulk(key);
    }
    Ok(())
}

fn flushall(store: &mut Store, _: &[Argument<'_>], answers: &mut Answers) -> Outcome {
    store.clear();
    ok(answers)
}

/// There is one database.
fn select(_: &mut Store, arguments: &[Argument<'_>], answers: &mut Answers) -> Outcome {
    match number(&arguments[0]).ok_or(NOT_AN_INTEGER)? {
        0 => ok(answers),
        _ => Err("DB index is out of range".into()),
    }
}

/// `redis-benchmark` asks how the server keeps its data: it does not.
fn config(_: &mut Store, arguments: &[Argument<'_>], answers: &mut Answers) -> Outcome {
    match arguments {
        [get, names @ ..] if is(get, "GET") && !names.is_empty() => {
            answers.array(2 * names.len());
            for name in names {
                answers.bulk(name);
                answers.bulk(b"");
            }
            Ok(())
        }
        _ => Err("there is no configuration; only CONFIG GET is understood".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::range_of;

    #[test]
    fn ranges() {
        assert_eq!(range_of(0, -1, 5), 0..5);
        assert_eq!(range_of(1, 2, 5), 1..3);
        assert_eq!(range_of(-2, -1, 5), 3..5);
        assert_eq!(range_of(-100, 100, 5), 0..5);
        assert!(range_of(3, 1, 5).is_empty());
        assert!(range_of(5, 9, 5).is_empty());
        assert!(range_of(0, 0, 0).is_empty());
        assert_eq!(range_of(i64::MIN, i64::MAX, 5), 0..5);
    }
}
