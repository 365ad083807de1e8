//! An upper layer imports lower ones, never the other way round, and no two modules import each
//! other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Item, UseTree};

/// From the bottom to the top. A module may import those in its own row and in the rows above it.
const LAYERS: &[&[&str]] = &[
    &[
        "asked_key",
        "busy",
        "clock",
        "diagnosis",
        "error",
        "holder",
        "key",
        "keys",
        "label",
        "listener",
        "metrics",
        "mode",
        "queue",
        "spec",
        "template",
        "timing",
    ],
    &["backend"],
    &["protocol"],
    &["driver"],
    &[
        "all_or_nothing",
        "current",
        "pool",
        "service_url",
        "request",
        "guard",
        "hold",
        "lock_order",
        "stall",
    ],
    &["blocking"],
    &[
        "assert_held",
        "doctor",
        "frameworks",
        "leader",
        "key_macro",
        "__private",
    ],
    &["conformance", "testing"],
];

/// The modules that each module imports.
type Imports = BTreeMap<String, BTreeSet<String>>;

#[test]
fn imports_go_downwards() {
    let imports = imports_of("lockattr");
    let layer = |module: &str| {
        let row = LAYERS.iter().position(|row| row.contains(&module));
        row.unwrap_or_else(|| panic!("`{module}` has no layer: give it one here"))
    };
    for (module, imported) in &imports {
        for import in imported {
            assert!(
                layer(import) <= layer(module),
                "`{module}` must not import `{import}`"
            );
        }
    }
    let count: usize = imports.values().map(BTreeSet::len).sum();
    assert!(count > 50, "this test reads the wrong files: {imports:?}");
}

#[test]
fn no_module_imports_itself_by_way_of_another() {
    for package in ["lockattr", "lockattr-macros"] {
        let mut imports = imports_of(package);
        // Removes modules whose imports are all removed, until only cycles are left.
        loop {
            let left: BTreeSet<String> = imports.keys().cloned().collect();
            imports.retain(|_, imported| !imported.is_disjoint(&left));
            if imports.len() == left.len() {
                break;
            }
        }
        assert!(imports.is_empty(), "{package} has cycles in {imports:?}");
    }
}

#[test]
fn every_form_of_import_is_seen() {
    let reexports = BTreeMap::from([("LockPool".to_owned(), "pool".to_owned())]);
    let imports = |code: &str| {
        let mut found = Found {
            module: vec!["protocol".to_owned(), "keeper".to_owned()],
            reexports: &reexports,
            modules: BTreeSet::new(),
        };
        found.visit_file(&syn::parse_file(code).unwrap());
        found.modules.into_iter().collect::<Vec<_>>()
    };
    assert_eq!(
        imports("use crate::{error::Error, timing};"),
        ["error", "timing"]
    );
    assert_eq!(imports("use crate::LockPool;"), ["pool"]);
    assert_eq!(
        imports("use crate::{self as root, LockPool as P};"),
        ["pool"]
    );
    assert_eq!(imports("fn f(_: crate::pool::X) {}"), ["pool"]);
    assert_eq!(imports("fn f() { vec![crate::pool::X]; }"), ["pool"]);
    assert_eq!(imports("use super::super::hold::Y;"), ["hold"]);
    assert_eq!(imports("use super::lanes::Y;"), ["protocol"]);
    assert_eq!(
        imports("#[cfg(test)] mod tests { use crate::pool; }"),
        [""; 0]
    );
    assert_eq!(
        imports("mod inner { use super::super::super::pool; }"),
        ["pool"]
    );
}

/// Only the Redis backend knows the client library.
#[test]
fn one_folder_names_redis() {
    let src = source_of("lockattr");
    for file in rust_files(&src) {
        let text = fs::read_to_string(&file).unwrap();
        let is_backend = file.starts_with(src.join("backend/redis"));
        assert!(
            is_backend || !text.contains("use redis::"),
            "{}",
            file.display()
        );
    }
}

fn imports_of(package: &str) -> Imports {
    let src = source_of(package);
    let reexports = reexports(&src.join("lib.rs"));
    let mut imports = Imports::new();
    for file in rust_files(&src) {
        let path = file.strip_prefix(&src).unwrap().with_extension("");
        let parts = path.iter().map(|part| part.to_str().unwrap().to_owned());
        let module: Vec<String> = parts.filter(|part| part != "mod").collect();
        let top = module[0].clone();
        // The module `fuzzing` imports from all layers, and is not in an ordinary build. A test
        // file belongs to the module of its name, and snapshots are not modules.
        let is_of_the_build = !["lib", "fuzzing", "snapshots"].contains(&top.as_str())
            && !["fuzzing", "tests", "model", "simulation", "equivalence"]
                .iter()
                .any(|name| module.iter().any(|part| part == name));
        if !is_of_the_build {
            continue;
        }
        let mut found = Found {
            module,
            reexports: &reexports,
            modules: BTreeSet::new(),
        };
        found.visit_file(&syn::parse_file(&fs::read_to_string(&file).unwrap()).unwrap());
        found.modules.remove(&top);
        imports.entry(top).or_default().extend(found.modules);
    }
    imports
}

/// Returns the module of each name that the root of the crate exports.
fn reexports(root: &Path) -> BTreeMap<String, String> {
    let root = syn::parse_file(&fs::read_to_string(root).unwrap()).unwrap();
    let mut names = BTreeMap::new();
    for item in root.items {
        if let Item::Use(item) = item {
            let mut paths = Vec::new();
            flatten(&item.tree, Vec::new(), &mut paths);
            for (path, name) in paths {
                names.insert(name, path[0].clone());
            }
        }
    }
    names
}

/// The modules that a file imports, in any form.
struct Found<'a> {
    /// The file's place below the root of its crate.
    module: Vec<String>,
    reexports: &'a BTreeMap<String, String>,
    modules: BTreeSet<String>,
}

impl Found<'_> {
    /// Takes a path such as `crate::pool::X` or `super::super::pool`.
    fn path(&mut self, path: &[String]) {
        let mut within = match path.first().map(String::as_str) {
            Some("crate") => Vec::new(),
            Some("super" | "self") => self.module.clone(),
            _ => return,
        };
        for segment in path {
            match segment.as_str() {
                "crate" | "self" => {}
                "super" => drop(within.pop()),
                name => within.push(name.to_owned()),
            }
        }
        if let Some(first) = within.first() {
            let first = self.reexports.get(first).unwrap_or(first);
            self.modules.insert(first.clone());
        }
    }

    /// Takes anything like a path from the root in the tokens of a macro's call.
    fn tokens(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let is_dollar = |place: usize| {
            let before = place.checked_sub(1).and_then(|before| tokens.get(before));
            matches!(before, Some(TokenTree::Punct(punct)) if punct.as_char() == '$')
        };
        for (place, token) in tokens.iter().enumerate() {
            match token {
                TokenTree::Group(group) => self.tokens(group.stream()),
                // If an exported macro says `$crate`, its caller imports.
                TokenTree::Ident(ident) if ident == "crate" && !is_dollar(place) => {
                    if let Some(TokenTree::Ident(module)) = tokens.get(place + 3) {
                        self.path(&["crate".to_owned(), module.to_string()]);
                    }
                }
                _ => {}
            }
        }
    }
}

impl Visit<'_> for Found<'_> {
    fn visit_item(&mut self, item: &Item) {
        let attributes = match item {
            Item::Mod(item) => &item.attrs,
            Item::Use(item) => &item.attrs,
            Item::Fn(item) => &item.attrs,
            Item::Impl(item) => &item.attrs,
            _ => &Vec::new(),
        };
        if !attributes.iter().any(is_for_tests) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &syn::ItemMod) {
        self.module.push(item.ident.to_string());
        visit::visit_item_mod(self, item);
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &syn::ItemUse) {
        let mut paths = Vec::new();
        flatten(&item.tree, Vec::new(), &mut paths);
        for (path, _) in paths {
            self.path(&path);
        }
    }

    fn visit_path(&mut self, path: &syn::Path) {
        let segments = path.segments.iter();
        let names: Vec<String> = segments.map(|one| one.ident.to_string()).collect();
        self.path(&names);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &syn::Macro) {
        self.tokens(call.tokens.clone());
    }
}

fn is_for_tests(attribute: &Attribute) -> bool {
    let is_test = |list: &syn::MetaList| list.tokens.to_string().contains("test");
    attribute.path().is_ident("cfg") && attribute.meta.require_list().is_ok_and(is_test)
}

/// Returns the paths of a `use`, each with the name that it binds.
fn flatten(tree: &UseTree, mut path: Vec<String>, paths: &mut Vec<(Vec<String>, String)>) {
    match tree {
        UseTree::Path(tree) => {
            path.push(tree.ident.to_string());
            flatten(&tree.tree, path, paths);
        }
        UseTree::Name(tree) => {
            path.push(tree.ident.to_string());
            paths.push((path, tree.ident.to_string()));
        }
        UseTree::Rename(tree) => {
            path.push(tree.ident.to_string());
            paths.push((path, tree.rename.to_string()));
        }
        UseTree::Glob(_) => paths.push((path, "*".to_owned())),
        UseTree::Group(group) => {
            for tree in &group.items {
                flatten(tree, path.clone(), paths);
            }
        }
    }
}

fn source_of(package: &str) -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.join("..").join(package).join("src")
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let rust = files
        .into_iter()
        .filter(|file| file.extension().is_some_and(|ending| ending == "rs"));
    rust.chain(folders.iter().flat_map(|folder| rust_files(folder)))
        .collect()
}
