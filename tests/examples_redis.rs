//! `mini_redis` with the clients of Redis, and by hand where they are too well-behaved.

#[path = "examples/process.rs"]
mod process;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use process::{Running, connect, example, has_client};

fn server(arguments: &[&str]) -> (Running, String) {
    let mut command = example("mini_redis");
    command.args(["--listen", "127.0.0.1:0"]).args(arguments);
    Running::server(command, "mini redis on ")
}

fn port(address: &str) -> &str {
    address.rsplit(':').next().expect("a port")
}

/// Sends all and closes that direction; what the server answers.
fn answers(address: &str, requests: &[u8]) -> String {
    let mut stream = connect(address);
    stream.write_all(requests).expect("the server reads");
    stream.shutdown(Shutdown::Write).expect("connected");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("text");
    text
}

fn expect(stream: &mut TcpStream, request: &str, answer: &str) {
    stream.write_all(request.as_bytes()).expect("the server reads");
    let mut buf = vec![0; answer.len()];
    stream.read_exact(&mut buf).expect("an answer");
    assert_eq!(String::from_utf8_lossy(&buf), answer, "to {request:?}");
}

fn run(mut command: Command) -> String {
    let output = command.output().expect("the client starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn redis_cli_gets_what_redis_says() {
    if !has_client("redis-cli", "redis-tools") {
        return;
    }
    let (running, address) = server(&[]);
    let ask = |words: &[&str]| {
        let mut cli = Command::new("redis-cli");
        cli.args(["-p", port(&address)]).args(words);
        run(cli)
    };
    let conversation: &[(&[&str], &str)] = &[
        (&["PING"], "PONG\n"),
        (&["echo", "two words"], "two words\n"),
        (&["SET", "key", "value"], "OK\n"),
        (&["GET", "key"], "value\n"),
        (&["GET", "none"], "\n"),
        (&["SET", "key", "other", "NX"], "\n"),
        (&["SET", "none", "other", "XX"], "\n"),
        (&["SET", "key", "other", "XX", "EX", "100"], "OK\n"),
        (&["TTL", "key"], "100\n"),
        (&["TTL", "none"], "-2\n"),
        (&["INCR", "count"], "1\n"),
        (&["INCR", "count"], "2\n"),
        (&["DECR", "count"], "1\n"),
        (&["TTL", "count"], "-1\n"),
        (&["EXPIRE", "count", "50"], "1\n"),
        (&["INCR", "count"], "2\n"),
        (&["TTL", "count"], "50\n"),
        (&["EXPIRE", "none", "50"], "0\n"),
        (&["MSET", "a", "1", "b", "2"], "OK\n"),
        (&["MGET", "a", "none", "b"], "1\n\n2\n"),
        (&["RPUSH", "list", "b", "c"], "2\n"),
        (&["LPUSH", "list", "a"], "3\n"),
        (&["LRANGE", "list", "0", "-1"], "a\nb\nc\n"),
        (&["LLEN", "list"], "3\n"),
        (&["LPOP", "list"], "a\n"),
        (&["LPOP", "list", "5"], "b\nc\n"),
        (&["EXISTS", "list", "a", "a"], "2\n"),
        (&["KEYS", "?"], "in any order"),
        (&["DEL", "a", "b", "none"], "2\n"),
        (&["SELECT", "0"], "OK\n"),
        (&["CONFIG", "GET", "save"], "save\n\n"),
        (&["FLUSHALL"], "OK\n"),
        (&["KEYS", "*"], "\n"),
        (&["QUIT"], "OK\n"),
    ];
    for (words, answer) in conversation {
        let said = ask(words);
        if words == &["KEYS", "?"] {
            assert!(said == "a\nb\n" || said == "b\na\n", "{said}");
        } else {
            assert_eq!(said, *answer, "to {words:?}");
        }
    }
    let ended = running.interrupt();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(ended.stdout.contains("clients, "), "{}", ended.stdout);
}

#[test]
fn redis_benchmark_runs_pipelined_and_not() {
    if !has_client("redis-benchmark", "redis-tools") {
        return;
    }
    let (_running, address) = server(&[]);
    for pipeline in ["1", "16"] {
        let tests = "ping_inline,ping_mbulk,set,get,incr,lpush,rpush,lpop,rpop,lrange_100,mset";
        let mut benchmark = Command::new("timeout");
        benchmark.args(["120", "redis-benchmark", "-p", port(&address), "-n", "2000", "-c", "20"]);
        benchmark.args(["-r", "100", "-e", "--csv", "-P", pipeline, "-t", tests]);
        let said = run(benchmark);
        for name in ["PING_INLINE", "GET", "LRANGE_100", "MSET"] {
            assert!(said.contains(name), "no {name} in {said}");
        }
        assert!(!said.contains("ERR"), "{said}");
    }
}

#[test]
fn errors_are_those_of_redis() {
    let (_running, address) = server(&["--max-command", "1"]);
    let mut stream = connect(&address);
    let wrong_type = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";
    let not_an_integer = "-ERR value is not an integer or out of range\r\n";
    expect(&mut stream, "SET t text\r\nRPUSH l 1\r\n", "+OK\r\n:1\r\n");
    let unknown = "-ERR unknown command 'FLY', with args beginning with: 'to' 'the moon' \r\n";
    expect(&mut stream, "FLY to 'the moon'\r\n", unknown);
    let few = "-ERR wrong number of arguments for 'get' command\r\n";
    expect(&mut stream, "GET\r\n", few);
    expect(&mut stream, "gEt a b\r\n", few);
    expect(&mut stream, "MSET a 1 b\r\n", "-ERR wrong number of arguments for 'mset' command\r\n");
    expect(&mut stream, "LPUSH t 1\r\n", wrong_type);
    expect(&mut stream, "GET l\r\n", wrong_type);
    expect(&mut stream, "INCR t\r\n", not_an_integer);
    expect(&mut stream, "SET big 9223372036854775807\r\n", "+OK\r\n");
    expect(&mut stream, "INCR big\r\n", "-ERR increment or decrement would overflow\r\n");
    expect(&mut stream, "SET t x NX XX\r\n", "-ERR syntax error\r\n");
    expect(&mut stream, "SET t x EX\r\n", "-ERR syntax error\r\n");
    expect(&mut stream, "SET t x EX soon\r\n", not_an_integer);
    expect(&mut stream, "SET t x EX 0\r\n", "-ERR invalid expire time in 'set' command\r\n");
    let never = "EXPIRE t 9223372036854775807\r\n";
    expect(&mut stream, never, "-ERR invalid expire time in 'expire' command\r\n");
    let positive = "-ERR value is out of range, must be positive\r\n";
    expect(&mut stream, "LPOP l -1\r\n", positive);
    expect(&mut stream, "SELECT 7\r\n", "-ERR DB index is out of range\r\n");
    // None of it has done anything.
    expect(&mut stream, "GET t\r\nLLEN l\r\n", "$4\r\ntext\r\n:1\r\n");
}

#[test]
fn what_cannot_be_understood_ends_the_connection() {
    let (_running, address) = server(&["--max-command", "1"]);
    // What came before is answered, what comes after is not.
    let said = answers(&address, b"PING\r\n*1\r\nPING\r\nPING\r\n");
    assert_eq!(said, "+PONG\r\n-ERR Protocol error: expected '$', got 'P'\r\n");
    let said = answers(&address, b"*1\r\n$1048577\r\n");
    assert_eq!(said, "-ERR Protocol error: invalid bulk length\r\n");
    let said = answers(&address, b"PING\r\nQUIT\r\nPING\r\n");
    assert_eq!(said, "+PONG\r\n+OK\r\n");
    // The others do not notice.
    expect(&mut connect(&address), "PING\r\n", "+PONG\r\n");
}

#[test]
fn requests_cut_at_every_byte_are_answered() {
    let (_running, address) = server(&[]);
    let requests = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\na\r\nb\n\r\nGET k\r\n*1\r\n$4\r\nPING\r\n";
    let expected = "+OK\r\n$5\r\na\r\nb\n\r\n+PONG\r\n";
    let mut clients = Vec::new();
    for cut in 1..requests.len() {
        let mut stream = connect(&address);
        stream.set_nodelay(true).expect("TCP");
        stream.write_all(&requests[..cut]).expect("the server reads");
        clients.push((stream, cut));
    }
    // All of them wait now, in the middle.
    std::thread::sleep(Duration::from_millis(50));
    for (stream, cut) in &mut clients {
        stream.write_all(&requests[*cut..]).expect("the server reads");
        let mut answer = vec![0; expected.len()];
        stream.read_exact(&mut answer).expect("all answers");
        assert_eq!(String::from_utf8_lossy(&answer), expected, "cut at {cut}");
    }
}

/// 100 000 commands in one stream, whose answers nobody reads before all are sent: the server must
/// not wait for ever, nor hold them all.
#[test]
fn long_pipeline() {
    const COUNT: usize = 100_000;
    let (_running, address) = server(&[]);
    let mut stream = connect(&address);
    let mut writer = stream.try_clone().expect("a duplicate");
    let sending = std::thread::spawn(move || {
        writer.write_all("INCR n\r\n".repeat(COUNT).as_bytes()).expect("the server reads");
        writer.shutdown(Shutdown::Write).expect("connected");
    });
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("text");
    sending.join().expect("sent");
    let expected = (1..=COUNT).map(|n| format!(":{n}\r\n")).collect::<String>();
    assert!(text == expected, "all of them, in order");
}

#[test]
fn keys_expire_by_timer() {
    let (_running, address) = server(&[]);
    let mut stream = connect(&address);
    let started = Instant::now();
    expect(&mut stream, "SET short x PX 100\r\nSET long x EX 1000\r\n", "+OK\r\n+OK\r\n");
    // Written anew: it does not expire any more, and its old timer must not remove it.
    expect(&mut stream, "SET kept x PX 100\r\nSET kept y\r\n", "+OK\r\n+OK\r\n");
    expect(&mut stream, "SET later x PX 100\r\nEXPIRE later 1000\r\n", "+OK\r\n:1\r\n");
    while started.elapsed() < Duration::from_secs(60) {
        stream.write_all(b"EXISTS short\r\n").expect("the server reads");
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).expect("an answer");
        if &answer == b":0\r\n" {
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(started.elapsed() >= Duration::from_millis(100));
    expect(&mut stream, "EXISTS short long kept later\r\n", ":3\r\n");
    expect(&mut stream, "TTL kept\r\nEXPIRE kept -1\r\nEXISTS kept\r\n", ":-1\r\n:1\r\n:0\r\n");
}

#[test]
fn clients_that_are_too_many_are_turned_away() {
    let (_running, address) = server(&["--max-clients", "1"]);
    let mut first = connect(&address);
    expect(&mut first, "PING\r\n", "+PONG\r\n");
    let mut said = String::new();
    let _ = connect(&address).read_to_string(&mut said);
    assert_eq!(said, "-ERR max number of clients reached\r\n");
    expect(&mut first, "PING\r\n", "+PONG\r\n");
}
