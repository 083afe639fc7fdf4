//! What a crate offers, by public path.

use std::collections::{BTreeMap, BTreeSet};

use quote::ToTokens;
use syn::punctuated::Punctuated;
use syn::{
    Attribute, GenericArgument, ImplItem, Item, ItemImpl, Path, PathArguments, Token, TraitItem,
    Type, TypePath, Visibility,
};

use crate::signature::{Names, Signature, parameters, written};
use crate::source::{Crate, Target, below, is_compiled, is_hidden};

/// Something public.
#[derive(Clone, Debug)]
pub(crate) enum Offered {
    /// With the traits that it implements.
    Type(BTreeSet<String>),
    Trait,
    Constant,
    Function(Signature),
    /// Another crate's: the path there.
    Foreign(String),
}

/// By path: `net::TcpStream`, `net::TcpStream::connect`.
pub(crate) type Surface = BTreeMap<String, Offered>;

/// All that the public modules named by `roots`, and those in them, offer.
pub(crate) fn surface(of: &Crate, roots: &[&str]) -> Surface {
    let mut surface = Surface::new();
    for root in roots {
        if of.modules.contains_key(*root) {
            module(of, root, root, &mut surface);
        }
    }
    surface
}

fn module(of: &Crate, path: &str, actual: &str, surface: &mut Surface) {
    let here = &of.modules[actual];
    for (name, _) in here.children.iter().filter(|(_, public)| **public) {
        let actual = below(actual, name);
        if of.modules.contains_key(&actual) {
            module(of, &below(path, name), &actual, surface);
        }
    }
    for (name, _) in here.declared.iter().filter(|(_, declared)| declared.public) {
        item(of, &below(path, name), actual, name, surface);
    }
    for (name, imported) in here.imported.iter().filter(|(_, imported)| imported.public) {
        let path = below(path, name);
        match of.resolve(actual, imported.path()) {
            Target::Module(actual) => module(of, &path, &actual, surface),
            Target::Item(module, name) => item(of, &path, &module, &name, surface),
            Target::Foreign(foreign) => {
                surface.insert(path, Offered::Foreign(foreign));
            }
        }
    }
}

fn item(of: &Crate, path: &str, module: &str, name: &str, surface: &mut Surface) {
    let offered = match &of.modules[module].declared[name].item {
        Item::Fn(item) => Offered::Function(Signature::of(&item.sig, &Names::new())),
        Item::Const(_) | Item::Static(_) => Offered::Constant,
        Item::Trait(item) => {
            trait_items(of, path, &item.items, surface);
            Offered::Trait
        }
        Item::Enum(item) => {
            for variant in &item.variants {
                surface.insert(below(path, &variant.ident.to_string()), Offered::Constant);
            }
            a_type(of, path, &Named::new(module, name), &item.attrs, surface)
        }
        Item::Struct(item) => a_type(of, path, &Named::new(module, name), &item.attrs, surface),
        Item::Type(item) => match aliased(of, module, name, &item.ty) {
            Some(named) => a_type(of, path, &named, &[], surface),
            None => Offered::Type(BTreeSet::new()),
        },
        _ => Offered::Type(BTreeSet::new()),
    };
    surface.insert(path.to_owned(), offered);
}

fn trait_items(of: &Crate, path: &str, items: &[TraitItem], surface: &mut Surface) {
    for item in items {
        let (attributes, name, offered) = match item {
            TraitItem::Fn(item) => {
                let signature = Signature::of(&item.sig, &Names::new());
                (&item.attrs, &item.sig.ident, Offered::Function(signature))
            }
            TraitItem::Const(item) => (&item.attrs, &item.ident, Offered::Constant),
            TraitItem::Type(item) => (&item.attrs, &item.ident, Offered::Type(BTreeSet::new())),
            TraitItem::Macro(item) => {
                trait_items(of, path, &of.opened::<TraitItem>(&item.mac), surface);
                continue;
            }
            _ => continue,
        };
        if is_compiled(attributes) && !is_hidden(attributes) {
            surface.insert(below(path, &name.to_string()), offered);
        }
    }
}

/// A type by where it is declared, maybe with arguments: `Stream<Tcp>`.
struct Named {
    module: String,
    name: String,
    /// The names of the aliases that led here.
    aliases: Vec<String>,
    arguments: Vec<String>,
}

impl Named {
    fn new(module: &str, name: &str) -> Named {
        let (module, name) = (module.to_owned(), name.to_owned());
        Named { module, name, aliases: Vec::new(), arguments: Vec::new() }
    }

    /// How names are to be read in an impl of it.
    fn names(&self, block: &ItemImpl) -> Names {
        let mut names = parameters(&block.generics);
        let own = self.aliases.iter().chain([&self.name]);
        names.extend(own.map(|name| (name.clone(), "Self".to_owned())));
        names
    }
}

/// What the alias `name` in `module` stands for. References are looked through: what `&mut T` has
/// is what `T` has.
fn aliased(of: &Crate, module: &str, name: &str, ty: &Type) -> Option<Named> {
    match ty {
        Type::Reference(reference) => aliased(of, module, name, &reference.elem),
        Type::Path(path) => {
            let Target::Item(module, original) = of.resolve(module, &names_of(&path.path)) else {
                return None;
            };
            let mut named = match &of.modules[&module].declared[&original].item {
                Item::Type(item) => aliased(of, &module, &original, &item.ty)?,
                _ => Named { arguments: arguments_of(path), ..Named::new(&module, &original) },
            };
            named.aliases.push(name.to_owned());
            Some(named)
        }
        _ => None,
    }
}

/// Adds the inherent methods and constants of a type, and gathers its traits.
fn a_type(
    of: &Crate,
    path: &str,
    named: &Named,
    attributes: &[Attribute],
    surface: &mut Surface,
) -> Offered {
    let declared = match &of.modules[&named.module].declared[&named.name].item {
        Item::Struct(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        _ => attributes,
    };
    let mut traits = derived(declared);
    for (module, block) in &of.impls {
        let Some(ty) = implementing(of, module, &block.self_ty) else { continue };
        if (&ty.module, &ty.name) != (&named.module, &named.name)
            || !fits(block, &ty.arguments, &named.arguments)
        {
            continue;
        }
        let names = named.names(block);
        match &block.trait_ {
            Some((implemented, _)) if is_public(of, module, implemented) => {
                let name = written(implemented.to_token_stream(), &names);
                traits.insert(name.replace("<Self>", ""));
            }
            Some(_) => {}
            None => impl_items(of, path, &block.items, &names, surface),
        }
    }
    Offered::Type(traits)
}

/// The type that an impl is for.
fn implementing(of: &Crate, module: &str, ty: &Type) -> Option<Named> {
    let Type::Path(path) = ty else { return None };
    let Target::Item(module, name) = of.resolve(module, &names_of(&path.path)) else { return None };
    match &of.modules[&module].declared[&name].item {
        Item::Type(item) => aliased(of, &module, &name, &item.ty),
        _ => Some(Named { arguments: arguments_of(path), ..Named::new(&module, &name) }),
    }
}

/// Whether a trait is another crate's, or is public.
fn is_public(of: &Crate, module: &str, implemented: &Path) -> bool {
    match of.resolve(module, &names_of(implemented)) {
        Target::Item(module, name) => of.modules[&module].declared[&name].public,
        _ => true,
    }
}

fn derived(attributes: &[Attribute]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("derive")) {
        let list = attribute.parse_args_with(Punctuated::<Path, Token![,]>::parse_terminated);
        for path in list.into_iter().flatten() {
            names.insert(written(path.to_token_stream(), &Names::new()));
        }
    }
    names
}

/// Whether an impl with these arguments is one for the type with those.
fn fits(block: &ItemImpl, of_block: &[String], wanted: &[String]) -> bool {
    let is_parameter =
        |name: &String| block.generics.type_params().any(|parameter| parameter.ident == *name);
    of_block.iter().zip(wanted).all(|(one, other)| one == other || is_parameter(one))
}

fn impl_items(of: &Crate, path: &str, items: &[ImplItem], names: &Names, surface: &mut Surface) {
    for item in items {
        let (attributes, visibility, name, offered) = match item {
            ImplItem::Fn(item) => {
                let signature = Signature::of(&item.sig, names);
                (&item.attrs, &item.vis, &item.sig.ident, Offered::Function(signature))
            }
            ImplItem::Const(item) => (&item.attrs, &item.vis, &item.ident, Offered::Constant),
            ImplItem::Macro(item) => {
                if is_compiled(&item.attrs) {
                    impl_items(of, path, &of.opened::<ImplItem>(&item.mac), names, surface);
                }
                continue;
            }
            _ => continue,
        };
        let public = matches!(visibility, Visibility::Public(_));
        if public && is_compiled(attributes) && !is_hidden(attributes) {
            surface.insert(below(path, &name.to_string()), offered);
        }
    }
}

fn names_of(path: &Path) -> Vec<String> {
    path.segments.iter().map(|segment| segment.ident.to_string()).collect()
}

/// The last names of the type arguments.
fn arguments_of(path: &TypePath) -> Vec<String> {
    let Some(last) = path.path.segments.last() else { return Vec::new() };
    let PathArguments::AngleBracketed(list) = &last.arguments else { return Vec::new() };
    let types = list.args.iter().filter_map(|argument| match argument {
        GenericArgument::Type(Type::Path(path)) => names_of(&path.path).pop(),
        GenericArgument::Type(other) => Some(other.to_token_stream().to_string()),
        _ => None,
    });
    types.collect()
}
