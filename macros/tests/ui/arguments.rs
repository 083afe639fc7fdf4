#[ringspun::main]
async fn main(name: String, count: u32) {}
