//! The page for a folder.

use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use ringspun::fs::{File, read_dir};

use crate::request::encode_bytes;

/// Links to all that is in the folder, but for what begins with a dot.
pub(crate) async fn page(folder: &File, path: &Path) -> io::Result<String> {
    // The folder that was opened, whatever its name means by now.
    let mut entries = read_dir(format!("/proc/self/fd/{}", folder.as_raw_fd())).await?;
    let mut names = Vec::new();
    while let Some(entry) = entries.next_entry().await? {
        let mut name = entry.file_name().as_bytes().to_vec();
        if name.starts_with(b".") {
            continue;
        }
        if entry.file_type().await.is_ok_and(|file_type| file_type.is_dir()) {
            name.push(b'/');
        }
        names.push(name);
    }
    names.sort();
    let is_top = path == Path::new(".");
    let title = if is_top { "/".to_owned() } else { escape(&format!("/{}", path.display())) };
    let mut page = format!("<!doctype html>\n<meta charset=\"utf-8\">\n<title>{title}</title>\n");
    page += &format!("<h1>{title}</h1>\n<ul>\n");
    if !is_top {
        page += "<li><a href=\"../\">../</a></li>\n";
    }
    for name in names {
        let shown = escape(&String::from_utf8_lossy(&name));
        // Encoded it has no quotes; `./` keeps a colon from being a scheme.
        page += &format!("<li><a href=\"./{}\">{shown}</a></li>\n", encode_bytes(&name));
    }
    page += "</ul>\n";
    Ok(page)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
