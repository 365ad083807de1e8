//! One lock of a function; a function with several attributes has several.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Attribute, Meta, Path, parse_quote};

use crate::args::{Args, Pool, Release};
use crate::errors::Errors;
use crate::function::{Form, Function};
use crate::key::Key;
use crate::params::Params;
use crate::spans::{located_at, name};
use crate::written::unwrapped;

pub(crate) struct Lock {
    pub(crate) args: Args,
    keys: Vec<Key>,
    /// The attribute; `None` for the topmost one, which rustc has taken off.
    attr: Option<Attribute>,
    /// How many locks are taken after this one.
    inner: usize,
    /// Whether the function blocks its thread.
    pub(crate) is_plain: bool,
}

impl Lock {
    /// Returns the templates of its keys, which tell in metrics what is locked.
    pub(crate) fn templates(&self) -> String {
        let templates: Vec<_> = self.keys.iter().filter_map(Key::template).collect();
        templates.join(" ")
    }

    /// Makes the locks of one function from the topmost attribute and those below it, which this
    /// takes off. The topmost is taken first; attributes expand from the top, and each would be inside of the
    /// next one.
    pub(crate) fn all(
        topmost: Option<Args>,
        function: Option<&mut Function>,
        errors: &mut Errors,
    ) -> Vec<Self> {
        let mut read: Vec<_> = topmost.map(|args| (args, None)).into_iter().collect();
        let mut is_plain = false;
        if let Some(function) = function {
            is_plain = matches!(function.form, Form::Plain);
            for attr in function.take_attrs(is_lock) {
                if let Some(args) = errors.keep(below(&attr)) {
                    read.push((args, Some(attr)));
                }
            }
        }
        let count = read.len();
        let mut locks = Vec::new();
        for (n, (mut args, attr)) in read.into_iter().enumerate() {
            errors.append(std::mem::take(&mut args.errors));
            let keys = std::mem::take(&mut args.keys);
            if !keys.is_empty() {
                locks.push(Self {
                    args,
                    keys,
                    attr,
                    inner: count - 1 - n,
                    is_plain,
                });
            }
        }
        locks
    }

    /// Runs the checks that need the function's arguments.
    pub(crate) fn check(&self, params: &Params, errors: &mut Errors) {
        for key in &self.keys {
            key.check(params, errors);
        }
        self.args.check_constants(params, errors);
        if let Some(bind) = &self.args.bind
            && params.contains(&bind.to_string())
        {
            errors.at(
                bind.span(),
                format!("`{bind}` is an argument already; bind the lease to another name"),
            );
        }
    }

    /// Runs the checks that need the locks above.
    pub(crate) fn check_below(&self, above: &[Self], errors: &mut Errors) {
        if let Some(bind) = &self.args.bind
            && above
                .iter()
                .any(|lock| lock.args.bind.as_ref() == Some(bind))
        {
            errors.at(
                bind.span(),
                format!(
                    "`{bind}` is the lease of the lock above already; bind this one to another name"
                ),
            );
        }
        // It would wait for itself.
        if self.args.reentrant != Some(true) && above.iter().any(|lock| lock.is_same(self)) {
            errors.push(syn::Error::new_spanned(
                &self.attr,
                "this function takes the same lock twice, and would wait for itself; drop one of the two attributes",
            ));
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        let mut keys = self.keys.iter();
        keys.any(|key| other.keys.iter().any(|other| key.is_same(other)))
            && Pool::text(self.args.pool.as_ref()) == Pool::text(other.args.pool.as_ref())
    }

    /// Returns the path of the runtime crate.
    pub(crate) fn krate(&self) -> Path {
        let krate = &self.args.krate;
        krate.clone().unwrap_or_else(|| parse_quote!(::lockattr))
    }

    pub(crate) fn private(&self) -> TokenStream {
        let krate = self.krate();
        quote!(#krate::__private)
    }

    /// Makes a variable that the body cannot see, and that no other lock has.
    pub(crate) fn name(&self, text: &str) -> Ident {
        match self.inner {
            0 => name(text),
            inner => name(&format!("{text}_{inner}")),
        }
    }

    /// Returns the code that decides whether the call keeps its value until the lock is released.
    pub(crate) fn ending(&self, output: &Ident) -> TokenStream {
        let private = self.private();
        let ending = match self.args.release {
            // A value that stays on its thread need not be `Send`.
            None if self.is_plain => quote!(#private::AwaitRelease),
            // If the value is not `Send`, the type checker chooses the background.
            None => quote! {{
                use #private::{AnyOutput as _, SendOutput as _};
                (&#output).ending()
            }},
            Some(Release::Await) => quote!(#private::AwaitRelease),
            Some(Release::Background) => quote!(#private::ReleaseInBackground),
        };
        if !self.args.judges_value() {
            return ending;
        }
        quote! {{
            use #private::{ResultOutput as _, ValueOutput as _};
            (&#output).judging(#ending)
        }}
    }

    /// Returns the type of the lease that the body sees.
    pub(crate) fn bound_type(&self) -> TokenStream {
        let krate = self.krate();
        if self.args.when.is_none() {
            quote!(&#krate::Lease)
        } else {
            quote!(::core::option::Option<&#krate::Lease>)
        }
    }

    /// Whether this one is taken first.
    pub(crate) fn is_outermost(&self, locks: &[Self]) -> bool {
        self.inner + 1 == locks.len()
    }

    /// The statements that acquire the lock, and bind its lease to a name. Only in an `async` function they
    /// can wait.
    pub(crate) fn enter(&self, bind: Option<&Ident>, waits: bool, params: &Params) -> TokenStream {
        let private = self.private();
        let (key_name, pool_name) = (name("key"), name("pool"));
        let (pool, pool_statement) = match &self.args.pool {
            None => (quote!(#private::installed()), None),
            Some(Pool::Named(name)) => (quote!(#private::named(#name)), None),
            Some(Pool::Expr(place)) => {
                let at = Span::mixed_site().located_at(place.span());
                let given = located_at(quote!(#private::given), place.span());
                (
                    quote!(#pool_name),
                    // A statement of its own, so that the expression's borrows have ended at the await.
                    Some(quote_spanned!(at=> let #pool_name = #given(&#place);)),
                )
            }
        };
        let keys = self.keys.iter();
        let keys = keys.map(|key| key.to_tokens(&self.krate(), params));
        let (key, enter) = match (self.keys.len(), self.inner) {
            (1, 0) => (quote!(#(#keys)*), quote!(#private::enter(#pool, #key_name))),
            (_, inner) => (
                quote!([#(#keys),*]),
                quote!(#private::enter_all(#inner, #pool, #key_name)),
            ),
        };
        let enter = if waits {
            quote!(#enter.await)
        } else {
            quote!(::core::mem::drop(#enter))
        };
        // The key has a statement of its own too: `format_args!` must not live across the await.
        let prepare = quote!(#pool_statement let #key_name = #key;);
        let lease = name("lease");
        let Some(when) = &self.args.when else {
            return match bind {
                None => quote!(#prepare #enter;),
                Some(bind) => quote!(#prepare let #lease = #enter; let #bind = &#lease;),
            };
        };
        let needed = name("when");
        // A statement too, for the same reason.
        let at = Span::mixed_site().located_at(when.span());
        let decide = quote_spanned!(at=> let #needed: bool = #when;);
        let unlocked = quote!(#private::unlocked());
        match bind {
            None => quote!(#decide if #needed { #prepare #enter; } else { #unlocked; }),
            Some(bind) => quote! {
                #decide
                let #lease = if #needed {
                    #prepare
                    ::core::option::Option::Some(#enter)
                } else {
                    #unlocked;
                    ::core::option::Option::None
                };
                let #bind = ::core::option::Option::as_ref(&#lease);
            },
        }
    }
}

fn is_lock(attr: &Attribute) -> bool {
    let last = attr.path().segments.last();
    matches!(attr.meta, Meta::List(_)) && last.is_some_and(|last| last.ident == "distributed_lock")
}

/// Reads an attribute that rustc has not expanded.
fn below(attr: &Attribute) -> syn::Result<Args> {
    let mut list = attr.meta.require_list()?.clone();
    list.tokens = unwrapped(list.tokens);
    list.parse_args()
}
