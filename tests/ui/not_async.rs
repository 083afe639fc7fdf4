#[ringspun::main]
fn main() {}
