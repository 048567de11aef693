//! A regular file of a host.
//!
//! Read: hash, size, owner, mode and content. Drift seen: a changed, removed or replaced file,
//! a changed owner or mode. Written beside its place, accepted by its real consumer where one
//! is named, and renamed; a directory or a link in the way is refused, unless the declaration
//! says that the file takes the link's place.
//!
//! ```
//! use kbz_infra::ident::HostName;
//! use kbz_infra::primitive::File;
//!
//! let host = HostName::new("haproxy-01")?;
//! let motd = File::on(&host, "/etc/motd").content("kept by kbz-infra\n").mode(0o644);
//! # Ok::<(), kbz_infra::ident::InvalidName>(())
//! ```

use crate::effect::Removal;
use crate::effect::{Action, Effect, Owner, PreImage};
use crate::ident::{Digest, HostName, Urn};
use crate::probe::{self, FileReading, ImageUser, Node, Ownership, PathReading, Probe, Site};
use crate::resource::{
    Change, Claim, Content, Context, Detail, FieldNames, Impact, Op, PlanError, Planned, Reason,
    Resource,
};
use crate::secret::Text;

/// A regular file of a host.
#[derive(Debug, Clone)]
pub struct File {
    host: HostName,
    path: String,
    content: Content,
    mode: u32,
    owner: Owner,
    validate: Option<Vec<String>>,
    immutable: bool,
    in_place_of_link: bool,
}

impl File {
    /// The kind's name in addresses.
    pub const KIND: &'static str = "file";

    /// An empty file of `root`, mode 600, at an absolute path.
    pub fn on(host: &HostName, path: impl Into<String>) -> Self {
        Self {
            host: host.clone(),
            path: path.into(),
            content: Content::Text(Text::default()),
            mode: 0o600,
            owner: Owner::root(),
            validate: None,
            immutable: false,
            in_place_of_link: false,
        }
    }

    /// The content: text, or a function of facts.
    pub fn content(mut self, content: impl Into<Content>) -> Self {
        self.content = content.into();
        self
    }

    /// Permission bits, such as `0o644`. Default: `0o600`.
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    /// Owner and group. Default: `root`.
    pub fn owner(mut self, owner: Owner) -> Self {
        self.owner = owner;
        self
    }

    /// A command that must accept the new content before it takes its place; `{}` stands for
    /// the path of the new file. It runs on the host.
    pub fn validate<A: Into<String>>(mut self, command: impl IntoIterator<Item = A>) -> Self {
        self.validate = Some(command.into_iter().map(Into::into).collect());
        self
    }

    /// Protects the file against everybody else (`chattr +i`).
    pub fn immutable(mut self) -> Self {
        self.immutable = true;
        self
    }

    /// Takes the place of a symbolic link, which is refused otherwise. What the link points to
    /// stays as it is.
    pub fn in_place_of_link(mut self) -> Self {
        self.in_place_of_link = true;
        self
    }

    /// The absolute path.
    pub fn path(&self) -> &str {
        &self.path
    }

    fn site(&self) -> Site {
        Site::Host(self.host.clone())
    }

    fn query(&self) -> probe::Path {
        probe::Path {
            path: self.path.clone(),
            content: true,
        }
    }

    fn write(&self, content: Text, expect: PreImage) -> Effect {
        Effect::on(
            &self.host,
            Action::WriteFile {
                path: self.path.clone(),
                content,
                mode: self.mode,
                owner: self.owner.clone(),
                expect,
                validate: self.validate.clone(),
                immutable: self.immutable,
            },
        )
    }

    fn create(&self, text: &Text) -> Change {
        Change {
            op: Op::Create,
            reasons: vec![Reason::Missing],
            impact: Impact::None,
            effects: vec![self.write(text.clone(), PreImage::Absent)],
            details: vec![Detail::Text {
                old: String::new(),
                new: text.to_string(),
            }],
        }
    }

    fn replace_link(&self, text: &Text) -> Change {
        Change {
            op: Op::Update,
            reasons: vec![Reason::field("type", "link", "file")],
            effects: vec![self.write(text.clone(), PreImage::Link)],
            ..self.create(text)
        }
    }

    fn update(
        &self,
        context: &Context<'_>,
        text: &Text,
        wanted: &Digest,
        found: &FileReading,
    ) -> Result<Option<Change>, PlanError> {
        let found_ownership = &found.ownership;
        let mut reasons = ownership_drift(
            context,
            &self.site(),
            &self.owner,
            self.mode,
            found_ownership,
        )?;
        if found.immutable != self.immutable && !context.ignores("immutable") {
            reasons.push(Reason::field("immutable", found.immutable, self.immutable));
        }
        let mut details = Vec::new();
        if found.digest != *wanted && !context.ignores("content") {
            reasons.insert(0, Reason::Content);
            details.push(content_diff(context, text, found));
        }
        if reasons.is_empty() {
            return Ok(None);
        }
        Ok(Some(Change {
            op: Op::Update,
            reasons,
            impact: Impact::None,
            effects: vec![self.mend(context, text, found)],
            details,
        }))
    }

    /// What makes a file that is there as declared, what is ignored of it left as it is found.
    fn mend(&self, context: &Context<'_>, text: &Text, found: &FileReading) -> Effect {
        let (owner, mode) = ownership_beside(context, &self.owner, self.mode, &found.ownership);
        let immutable = if context.ignores("immutable") {
            found.immutable
        } else {
            self.immutable
        };
        let beside = Self {
            mode,
            owner,
            immutable,
            ..self.clone()
        };
        if !context.ignores("content") {
            return beside.write(text.clone(), PreImage::Content(found.digest));
        }
        let attributes = Action::SetFileAttributes {
            path: beside.path,
            mode,
            owner: beside.owner,
            immutable,
        };
        Effect::on(&self.host, attributes)
    }
}

impl Resource for File {
    fn urn(&self) -> Urn {
        Urn::on(Self::KIND, &self.host, &self.path)
    }

    fn probes(&self) -> Vec<Probe> {
        let mut probes = vec![Probe::host(&self.host, self.query())];
        probes.extend(owner_probe(&self.host, &self.owner));
        probes.extend(self.content.facts().iter().cloned());
        probes
    }

    fn plan(&self, context: &Context<'_>) -> Result<Planned, PlanError> {
        let text = self.content.text(context)?;
        let wanted = text.digest(context.vault())?;
        let goal = Digest::of_parts([
            wanted.as_bytes().as_slice(),
            format!(
                "{:o} {} {}",
                self.mode,
                self.owner.in_goal(),
                self.immutable
            )
            .as_bytes(),
        ]);
        let change = match context.ask(&self.site(), &self.query())? {
            PathReading::Absent => Some(self.create(&text)),
            PathReading::File(found) => self.update(context, &text, &wanted, found)?,
            PathReading::Other(Node::Symlink) if self.in_place_of_link => {
                Some(self.replace_link(&text))
            }
            PathReading::Directory(_) | PathReading::Other(_) => {
                return Err(PlanError::Refused {
                    what: format!("{} on {} is no regular file", self.path, self.host),
                    help: "look at what is there, and move it away by hand".to_owned(),
                });
            }
        };
        Ok(Planned {
            goal: context.keyed(&goal),
            change,
        })
    }

    fn removal(&self) -> Removal {
        Removal {
            probes: vec![Probe::host(&self.host, self.query())],
            effects: vec![Effect::on(
                &self.host,
                Action::RemoveFile {
                    path: self.path.clone(),
                    expect: PreImage::Any,
                },
            )],
            impact: Impact::None,
        }
    }

    fn field_names(&self) -> Option<FieldNames> {
        Some(FieldNames(&["content", "mode", "owner", "immutable"]))
    }

    fn summary(&self) -> String {
        format!("{:04o} {}", self.mode, self.owner)
    }

    fn claims(&self) -> Vec<Claim> {
        let mut claims = vec![Claim::Keeps {
            host: self.host.clone(),
            path: self.path.clone(),
            directory: false,
            owner: self.owner.on_host(),
        }];
        if let Content::Text(text) = &self.content {
            claims.push(Claim::Says {
                place: self.path.clone(),
                text: text.to_string(),
                private: self.mode.trailing_zeros() >= 6,
                holds_secret: text.is_secret(),
            });
        }
        claims
    }
}

/// What has to be read to know an owner's numeric ids.
pub(super) fn owner_probe(host: &HostName, owner: &Owner) -> Option<Probe> {
    match owner {
        Owner::Named { .. } => None,
        Owner::InImage { reference, user } => Some(Probe::host(
            host,
            ImageUser {
                reference: reference.clone(),
                user: user.clone(),
            },
        )),
    }
}

/// How owner and mode of what is there differ from what is declared. While the image that knows
/// the owner is still to come, the owner counts as different: who it is, is known when the image
/// is there.
pub(super) fn ownership_drift(
    context: &Context<'_>,
    site: &Site,
    owner: &Owner,
    mode: u32,
    found: &Ownership,
) -> Result<Vec<Reason>, PlanError> {
    let mut reasons = Vec::new();
    if found.mode != mode && !context.ignores("mode") {
        reasons.push(Reason::field(
            "mode",
            format!("{:04o}", found.mode),
            format!("{mode:04o}"),
        ));
    }
    if context.ignores("owner") {
        return Ok(reasons);
    }
    match owner {
        Owner::Named { user, group } => {
            if found.owner != *user || found.group != *group {
                let old = format!("{}:{}", found.owner, found.group);
                reasons.push(Reason::field("owner", old, format!("{user}:{group}")));
            }
        }
        Owner::InImage { reference, user } => {
            let query = ImageUser {
                reference: reference.clone(),
                user: user.clone(),
            };
            let old = format!("{}:{}", found.uid, found.gid);
            match context.ask(site, &query)?.0 {
                Some((uid, gid)) if (found.uid, found.gid) == (uid, gid) => {}
                Some((uid, gid)) => {
                    reasons.push(Reason::field("owner", old, format!("{uid}:{gid}")));
                }
                None => reasons.push(Reason::field("owner", old, format!("{user} of the image"))),
            }
        }
    }
    Ok(reasons)
}

/// Owner and mode of something that is there once it is as declared: what is ignored stays as it
/// is found.
pub(super) fn ownership_beside(
    context: &Context<'_>,
    owner: &Owner,
    mode: u32,
    found: &Ownership,
) -> (Owner, u32) {
    let owner = if context.ignores("owner") {
        Owner::Named {
            user: found.owner.clone(),
            group: found.group.clone(),
        }
    } else {
        owner.clone()
    };
    let mode = if context.ignores("mode") {
        found.mode
    } else {
        mode
    };
    (owner, mode)
}

/// Old and new text for a diff, without a secret in either.
fn content_diff(context: &Context<'_>, text: &Text, found: &FileReading) -> Detail {
    match &found.content {
        Some(old) => Detail::Text {
            old: text.mask_old(old, context.vault()),
            new: text.to_string(),
        },
        None => Detail::Note(format!(
            "{} bytes, too large or not text: no diff",
            found.size
        )),
    }
}
