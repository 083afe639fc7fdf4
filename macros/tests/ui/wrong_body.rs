#[ringspun::main]
async fn main() -> Result<(), std::io::Error> {
    let number: u32 = "text";
    number
}
