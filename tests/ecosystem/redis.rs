//! The crate redis on our streams: against a server of a few lines, and against the real one if it
//! is installed.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, AsyncConnectionConfig, RedisConnectionInfo};
use ringspun::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream};
use ringspun::net::TcpStream;
use ringspun::task::CoreBound;

use crate::support::{block_on, listen, noise};

async fn connect(address: SocketAddr) -> MultiplexedConnection {
    let stream = TcpStream::connect(address).await.expect("a server");
    // A response timeout would need the runtime of tokio: `ringspun::time::timeout` does it.
    let config = AsyncConnectionConfig::new().set_response_timeout(None);
    let info = RedisConnectionInfo::default();
    let (connection, driver) =
        MultiplexedConnection::new_with_config(&info, CoreBound::new(stream), config)
            .await
            .expect("a connection");
    ringspun::spawn(driver);
    connection
}

/// SET and GET, values of all sizes, and many requests in flight on one connection.
async fn store_and_fetch(address: SocketAddr) {
    let mut connection = connect(address).await;
    for (number, len) in [0, 1, 1000, 1 << 20].into_iter().enumerate() {
        let sent = noise(len, number as u64);
        let _: () = connection.set("value", &sent).await.expect("stored");
        let received: Vec<u8> = connection.get("value").await.expect("fetched");
        assert!(received == sent, "other bytes came back, of {len}");
    }
    let missing: Option<String> = connection.get("no such key").await.expect("answered");
    assert_eq!(missing, None);
    let requests = (0..200).map(|number| {
        let mut connection = connection.clone();
        ringspun::spawn(async move {
            let key = format!("key {number}");
            let _: () = connection.set(&key, number).await.expect("stored");
            let received: u64 = connection.get(&key).await.expect("fetched");
            assert_eq!(received, number);
        })
    });
    for request in requests.collect::<Vec<_>>() {
        request.await.expect("no panic");
    }
    let timed_out = redis::cmd("BLPOP").arg("nothing").arg(0).to_owned();
    let mut other = connect(address).await;
    let waiting = timed_out.query_async::<()>(&mut other);
    ringspun::time::timeout(Duration::from_millis(5), waiting).await.expect_err("nothing comes");
}

/// One command: an array of bulk strings.
async fn command(stream: &mut BufStream<TcpStream>) -> std::io::Result<Vec<Vec<u8>>> {
    async fn number(stream: &mut BufStream<TcpStream>) -> std::io::Result<usize> {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let digits = line.get(1..).unwrap_or_default().trim_end();
        digits.parse().map_err(|_| std::io::ErrorKind::UnexpectedEof.into())
    }
    let mut words = Vec::new();
    for _ in 0..number(stream).await? {
        let mut word = vec![0; number(stream).await? + 2];
        stream.read_exact(&mut word).await?;
        word.truncate(word.len() - 2);
        words.push(word);
    }
    Ok(words)
}

async fn serve(stream: TcpStream) -> std::io::Result<()> {
    let mut stream = BufStream::new(stream);
    let mut values = HashMap::new();
    loop {
        let mut words = command(&mut stream).await?.into_iter();
        let (name, key) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        match &name[..] {
            b"SET" => {
                values.insert(key, words.next().unwrap_or_default());
                stream.write_all(b"+OK\r\n").await?;
            }
            b"GET" => match values.get(&key) {
                Some(value) => {
                    stream.write_all(format!("${}\r\n", value.len()).as_bytes()).await?;
                    stream.write_all(value).await?;
                    stream.write_all(b"\r\n").await?;
                }
                None => stream.write_all(b"$-1\r\n").await?,
            },
            b"BLPOP" => {}
            // What a client says of itself when it connects.
            _ => stream.write_all(b"+OK\r\n").await?,
        }
        stream.flush().await?;
    }
}

#[test]
fn against_a_server_of_a_few_lines() {
    block_on(async {
        let (listener, address) = listen().await;
        ringspun::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                ringspun::spawn(serve(stream));
            }
        });
        store_and_fetch(address).await;
    });
}

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `redis-server` on a free port; none if it is not installed.
fn real_server() -> Option<(Server, SocketAddr)> {
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = port.local_addr().expect("bound");
    drop(port);
    let child = Command::new("redis-server")
        .args(["--port", &address.port().to_string(), "--bind", "127.0.0.1"])
        .args(["--save", "", "--appendonly", "no"])
        .stdout(Stdio::null())
        .spawn();
    Some((Server(child.ok()?), address))
}

#[test]
fn against_the_real_server() {
    let Some((_server, address)) = real_server() else {
        println!("skipped: redis-server is not installed");
        return;
    };
    block_on(async {
        while TcpStream::connect(address).await.is_err() {
            ringspun::time::sleep(Duration::from_millis(10)).await;
        }
        store_and_fetch(address).await;
        let mut connection = connect(address).await;
        let _: () = connection.rpush("list", &["a", "b", "c"]).await.expect("stored");
        let list: Vec<String> = connection.lrange("list", 0, -1).await.expect("fetched");
        assert_eq!(list, ["a", "b", "c"]);
        let mut both = redis::pipe();
        both.atomic().incr("count", 2).incr("count", 40);
        let counts: (u64, u64) = both.query_async(&mut connection).await.expect("counted");
        assert_eq!(counts, (2, 42));
    });
}
