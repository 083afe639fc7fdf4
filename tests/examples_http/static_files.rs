//! `static_files` with curl.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::process::{Running, example};
use crate::support::{after, answer, curl, curl_command, header, run};

/// Its address, a folder with `public` in it, which is served, and `secret` beside.
fn server() -> (Running, String, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let public = folder.path().join("public");
    fs::create_dir_all(public.join("sub/empty")).expect("a folder");
    fs::write(folder.path().join("secret"), "secret").expect("written");
    fs::write(public.join("hello.txt"), "hello, world").expect("written");
    fs::write(public.join("a \"b\" <c>.html"), "<p>odd").expect("written");
    fs::write(public.join("nothing"), "").expect("written");
    let mut command = example("static_files");
    command.arg(&public).args(["--addr", "127.0.0.1:0"]);
    let before = format!("files of {} on ", public.display());
    let (running, address) = Running::server(command, &before);
    (running, format!("http://{address}"), folder)
}

/// The head of the answer, and its body; None if there is no curl.
fn ask(arguments: &[&str]) -> Option<(String, Vec<u8>)> {
    let said = curl(&[&["--include"], arguments].concat())?;
    let (all, _) = said.body_and_status();
    let at = all.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 4;
    Some((String::from_utf8(all[..at].to_vec()).expect("text"), all[at..].to_vec()))
}

fn noise() -> Vec<u8> {
    (0..5_000_011_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

#[test]
fn files_with_their_types() {
    let (server, url, folder) = server();
    let big = noise();
    fs::write(folder.path().join("public/big.png"), &big).expect("written");
    let Some((head, body)) = ask(&[&format!("{url}/hello.txt")]) else { return };
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert_eq!(header(&head, "content-type").as_deref(), Some("text/plain"));
    assert_eq!(header(&head, "content-length").as_deref(), Some("12"));
    assert_eq!(header(&head, "accept-ranges").as_deref(), Some("bytes"));
    assert_eq!(body, b"hello, world");
    let (head, body) = ask(&[&format!("{url}/big.png")]).expect("curl");
    assert_eq!(header(&head, "content-type").as_deref(), Some("image/png"));
    assert!(body == big, "other bytes came");
    let (head, body) = ask(&[&format!("{url}/nothing")]).expect("curl");
    assert_eq!(header(&head, "content-length").as_deref(), Some("0"));
    assert!(body.is_empty());
    let (head, body) = ask(&["--head", &format!("{url}/big.png")]).expect("curl");
    assert_eq!(header(&head, "content-length"), Some(big.len().to_string()));
    assert!(body.is_empty());
    assert_eq!(answer(&[&format!("{url}/nowhere")]).expect("curl").1, "404");
    assert_eq!(answer(&["--data", "x", &format!("{url}/hello.txt")]).expect("curl").1, "405");
    assert_eq!(server.interrupt().code, 0);
}

#[test]
fn ranges() {
    let (_server, url, folder) = server();
    let big = noise();
    fs::write(folder.path().join("public/big"), &big).expect("written");
    let len = big.len();
    let big_url = format!("{url}/big");
    let cases = [
        ("0-0", 0..1),
        ("5-99", 5..100),
        ("131071-131073", 131_071..131_074),
        ("4000000-", 4_000_000..len),
        ("-7", len - 7..len),
        ("-99999999", 0..len),
        ("4999999-99999999999999999999999", 4_999_999..len),
    ];
    for (asked, range) in cases {
        let Some((head, body)) = ask(&["--range", asked, &big_url]) else { return };
        assert!(head.starts_with("HTTP/1.1 206"), "{asked}: {head}");
        let expected = format!("bytes {}-{}/{len}", range.start, range.end - 1);
        assert_eq!(header(&head, "content-range"), Some(expected), "{asked}");
        assert!(body == big[range], "{asked}: other bytes came");
    }
    for asked in ["5000011-", "-0", "99999999999999999999-"] {
        let (head, _) = ask(&["--range", asked, &big_url]).expect("curl");
        assert!(head.starts_with("HTTP/1.1 416"), "{asked}: {head}");
        assert_eq!(header(&head, "content-range"), Some(format!("bytes */{len}")));
    }
    // What is not understood is ignored.
    for asked in ["bytes=0-1,3-4", "bytes=3-1", "bytes=-", "bytes=x-", "lines=1-2"] {
        let range = format!("Range: {asked}");
        let (head, body) = ask(&["--header", &range, &big_url]).expect("curl");
        assert!(head.starts_with("HTTP/1.1 200") && body == big, "{asked}: {head}");
    }
    // A download that goes on where it was broken off.
    let target = folder.path().join("download");
    fs::write(&target, &big[..1_234_567]).expect("written");
    let path = target.to_str().expect("text");
    curl(&["--continue-at", "-", "--output", path, &big_url]).expect("curl");
    assert!(fs::read(&target).expect("downloaded") == big);
}

#[test]
fn conditions() {
    let (_server, url, folder) = server();
    let file = format!("{url}/hello.txt");
    let Some((head, _)) = ask(&[&file]) else { return };
    let etag = header(&head, "etag").expect("a tag");
    let modified = header(&head, "last-modified").expect("a date");
    let status = |conditions: &[&str]| {
        let headers = conditions.iter().flat_map(|condition| ["--header", condition]);
        answer(&[&headers.collect::<Vec<_>>()[..], &[&file]].concat()).expect("curl")
    };
    let not_modified = (String::new(), "304".to_owned());
    let whole = ("hello, world".to_owned(), "200".to_owned());
    let part = ("lo".to_owned(), "206".to_owned());
    assert_eq!(status(&[&format!("If-None-Match: {etag}")]), not_modified);
    assert_eq!(status(&[&format!("If-None-Match: \"x\", W/{etag}")]), not_modified);
    assert_eq!(status(&["If-None-Match: *"]), not_modified);
    assert_eq!(status(&[&format!("If-Modified-Since: {modified}")]), not_modified);
    assert_eq!(status(&["If-Modified-Since: Sat, 01 Jan 2000 00:00:00 GMT"]), whole);
    assert_eq!(status(&["If-Modified-Since: some day"]), whole);
    // A tag that differs counts more than a date.
    let since = format!("If-Modified-Since: {modified}");
    assert_eq!(status(&["If-None-Match: \"x\"", &since]), whole);
    assert_eq!(status(&["Range: bytes=3-4", &format!("If-Range: {etag}")]), part);
    assert_eq!(status(&["Range: bytes=3-4", &format!("If-Range: {modified}")]), part);
    assert_eq!(status(&["Range: bytes=3-4", "If-Range: \"x\""]), whole);
    fs::write(folder.path().join("public/hello.txt"), "something else").expect("written");
    assert_eq!(status(&[&format!("If-None-Match: {etag}")]).1, "200");
}

#[test]
fn folders() {
    let (_server, url, folder) = server();
    let Some((page, status)) = answer(&[&format!("{url}/")]) else { return };
    assert_eq!(status, "200");
    assert!(page.contains(r#"<a href="./hello.txt">hello.txt</a>"#), "{page}");
    assert!(page.contains(r#"<a href="./sub/">sub/</a>"#), "{page}");
    let odd = r#"<a href="./a%20%22b%22%20%3Cc%3E.html">a &quot;b&quot; &lt;c&gt;.html</a>"#;
    assert!(page.contains(odd), "{page}");
    let (page, _) = answer(&[&format!("{url}/a%20%22b%22%20%3Cc%3E.html")]).expect("curl");
    assert_eq!(page, "<p>odd");
    // With a slash at its end, so that relative links work.
    let (head, _) = ask(&[&format!("{url}/sub")]).expect("curl");
    assert!(head.starts_with("HTTP/1.1 301"), "{head}");
    assert_eq!(header(&head, "location").as_deref(), Some("/sub/"));
    // Never to another host.
    let (head, _) = ask(&["--path-as-is", &format!("{url}//sub")]).expect("curl");
    assert_eq!(header(&head, "location").as_deref(), Some("/sub/"));
    fs::write(folder.path().join("public/sub/index.html"), "<p>index").expect("written");
    let (head, body) = ask(&["--location", &format!("{url}/sub/")]).expect("curl");
    assert_eq!(header(&head, "content-type").as_deref(), Some("text/html"));
    assert_eq!(body, b"<p>index");
}

#[test]
fn no_way_leads_out() {
    let (_server, url, folder) = server();
    let public = folder.path().join("public");
    let link = |to: &Path, name: &str| {
        std::os::unix::fs::symlink(to, public.join(name)).expect("a link");
    };
    link(Path::new("../secret"), "relative");
    link(&folder.path().join("secret"), "absolute");
    link(folder.path(), "folder");
    link(Path::new("hello.txt"), "inside");
    let paths = [
        "/../secret",
        "/sub/../../secret",
        "/%2e%2e/secret",
        "/..%2fsecret",
        "/%2e%2e%2fsecret",
        "//../secret",
        "/%2f..%2fsecret",
        "/relative",
        "/absolute",
        "/folder/secret",
        "/folder/",
        "/..",
    ];
    for path in paths {
        let Some((body, status)) = answer(&["--path-as-is", &format!("{url}{path}")]) else {
            return;
        };
        assert_eq!(status, "403", "{path}");
        assert!(!body.contains("secret"), "{path}: {body}");
    }
    // Absolute paths begin at the folder.
    let etc = ["/etc/passwd", "//etc/passwd", "/%2fetc%2fpasswd"];
    for path in etc {
        let status = answer(&["--path-as-is", &format!("{url}{path}")]).expect("curl").1;
        assert_eq!(status, "404", "{path}");
    }
    assert_eq!(answer(&[&format!("{url}/hello.txt%00.png")]).expect("curl").1, "400");
    // What stays inside is fine.
    for path in ["/sub/../hello.txt", "/inside", "/./hello.txt"] {
        let (body, _) = answer(&["--path-as-is", &format!("{url}{path}")]).expect("curl");
        assert_eq!(body, "hello, world", "{path}");
    }
}

#[test]
fn a_client_that_reads_slowly_costs_little_memory() {
    let (server, url, folder) = server();
    let file = fs::File::create(folder.path().join("public/huge")).expect("a file");
    file.set_len(4 << 30).expect("a sparse file");
    let slowly = ["--limit-rate", "10M", "--output", "/dev/null", &format!("{url}/huge")];
    let Some(clients) = (0..20).map(|_| curl_command(&slowly)).collect::<Option<Vec<_>>>() else {
        return;
    };
    let mut slow: Vec<_> = clients
        .into_iter()
        .map(|mut curl| curl.stdout(Stdio::null()).spawn().expect("it starts"))
        .collect();
    // Enough has gone through that buffers would have grown if they did.
    let fast = ["--range", "0-1073741823", "--output", "/dev/null"];
    let said = curl(&[&fast[..], &[&format!("{url}/huge")]].concat());
    assert_eq!(said.expect("curl").text(), "|206");
    let status = fs::read_to_string(format!("/proc/{}/status", server.id())).expect("it runs");
    let peak = after(&status, "VmHWM:").trim().trim_end_matches(" kB");
    let peak = peak.parse::<u64>().expect("a number");
    for slow in &mut slow {
        slow.kill().expect("it runs");
        slow.wait().expect("it ends");
    }
    assert!(peak < 100 << 10, "{peak} KiB");
}

#[test]
fn what_is_neither_file_nor_folder() {
    let (server, url, folder) = server();
    let public = folder.path().join("public");
    let _socket = std::os::unix::net::UnixListener::bind(public.join("socket")).expect("a socket");
    let made = Command::new("mkfifo").arg(public.join("fifo")).status().expect("coreutils");
    assert!(made.success());
    let Some(command) = curl_command(&[&format!("{url}/fifo")]) else { return };
    let waiting = std::thread::spawn(move || run(command, b"").text());
    // The others need not wait for it.
    assert_eq!(answer(&[&format!("{url}/socket")]).expect("curl").1, "403");
    assert_eq!(answer(&[&format!("{url}/hello.txt")]).expect("curl").0, "hello, world");
    let said = waiting.join().expect("no panic");
    assert!(said.ends_with("|403"), "{said}");
    assert_eq!(server.interrupt().code, 0);
}

#[test]
fn a_folder_that_is_not_there() {
    let output = example("static_files").arg("/nowhere/at all").output().expect("it starts");
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.starts_with("error: /nowhere/at all: No such file"), "{errors}");
}
