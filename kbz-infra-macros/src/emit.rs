//! From the model to tokens.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;

use crate::model::{Change, Description, Field};

/// The implementation of `Describe`.
pub(crate) fn tokens(description: &Description) -> TokenStream {
    let Description {
        ident,
        generics,
        kind,
        ..
    } = description;
    let (impl_generics, type_generics, where_clause) = generics.split_for_impl();
    let address = address(description);
    let fields = description.fields.iter().map(field);
    quote! {
        #[automatically_derived]
        impl #impl_generics ::kbz_infra::resource::Describe for #ident #type_generics #where_clause {
            const KIND: &'static str = #kind;

            fn address(&self) -> ::kbz_infra::ident::Urn {
                #address
            }

            fn fields(&self) -> ::std::vec::Vec<::kbz_infra::resource::Field> {
                ::std::vec![#(#fields),*]
            }
        }
    }
}

fn address(description: &Description) -> TokenStream {
    let name = &description.name;
    let kind = quote!(<Self as ::kbz_infra::resource::Describe>::KIND);
    let name = quote!(::std::string::ToString::to_string(&self.#name));
    if let Some(host) = &description.host {
        quote!(::kbz_infra::ident::Urn::on(#kind, &self.#host, #name))
    } else {
        quote!(::kbz_infra::ident::Urn::global(#kind, #name))
    }
}

fn field(field: &Field) -> TokenStream {
    let ident = &field.ident;
    let name = ident.to_string();
    let make = if field.secret { "secret" } else { "shown" };
    let make = Ident::new(make, Span::call_site());
    let change = match field.change {
        Change::Replace => quote!(::kbz_infra::resource::FieldChange::Replace),
        Change::Update(impact) => {
            let impact = Ident::new(impact, Span::call_site());
            quote! {
                ::kbz_infra::resource::FieldChange::Update(
                    ::kbz_infra::resource::Impact::#impact,
                )
            }
        }
    };
    // The span of the field, so that the compiler points at it when it cannot be shown.
    quote::quote_spanned!(ident.span()=> ::kbz_infra::resource::Field::#make(#name, &self.#ident, #change))
}
