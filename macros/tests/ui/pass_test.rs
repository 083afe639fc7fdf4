#![deny(warnings)]

/// The tests are compiled away here; `tests/macros.rs` runs them.
#[ringspun::test(entries = 8)]
#[ignore = "slow"]
async fn ignored() -> std::io::Result<()> {
    Ok(())
}

#[ringspun::main]
async fn main() {}
