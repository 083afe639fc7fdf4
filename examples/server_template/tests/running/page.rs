//! The page in a real browser: Chromium without a window, spoken to by WebDriver.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::load::{After, Load};
use crate::process::{PATIENCE, connect, program, start};

/// A browser with one page, and the driver that leads it.
struct Browser {
    driver: Child,
    port: u16,
    session: String,
    _profile: tempfile::TempDir,
}

impl Browser {
    fn start(chromium: &str, driver: &str) -> Browser {
        let profile = tempfile::tempdir().expect("a folder");
        let mut driver = Command::new(driver)
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the driver starts");
        let mut lines = BufReader::new(driver.stdout.take().expect("piped")).lines();
        let port = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let rest = line.split("successfully on port ").nth(1)?;
            rest.trim_end_matches('.').parse().ok()
        });
        // What else it says is thrown away, so that it can say it.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        let mut browser = Browser {
            driver,
            port: port.expect("a port"),
            session: String::new(),
            _profile: profile,
        };
        let path = |name: &str| {
            let found = Command::new("sh").args(["-c", "command -v \"$0\"", name]).output();
            String::from_utf8_lossy(&found.expect("sh").stdout).trim().to_owned()
        };
        let profile = browser._profile.path().display();
        let options = json!({ "binary": path(chromium), "args": [
            "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--disable-dev-shm-usage", format!("--user-data-dir={profile}"),
        ]});
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome", "goog:chromeOptions": options,
        }}});
        let made = browser.post("/session", &wanted);
        let session = made["sessionId"].as_str().expect("a session");
        browser.session = format!("/session/{session}");
        browser
    }

    fn open(&self, url: &str) {
        self.post(&format!("{}/url", self.session), &json!({ "url": url }));
    }

    /// What this expression is in the page.
    fn see(&self, expression: &str) -> Value {
        let script = json!({ "script": format!("return {expression}"), "args": [] });
        self.post(&format!("{}/execute/sync", self.session), &script)
    }

    /// Looks until the expression is what it should be.
    fn wait_for(&self, expression: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let seen = self.see(expression);
            if is_so(&seen) {
                return seen;
            }
            assert!(Instant::now() < deadline, "{expression} is still {seen}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        self.ask("POST", path, &body.to_string())
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> Value {
        let mut stream = connect(([127, 0, 0, 1], self.port).into()).expect("the driver listens");
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .expect("it reads");
        // It keeps the connection, whatever it is told: the length says where the end is.
        let mut reader = BufReader::new(stream);
        let mut len = 0;
        loop {
            let mut line = String::new();
            assert!(reader.read_line(&mut line).expect("text") > 0, "no answer");
            let line = line.trim_end().to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                len = value.trim().parse().expect("a length");
            }
            if line.is_empty() {
                break;
            }
        }
        let mut json = vec![0; len];
        reader.read_exact(&mut json).expect("the whole of it");
        let answer: Value = serde_json::from_slice(&json).expect("JSON");
        assert!(answer["value"]["error"].is_null(), "{answer}");
        answer["value"].clone()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It ends the browser; the driver alone would leave it.
        if !self.session.is_empty() && !std::thread::panicking() {
            self.ask("DELETE", &self.session, "");
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

#[test]
fn the_page_shows_figures_that_live_and_says_when_the_server_is_gone() {
    let Some(chromium) = program(&["chromium", "chromium-browser"], "chromium") else { return };
    let Some(driver) = program(&["chromedriver"], "chromium-driver") else { return };
    let server = start(&["--cores", "2", "--drain-seconds", "1"]);
    let browser = Browser::start(chromium, driver);
    browser.open(&server.url);
    let text = |id: &str| format!("document.getElementById('{id}').textContent");
    browser.wait_for(&text("status"), |state| state == "live");
    let cores = "document.querySelectorAll('.core').length";
    assert_eq!(browser.see(cores), 2);
    // A load, and two looks.
    let load = Load::start(server.address(), 4, After::Ends);
    let requests = text("requests");
    let is_many = |seen: &Value| seen.as_str().is_some_and(|text| text.len() > 2);
    let first = browser.wait_for(&requests, is_many);
    browser.wait_for(&requests, |seen| is_many(seen) && *seen != first);
    let points = "document.querySelector('[data-line=requests] polyline').getAttribute('points')";
    browser.wait_for(points, |points| points.as_str().is_some_and(|text| text.len() > 10));
    let log = format!("{}/se/log", browser.session);
    let log = browser.post(&log, &json!({ "type": "browser" }));
    assert_eq!(log.as_array().map_or(0, Vec::len), 0, "the browser complains: {log}");
    load.stop();
    assert!(load.count().failed.is_empty());
    server.terminate();
    browser.wait_for(&text("status"), |state| {
        state.as_str().is_some_and(|text| text.starts_with("connection lost"))
    });
}
