//! The names that a function's arguments bind, also inside patterns.

use std::collections::BTreeMap;

use proc_macro2::{Ident, Span};
use syn::ext::IdentExt as _;
use syn::{FnArg, Pat, Signature};

/// The arguments that a key may use.
#[derive(Default)]
pub(crate) struct Params {
    /// Without `r#`, as templates write them.
    names: BTreeMap<String, Span>,
    receiver: Option<Span>,
}

impl Params {
    pub(crate) fn of(sig: &Signature) -> Self {
        let mut params = Self::default();
        for input in &sig.inputs {
            match input {
                FnArg::Receiver(receiver) => params.receiver = Some(receiver.self_token.span),
                FnArg::Typed(typed) => params.bind(&typed.pat),
            }
        }
        params
    }

    pub(crate) fn bind(&mut self, pat: &Pat) {
        match pat {
            Pat::Ident(ident) => {
                self.names
                    .insert(ident.ident.unraw().to_string(), ident.ident.span());
                if let Some((_, inner)) = &ident.subpat {
                    self.bind(inner);
                }
            }
            Pat::Tuple(tuple) => tuple.elems.iter().for_each(|pat| self.bind(pat)),
            Pat::TupleStruct(tuple) => tuple.elems.iter().for_each(|pat| self.bind(pat)),
            Pat::Struct(fields) => fields.fields.iter().for_each(|field| self.bind(&field.pat)),
            Pat::Slice(slice) => slice.elems.iter().for_each(|pat| self.bind(pat)),
            Pat::Reference(reference) => self.bind(&reference.pat),
            Pat::Paren(paren) => self.bind(&paren.pat),
            Pat::Type(typed) => self.bind(&typed.pat),
            // Every alternative binds the same names.
            Pat::Or(or) => or.cases.iter().for_each(|pat| self.bind(pat)),
            _ => {}
        }
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.names.contains_key(name)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(String::as_str)
    }

    /// Returns where an argument, or `self`, is declared.
    pub(crate) fn span(&self, name: &str) -> Option<Span> {
        if name == "self" {
            return self.receiver;
        }
        self.names.get(name).copied()
    }

    /// Returns the same names as identifiers of the function.
    pub(crate) fn idents(&self) -> impl Iterator<Item = Ident> {
        self.names.iter().map(|(name, span)| {
            syn::parse_str::<Ident>(name)
                .map_or_else(|_| Ident::new_raw(name, *span), |_| Ident::new(name, *span))
        })
    }

    /// Returns where `self` is declared; a `self` from another place does not mean the same to
    /// rustc.
    pub(crate) fn receiver(&self) -> Option<Span> {
        self.receiver
    }
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    #[test]
    fn names_are_found_inside_patterns() {
        let sig: Signature = parse_quote! {
            fn f(
                &self, plain: u8, mut changed: u8, (left, (_, right)): (u8, (u8, u8)), Path(id): Path<u64>,
                Point { x, y: vertical, .. }: Point, [first, .., last]: [u8; 4], &by_ref: &u8,
                whole @ Wrapper(part): Wrapper, Wrapper(ref mut inner): Wrapper, (Ok(either) | Err(either)): Same,
                r#type: u8,
            )
        };
        let params = Params::of(&sig);
        let names: Vec<_> = params.names().collect();
        assert_eq!(
            names,
            [
                "by_ref", "changed", "either", "first", "id", "inner", "last", "left", "part",
                "plain", "right", "type", "vertical", "whole", "x",
            ]
        );
        assert!(params.receiver().is_some());
    }
}
