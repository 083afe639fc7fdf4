//! Files and directories, with the names and signatures of `tokio::fs`.
//!
//! ```text
//!  File --- read_at, write_at: owned buffers, at offsets -----> an op of the ring
//!     +---- read, write, seek: borrowed slices, at a cursor --> a direct call, or an op and a copy
//!  functions by path -----------------------------------------> an op, or the blocking pool
//! ```
//!
//! Code written for `tokio::fs` moves over by its `use` lines; the extension traits need no import,
//! for what they offer is inherent here.
//!
//! # Who does what
//!
//! | call | how |
//! |---|---|
//! | [`File::open`], [`OpenOptions::open`] | `OPENAT` |
//! | [`File::read_at`], [`read_exact_at`](File::read_exact_at), [`read()`], [`read_to_string`] | `READ` into the caller's buffer |
//! | [`File::write_at`], [`write_all_at`](File::write_all_at) | `WRITE` from the caller's buffer |
//! | [`read_vectored_at`](File::read_vectored_at), [`write_vectored_at`](File::write_vectored_at) | `READV`, `WRITEV` |
//! | [`File::read`] and its kin | `preadv2(RWF_NOWAIT)` into the slice; what is not cached: `READ` and a copy |
//! | [`File::write`] and its kin, [`write()`] | a copy and `WRITE`; or [`pwritev2`](File::set_inline_writes) on this thread |
//! | [`File::seek`] | arithmetic; from the end: `STATX` |
//! | [`sync_all`](File::sync_all), [`sync_data`](File::sync_data), [`sync_range`](File::sync_range) | `FSYNC`, `SYNC_FILE_RANGE` |
//! | [`set_len`](File::set_len) | `FTRUNCATE`; before Linux 6.9 the pool |
//! | [`allocate`](File::allocate), [`advise`](File::advise) | `FALLOCATE`, `FADVISE` |
//! | [`close`](File::close) | `CLOSE` |
//! | [`metadata`], [`symlink_metadata`], [`try_exists`], [`File::metadata`] | `STATX` |
//! | [`rename`], [`remove_file`], [`remove_dir`] | `RENAMEAT`, `UNLINKAT` |
//! | [`create_dir`], [`create_dir_all`], [`hard_link`], [`symlink`] | `MKDIRAT`, `LINKAT`, `SYMLINKAT`; before Linux 5.15 the pool |
//! | [`read_dir`] | the pool, 256 entries at a time |
//! | [`copy`] | the pool (`copy_file_range`), 8 MiB at a time |
//! | [`canonicalize`], [`read_link`], [`remove_dir_all`], [`write_atomic`] | the pool |
//! | [`set_permissions`], [`set_times`](File::set_times) | the pool |
//!
//! "The pool" is that of [`blocking`](crate::blocking): capped threads. An op that the page cache
//! cannot serve runs in a kernel worker or by the disk's interrupt, never on the core.
//!
//! A file is no socket, and has nothing of one: its ops may need a worker and cannot be stopped
//! there, those of sockets wait for readiness and can ([`Class`](crate::op::Class)).
//!
//! ```compile_fail,E0599
//! async fn as_a_socket(file: ringspun::fs::File) {
//!     file.set_nodelay(true);
//! }
//! ```
//!
//! # Where it differs from tokio
//!
//! - [`File`] is not `Send`: it belongs to its core. [`File::into_std`] takes it elsewhere.
//! - A [`write`](File::write) is done when its future is: there is no background write, and nothing
//!   that only [`flush`](File::flush) would tell.
//! - [`Metadata`] and [`FileType`] are types of this module with std's methods.
//! - Clones of a file share the cursor with each other, not with other processes.

mod at;
mod atomic;
mod borrowed;
mod cursor;
mod dirs;
mod file;
mod metadata;
mod names;
mod options;
mod pool;
mod read_dir;
mod whole;

pub use std::fs::{FileTimes, Permissions};

pub use self::at::TransferError;
pub use self::atomic::write_atomic;
pub use self::dirs::{DirBuilder, create_dir, create_dir_all, remove_dir, remove_dir_all};
pub use self::file::{Advice, File};
pub use self::metadata::{FileType, Metadata};
pub use self::names::{
    canonicalize, exists, hard_link, metadata, read_link, remove_file, rename, set_permissions,
    symlink, symlink_metadata, try_exists,
};
pub use self::options::OpenOptions;
pub use self::read_dir::{DirEntry, ReadDir, read_dir};
pub use self::whole::{copy, read, read_to_string, write};
