//! The function the attribute stands on: what it must be, and what becomes of it.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{Attribute, Error, FnArg, Result, ReturnType, Safety, Signature, Visibility};

use crate::settings::Settings;

/// Which of the two attributes it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Main,
    Test,
}

impl Kind {
    fn attribute(self) -> &'static str {
        match self {
            Kind::Main => "#[ringspun::main]",
            Kind::Test => "#[ringspun::test]",
        }
    }
}

/// A function whose body is left as it was written: so even a half-written one keeps its spans and
/// its completions in an editor.
struct Function {
    attributes: Vec<Attribute>,
    visibility: Visibility,
    signature: Signature,
    body: Group,
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> Result<Function> {
        let attributes = input.call(Attribute::parse_outer)?;
        let visibility = input.parse()?;
        let signature = input.parse()?;
        match input.parse()? {
            TokenTree::Group(body) if body.delimiter() == Delimiter::Brace => {
                Ok(Function { attributes, visibility, signature, body })
            }
            other => Err(Error::new(other.span(), "expected the body of the function")),
        }
    }
}

pub(crate) fn expand(kind: Kind, settings: TokenStream, item: TokenStream) -> TokenStream {
    let settings = Settings::parse(settings);
    let mut errors: TokenStream = settings.errors.iter().map(Error::to_compile_error).collect();
    let function: Function = match syn::parse2(item.clone()) {
        Ok(function) => function,
        Err(error) => {
            let text = format!("`{}` stands on an `async fn`: {error}", kind.attribute());
            errors.extend(Error::new(error.span(), text).to_compile_error());
            errors.extend(item);
            return errors;
        }
    };
    let wrong = mistakes(kind, &function);
    if wrong.is_empty() {
        errors.extend(generate(kind, &settings, &function));
        return errors;
    }
    errors.extend(wrong.iter().map(Error::to_compile_error));
    errors.extend(stand_in(&function));
    errors
}

/// What is wrong with the function, each at its place.
fn mistakes(kind: Kind, function: &Function) -> Vec<Error> {
    let signature = &function.signature;
    let attribute = kind.attribute();
    let mut wrong = Vec::new();
    let mut refuse = |at: &dyn ToTokens, text: String| wrong.push(Error::new_spanned(at, text));
    if signature.asyncness.is_none() {
        let text = format!("`{attribute}` stands on an `async fn`: write `async fn`");
        refuse(&signature.fn_token, text);
    }
    if let Safety::Unsafe(unsafety) = &signature.safety {
        refuse(unsafety, format!("the function under `{attribute}` cannot be `unsafe`"));
    }
    if !signature.generics.params.is_empty() {
        let text = format!("the function under `{attribute}` cannot be generic");
        refuse(&signature.generics, text);
    }
    match signature.inputs.first() {
        Some(FnArg::Receiver(receiver)) => {
            let text = format!("the function under `{attribute}` cannot take `self`");
            refuse(receiver, text);
        }
        Some(FnArg::Typed(_)) => {
            let text = format!("the function under `{attribute}` cannot take arguments");
            refuse(&signature.inputs, text);
        }
        None => {}
    }
    if kind == Kind::Test
        && let Some(second) = function.attributes.iter().find(|other| other.path().is_ident("test"))
    {
        let text = format!("`{attribute}` makes it a test already: remove `#[test]`");
        refuse(second, text);
    }
    wrong
}

fn generate(kind: Kind, settings: &Settings, function: &Function) -> TokenStream {
    let Function { attributes, visibility, signature, body } = function;
    let Signature { ident, output, generics, .. } = signature;
    let where_clause = &generics.where_clause;
    let test = match kind {
        Kind::Main => None,
        Kind::Test => Some(quote!(#[::core::prelude::v1::test])),
    };
    let build = settings.build();
    // `mixed_site`: the names of these variables cannot meet the user's.
    let runtime = Ident::new("runtime", Span::mixed_site());
    let error = Ident::new("error", Span::mixed_site());
    let not_built = match kind {
        Kind::Main => quote! {{
            ::std::eprintln!("error: {}", #error);
            ::std::process::exit(1)
        }},
        Kind::Test => {
            quote!(::core::panic!("the runtime of this test cannot be built: {}", #error))
        }
    };
    // The error of a wrong return type should point at the type, or at the body if there is none.
    let run = quote_spanned! {output_span(output, body)=>
        #runtime.block_on(__ringspun_body())
    };
    quote! {
        #(#attributes)*
        #test
        #visibility fn #ident() #output #where_clause {
            async fn __ringspun_body() #output #body
            match #build {
                ::core::result::Result::Ok(#runtime) => #run,
                ::core::result::Result::Err(#error) => #not_built,
            }
        }
    }
}

fn output_span(output: &ReturnType, body: &Group) -> Span {
    match output {
        ReturnType::Default => body.span(),
        ReturnType::Type(_, of) => of.span(),
    }
}

/// An empty function of the same name, so that a mistake does not also cause "no `main` function".
fn stand_in(function: &Function) -> TokenStream {
    let Function { visibility, signature: Signature { ident, output, .. }, .. } = function;
    quote! {
        #[allow(missing_docs, dead_code)]
        #visibility fn #ident() #output { ::core::unreachable!() }
    }
}
