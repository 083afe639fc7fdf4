struct Server;

impl Server {
    #[ringspun::main]
    async fn run(&self) {}
}

fn main() {}
