#[ringspun::main]
async fn main() -> Unknown {
    Unknown
}
