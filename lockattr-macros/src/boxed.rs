//! Functions that return a boxed future, written by hand or by `#[async_trait]`.

use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};
use quote::quote;
use syn::Pat;
use syn::parse::Parser as _;

/// The parts of a body that is only `Box::pin(async move { ... })`.
pub(crate) struct Boxed {
    /// `Box::pin`
    pub(crate) pin: TokenStream,
    /// The statements that bind the arguments, as `#[async_trait]` puts them first.
    pub(crate) bind: TokenStream,
    /// The patterns that these statements bind.
    pub(crate) patterns: Vec<Pat>,
    /// The name that replaces `self` after these statements.
    pub(crate) this: Option<Ident>,
    /// The remaining statements, in the braces of the block.
    pub(crate) rest: Group,
}

impl Boxed {
    /// Returns `None` for every other body.
    pub(crate) fn take_apart(body: &TokenStream) -> Option<Self> {
        let mut tokens: Vec<TokenTree> = body.clone().into_iter().collect();
        let Some(TokenTree::Group(argument)) = tokens.pop() else {
            return None;
        };
        let is_path = tokens.iter().all(|token| match token {
            TokenTree::Ident(_) => true,
            TokenTree::Punct(punct) => punct.as_char() == ':',
            _ => false,
        });
        let is_pin = tokens.last().is_some_and(|token| is_word(token, "pin"));
        if !is_path || !is_pin || argument.delimiter() != Delimiter::Parenthesis {
            return None;
        }
        let inside: Vec<TokenTree> = argument.stream().into_iter().collect();
        let [first, second, TokenTree::Group(block)] = &*inside else {
            return None;
        };
        if !is_word(first, "async")
            || !is_word(second, "move")
            || block.delimiter() != Delimiter::Brace
        {
            return None;
        }
        Some(Self::split(tokens.into_iter().collect(), block))
    }

    fn split(pin: TokenStream, block: &Group) -> Self {
        let statements: Vec<TokenTree> = block.stream().into_iter().collect();
        let mut boxed = Self {
            pin,
            bind: TokenStream::new(),
            patterns: Vec::new(),
            this: None,
            rest: Group::new(block.delimiter(), TokenStream::new()),
        };
        let mut taken = 0;
        while let Some(length) = boxed.take_binding(&statements[taken..]) {
            taken += length;
        }
        boxed.rest = Group::new(
            block.delimiter(),
            statements[taken..].iter().cloned().collect(),
        );
        boxed.rest.set_span(block.span());
        boxed
    }

    /// Takes a statement that only names the type or binds an argument; returns its length.
    fn take_binding(&mut self, tokens: &[TokenTree]) -> Option<usize> {
        if is_word(tokens.first()?, "if") {
            // `if let Some(__ret) = None::<R> { return __ret; }`
            let end = tokens
                .iter()
                .position(|token| is_group(token, Delimiter::Brace))?;
            let is_edge = tokens[..end]
                .iter()
                .any(|token| is_parenthesized(token, "__ret"));
            let edge = is_edge.then(|| &tokens[..=end])?;
            self.bind.extend(edge.iter().cloned());
            return Some(end + 1);
        }
        let end = tokens.iter().position(|token| is_punct(token, ';'))?;
        let start = tokens.iter().position(|token| is_word(token, "let"))?;
        let statement = tokens.get(start + 1..end)?;
        let equals = statement.iter().position(|token| is_punct(token, '='))?;
        let (pattern, [_, value]) = statement.split_at(equals) else {
            return None;
        };
        let pattern: TokenStream = pattern.iter().cloned().collect();
        let parsed = Pat::parse_multi.parse2(pattern.clone()).ok()?;
        let name = argument(value)?;
        let is_attribute =
            |token: &TokenTree| is_punct(token, '#') || is_group(token, Delimiter::Bracket);
        if !tokens[..start].iter().all(is_attribute) {
            return None;
        }
        let attrs: TokenStream = tokens[..start].iter().cloned().collect();
        if let TokenTree::Group(_) = value {
            // Otherwise the parts that the pattern does not bind would be dropped before the lock
            // is acquired.
            self.bind.extend(quote!(#attrs let #name = #name;));
        }
        self.bind.extend(quote!(#attrs let #pattern = #name;));
        if let (Pat::Ident(pattern), true) = (&parsed, name == "self") {
            self.this = Some(pattern.ident.clone());
        }
        self.patterns.push(parsed);
        Some(end + 1)
    }
}

/// Returns the argument's name from `x` or `{ let __arg1 = __arg1; __arg1 }`.
fn argument(value: &TokenTree) -> Option<Ident> {
    match value {
        TokenTree::Ident(name) => Some(name.clone()),
        TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
            let inside: Vec<TokenTree> = group.stream().into_iter().collect();
            match &*inside {
                [first, .., TokenTree::Ident(last)]
                    if is_word(first, "let") && last.to_string().starts_with("__arg") =>
                {
                    Some(last.clone())
                }
                _ => None,
            }
        }
        _ => None,
    }
}

fn is_word(token: &TokenTree, word: &str) -> bool {
    matches!(token, TokenTree::Ident(ident) if ident == word)
}

fn is_parenthesized(token: &TokenTree, word: &str) -> bool {
    matches!(token, TokenTree::Group(group) if group.stream().to_string() == word)
}

fn is_punct(token: &TokenTree, punct: char) -> bool {
    matches!(token, TokenTree::Punct(found) if found.as_char() == punct)
}

fn is_group(token: &TokenTree, delimiter: Delimiter) -> bool {
    matches!(token, TokenTree::Group(group) if group.delimiter() == delimiter)
}

/// Returns the same tokens with another name for `self`.
pub(crate) fn rename_self(tokens: TokenStream, this: &Ident) -> TokenStream {
    let rename = |token| match token {
        TokenTree::Ident(ident) if ident == "self" => TokenTree::Ident(this.clone()),
        TokenTree::Group(group) => {
            let mut renamed = Group::new(group.delimiter(), rename_self(group.stream(), this));
            renamed.set_span(group.span());
            TokenTree::Group(renamed)
        }
        token => token,
    };
    tokens.into_iter().map(rename).collect()
}
