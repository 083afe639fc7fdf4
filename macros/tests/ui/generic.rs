#[ringspun::main]
async fn main<T: Default>() {}
