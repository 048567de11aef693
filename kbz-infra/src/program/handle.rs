//! What a declaration gives back to the program: a typed handle.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use crate::ident::Urn;

/// A declared object. Giving a handle to another declaration makes the dependency; nobody
/// writes one down that a reference already says.
pub struct Handle<T> {
    urn: Urn,
    declared: Arc<T>,
}

impl<T> Handle<T> {
    pub(super) fn new(urn: Urn, declared: Arc<T>) -> Self {
        Self { urn, declared }
    }

    /// The object's address.
    pub fn urn(&self) -> &Urn {
        &self.urn
    }
}

impl<T> Clone for Handle<T> {
    fn clone(&self) -> Self {
        Self {
            urn: self.urn.clone(),
            declared: Arc::clone(&self.declared),
        }
    }
}

impl<T> Deref for Handle<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.declared
    }
}

impl<T> AsRef<Handle<T>> for Handle<T> {
    fn as_ref(&self) -> &Handle<T> {
        self
    }
}

impl<T> fmt::Debug for Handle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handle({})", self.urn)
    }
}
