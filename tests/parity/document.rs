//! `docs/tokio-parity.md`: sections with a table each, and prose around them.

use std::fmt::Write as _;

/// One line of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Row {
    /// The path in tokio, without `tokio::`.
    pub(crate) theirs: String,
    /// The path here, without `ringspun::`; empty if there is none.
    pub(crate) ours: String,
    /// `same`, `differs`, `absent`, or `?` for what nobody has looked at.
    pub(crate) status: String,
    pub(crate) text: String,
    /// In the document, from 1.
    pub(crate) line: usize,
}

/// What stands below one heading.
#[derive(Debug, Default)]
pub(crate) struct Section {
    pub(crate) heading: String,
    /// Everything but the table.
    pub(crate) prose: String,
    pub(crate) rows: Vec<Row>,
}

/// The sections with a table begin so, the path of the module follows.
const HEADING: &str = "## `tokio::";

impl Section {
    /// The tokio module whose items the section has.
    pub(crate) fn module(&self) -> Option<&str> {
        self.heading.strip_prefix(HEADING)?.strip_suffix('`')
    }

    pub(crate) fn of(module: &str) -> Section {
        Section { heading: format!("{HEADING}{module}`"), ..Section::default() }
    }
}

/// Cuts the document up; lines that are neither prose nor a row are returned as complaints.
pub(crate) fn parse(text: &str) -> (Vec<Section>, Vec<String>) {
    let mut sections = vec![Section::default()];
    let mut complaints = Vec::new();
    for (at, line) in text.lines().enumerate() {
        if line.starts_with("## ") {
            sections.push(Section { heading: line.to_owned(), ..Section::default() });
            continue;
        }
        let Some(section) = sections.last_mut() else { continue };
        let Some(module) = section.module() else {
            section.prose.push_str(line);
            section.prose.push('\n');
            continue;
        };
        if line.starts_with("| `") {
            match row(module, line) {
                Some(row) => section.rows.push(Row { line: at + 1, ..row }),
                None => complaints.push(format!("{:5}: a row has four columns", at + 1)),
            }
            continue;
        }
        let is_gap = line.is_empty() && section.prose.is_empty();
        if !line.starts_with('|') && !is_gap {
            section.prose.push_str(line);
            section.prose.push('\n');
        }
    }
    (sections, complaints)
}

fn row(module: &str, line: &str) -> Option<Row> {
    let line = line.strip_prefix('|')?.strip_suffix('|')?;
    let columns: Vec<&str> = line.split('|').map(str::trim).collect();
    let [theirs, ours, status, text] = columns[..] else { return None };
    let path = |column: &str| column.trim_matches('`').to_owned();
    Some(Row {
        theirs: format!("{module}::{}", path(theirs)),
        ours: path(ours),
        status: status.to_owned(),
        text: text.to_owned(),
        line: 0,
    })
}

/// The document again.
pub(crate) fn print(sections: &[Section]) -> String {
    let mut text = String::new();
    for section in sections {
        if !section.heading.is_empty() {
            let _ = writeln!(text, "{}", section.heading);
        }
        let Some(module) = section.module() else {
            text.push_str(&section.prose);
            continue;
        };
        if !section.prose.trim().is_empty() {
            let _ = writeln!(text, "\n{}", section.prose.trim());
        }
        text.push_str("\n| tokio | ringspun | | |\n|---|---|---|---|\n");
        for row in &section.rows {
            let name = row.theirs.strip_prefix(module).unwrap_or(&row.theirs);
            let name = name.trim_start_matches(':');
            let ours = if row.ours.is_empty() { String::new() } else { format!("`{}`", row.ours) };
            let line = format!("| `{name}` | {ours} | {} | {} |", row.status, row.text);
            let _ = writeln!(text, "{}", line.replace("|  |", "| |"));
        }
        text.push('\n');
    }
    format!("{}\n", text.trim_end())
}
