#[ringspun::main(batch)]
async fn main() {}

#[ringspun::main(entries(256))]
async fn called() {}

#[ringspun::main(entries =)]
async fn cut() {}

#[ringspun::main(256)]
async fn nameless() {}

#[ringspun::main(entries = 256 batch = 8)]
async fn no_comma() {}
