#![deny(warnings)]

use ringspun::runtime;

#[runtime::main(entries = 8)]
async fn main() {
    // The macro's own names do not reach in here, nor these out.
    let (runtime, error) = (1, 2);
    assert_eq!(runtime + error, 3);
}
