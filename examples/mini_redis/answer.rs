//! Answers to bytes.

use std::io::Write;

/// The answers to a client that were not sent yet.
#[derive(Default)]
pub(crate) struct Answers {
    pub(crate) bytes: Vec<u8>,
}

impl Answers {
    pub(crate) fn simple(&mut self, text: &str) {
        self.line(format_args!("+{text}"));
    }

    /// What went wrong. Its first word is its kind for clients; here there are two.
    pub(crate) fn error(&mut self, text: &str) {
        let kind = if text.starts_with("WRONGTYPE ") { "" } else { "ERR " };
        // A line end would end the answer.
        let text = text.replace(['\r', '\n'], " ");
        self.line(format_args!("-{kind}{text}"));
    }

    pub(crate) fn integer(&mut self, number: i64) {
        self.line(format_args!(":{number}"));
    }

    pub(crate) fn bulk(&mut self, bytes: &[u8]) {
        self.line(format_args!("${}", bytes.len()));
        self.bytes.extend_from_slice(bytes);
        self.bytes.extend_from_slice(b"\r\n");
    }

    /// There is no such value.
    pub(crate) fn nothing(&mut self) {
        self.line(format_args!("$-1"));
    }

    /// There is no such list.
    pub(crate) fn no_array(&mut self) {
        self.line(format_args!("*-1"));
    }

    /// Its elements follow.
    pub(crate) fn array(&mut self, len: usize) {
        self.line(format_args!("*{len}"));
    }

    fn line(&mut self, text: std::fmt::Arguments<'_>) {
        // Memory does not refuse.
        let _ = write!(self.bytes, "{text}\r\n");
    }
}
