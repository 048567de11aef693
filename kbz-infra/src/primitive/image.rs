//! Images on hosts, and their building.
//!
//! An image is named by its content or by a pin, so it never changes under its name. Two kinds
//! share the work:
//! - [`ImageBuild`] builds an image once, on the operator's machine. It asks the *hosts* whether
//!   they have the image, never the operator's Docker: while every host has it, nothing is built
//!   and no Docker is needed beside the program.
//! - [`Image`] is the image in one host's Docker engine, brought there as a stream. An image
//!   that nobody builds is pulled by the operator's machine, which hosts need not be able to.
//!
//! Read: whether the engine has the tag, and whether the ids of the noted users are known on the
//! host. Drift seen: a removed image, forgotten ids. Removal takes the image away unless a
//! container still uses it.
//!
//! ```
//! use std::collections::BTreeMap;
//! use kbz_infra::ident::HostName;
//! use kbz_infra::model::{BuildContext, ContextFile};
//! use kbz_infra::primitive::{Image, ImageBuild};
//!
//! let hosts = [HostName::new("db-1")?, HostName::new("db-2")?];
//! let dockerfile = ContextFile {
//!     content: "FROM debian:trixie-20261110-slim\n".to_owned(),
//!     executable: false,
//! };
//! let build = ImageBuild::of(BuildContext {
//!     repository: "kbz/base".to_owned(),
//!     version: "13".to_owned(),
//!     files: BTreeMap::from([("Dockerfile".to_owned(), dockerfile)]),
//!     args: BTreeMap::new(),
//! })
//! .for_hosts(&hosts);
//! let images: Vec<Image> = hosts
//!     .iter()
//!     .map(|host| Image::on(host, build.reference()).knowing_user("postgres"))
//!     .collect();
//! # Ok::<(), kbz_infra::ident::InvalidName>(())
//! ```

use crate::effect::Removal;
use crate::effect::{Action, Effect};
use crate::ident::{Digest, HostName, Urn};
use crate::model::BuildContext;
use crate::probe::{ImageReading, ImageTag, ImageUser, Probe, Site};
use crate::resource::{
    Change, Claim, Context, FieldNames, Impact, Op, PlanError, Planned, Reason, Resource,
};

/// An image in the Docker engine of one host.
#[derive(Debug, Clone)]
pub struct Image {
    host: HostName,
    reference: String,
    users: Vec<String>,
}

impl Image {
    /// The kind's name in addresses.
    pub const KIND: &'static str = "image";

    /// An image by repository and tag. Where an [`ImageBuild`] makes it, the resource has to
    /// come after that; otherwise the operator's machine pulls it.
    pub fn on(host: &HostName, reference: impl Into<String>) -> Self {
        Self {
            host: host.clone(),
            reference: reference.into(),
            users: Vec::new(),
        }
    }

    /// Notes the numeric ids of a user inside the image, so that files can be given to it.
    pub fn knowing_user(mut self, user: impl Into<String>) -> Self {
        self.users.push(user.into());
        self
    }

    /// Repository and tag.
    pub fn reference(&self) -> &str {
        &self.reference
    }

    fn site(&self) -> Site {
        Site::Host(self.host.clone())
    }

    fn query(&self) -> ImageTag {
        tag(&self.reference)
    }

    fn user_query(&self, user: &str) -> ImageUser {
        ImageUser {
            reference: self.reference.clone(),
            user: user.to_owned(),
        }
    }

    fn ship(&self, op: Op, reasons: Vec<Reason>) -> Change {
        Change {
            op,
            reasons,
            impact: Impact::None,
            effects: vec![Effect::on(
                &self.host,
                Action::ShipImage {
                    reference: self.reference.clone(),
                    users: self.users.clone(),
                },
            )],
            details: Vec::new(),
        }
    }

    /// Users whose ids the host does not know although it has the image.
    fn forgotten_users(&self, context: &Context<'_>) -> Result<Vec<Reason>, PlanError> {
        let mut reasons = Vec::new();
        for user in &self.users {
            let known = context.ask(&self.site(), &self.user_query(user))?.0;
            if known.is_none() {
                reasons.push(Reason::field(format!("ids of {user}"), "unknown", "noted"));
            }
        }
        Ok(reasons)
    }
}

impl Resource for Image {
    fn urn(&self) -> Urn {
        Urn::on(Self::KIND, &self.host, &self.reference)
    }

    fn probes(&self) -> Vec<Probe> {
        let users = self.users.iter().map(|user| self.user_query(user));
        let users = users.map(|query| Probe::host(&self.host, query));
        std::iter::once(Probe::host(&self.host, self.query()))
            .chain(users)
            .collect()
    }

    fn plan(&self, context: &Context<'_>) -> Result<Planned, PlanError> {
        let change = match context.ask(&self.site(), &self.query())? {
            ImageReading::Absent => Some(self.ship(Op::Create, vec![Reason::Missing])),
            ImageReading::Present { .. } => {
                let reasons = self.forgotten_users(context)?;
                (!reasons.is_empty()).then(|| self.ship(Op::Update, reasons))
            }
        };
        Ok(Planned {
            goal: context.keyed(&Digest::of(&self.reference)),
            change,
        })
    }

    fn removal(&self) -> Removal {
        Removal {
            probes: vec![Probe::host(&self.host, self.query())],
            effects: vec![Effect::on(
                &self.host,
                Action::RemoveImage {
                    reference: self.reference.clone(),
                },
            )],
            impact: Impact::None,
        }
    }

    fn field_names(&self) -> Option<FieldNames> {
        Some(FieldNames(&[]))
    }

    fn summary(&self) -> String {
        "in the host's engine".to_owned()
    }

    fn claims(&self) -> Vec<Claim> {
        vec![Claim::Image {
            reference: self.reference.clone(),
        }]
    }
}

/// The building of an image on the operator's machine, for hosts that do not have it.
#[derive(Debug, Clone)]
pub struct ImageBuild {
    context: BuildContext,
    hosts: Vec<HostName>,
}

impl ImageBuild {
    /// The kind's name in addresses.
    pub const KIND: &'static str = "image-build";

    /// The building of an image from a context.
    pub fn of(context: BuildContext) -> Self {
        Self {
            context,
            hosts: Vec::new(),
        }
    }

    /// Adds hosts that the image is for.
    pub fn for_hosts<'a>(mut self, hosts: impl IntoIterator<Item = &'a HostName>) -> Self {
        self.hosts.extend(hosts.into_iter().cloned());
        self
    }

    /// Repository and tag of the image.
    pub fn reference(&self) -> String {
        self.context.reference()
    }

    /// The hosts that are known to lack the image. One that does not answer is none of them:
    /// the image there is left alone in any case.
    fn lacking(&self, context: &Context<'_>) -> Result<Vec<&HostName>, PlanError> {
        let query = tag(&self.reference());
        let mut lacking = Vec::new();
        for host in &self.hosts {
            match context.ask(&Site::Host(host.clone()), &query) {
                Ok(ImageReading::Absent) => lacking.push(host),
                Ok(ImageReading::Present { .. }) | Err(PlanError::Blocked(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(lacking)
    }
}

impl Resource for ImageBuild {
    fn urn(&self) -> Urn {
        Urn::global(Self::KIND, self.reference())
    }

    fn probes(&self) -> Vec<Probe> {
        let query = tag(&self.reference());
        let hosts = self.hosts.iter();
        hosts.map(|host| Probe::host(host, query.clone())).collect()
    }

    fn plan(&self, context: &Context<'_>) -> Result<Planned, PlanError> {
        let lacking = self.lacking(context)?;
        let reasons = lacking.into_iter().cloned();
        let reasons: Vec<Reason> = reasons.map(|host| Reason::LackingOn { host }).collect();
        let change = (!reasons.is_empty()).then(|| Change {
            op: Op::Run,
            reasons,
            impact: Impact::None,
            effects: vec![Effect::new(
                Site::Operator,
                Action::BuildImage(self.context.clone()),
            )],
            details: Vec::new(),
        });
        Ok(Planned {
            goal: context.keyed(&Digest::of(self.reference())),
            change,
        })
    }

    fn removal(&self) -> Removal {
        // What is left on the operator's machine is a cache that `docker image prune` knows.
        Removal::default()
    }

    fn field_names(&self) -> Option<FieldNames> {
        Some(FieldNames(&[]))
    }

    fn summary(&self) -> String {
        match self.context.files.len() {
            1 => "built from 1 file".to_owned(),
            many => format!("built from {many} files"),
        }
    }

    fn claims(&self) -> Vec<Claim> {
        let text = self.context.files.get("Dockerfile");
        let text = text.map(|file| file.content.clone()).unwrap_or_default();
        let image = self.reference();
        vec![
            Claim::Says {
                place: format!("the Dockerfile of {}", self.context.repository),
                text: text.clone(),
                private: false,
                holds_secret: false,
            },
            Claim::Dockerfile { image, text },
        ]
    }
}

fn tag(reference: &str) -> ImageTag {
    ImageTag {
        reference: reference.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::primitive::testkit::{World, check, host, removal};
    use crate::probe::ImageUserReading;

    fn image() -> Image {
        Image::on(&host(), "kbz/pg:17-1").knowing_user("postgres")
    }

    fn present() -> ImageReading {
        ImageReading::Present {
            id: "sha256:1".to_owned(),
        }
    }

    fn user(ids: Option<(u32, u32)>) -> World {
        let query = image().user_query("postgres");
        World::host(query, ImageUserReading(ids))
    }

    fn build() -> ImageBuild {
        let context = BuildContext {
            repository: "kbz/pg".to_owned(),
            version: "17".to_owned(),
            files: BTreeMap::new(),
            args: BTreeMap::new(),
        };
        ImageBuild::of(context).for_hosts([&host(), &other()])
    }

    fn other() -> HostName {
        HostName::new("db-2").unwrap()
    }

    fn on_both(one: ImageReading, two: ImageReading) -> World {
        let query = tag(&build().reference());
        World::host(query.clone(), one).and_at(&Site::Host(other()), query, two)
    }

    #[test]
    fn every_transition_of_an_image() {
        let query = image().query();
        check([
            (
                image(),
                user(None).and(query.clone(), ImageReading::Absent),
                "Create (none) is not there: ShipImage",
            ),
            (
                image(),
                user(Some((999, 999))).and(query.clone(), present()),
                "nothing",
            ),
            (
                image(),
                user(None).and(query, present()),
                "Update (none) ids of postgres  unknown → noted: ShipImage",
            ),
            (image(), World::silent(), "unreachable"),
        ]);
        assert_eq!(removal(&image()), "RemoveImage");
        assert_eq!(image().claims().len(), 1);
    }

    #[test]
    fn an_image_is_built_while_a_host_lacks_it() {
        check([
            (
                build(),
                on_both(present(), ImageReading::Absent),
                "Run (none) missing on db-2: BuildImage",
            ),
            (build(), on_both(present(), present()), "nothing"),
            (build(), World::silent(), "nothing"),
            (
                build(),
                World::host(tag(&build().reference()), ImageReading::Absent).or_silent(),
                "Run (none) missing on db-1: BuildImage",
            ),
        ]);
        assert!(build().removal().effects.is_empty());
    }

    #[test]
    fn only_hosts_are_asked() {
        let sites = build().probes().into_iter().map(|probe| probe.site);
        assert!(sites.into_iter().all(|site| site.host().is_some()));
    }
}
