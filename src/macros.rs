//! `println!` and its kin, through the ring.

/// As [`std::print!`], but asynchronous: writes to standard output through the ring. A full pipe
/// parks the task, not the core.
///
/// The text is formatted at once; the future borrows nothing and gives `io::Result<()>`. Nothing is
/// written until it is awaited. See [`AsyncWriter::print`](crate::uring::AsyncWriter::print).
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// let runtime = ringspun::runtime::Runtime::new()?;
/// runtime.block_on(async { ringspun::print!("x is {}", 1).await })?;
/// # Ok(())
/// # }
/// ```
#[macro_export]
macro_rules! print {
    ($($text:tt)+) => {
        $crate::uring::print_stdout(::core::format_args!($($text)+))
    };
}

/// As [`std::println!`], but asynchronous: writes to standard output through the ring. A full pipe
/// parks the task, not the core.
///
/// The text is formatted at once; the future borrows nothing and gives `io::Result<()>`. Nothing is
/// written until it is awaited. See [`AsyncWriter::print`](crate::uring::AsyncWriter::print).
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// let runtime = ringspun::runtime::Runtime::new()?;
/// runtime.block_on(async { ringspun::println!("x is {}", 1).await })?;
/// # Ok(())
/// # }
/// ```
#[macro_export]
macro_rules! println {
    () => {
        $crate::uring::print_stdout(::core::format_args!("\n"))
    };
    ($($text:tt)+) => {
        $crate::uring::print_stdout(::core::format_args!(
            "{}\n",
            ::core::format_args!($($text)+)
        ))
    };
}

/// As [`std::eprint!`], but asynchronous: writes to standard error through the ring. A full pipe
/// parks the task, not the core.
///
/// The text is formatted at once; the future borrows nothing and gives `io::Result<()>`. Nothing is
/// written until it is awaited. See [`AsyncWriter::print`](crate::uring::AsyncWriter::print).
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// let runtime = ringspun::runtime::Runtime::new()?;
/// runtime.block_on(async { ringspun::eprint!("x is {}", 1).await })?;
/// # Ok(())
/// # }
/// ```
#[macro_export]
macro_rules! eprint {
    ($($text:tt)+) => {
        $crate::uring::print_stderr(::core::format_args!($($text)+))
    };
}

/// As [`std::eprintln!`], but asynchronous: writes to standard error through the ring. A full pipe
/// parks the task, not the core.
///
/// The text is formatted at once; the future borrows nothing and gives `io::Result<()>`. Nothing is
/// written until it is awaited. See [`AsyncWriter::print`](crate::uring::AsyncWriter::print).
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// let runtime = ringspun::runtime::Runtime::new()?;
/// runtime.block_on(async { ringspun::eprintln!("x is {}", 1).await })?;
/// # Ok(())
/// # }
/// ```
#[macro_export]
macro_rules! eprintln {
    () => {
        $crate::uring::print_stderr(::core::format_args!("\n"))
    };
    ($($text:tt)+) => {
        $crate::uring::print_stderr(::core::format_args!(
            "{}\n",
            ::core::format_args!($($text)+)
        ))
    };
}
