//! What of a function's signature is compared: `async`, the receiver, the types.
//!
//! Written so that equal things look equal: paths are cut to their last name, lifetimes and
//! `Send`, `Sync`, `Unpin` are left out, a type parameter is what its bounds say (`_` if nothing),
//! and the type that a method belongs to is `Self`.

use std::collections::BTreeMap;
use std::fmt;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{FnArg, GenericParam, Generics, ReturnType, WherePredicate};

/// Compared by what is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signature(String);

impl fmt::Display for Signature {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// How names are to be read: type parameters as their bounds, some types as others.
pub(crate) type Names = BTreeMap<String, String>;

impl Signature {
    /// `names` has what the surroundings know: the parameters of the impl, the type itself.
    pub(crate) fn of(signature: &syn::Signature, names: &Names) -> Signature {
        let mut names = names.clone();
        names.extend(parameters(&signature.generics));
        let mut inputs = Vec::new();
        for input in &signature.inputs {
            inputs.push(match input {
                FnArg::Receiver(receiver) => {
                    let mut receiver = receiver.clone();
                    receiver.mutability = None;
                    written(receiver.to_token_stream(), &names)
                }
                FnArg::Typed(input) => written(input.ty.to_token_stream(), &names),
            });
        }
        let output = match &signature.output {
            ReturnType::Default => "()".to_owned(),
            ReturnType::Type(_, output) => written(output.to_token_stream(), &names),
        };
        let future = output.strip_prefix("impl Future<Output=");
        let future = future.and_then(|rest| Some(rest[..rest.rfind('>')?].to_owned()));
        let is_async = signature.asyncness.is_some() || future.is_some();
        let output = future.unwrap_or(output);
        let start = if is_async { "async fn" } else { "fn" };
        let end = if output == "()" { String::new() } else { format!(" -> {output}") };
        Signature(format!("{start}({}){end}", inputs.join(", ")))
    }
}

/// The type parameters of an impl or a function, as `impl Bound`.
pub(crate) fn parameters(generics: &Generics) -> Names {
    let mut bounds: BTreeMap<String, Vec<TokenStream>> = BTreeMap::new();
    for parameter in &generics.params {
        if let GenericParam::Type(parameter) = parameter {
            let of = bounds.entry(parameter.ident.to_string()).or_default();
            of.extend(parameter.bounds.iter().map(ToTokens::to_token_stream));
        }
    }
    for predicate in generics.where_clause.iter().flat_map(|clause| &clause.predicates) {
        if let WherePredicate::Type(predicate) = predicate
            && let Some(of) = bounds.get_mut(&predicate.bounded_ty.to_token_stream().to_string())
        {
            of.extend(predicate.bounds.iter().map(ToTokens::to_token_stream));
        }
    }
    // Bounds may speak of other parameters: `I: IntoIterator<Item = S>`.
    let plain = as_bounds(&bounds, &Names::new());
    as_bounds(&bounds, &plain)
}

fn as_bounds(bounds: &BTreeMap<String, Vec<TokenStream>>, names: &Names) -> Names {
    let mut parameters = Names::new();
    for (name, bounds) in bounds {
        let bounds = bounds.iter().map(|bound| written(bound.clone(), names));
        let mut bounds: Vec<String> = bounds.filter(|bound| says(bound)).collect();
        bounds.sort();
        let read_as = match &bounds[..] {
            [] => "_".to_owned(),
            bounds => format!("impl {}", bounds.join("+")),
        };
        parameters.insert(name.clone(), read_as);
    }
    parameters
}

/// Whether a bound is one that is compared.
fn says(bound: &str) -> bool {
    !["", "Send", "Sync", "Unpin", "?Sized", "Sized"].contains(&bound)
}

/// Tokens as text, by the rules above.
pub(crate) fn written(tokens: TokenStream, names: &Names) -> String {
    let mut text = String::new();
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at] {
            // `std::io::Result` is `Result`.
            TokenTree::Ident(_) if is_path_step(&tokens[at + 1..]) => at += 3,
            TokenTree::Ident(name) => {
                let name = name.to_string();
                let read_as = names.get(&name);
                if text.ends_with(|last: char| last.is_alphanumeric()) {
                    text.push(' ');
                }
                text.push_str(read_as.unwrap_or(&name));
                at += 1;
                if read_as.is_some_and(|other| other == "Self") {
                    at += arguments(&tokens[at..]);
                }
            }
            TokenTree::Punct(mark) if mark.as_char() == '\'' => {
                at += 2;
                // `<'a, T>` and `dyn Error + 'static`
                if matches!(tokens.get(at), Some(TokenTree::Punct(next)) if next.as_char() == ',') {
                    at += 1;
                }
            }
            TokenTree::Punct(mark) => {
                text.push(mark.as_char());
                at += 1;
            }
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::None => ("", ""),
                };
                text.push_str(open);
                text.push_str(&written(group.stream(), names));
                text.push_str(close);
                at += 1;
            }
            TokenTree::Literal(literal) => {
                text.push_str(&literal.to_string());
                at += 1;
            }
        }
    }
    tidied(text)
}

fn tidied(mut text: String) -> String {
    for (from, to) in [
        ("<>", ""),
        ("+Send", ""),
        ("+Sync", ""),
        ("+Unpin", ""),
        ("+>", ">"),
        (",)", ")"),
        (",>", ">"),
    ] {
        text = text.replace(from, to);
    }
    text.trim_end_matches('+').to_owned()
}

/// Whether `::` and a name follow.
fn is_path_step(tokens: &[TokenTree]) -> bool {
    let is_colon =
        |token: &TokenTree| matches!(token, TokenTree::Punct(mark) if mark.as_char() == ':');
    match tokens {
        [first, second, TokenTree::Ident(_), ..] => is_colon(first) && is_colon(second),
        _ => false,
    }
}

/// How many tokens `<..>` at the front has.
fn arguments(tokens: &[TokenTree]) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Punct(mark) if mark.as_char() == '<' => depth += 1,
            TokenTree::Punct(mark) if mark.as_char() == '>' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return if at == 0 { 0 } else { at + 1 };
        }
    }
    0
}
