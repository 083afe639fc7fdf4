#[ringspun::main(entries = "many")]
async fn main() {}
