//! The profile for Docker lets the server do its work, and keeps other things from it.

use std::collections::BTreeSet;
use std::process::Command;

use seccompiler::{BpfMap, apply_filter, compile_from_json};
use serde_json::{Value, json};

use crate::process::{command, get, run};

/// `seccomp.json`, as seccompiler wants it.
fn filter() -> BpfMap {
    let profile: Value = serde_json::from_str(include_str!("../../seccomp.json")).expect("JSON");
    assert_eq!(profile["defaultAction"], "SCMP_ACT_ERRNO");
    let mut rules = Vec::new();
    let known = known_names();
    for group in profile["syscalls"].as_array().expect("a list") {
        assert_eq!(group["action"], "SCMP_ACT_ALLOW");
        for name in group["names"].as_array().expect("a list") {
            // An architecture has not all of them.
            if !known.contains(name.as_str().expect("a name")) {
                continue;
            }
            let mut rule = json!({ "syscall": name });
            if let Some(arguments) = group["args"].as_array() {
                let conditions = arguments.iter().map(|argument| {
                    assert_eq!(argument["op"], "SCMP_CMP_EQ");
                    json!({
                        "index": argument["index"], "type": "dword", "op": "eq",
                        "val": argument["value"],
                    })
                });
                rule["args"] = conditions.collect();
            }
            rules.push(rule);
        }
    }
    let text = json!({ "server": {
        "mismatch_action": { "errno": profile["defaultErrnoRet"] },
        "match_action": "allow",
        "filter": rules,
    }});
    let arch = std::env::consts::ARCH.try_into().expect("an architecture that it knows");
    compile_from_json(text.to_string().as_bytes(), arch).expect("a filter")
}

/// Those that seccompiler has a number for, found by asking.
fn known_names() -> BTreeSet<String> {
    let profile: Value = serde_json::from_str(include_str!("../../seccomp.json")).expect("JSON");
    let groups = profile["syscalls"].as_array().expect("a list");
    let names = groups.iter().flat_map(|group| group["names"].as_array().expect("a list"));
    let is_known = |name: &str| {
        let text = json!({ "one": {
            "mismatch_action": { "errno": 1 },
            "match_action": "allow",
            "filter": [{ "syscall": name }],
        }});
        let arch = std::env::consts::ARCH.try_into().expect("an architecture that it knows");
        compile_from_json(text.to_string().as_bytes(), arch).is_ok()
    };
    names.map(|name| name.as_str().expect("a name").to_owned()).filter(|n| is_known(n)).collect()
}

/// Under the filter: it is the thread's, and passes on to what the thread starts.
fn under_filter<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    let filters = filter();
    std::thread::scope(|scope| {
        let confined = scope.spawn(|| {
            apply_filter(&filters["server"]).expect("applied");
            work()
        });
        confined.join().expect("no panic")
    })
}

#[test]
fn the_server_works_under_the_profile() {
    let known = known_names();
    for name in ["io_uring_setup", "io_uring_enter", "io_uring_register", "read", "futex"] {
        assert!(known.contains(name), "{name}");
    }
    let server = under_filter(|| run(command(&["--cores", "2"])));
    for path in ["/hello", "/", "/metrics", "/metrics.json"] {
        assert!(get(server.address(), path).starts_with("HTTP/1.1 200 "), "{path}");
    }
    let ended = server.terminate();
    assert!(!ended.log.contains("Operation not permitted"), "{}", ended.log);
}

#[test]
fn the_profile_refuses_what_the_server_has_no_use_for() {
    // `mount` needs a right, too; `unshare` of a user namespace does not.
    let output = under_filter(|| Command::new("unshare").args(["--user", "true"]).output());
    assert!(!output.expect("it starts").status.success());
}
