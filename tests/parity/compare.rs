//! The rows against the two crates.

use std::collections::{BTreeMap, BTreeSet};

use crate::document::{Row, Section};
use crate::surface::{Offered, Surface};

/// Reasons and differences are sentences, if short ones.
const TEXT_MIN: usize = 12;

/// The status of a row that nobody has looked at.
const UNDECIDED: &str = "?";

/// Traits of which nobody needs to know.
const NO_MATTER: [&str; 7] =
    ["AsRef", "Debug", "Drop", "RefUnwindSafe", "Send", "Sync", "UnwindSafe"];

/// What means the same type, as one of the two writes it and as it is compared. Streams and their
/// halves are aliases here.
const SAME_TYPES: [(&str, &str); 12] = [
    ("<impl Kind>", ""),
    ("<impl SocketKind>", ""),
    ("OwnedReadHalf", "ReadEnd"),
    ("OwnedWriteHalf", "WriteEnd"),
    ("(ReadHalf,WriteHalf)", "(&mut ReadEnd,&mut WriteEnd)"),
    ("TcpStream", "Stream"),
    ("UnixStream", "Stream"),
    ("uid_t", "u32"),
    ("gid_t", "u32"),
    ("pid_t", "i32"),
    ("c_int", "i32"),
    (",Error>", ">"),
];

/// What tokio has in the first module is here in the second, if it is not in one of the same name.
const MOVED: [(&str, &str); 2] = [("net::unix::pipe", "pipe"), ("time::error", "time")];

pub(crate) struct Comparison<'a> {
    pub(crate) theirs: &'a Surface,
    pub(crate) ours: &'a Surface,
    rows: BTreeMap<&'a str, &'a Row>,
}

impl<'a> Comparison<'a> {
    pub(crate) fn new(
        theirs: &'a Surface,
        ours: &'a Surface,
        rows: impl Iterator<Item = &'a Row>,
    ) -> Comparison<'a> {
        Comparison { theirs, ours, rows: rows.map(|row| (&*row.theirs, row)).collect() }
    }

    /// Whether `path` needs no row: what it belongs to is absent as a whole, or is another crate's
    /// here.
    pub(crate) fn is_covered(&self, path: &str) -> bool {
        let Some(owner) = self.owner(path) else { return false };
        let Some(row) = self.rows.get(owner) else { return false };
        row.status == "absent" || matches!(self.ours.get(&row.ours), Some(Offered::Foreign(_)))
    }

    /// The type or trait that `path` is a part of.
    fn owner<'b>(&self, path: &'b str) -> Option<&'b str> {
        path.rsplit_once("::")
            .map(|(owner, _)| owner)
            .filter(|owner| self.theirs.contains_key(*owner))
    }

    fn names_what_is_not_there(&self, path: Option<&str>) -> bool {
        let row = path.and_then(|path| self.rows.get(path));
        row.is_some_and(|row| !row.ours.is_empty() && !self.ours.contains_key(&row.ours))
    }

    fn is_tokios_own(&self, path: &str, ours: &str) -> bool {
        let tokios = format!("tokio::{path}");
        matches!(self.ours.get(ours), Some(Offered::Foreign(own)) if *own == tokios)
    }

    /// Where one would look for it here: in what its owner is here, at the same path, or where its
    /// module has gone.
    pub(crate) fn natural_path(&self, path: &str) -> String {
        let row = self.owner(path).and_then(|owner| self.rows.get(owner));
        if let (Some(row), Some((_, name))) = (row, path.rsplit_once("::"))
            && !row.ours.is_empty()
        {
            return format!("{}::{name}", row.ours);
        }
        let moved = MOVED.iter().find_map(|(from, to)| Some((to, path.strip_prefix(from)?)));
        match moved {
            Some((to, rest)) if !self.ours.contains_key(path) => format!("{to}{rest}"),
            _ => path.to_owned(),
        }
    }

    /// What is wrong, by line.
    pub(crate) fn complaints(&self, sections: &[Section]) -> Vec<String> {
        let mut complaints = Vec::new();
        let mut seen = BTreeSet::new();
        for row in sections.iter().flat_map(|section| &section.rows) {
            let mut complain = |what: String| {
                complaints.push(format!("{:5}: `{}`: {what}", row.line, row.theirs));
            };
            if !seen.insert(&row.theirs) {
                complain("has two rows".to_owned());
            } else if !self.theirs.contains_key(&row.theirs) {
                complain("tokio has no such item (any more)".to_owned());
            } else if self.is_covered(&row.theirs) {
                complain("is covered by the row of what it belongs to".to_owned());
            } else if self.names_what_is_not_there(self.owner(&row.theirs)) {
                // Said once, of the owner.
            } else if let Some(what) = self.complaint(row) {
                complain(what);
            }
        }
        for path in self.theirs.keys() {
            if !self.rows.contains_key(&**path) && !self.is_covered(path) {
                complaints.push(format!("    -: `{path}`: no row"));
            }
        }
        complaints
    }

    fn complaint(&self, row: &Row) -> Option<String> {
        let is_short = row.text.len() < TEXT_MIN;
        match &*row.status {
            "absent" => {
                let natural = self.natural_path(&row.theirs);
                if self.ours.contains_key(&natural) {
                    return Some(format!("is not absent: there is `{natural}`"));
                }
                let named = !row.ours.is_empty() && !self.ours.contains_key(&row.ours);
                (is_short || named).then(|| {
                    "says absent: it needs a reason, and may name only what there is".to_owned()
                })
            }
            "same" => self.difference(row).or_else(|| self.missing_traits(row)),
            "differs" if !self.ours.contains_key(&row.ours) => {
                Some(format!("there is no `{}` here", row.ours))
            }
            "differs" if is_short => Some("says differs: it needs to say how".to_owned()),
            "differs" => self.missing_traits(row),
            other => Some(format!("says `{other}`: same, differs or absent?")),
        }
    }

    /// Traits of tokio's type that ours has not and the row does not name, or the reverse.
    fn missing_traits(&self, row: &Row) -> Option<String> {
        let (Some(Offered::Type(theirs)), Some(Offered::Type(ours))) =
            (self.theirs.get(&row.theirs), self.ours.get(&row.ours))
        else {
            return None;
        };
        let ours: BTreeSet<String> = ours.iter().map(|name| as_compared(name)).collect();
        let is_missing = |name: &&str| {
            let short = name.split('<').next().unwrap_or(name);
            let says = row.text.contains(&format!("`{short}"));
            !ours.contains(&as_compared(name)) && !says && !NO_MATTER.contains(name)
        };
        let missing: Vec<&str> = theirs.iter().map(String::as_str).filter(is_missing).collect();
        if let Some(name) = ours.iter().find(|name| row.text.contains(&format!("no `{name}`"))) {
            return Some(format!("ours does implement {name}"));
        }
        (!missing.is_empty()).then(|| format!("ours does not implement {}", missing.join(", ")))
    }

    /// Why a row may not say `same`.
    fn difference(&self, row: &Row) -> Option<String> {
        let Some(ours) = self.ours.get(&row.ours) else {
            return Some(format!("there is no `{}` here", row.ours));
        };
        if self.is_tokios_own(&row.theirs, &row.ours) {
            let says = row.text.contains("feature `tokio`");
            return (!says).then(|| "is there with the feature `tokio` only: say so".to_owned());
        }
        match (&self.theirs[&row.theirs], ours) {
            (Offered::Function(theirs), Offered::Function(ours)) => {
                let (theirs, ours) = (theirs.to_string(), ours.to_string());
                let differ = theirs != ours && as_compared(&theirs) != as_compared(&ours);
                differ.then(|| format!("is `{theirs}`, here `{ours}`"))
            }
            (Offered::Foreign(theirs), Offered::Foreign(ours)) if theirs == ours => None,
            (Offered::Type(_), Offered::Type(_))
            | (Offered::Trait, Offered::Trait)
            | (Offered::Constant, Offered::Constant) => None,
            (theirs, ours) => Some(format!("is {theirs:?}, here {ours:?}")),
        }
    }

    /// The document's sections with the rows that are wanted: old ones with their texts, new ones
    /// with what can be said of them.
    pub(crate) fn filled_in(&self, mut sections: Vec<Section>) -> Vec<Section> {
        for path in self.theirs.keys().filter(|path| !self.is_covered(path)) {
            let module = self.module_of(path);
            let at = sections.iter().position(|section| section.module() == Some(module));
            let at = at.unwrap_or_else(|| {
                sections.push(Section::of(module));
                sections.len() - 1
            });
            if self.rows.get(&**path).is_none_or(|row| row.status == UNDECIDED) {
                sections[at].rows.retain(|row| row.theirs != *path);
                sections[at].rows.push(self.new_row(path));
            }
        }
        for section in &mut sections {
            section.rows.retain(|row| {
                self.theirs.contains_key(&row.theirs) && !self.is_covered(&row.theirs)
            });
            section.rows.sort_by(|one, other| one.theirs.cmp(&other.theirs));
            section.rows.dedup_by(|one, other| one.theirs == other.theirs);
        }
        sections
    }

    fn new_row(&self, path: &str) -> Row {
        let ours = self.natural_path(path);
        let (theirs, status) = (path.to_owned(), UNDECIDED.to_owned());
        let row = Row { theirs, ours, status, ..Row::default() };
        if !self.ours.contains_key(&row.ours) {
            return Row { ours: String::new(), text: "nothing of that name".to_owned(), ..row };
        }
        let text = self.difference(&row).unwrap_or_else(|| "no difference seen".to_owned());
        Row { text, ..row }
    }

    fn module_of<'b>(&self, path: &'b str) -> &'b str {
        let above = path.rsplit_once("::").map_or("", |(above, _)| above);
        if self.theirs.contains_key(above) { self.module_of(above) } else { above }
    }
}

fn as_compared(signature: &str) -> String {
    SAME_TYPES.iter().fold(signature.to_owned(), |text, (from, to)| text.replace(from, to))
}
