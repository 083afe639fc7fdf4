//! Child processes, as [`tokio::process`] has them.
//!
//! ```text
//!  Command --spawn--> Child { stdin, stdout, stderr: ends of pipes }
//!                       |
//!                     wait: a poll of its pidfd through the ring, then its status
//!                       |
//!                     dropped too early: the poll stays, and reaps it
//! ```
//!
//! Spawning happens at the call, on this core: a `vfork` and an `exec` by std,
//! during which the core does nothing else. With `pre_exec`, `uid`, `gid` or the like std may take
//! the way by `fork`, which costs more the more memory the process has mapped. Where that matters,
//! spawn inside [`spawn_blocking`](crate::spawn_blocking) and take it over by [`Child::from_std`].
//!
//! # Examples
//!
//! ```
//! use ringspun::process::Command;
//!
//! # fn main() -> std::io::Result<()> {
//! # ringspun::runtime::Runtime::new()?.block_on(async {
//! let output = Command::new("echo").arg("hello").output().await?;
//! assert!(output.status.success());
//! assert_eq!(output.stdout, b"hello\n");
//! # Ok(())
//! # })
//! # }
//! ```
//!
//! Talking to a child:
//!
//! ```
//! use std::process::Stdio;
//!
//! use ringspun::process::Command;
//!
//! # fn main() -> std::io::Result<()> {
//! # ringspun::runtime::Runtime::new()?.block_on(async {
//! let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
//! let mut stdin = child.stdin.take().expect("it is piped");
//! stdin.write_all(b"meow").await?;
//! drop(stdin); // its end
//! let output = child.wait_with_output().await?;
//! assert_eq!(output.stdout, b"meow");
//! # Ok(())
//! # })
//! # }
//! ```
//!
//! [`tokio::process`]: https://docs.rs/tokio/latest/tokio/process/index.html

mod child;
mod command;
mod orphan;
mod pre_exec;

pub use self::child::{Child, ChildStderr, ChildStdin, ChildStdout};
pub use self::command::Command;
