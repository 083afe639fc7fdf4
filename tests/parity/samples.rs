//! Each rule finds what it is for, and leaves alone what is right.

use crate::compare::Comparison;
use crate::document::parse;
use crate::source::Crate;
use crate::surface::{Surface, surface};

const THEIRS: &str = r#"
pub mod net {
    pub use self::inner::Socket;
    mod inner {
        #[derive(Clone)]
        pub struct Socket;
        impl Socket {
            pub async fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {}
            pub fn close(self) {}
            pub(crate) fn secret(&self) {}
            #[doc(hidden)]
            pub fn hidden(&self) {}
            wrap! {
                #[cfg(unix)]
                pub fn fd(&self) -> std::os::fd::RawFd {}
                #[cfg(windows)]
                pub fn handle(&self) -> u64 {}
            }
        }
        impl AsFd for Socket {}
    }
    pub struct Rare;
    impl Rare {
        pub fn method(&self) {}
    }
    pub fn look_up<P: AsRef<Path>>(path: P) -> io::Result<()> {}
    pub use std::io::Error;
}
"#;

const OURS: &str = r#"
pub mod net {
    pub type Socket = crate::io::Stream<crate::io::Tcp>;
    impl Socket {
        pub fn close(&self) {}
    }
    pub fn look_up(path: impl AsRef<std::path::Path>) -> Result<()> {}
    pub use std::io::Error;
    pub use tokio::net::Rare;
}
pub mod io {
    pub enum Tcp {}
    pub enum Unix {}
    #[derive(Clone)]
    pub struct Stream<K: Kind>(K);
    impl<K: Kind> Stream<K> {
        pub fn read(&mut self, buf: &mut [u8]) -> impl Future<Output = io::Result<usize>> {}
    }
    impl Stream<Unix> {
        pub fn fd(&self) -> RawFd {}
    }
}
"#;

/// Right for the two above.
const ROWS: [&str; 7] = [
    "| `Error` | `net::Error` | same | |",
    "| `Rare` | `net::Rare` | same | with the feature `tokio` |",
    "| `Socket` | `net::Socket` | same | no `AsFd` here |",
    "| `Socket::close` | `net::Socket::close` | differs | takes a reference |",
    "| `Socket::fd` | | absent | only the other kind has one |",
    "| `Socket::read` | `net::Socket::read` | same | |",
    "| `look_up` | `net::look_up` | same | |",
];

#[test]
fn nothing_is_found_where_all_is_right() {
    assert_eq!(complaints(&ROWS), Vec::<String>::new());
}

#[test]
fn each_rule_finds_something() {
    for (row, instead, expected) in [
        (6, "", "no row"),
        (6, ROWS[0], "has two rows"),
        (6, "| `look_down` | `net::look_up` | same | |", "no such item"),
        (6, "| `look_up` | `net::look_up` | ? | |", "same, differs or absent"),
        (6, "| `look_up` | `net::look_down` | same | |", "there is no `net::look_down`"),
        (6, "| `look_up` | `net::look_up` | differs | |", "needs to say how"),
        (6, "| `look_up` | | absent | for no good reason | |", "four columns"),
        (6, "| `look_up` | | absent | for no good reason |", "is not absent"),
        (4, "| `Socket::fd` | | absent | |", "needs a reason"),
        (4, "| `Socket::fd` | `net::Socket::fd` | same | |", "there is no `net::Socket::fd`"),
        (4, "| `Socket::fd` | `net::handle` | absent | it is elsewhere |", "only what there is"),
        (3, "| `Socket::close` | `net::Socket::close` | same | |", "here `fn(&self)`"),
        (2, "| `Socket` | `net::Socket` | same | |", "does not implement AsFd"),
        (2, "| `Socket` | `net::Socket` | same | no `AsFd`, no `Clone` |", "does implement Clone"),
        (1, "| `Rare` | `net::Rare` | same | |", "feature `tokio` only"),
        (0, "| `Rare::method` | `net::Rare::method` | same | |", "is covered"),
    ] {
        let mut rows = ROWS;
        rows[row] = instead;
        let found = complaints(&rows);
        assert!(found.iter().any(|what| what.contains(expected)), "{instead}: {found:?}");
    }
}

fn complaints(rows: &[&str]) -> Vec<String> {
    let (theirs, ours) = (sample(THEIRS), sample(OURS));
    let (sections, mut found) = parse(&format!("## `tokio::net`\n\n{}\n", rows.join("\n")));
    let all: Vec<_> = sections.iter().flat_map(|section| section.rows.clone()).collect();
    found.extend(Comparison::new(&theirs, &ours, all.iter()).complaints(&sections));
    found
}

fn sample(text: &str) -> Surface {
    surface(&Crate::of_text(text), &["net", "io"])
}
