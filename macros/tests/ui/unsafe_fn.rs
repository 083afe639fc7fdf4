#[ringspun::main]
async unsafe fn main() {}
