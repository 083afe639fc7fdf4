//! What a request asks for: a path, a condition, a range.

use std::ffi::OsString;
use std::fmt::Write;
use std::io;
use std::ops::Range;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use hyper::header::{HeaderMap, HeaderName, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, RANGE};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};
use ringspun::fs::Metadata;

/// What is written as `%XX` in links: all but these and letters and digits.
const ENCODED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

/// The path below the folder that the path of a URL means; `.` for `/`.
pub(crate) fn decode(path: &str) -> io::Result<PathBuf> {
    let bytes: Vec<u8> = percent_decode_str(path.trim_start_matches('/')).collect();
    let first = bytes.iter().position(|byte| *byte != b'/').unwrap_or(bytes.len());
    let below = &bytes[first..];
    if below.contains(&0) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a NUL byte in the path"));
    }
    let below = if below.is_empty() { b"." } else { below };
    Ok(PathBuf::from(OsString::from_vec(below.to_vec())))
}

/// The path of the URL that means this path. It begins with one slash: two would be a host.
pub(crate) fn encode(path: &Path) -> String {
    format!("/{}", encode_bytes(path.as_os_str().as_bytes()))
}

pub(crate) fn encode_bytes(bytes: &[u8]) -> String {
    percent_encode(bytes, ENCODED).to_string()
}

/// Which bytes the client is to get.
#[derive(Debug, PartialEq)]
pub(crate) enum Part {
    /// It has them already.
    Nothing,
    Whole,
    /// Not empty.
    Range(Range<u64>),
    /// A range that the file does not have.
    Impossible,
}

/// Which version of a file this is.
pub(crate) struct Version {
    etag: String,
    modified: Option<SystemTime>,
}

impl Version {
    pub(crate) fn of(metadata: &Metadata) -> Version {
        let mut etag = String::new();
        let (seconds, nanos) = (metadata.mtime(), metadata.mtime_nsec());
        let _ = write!(etag, "\"{:x}-{seconds:x}.{nanos:x}-{:x}\"", metadata.ino(), metadata.len());
        // HTTP's dates have whole seconds, and none before 1970.
        let modified = u64::try_from(seconds).ok();
        let modified = modified.map(|since| SystemTime::UNIX_EPOCH + Duration::from_secs(since));
        Version { etag, modified }
    }

    pub(crate) fn etag(&self) -> &str {
        &self.etag
    }

    pub(crate) fn modified(&self) -> Option<SystemTime> {
        self.modified
    }

    /// What a GET with these headers wants of a file of `len` bytes, by RFC 9110, 13 and 14.
    pub(crate) fn wanted(&self, headers: &HeaderMap, len: u64) -> Part {
        if self.is_known(headers) {
            return Part::Nothing;
        }
        let range = text(headers, &RANGE).filter(|_| self.is_still_that(headers));
        range.map_or(Part::Whole, |range| parse_range(range, len))
    }

    fn is_known(&self, headers: &HeaderMap) -> bool {
        // If there are tags, dates do not count.
        if headers.contains_key(IF_NONE_MATCH) {
            let tags = headers.get_all(IF_NONE_MATCH).iter();
            let mut tags = tags.filter_map(|tags| tags.to_str().ok()).flat_map(|t| t.split(','));
            return tags.any(|tag| {
                let tag = tag.trim();
                tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == self.etag
            });
        }
        let since = text(headers, &IF_MODIFIED_SINCE);
        let since = since.and_then(|date| httpdate::parse_http_date(date).ok());
        self.modified.zip(since).is_some_and(|(modified, since)| modified <= since)
    }

    /// A client that has a part already wants the rest of the same version only.
    fn is_still_that(&self, headers: &HeaderMap) -> bool {
        let Some(condition) = headers.get(IF_RANGE) else { return true };
        let Ok(condition) = condition.to_str() else { return false };
        let date = httpdate::parse_http_date(condition).ok();
        condition == self.etag || (date.is_some() && date == self.modified)
    }
}

fn text<'headers>(headers: &'headers HeaderMap, name: &HeaderName) -> Option<&'headers str> {
    headers.get(name)?.to_str().ok()
}

/// One range of bytes. Several at a time, and what is not understood, may be ignored by a server.
fn parse_range(range: &str, len: u64) -> Part {
    let Some((first, last)) = range.strip_prefix("bytes=").and_then(|range| range.split_once('-'))
    else {
        return Part::Whole;
    };
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    // Too many digits for the type are as good as its largest number.
    let number = |text: &str| text.parse().unwrap_or(u64::MAX);
    let (first, last) = (first.trim(), last.trim());
    let range = match (first.is_empty(), last.is_empty()) {
        _ if !is_number(first) || !is_number(last) => return Part::Whole,
        (true, true) => return Part::Whole,
        // The last so many bytes.
        (true, false) => len.saturating_sub(number(last))..len,
        (false, true) => number(first)..len,
        (false, false) if number(last) < number(first) => return Part::Whole,
        (false, false) => number(first)..number(last).saturating_add(1).min(len),
    };
    if range.is_empty() { Part::Impossible } else { Part::Range(range) }
}
