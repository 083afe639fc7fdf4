#![deny(warnings)]

#[ringspun::main]
async fn main() -> ! {
    std::process::exit(0)
}
