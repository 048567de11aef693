//! The derive macro of kbz-infra.
//!
//! `#[derive(Resource)]` on a struct with named fields writes an implementation of
//! `kbz_infra::resource::Describe`: the kind, the address, and the fields with their values and
//! what a change of each does. It writes what a hand would write and nothing that a hand could
//! not; what to read and what to do stays with the person who writes `impl Resource`.
//!
//! On the struct, `#[resource(kind = "motd", host = "host", name = "path")]`: the kind, the field
//! that holds the host (leave it out where no host holds the object), and the field that holds
//! the name. On a field:
//!
//! | attribute | meaning |
//! |---|---|
//! | none | shown with its `Display`; a change is an update with the impact `none` |
//! | `#[resource(impact = "restart")]` | a change of it does this to the service: `none`, `reload`, `restart`, `switchover`, `recreate`, `data-loss` |
//! | `#[resource(replace)]` | a change of it needs the object to be made anew |
//! | `#[resource(secret)]` | its value is never shown, only that it changes |
//! | `#[resource(skip)]` | no part of the description |
//!
//! The attributes are read into a model first (`model`); tokens are made from the model alone
//! (`emit`).

mod emit;
mod model;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Describes a struct as a resource: see the documentation of the crate.
#[proc_macro_derive(Resource, attributes(resource))]
pub fn derive_resource(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    match model::Description::of(&input) {
        Ok(description) => emit::tokens(&description).into(),
        Err(error) => error.to_compile_error().into(),
    }
}
