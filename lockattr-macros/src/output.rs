//! The return type, in forms that can be written inside the body.

use proc_macro2::{Span, TokenStream};
use syn::spanned::Spanned as _;
use syn::{
    AngleBracketedGenericArguments, GenericArgument, Path, PathArguments, ReturnType, Signature,
    Type, TypeParamBound, parse_quote,
};

/// The return type of a function.
pub(crate) struct Output {
    /// With each `impl Trait` left to inference.
    pub(crate) ty: Type,
    /// Where to report a type mismatch.
    pub(crate) span: Span,
}

impl Output {
    /// Returns the type after `->`.
    pub(crate) fn declared(sig: &Signature) -> Self {
        match &sig.output {
            ReturnType::Default => Self {
                ty: parse_quote!(()),
                span: sig.ident.span(),
            },
            ReturnType::Type(_, ty) => Self::of(ty),
        }
    }

    /// Returns `R` for a function that returns `Pin<Box<dyn Future<Output = R>>>`; `None` for other
    /// types.
    pub(crate) fn awaited(sig: &Signature) -> Option<Self> {
        let ReturnType::Type(_, ty) = &sig.output else {
            return None;
        };
        if !is_pin(ty) {
            return None;
        }
        let named = future_output(ty);
        // Another name for the type may hide the output; then rustc infers the value's type.
        Some(named.map_or_else(
            || Self {
                ty: parse_quote!(_),
                span: ty.span(),
            },
            Self::of,
        ))
    }

    fn of(ty: &Type) -> Self {
        let span = ty.span();
        let mut ty = ty.clone();
        infer_impl_traits(&mut ty);
        Self { ty, span }
    }

    /// Returns the branch that tells rustc the body's type before it checks the body. Without it,
    /// coercions such as to `Box<dyn Error>` fail.
    pub(crate) fn edge(&self, never: &TokenStream) -> TokenStream {
        if matches!(self.ty, Type::Never(_)) {
            return TokenStream::new();
        }
        let ty = &self.ty;
        quote::quote_spanned!(self.span=> if false { return #never::<#ty>(); })
    }
}

fn is_pin(ty: &Type) -> bool {
    let Type::Path(path) = ty else { return false };
    path.path
        .segments
        .last()
        .is_some_and(|segment| segment.ident == "Pin")
}

/// Descends through type arguments to the first `Output = R`.
fn future_output(ty: &Type) -> Option<&Type> {
    match ty {
        Type::Path(path) => path
            .path
            .segments
            .iter()
            .find_map(|segment| arguments(&segment.arguments)),
        Type::TraitObject(object) => bounds(object.bounds.iter()),
        Type::ImplTrait(object) => bounds(object.bounds.iter()),
        Type::Paren(paren) => future_output(&paren.elem),
        Type::Group(group) => future_output(&group.elem),
        _ => None,
    }
}

fn bounds<'a>(mut bounds: impl Iterator<Item = &'a TypeParamBound>) -> Option<&'a Type> {
    bounds.find_map(|bound| match bound {
        TypeParamBound::Trait(bound) => bound
            .path
            .segments
            .iter()
            .find_map(|segment| arguments(&segment.arguments)),
        _ => None,
    })
}

fn arguments(arguments: &PathArguments) -> Option<&Type> {
    let PathArguments::AngleBracketed(AngleBracketedGenericArguments { args, .. }) = arguments
    else {
        return None;
    };
    args.iter().find_map(|argument| match argument {
        GenericArgument::AssocType(assoc) if assoc.ident == "Output" => Some(&assoc.ty),
        GenericArgument::Type(ty) => future_output(ty),
        _ => None,
    })
}

fn infer_impl_traits(ty: &mut Type) {
    match ty {
        Type::ImplTrait(_) => *ty = parse_quote!(_),
        Type::Path(path) => {
            if let Some(qself) = &mut path.qself {
                infer_impl_traits(&mut qself.ty);
            }
            infer_in_path(&mut path.path);
        }
        Type::TraitObject(object) => {
            for bound in &mut object.bounds {
                if let TypeParamBound::Trait(bound) = bound {
                    infer_in_path(&mut bound.path);
                }
            }
        }
        Type::FnPtr(pointer) => {
            for input in &mut pointer.inputs {
                infer_impl_traits(&mut input.ty);
            }
            infer_in_return(&mut pointer.output);
        }
        Type::Tuple(tuple) => tuple.elems.iter_mut().for_each(infer_impl_traits),
        Type::Ptr(pointer) => infer_impl_traits(&mut pointer.elem),
        Type::Reference(reference) => infer_impl_traits(&mut reference.elem),
        Type::Slice(slice) => infer_impl_traits(&mut slice.elem),
        Type::Array(array) => infer_impl_traits(&mut array.elem),
        Type::Paren(paren) => infer_impl_traits(&mut paren.elem),
        Type::Group(group) => infer_impl_traits(&mut group.elem),
        _ => {}
    }
}

fn infer_in_path(path: &mut Path) {
    for segment in &mut path.segments {
        match &mut segment.arguments {
            PathArguments::None => {}
            PathArguments::AngleBracketed(arguments) => {
                for argument in &mut arguments.args {
                    match argument {
                        GenericArgument::Type(ty) => infer_impl_traits(ty),
                        GenericArgument::AssocType(assoc) => infer_impl_traits(&mut assoc.ty),
                        _ => {}
                    }
                }
            }
            PathArguments::Parenthesized(arguments) => {
                for input in &mut arguments.inputs {
                    infer_impl_traits(&mut input.ty);
                }
                infer_in_return(&mut arguments.output);
            }
        }
    }
}

fn infer_in_return(output: &mut ReturnType) {
    if let ReturnType::Type(_, ty) = output {
        infer_impl_traits(ty);
    }
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;

    /// Without blanks: their positions depend on how the tokens were made.
    fn text(tokens: impl quote::ToTokens) -> String {
        tokens.to_token_stream().to_string().replace(' ', "")
    }

    #[test]
    fn impl_traits_are_left_to_inference_wherever_they_are() {
        let sig: Signature =
            parse_quote!(fn f() -> Result<(Vec<impl Display>, &'static [impl Copy]), Box<Error>>);
        assert_eq!(
            text(Output::declared(&sig).ty),
            text(quote!(Result<(Vec<_>, &'static [_]), Box<Error>>))
        );
        let sig: Signature = parse_quote! {
            fn f() -> (Box<dyn Iterator<Item = impl Copy> + Send>, fn(u8) -> impl Copy, *const impl Copy,
                Box<dyn Fn(u8) -> impl Copy>)
        };
        assert_eq!(
            text(Output::declared(&sig).ty),
            text(quote!((
                Box<dyn Iterator<Item = _> + Send>,
                fn(u8) -> _,
                *const _,
                Box<dyn Fn(u8) -> _>
            )))
        );
    }

    #[test]
    fn the_awaited_type_of_a_boxed_future_is_found() {
        let sig: Signature = parse_quote! {
            fn f<'a>() -> ::core::pin::Pin<Box<dyn ::core::future::Future<Output = Result<u8, E>> + Send + 'a>>
        };
        assert_eq!(
            text(Output::awaited(&sig).unwrap().ty),
            text(quote!(Result<u8, E>))
        );
        let sig: Signature = parse_quote!(fn f() -> Pin<Other>);
        assert!(matches!(Output::awaited(&sig).unwrap().ty, Type::Infer(_)));
        let sig: Signature = parse_quote!(fn f() -> Option<u8>);
        assert!(Output::awaited(&sig).is_none());
    }
}
