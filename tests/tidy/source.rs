//! The sources of the crate, cut up but not parsed: comments, what stands in quotes, and test
//! modules are blanked out, so that lines and offsets stay, and words are looked for in the rest.

use std::fs;
use std::path::{Path, PathBuf};

/// One file of `src/`.
pub(crate) struct Source {
    /// From `src/` on.
    pub(crate) path: String,
    pub(crate) text: String,
    /// Without comments and the contents of strings.
    pub(crate) code: String,
    /// `code` without test modules.
    pub(crate) shipped: String,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Source {
        let code = without_comments_and_strings(text);
        let is_test = path.ends_with("tests.rs") || path.contains("/tests/");
        let shipped = if is_test { String::new() } else { without_test_modules(&code) };
        Source { path: path.into(), text: text.into(), code, shipped }
    }

    /// The row of the layer table it belongs to.
    pub(crate) fn layer(&self) -> &str {
        if self.path.starts_with("ring/kernel/") {
            return "ring/kernel";
        }
        let first = self.path.split('/').next().unwrap_or_default();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// How many names its module path has: 0 for lib.rs, 2 for buf/slice.rs.
    pub(crate) fn depth(&self) -> usize {
        let names = self.path.split('/').count();
        names - usize::from(self.path.ends_with("/mod.rs") || self.path == "lib.rs")
    }

    pub(crate) fn at(&self, offset: usize, what: impl AsRef<str>) -> String {
        let line = self.code[..offset].matches('\n').count() + 1;
        format!("src/{}:{line}: {}", self.path, what.as_ref())
    }
}

pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn sources() -> Vec<Source> {
    let mut sources = Vec::new();
    let mut folders = vec![root().join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the folder can be listed") {
            let path = entry.expect("the entry can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                sources.push(source_at(&path));
            }
        }
    }
    assert!(sources.iter().any(|source| source.path == "lib.rs"), "no sources found");
    sources.sort_by(|one, other| one.path.cmp(&other.path));
    sources
}

fn source_at(path: &Path) -> Source {
    let text = fs::read_to_string(path).expect("the file is UTF-8");
    let short = path.strip_prefix(root().join("src")).expect("the file lies in src");
    Source::new(&short.to_string_lossy(), &text)
}

pub(crate) fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// The word that begins at `start`; empty if none does.
pub(crate) fn word_at(code: &str, start: usize) -> &str {
    let rest = code.get(start..).unwrap_or_default();
    &rest[..rest.find(|character| !is_word(character)).unwrap_or(rest.len())]
}

/// Where `word` stands, not as part of a longer one.
pub(crate) fn words_in(code: &str, word: &str) -> Vec<usize> {
    let whole = |offset: &usize| {
        !code[..*offset].ends_with(is_word) && !code[offset + word.len()..].starts_with(is_word)
    };
    code.match_indices(word).map(|(offset, _)| offset).filter(whole).collect()
}

/// The offset of the bracket that closes the one at `open`, or the end.
pub(crate) fn closing(code: &str, open: usize) -> usize {
    let mut depth = 0;
    for (index, character) in code[open..].char_indices() {
        match character {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return open + index;
        }
    }
    code.len()
}

/// Blanks comments and what stands in quotes. Lines and offsets in bytes stay.
fn without_comments_and_strings(text: &str) -> String {
    let mut blank = String::with_capacity(text.len());
    let mut start = 0;
    while start < text.len() {
        let rest = &text[start..];
        let (keep, cut) = match quoted(rest) {
            Some(length) => (0, length),
            None => (rest.chars().next().map_or(1, char::len_utf8), 0),
        };
        blank.push_str(&rest[..keep]);
        for byte in rest[keep..keep + cut].bytes() {
            blank.push(if byte == b'\n' { '\n' } else { ' ' });
        }
        start += keep + cut;
    }
    blank
}

/// The length of the comment, string or character that `rest` begins with.
fn quoted(rest: &str) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return Some(rest.find("*/").map_or(rest.len(), |end| end + 2));
    }
    if let Some(raw) = rest.strip_prefix('r') {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if raw[hashes..].starts_with('"') {
            let end = format!("\"{}", "#".repeat(hashes));
            let body = 1 + hashes + 1;
            return Some(rest[body..].find(&end).map_or(rest.len(), |at| body + at + end.len()));
        }
    }
    let quote = rest.chars().next().filter(|first| ['"', '\''].contains(first))?;
    if quote == '\'' && !rest.starts_with("'\\") {
        // A lifetime, unless the quote is closed right after one character.
        let length = rest.chars().nth(1).map_or(0, char::len_utf8);
        return rest[1 + length..].starts_with('\'').then_some(length + 2);
    }
    let mut escaped = false;
    let end = rest[1..].find(|character| {
        let ends = character == quote && !escaped;
        escaped = character == '\\' && !escaped;
        ends
    });
    Some(end.map_or(rest.len(), |at| at + 2))
}

/// Blanks `#[cfg(test)] mod name { .. }`.
fn without_test_modules(code: &str) -> String {
    let mut shipped = code.to_string();
    for (offset, _) in code.match_indices("#[cfg(") {
        let open = offset + "#[cfg".len();
        let end = closing(code, open);
        let condition = &code[open + 1..end];
        if condition != "test" && !condition.starts_with("all(test") {
            continue;
        }
        let Some(brace) = code[end..].find(['{', ';']).map(|index| end + index) else { continue };
        if code[brace..].starts_with(';') || words_in(&code[end..brace], "mod").is_empty() {
            continue;
        }
        let module = brace + 1..closing(code, brace);
        let blank = code[module.clone()].replace(|character| character != '\n', " ");
        if blank.len() == module.len() {
            shipped.replace_range(module, &blank);
        }
    }
    shipped
}
