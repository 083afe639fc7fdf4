//! What stands in the brackets of the attribute: `name = expression`, separated by commas.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::spanned::Spanned;
use syn::{Error, Expr, ExprLit, Ident, Lit, LitStr, Path, Result, Token};

/// The methods of `ringspun::runtime::Builder` that can be called by name.
const KNOWN: [&str; 13] = [
    "cores",
    "pinned",
    "entries",
    "cq_entries",
    "name",
    "timer_slack",
    "blocking_threads",
    "blocking_keep_alive",
    "io_workers",
    "file_ops",
    "shutdown_timeout",
    "batch",
    "park",
];

/// The settings of one attribute. What is wrong with them is kept beside what is right, so that the
/// function is still generated and one mistake gives one error.
#[derive(Default)]
pub(crate) struct Settings {
    calls: Vec<(Ident, Expr)>,
    library: Option<Path>,
    pub(crate) errors: Vec<Error>,
}

impl Settings {
    pub(crate) fn parse(tokens: TokenStream) -> Settings {
        let mut settings = Settings::default();
        let mut seen: Vec<Ident> = Vec::new();
        let parser = |input: ParseStream<'_>| {
            while !input.is_empty() {
                let (name, value) = name_and_value(input)?;
                if seen.contains(&name) {
                    settings.errors.push(Error::new(name.span(), format!("`{name}` is set twice")));
                } else {
                    seen.push(name.clone());
                    settings.add(name, value);
                }
                if !input.is_empty() {
                    input.parse::<Token![,]>()?;
                }
            }
            Ok(())
        };
        if let Err(error) = parser.parse2(tokens) {
            settings.errors.push(error);
        }
        settings
    }

    fn add(&mut self, name: Ident, value: Expr) {
        if name == "crate" {
            match path_in(&value) {
                Ok(path) => self.library = Some(path),
                Err(error) => self.errors.push(error),
            }
        } else if KNOWN.iter().any(|known| name == known) {
            self.calls.push((name, value));
        } else {
            let known = KNOWN.join("`, `");
            let text = format!("unknown setting `{name}`; there are `{known}` and `crate`");
            self.errors.push(Error::new(name.span(), text));
        }
    }

    /// The expression that builds the runtime. Each call carries the span of its setting, so that a
    /// value of a wrong type is shown where it stands.
    pub(crate) fn build(&self) -> TokenStream {
        let library = match &self.library {
            Some(path) => quote!(#path),
            None => quote!(::ringspun),
        };
        let calls = self.calls.iter().map(|(name, value)| {
            let method = Ident::new(&name.to_string(), name.span());
            quote_spanned!(name.span()=> .#method(#value))
        });
        quote!(#library::runtime::Builder::new()#(#calls)*.build())
    }
}

fn name_and_value(input: ParseStream<'_>) -> Result<(Ident, Expr)> {
    let name = input
        .call(Ident::parse_any)
        .map_err(|error| Error::new(error.span(), "expected a setting, as in `entries = 256`"))?;
    if !input.peek(Token![=]) {
        let text = format!("`{name}` needs a value, as in `{name} = ..`");
        return Err(Error::new(name.span(), text));
    }
    let equals = input.parse::<Token![=]>()?;
    if input.is_empty() || input.peek(Token![,]) {
        let text = format!("`{name}` needs a value, as in `{name} = ..`");
        return Err(Error::new(equals.span(), text));
    }
    Ok((name, input.parse()?))
}

/// The path in `crate = "path"`; `crate = path` will do.
fn path_in(value: &Expr) -> Result<Path> {
    let refused =
        |span: Span| Error::new(span, "`crate` needs a path, as in `crate = \"my::path\"`");
    match value {
        Expr::Path(path) if path.qself.is_none() => Ok(path.path.clone()),
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => {
            LitStr::parse_with(text, Path::parse_mod_style).map_err(|_| refused(text.span()))
        }
        other => Err(refused(other.span())),
    }
}
