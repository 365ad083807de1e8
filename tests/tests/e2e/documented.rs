//! Each public method has an example, which is a doctest.

use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};
use syn::{Attribute, Expr, ImplItemFn, ItemImpl, ItemMod, Meta, Visibility};

/// What the attribute's code uses, and no person; and what only authors of backends use, whose examples are those
/// of the module and of its traits.
const LEFT_OUT: &[&str] = &[
    "__private",
    "backend",
    "clock.rs",
    "conformance",
    "error/backend.rs",
    "fuzzing.rs",
    "hold.rs",
    "key.rs",
    "spec.rs",
    "template",
];
/// In a folder that is left out, but for everybody.
const BESIDES: &[&str] = &["backend/redis/options.rs"];

#[derive(Default)]
struct Methods {
    seen: usize,
    without: Vec<String>,
}

impl<'ast> Visit<'ast> for Methods {
    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        if module.ident != "tests" {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_impl(&mut self, block: &'ast ItemImpl) {
        if block.trait_.is_none() {
            visit::visit_item_impl(self, block);
        }
    }

    fn visit_impl_item_fn(&mut self, method: &'ast ImplItemFn) {
        let docs = docs(&method.attrs);
        let is_public = matches!(method.vis, Visibility::Public(_));
        if is_public && !docs.contains("(hidden)") {
            self.seen += 1;
            if !docs.contains("```") && !docs.contains("for an example") {
                self.without.push(method.sig.ident.to_string());
            }
        }
    }
}

/// The text of the documentation, and whether it is hidden.
fn docs(attributes: &[Attribute]) -> String {
    let mut docs = String::new();
    for attribute in attributes.iter().filter(|it| it.path().is_ident("doc")) {
        match &attribute.meta {
            Meta::NameValue(text) => {
                if let Expr::Lit(text) = &text.value
                    && let syn::Lit::Str(text) = &text.lit
                {
                    docs += &text.value();
                }
            }
            Meta::List(list) => docs += &format!("({})", list.tokens),
            Meta::Path(_) => {}
        }
    }
    docs
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|it| it == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn each_public_method_has_an_example() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../lockattr/src");
    let mut all = Vec::new();
    files(&source, &mut all);
    let (mut seen, mut without) = (0, Vec::new());
    for path in all {
        let name = path.strip_prefix(&source).unwrap();
        let is_left_out = LEFT_OUT.iter().any(|it| name.starts_with(it));
        if is_left_out && !BESIDES.iter().any(|it| name == Path::new(it)) {
            continue;
        }
        let mut methods = Methods::default();
        methods.visit_file(&syn::parse_file(&fs::read_to_string(&path).unwrap()).unwrap());
        seen += methods.seen;
        let named = methods.without.iter();
        without.extend(named.map(|method| format!("{}: {method}", name.display())));
    }
    assert!(seen > 100, "it looks at {seen}");
    assert_eq!(without, [""; 0]);
}
