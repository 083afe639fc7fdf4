//! The attribute macros of `ringspun`: `#[ringspun::main]` and `#[ringspun::test]`.
//!
//! ```text
//!  #[ringspun::main(entries = 512)]          fn main() -> Result<(), Error> {
//!  async fn main() -> Result<(), Error> {        async fn body() -> Result<(), Error> { .. }
//!      ..                              ==>       match Builder::new().entries(512).build() {
//!  }                                                 Ok(runtime) => runtime.block_on(body()),
//!                                                    Err(error) => print it and exit with 1,
//!                                                }
//!                                            }
//! ```
//!
//! The body becomes an `async fn` of its own rather than an `async` block: so its return type is
//! known inside, `?` needs no hints, and the compiler's errors point at what the user wrote.
//!
//! Use them through `ringspun`, which re-exports them. Their documentation is written for there.

mod function;
mod settings;

use proc_macro::TokenStream;

use function::Kind;

/// Runs the `async fn` it stands on in a runtime, on the current thread.
///
/// With `cores` the runtime has several threads. The body runs once, on core 0, which is this
/// thread; `ringspun::runtime::Handle::current()` reaches the others.
///
/// The future needs neither `Send` nor `'static`. The return type stays: `Result` works with `?`,
/// as with a plain `main`. If the runtime cannot be built, the error goes to stderr as
/// `error: <text>` and the process exits with code 1.
///
/// ```ignore
/// #[ringspun::main]
/// async fn main() -> std::io::Result<()> {
///     Ok(())
/// }
/// ```
///
/// # Settings
///
/// Each setting of `ringspun::runtime::Builder` can be given by name. The value is any expression;
/// it goes to the builder's method of that name.
///
/// ```ignore
/// #[ringspun::main(entries = 512, name = "front", batch = 64)]
/// async fn main() {}
/// ```
///
/// | name | value |
/// |---|---|
/// | `cores`, `pinned` | how many, or which CPUs: `4`, `"all"`, `"0-3"`; and whether each keeps its own |
/// | `entries`, `cq_entries` | sizes of the submission and the completion queue |
/// | `name` | the runtime's name: that of its threads |
/// | `timer_slack` | `Duration` |
/// | `blocking_threads`, `blocking_keep_alive` | how many at most, and how long idle |
/// | `io_workers` | `(bounded, unbounded)` |
/// | `file_ops` | how many operations on files at a time |
/// | `shutdown_timeout` | `Duration` |
/// | `batch` | how many polls between two visits of the ring |
/// | `park` | `ringspun::runtime::Park` |
///
/// `crate = "path"` says where `ringspun` is, if it has another name or is re-exported.
///
/// # Errors
///
/// Does not compile on anything but an `async fn` without arguments and generics, nor with a
/// setting that is unknown or given twice.
#[proc_macro_attribute]
pub fn main(settings: TokenStream, item: TokenStream) -> TokenStream {
    function::expand(Kind::Main, settings.into(), item.into()).into()
}

/// Makes the `async fn` it stands on a test that runs in a runtime of its own.
///
/// Takes the settings of `#[ringspun::main]`. Other attributes stay: `#[ignore]` and
/// `#[should_panic]` do what they do on a plain test. The test may return a `Result`. If the
/// runtime cannot be built, the test panics with the error's text.
///
/// ```ignore
/// #[ringspun::test]
/// async fn adds() {
///     assert_eq!(async { 1 + 1 }.await, 2);
/// }
/// ```
///
/// # Errors
///
/// As `#[ringspun::main]`; also if `#[test]` stands on the function too.
#[proc_macro_attribute]
pub fn test(settings: TokenStream, item: TokenStream) -> TokenStream {
    function::expand(Kind::Test, settings.into(), item.into()).into()
}
