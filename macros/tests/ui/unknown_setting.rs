#[ringspun::main(entires = 256, batch = 8)]
async fn main() {}
