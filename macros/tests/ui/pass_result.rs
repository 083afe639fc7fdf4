#![deny(warnings)]

use std::error::Error;

/// What neither `Send` nor `'static` may be asked of.
#[ringspun::main(batch = 8)]
#[allow(clippy::unnecessary_wraps)]
pub async fn main() -> Result<(), Box<dyn Error>> {
    let local = std::rc::Rc::new(std::cell::Cell::new(1));
    let borrowed = &local;
    async { borrowed.set("2".parse()?); Ok::<_, Box<dyn Error>>(()) }.await?;
    if local.get() == 3 {
        return Err("three".into());
    }
    let number: u32 = "4".parse()?;
    assert_eq!(number, 4);
    Ok(())
}
