//! Where the image of a service comes from: pulled by name, or built from a context.

use crate::ident::{HostName, Urn};
use crate::model;
use crate::primitive::{Image, ImageBuild};
use crate::program::{DeclareExt as _, Scope};

/// The image of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServiceImage {
    /// By repository and exact tag.
    Pulled(String),
    /// Built on the operator's machine.
    Built(model::BuildContext),
}

impl ServiceImage {
    /// Repository and tag.
    pub fn reference(&self) -> String {
        match self {
            ServiceImage::Pulled(reference) => reference.clone(),
            ServiceImage::Built(context) => context.reference(),
        }
    }

    /// The address of the resource that builds the image, if one does.
    pub fn build(&self) -> Option<Urn> {
        match self {
            ServiceImage::Pulled(_) => None,
            ServiceImage::Built(context) => {
                Some(Urn::global(ImageBuild::KIND, context.reference()))
            }
        }
    }

    /// Declares the building of the image for all its hosts; once in a program.
    pub fn declare_build<'a>(
        &self,
        scope: &mut Scope<'_>,
        hosts: impl IntoIterator<Item = &'a HostName>,
    ) {
        if let ServiceImage::Built(context) = self {
            scope.add(ImageBuild::of(context.clone()).for_hosts(hosts));
        }
    }

    /// Declares the image on one host, and gives its address. The numeric ids of `user` inside
    /// the image are noted, so that files of the host can be given to it.
    pub fn declare_on(&self, scope: &mut Scope<'_>, host: &HostName, user: Option<&str>) -> Urn {
        let mut image = Image::on(host, self.reference());
        if let Some(user) = user {
            image = image.knowing_user(user);
        }
        scope.add(image.after(self.build())).urn().clone()
    }
}
