#[ringspun::main(entries = 256, batch = 8, entries = 512)]
async fn main() {}
