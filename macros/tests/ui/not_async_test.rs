#[ringspun::test]
fn adds() {}

#[ringspun::test]
#[test]
async fn twice_a_test() {}

fn main() {}
