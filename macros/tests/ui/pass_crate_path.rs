#![deny(warnings)]

mod renamed {
    pub mod deep {
        pub use ringspun::runtime;
    }
}

/// Hides the real one.
#[allow(non_camel_case_types, dead_code)]
struct ringspun;

#[renamed::deep::runtime::main(crate = "crate::renamed::deep", entries = 8)]
async fn main() {
    let _also_made = other as fn();
}

#[renamed::deep::runtime::main(crate = renamed::deep)]
async fn other() {}
