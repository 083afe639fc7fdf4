#![deny(warnings)]

#[ringspun::main]
async fn main() {
    assert_eq!(async { 1 }.await, 1);
}
