//! A crate as its sources have it: its modules, what they declare and import, and all impls.
//!
//! Only what Linux compiles, with all features. Macros that wrap items (tokio's `cfg_net! { .. }`)
//! are opened where their contents are items, and left out where the `#[cfg]` of their definition
//! does not hold.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, Item, Lit, Macro, Meta, Token, UseTree, Visibility};

/// What a path leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Module(String),
    /// A module and a name that it declares.
    Item(String, String),
    /// A path into another crate.
    Foreign(String),
}

#[derive(Default)]
pub(crate) struct Crate {
    /// By path; the root is the empty one.
    pub(crate) modules: BTreeMap<String, Module>,
    /// Each with the module it stands in.
    pub(crate) impls: Vec<(String, syn::ItemImpl)>,
    /// The macros that wrap items, and whether what they wrap is compiled.
    wrappers: BTreeMap<String, bool>,
}

#[derive(Default)]
pub(crate) struct Module {
    /// The modules in it, and whether they are public.
    pub(crate) children: BTreeMap<String, bool>,
    /// All else that has a name: a module and a function may have the same.
    pub(crate) declared: BTreeMap<String, Declared>,
    pub(crate) imported: BTreeMap<String, Imported>,
    /// `use path::*`
    globs: Vec<Vec<String>>,
}

pub(crate) struct Declared {
    pub(crate) public: bool,
    pub(crate) item: Item,
}

pub(crate) struct Imported {
    pub(crate) public: bool,
    path: Vec<String>,
}

impl Imported {
    pub(crate) fn path(&self) -> &[String] {
        &self.path
    }
}

impl Crate {
    /// Reads the crate whose `src/` is given, `wrappers` being the file that defines its macros.
    pub(crate) fn read(src: &Path, wrappers: Option<&str>) -> Crate {
        let mut read = Crate::default();
        if let Some(file) = wrappers {
            read.read_wrappers(&parsed(&src.join(file)));
        }
        let file = parsed(&src.join("lib.rs"));
        read.module("", file.items, src);
        read
    }

    /// A crate of one file.
    pub(crate) fn of_text(text: &str) -> Crate {
        let mut read = Crate::default();
        let file = syn::parse_file(text).unwrap_or_else(|error| panic!("cannot parse: {error}"));
        read.module("", file.items, Path::new(""));
        read
    }

    /// What `path` means in `module`.
    pub(crate) fn resolve(&self, module: &str, path: &[String]) -> Target {
        self.resolve_within(module, path, 16)
    }

    fn resolve_within(&self, module: &str, path: &[String], depth: u8) -> Target {
        let foreign = || Target::Foreign(path.join("::"));
        let (mut here, mut rest) = match path.first().map(String::as_str) {
            Some("crate") => (String::new(), &path[1..]),
            Some("self") => (module.to_owned(), &path[1..]),
            _ => (module.to_owned(), path),
        };
        while rest.first().is_some_and(|name| name == "super") {
            here = here.rsplit_once("::").map_or(String::new(), |(above, _)| above.to_owned());
            rest = &rest[1..];
        }
        while let Some((name, after)) = rest.split_first() {
            match self.look_up(&here, name, after.is_empty(), depth) {
                Some(Target::Module(module)) => here = module,
                Some(Target::Foreign(path)) => {
                    return Target::Foreign([&[path], after].concat().join("::"));
                }
                Some(item) => return item,
                None => return foreign(),
            }
            rest = after;
        }
        Target::Module(here)
    }

    /// What `name` is in `module`. At the end of a path an item goes before a module, within it
    /// only modules count.
    fn look_up(&self, module: &str, name: &str, at_end: bool, depth: u8) -> Option<Target> {
        let here = self.modules.get(module)?;
        let depth = depth.checked_sub(1)?;
        let child = || here.children.get(name).map(|_| Target::Module(below(module, name)));
        if at_end && here.declared.contains_key(name) {
            return Some(Target::Item(module.to_owned(), name.to_owned()));
        }
        if !at_end && let Some(child) = child() {
            return Some(child);
        }
        if let Some(imported) = here.imported.get(name) {
            return Some(self.resolve_within(module, &imported.path, depth));
        }
        if let Some(child) = child() {
            return Some(child);
        }
        here.globs.iter().find_map(|path| match self.resolve_within(module, path, depth) {
            Target::Module(from) if from != module => self.look_up(&from, name, at_end, depth),
            _ => None,
        })
    }

    fn module(&mut self, path: &str, items: Vec<Item>, folder: &Path) {
        self.modules.entry(path.to_owned()).or_default();
        for item in items {
            self.item(path, item, folder);
        }
    }

    fn item(&mut self, module: &str, item: Item, folder: &Path) {
        let Some((attributes, visibility, name)) = parts(&item) else {
            return self.unnamed_item(module, item, folder);
        };
        if !is_compiled(attributes) {
            return;
        }
        let public = matches!(visibility, Visibility::Public(_)) && !is_hidden(attributes);
        let here = self.modules.entry(module.to_owned()).or_default();
        if let Item::Mod(child) = &item {
            here.children.insert(name, public);
            return self.child(module, child, folder);
        }
        here.declared.insert(name, Declared { public, item });
    }

    fn unnamed_item(&mut self, module: &str, item: Item, folder: &Path) {
        match item {
            Item::Impl(item) if is_compiled(&item.attrs) => {
                self.impls.push((module.to_owned(), item));
            }
            Item::Use(item) if is_compiled(&item.attrs) => {
                let public = matches!(item.vis, Visibility::Public(_)) && !is_hidden(&item.attrs);
                self.import(module, &item.tree, &mut Vec::new(), public);
            }
            Item::Macro(item) if is_compiled(&item.attrs) => {
                for item in self.opened::<Item>(&item.mac) {
                    self.item(module, item, folder);
                }
            }
            _ => {}
        }
    }

    /// What a macro wraps, if it is compiled and parses.
    pub(crate) fn opened<T: Parse>(&self, call: &Macro) -> Vec<T> {
        let name = call.path.segments.last().map(|last| last.ident.to_string()).unwrap_or_default();
        if name == "macro_rules" || self.wrappers.get(&name) == Some(&false) {
            return Vec::new();
        }
        let all = |input: ParseStream<'_>| {
            // `feature! { #![unix] .. }` has its condition inside.
            let conditions = input.call(Attribute::parse_inner)?;
            let mut items = Vec::new();
            while !input.is_empty() {
                items.push(input.parse()?);
            }
            let holds = conditions.iter().all(|condition| condition_holds(&condition.meta));
            Ok(if holds { items } else { Vec::new() })
        };
        all.parse2(call.tokens.clone()).unwrap_or_default()
    }

    fn child(&mut self, module: &str, child: &syn::ItemMod, folder: &Path) {
        let name = child.ident.to_string();
        let path = below(module, &name);
        if let Some((_, items)) = &child.content {
            return self.module(&path, items.clone(), &folder.join(&name));
        }
        let named = child.attrs.iter().find_map(|attribute| match &attribute.meta {
            Meta::NameValue(pair) if pair.path.is_ident("path") => Some(text_of(&pair.value)),
            _ => None,
        });
        let flat = folder.join(format!("{name}.rs"));
        let (file, folder) = match named {
            Some(named) => {
                // From the folder of the file it stands in, which for x.rs is not x/.
                let near = folder.join(&named);
                let file = if near.exists() { near } else { folder.with_file_name(named) };
                (file.clone(), file.parent().map(Path::to_owned).unwrap_or_default())
            }
            None if flat.exists() => (flat, folder.join(&name)),
            None => (folder.join(&name).join("mod.rs"), folder.join(&name)),
        };
        let file = parsed(&file);
        if is_compiled(&file.attrs) {
            self.module(&path, file.items, &folder);
        }
    }

    fn import(&mut self, module: &str, tree: &UseTree, path: &mut Vec<String>, public: bool) {
        let here = self.modules.entry(module.to_owned()).or_default();
        let mut add = |name: String, path: Vec<String>| {
            // The same name is also what it is a name of: `use self::x` is `x`.
            if name != "_" {
                here.imported.insert(name, Imported { public, path });
            }
        };
        match tree {
            UseTree::Path(step) => {
                path.push(step.ident.to_string());
                self.import(module, &step.tree, path, public);
                path.pop();
            }
            UseTree::Name(last) if last.ident == "self" => {
                add(path.last().cloned().unwrap_or_default(), path.clone());
            }
            UseTree::Name(last) => {
                let name = last.ident.to_string();
                add(name.clone(), [&path[..], &[name]].concat());
            }
            UseTree::Rename(last) => {
                let original = last.ident.to_string();
                add(last.rename.to_string(), [&path[..], &[original]].concat());
            }
            UseTree::Glob(_) => here.globs.push(path.clone()),
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.import(module, tree, path, public);
                }
            }
        }
    }

    fn read_wrappers(&mut self, file: &syn::File) {
        for item in &file.items {
            if let Item::Macro(item) = item
                && let Some(name) = &item.ident
            {
                let holds = conditions_in(item.mac.tokens.clone()).iter().all(condition_holds);
                self.wrappers.insert(name.to_string(), holds);
            }
        }
    }
}

/// The path of what `module` calls `name`.
pub(crate) fn below(module: &str, name: &str) -> String {
    if module.is_empty() { name.to_owned() } else { format!("{module}::{name}") }
}

pub(crate) fn is_hidden(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("doc") => list.tokens.to_string() == "hidden",
        _ => false,
    })
}

pub(crate) fn is_compiled(attributes: &[Attribute]) -> bool {
    attributes.iter().all(|attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("cfg") => {
            list.parse_args::<Meta>().is_ok_and(|condition| condition_holds(&condition))
        }
        _ => true,
    })
}

/// Whether what `#[cfg(condition)]` stands on is there on Linux with all features.
fn condition_holds(condition: &Meta) -> bool {
    match condition {
        Meta::Path(path) => path.is_ident("unix"),
        Meta::NameValue(pair) => {
            let value = text_of(&pair.value);
            let is = |name| pair.path.is_ident(name);
            is("feature")
                || is("target_os") && value == "linux"
                || is("target_family") && value == "unix"
                || is("target_arch") && value == "x86_64"
                || is("target_pointer_width") && value == "64"
                || is("target_has_atomic")
                || is("panic") && value == "unwind"
        }
        Meta::List(list) => {
            let inner = Punctuated::<Meta, Token![,]>::parse_terminated
                .parse2(list.tokens.clone())
                .unwrap_or_default();
            let mut inner = inner.iter().map(condition_holds);
            match list.path.get_ident().map(ToString::to_string).as_deref() {
                Some("all") => inner.all(|holds| holds),
                Some("any") => inner.any(|holds| holds),
                Some("not") => !inner.all(|holds| holds),
                _ => false,
            }
        }
    }
}

/// All conditions of `#[cfg(..)]` in the definition of a macro, as far as they are not arguments.
fn conditions_in(tokens: TokenStream) -> Vec<Meta> {
    let mut found = Vec::new();
    for token in tokens {
        let TokenTree::Group(group) = token else { continue };
        let mut inside = group.stream().into_iter();
        if group.delimiter() == Delimiter::Bracket
            && matches!(inside.next(), Some(TokenTree::Ident(name)) if name == "cfg")
            && let Some(TokenTree::Group(condition)) = inside.next()
        {
            found.extend(syn::parse2::<Meta>(condition.stream()));
        } else {
            found.extend(conditions_in(group.stream()));
        }
    }
    found
}

fn text_of(value: &Expr) -> String {
    match value {
        Expr::Lit(value) => match &value.lit {
            Lit::Str(text) => text.value(),
            _ => String::new(),
        },
        _ => String::new(),
    }
}

/// The parts that all items with a name have.
fn parts(item: &Item) -> Option<(&[Attribute], &Visibility, String)> {
    let (attributes, visibility, name) = match item {
        Item::Const(item) => (&item.attrs, &item.vis, &item.ident),
        Item::Enum(item) => (&item.attrs, &item.vis, &item.ident),
        Item::Fn(item) => (&item.attrs, &item.vis, &item.sig.ident),
        Item::Mod(item) => (&item.attrs, &item.vis, &item.ident),
        Item::Static(item) => (&item.attrs, &item.vis, &item.ident),
        Item::Struct(item) => (&item.attrs, &item.vis, &item.ident),
        Item::Trait(item) => (&item.attrs, &item.vis, &item.ident),
        Item::Type(item) => (&item.attrs, &item.vis, &item.ident),
        Item::Union(item) => (&item.attrs, &item.vis, &item.ident),
        _ => return None,
    };
    Some((attributes, visibility, name.to_string()))
}

fn parsed(file: &Path) -> syn::File {
    let text = fs::read_to_string(file)
        .unwrap_or_else(|error| panic!("cannot read {}: {error}", file.display()));
    syn::parse_file(&text)
        .unwrap_or_else(|error| panic!("cannot parse {}: {error}", file.display()))
}
