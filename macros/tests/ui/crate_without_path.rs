#[ringspun::main(crate = 7)]
async fn main() {}

#[ringspun::main(crate = "not a path")]
async fn other() {}
