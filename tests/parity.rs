//! `docs/tokio-parity.md` against tokio's sources and ours: each public item of the modules below
//! has one row there, and what the row says is true as far as sources can tell.
//!
//! `RINGSPUN_PARITY=write cargo test --test parity` adds the rows that are missing, with what can
//! be seen of them and the status `?`, which the test refuses: a person decides. Rows without an
//! item go, texts stay.

#[path = "parity/compare.rs"]
mod compare;
#[path = "parity/document.rs"]
mod document;
#[path = "parity/samples.rs"]
mod samples;
#[path = "parity/signature.rs"]
mod signature;
#[path = "parity/source.rs"]
mod source;
#[path = "parity/surface.rs"]
mod surface;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use compare::Comparison;
use source::Crate;
use surface::{Surface, surface};

/// The modules of tokio that are compared.
const THEIRS: [&str; 7] = ["fs", "io", "net", "process", "signal", "task", "time"];

/// Ours in which the same may be found.
const OURS: [&str; 12] = [
    "blocking", "fs", "io", "net", "op", "pipe", "process", "runtime", "signal", "stdio", "task",
    "time",
];

#[test]
fn each_item_of_tokio_has_a_true_row() {
    let document = root().join("docs/tokio-parity.md");
    let text = fs::read_to_string(&document).unwrap_or_default();
    let (theirs, ours) = (tokio(), ringspun());
    let (sections, mut complaints) = document::parse(&text);
    let rows: Vec<_> = sections.iter().flat_map(|section| section.rows.clone()).collect();
    let comparison = Comparison::new(&theirs, &ours, rows.iter());
    if std::env::var("RINGSPUN_PARITY").is_ok_and(|wish| wish == "write") {
        let text = document::print(&comparison.filled_in(sections));
        fs::write(&document, text).expect("the document can be written");
        return;
    }
    complaints.extend(comparison.complaints(&sections));
    complaints.sort();
    assert!(
        complaints.is_empty(),
        "docs/tokio-parity.md, line: what ({} in all)\n{}\n\nRINGSPUN_PARITY=write adds what is \
         missing; a row says `same`, `differs` (and how) or `absent` (and why)",
        complaints.len(),
        complaints.join("\n"),
    );
}

#[test]
fn the_document_is_as_it_would_be_written() {
    let text = fs::read_to_string(root().join("docs/tokio-parity.md")).expect("there is one");
    let (sections, _) = document::parse(&text);
    assert!(document::print(&sections) == text, "RINGSPUN_PARITY=write puts it in order");
}

/// What the reading of sources rests on, by examples of tokio that will stay.
#[test]
fn sources_are_read_as_the_compiler_does() {
    let tokio = tokio();
    for path in [
        "net::TcpStream::connect",
        "net::unix::pipe::Sender::try_write",
        "io::AsyncReadExt::read_u16_le",
        "io::unix::AsyncFd::readable",
        "io::Interest::READABLE",
        "fs::File::create_new",
        "task::JoinSet::join_next",
        "time::MissedTickBehavior::Burst",
        "signal::unix::SignalKind::hangup",
        "process::Child::wait",
    ] {
        assert!(tokio.contains_key(path), "`{path}` was not found in tokio");
    }
    for path in [
        "net::windows::named_pipe",
        "signal::windows::CtrlC",
        "fs::symlink_dir",
        "process::Command::raw_arg",
        "io::unix::AsyncFdTryNewError",
        "task::Builder",
        "io::PollEvented",
    ] {
        assert!(!tokio.contains_key(path), "`{path}` is not public on Linux");
    }
    let connect = format!("{:?}", tokio["net::TcpStream::connect"]);
    assert!(connect.contains("async fn(impl ToSocketAddrs) -> Result<Self>"), "{connect}");
}

fn tokio() -> Surface {
    surface(&Crate::read(&tokio_folder().join("src"), Some("macros/cfg.rs")), &THEIRS)
}

fn ringspun() -> Surface {
    surface(&Crate::read(&root().join("src"), None), &OURS)
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Where cargo has the sources of the tokio that `Cargo.lock` names.
fn tokio_folder() -> PathBuf {
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--locked", "--format-version=1", "--filter-platform", &platform])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    let packages = metadata["packages"].as_array().expect("there are packages");
    let tokio = packages.iter().find(|package| package["name"] == "tokio");
    let manifest = tokio.and_then(|tokio| tokio["manifest_path"].as_str());
    let manifest = Path::new(manifest.expect("tokio is a dev-dependency"));
    manifest.parent().expect("a file stands in a folder").to_owned()
}
