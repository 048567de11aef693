// ANCHOR: all
//! A kind of its own: the banner that a host shows before a login.
//!
//! `#[derive(Resource)]` writes what follows from the fields: the kind, the address, and what a
//! change of each field means. What to read and what to do is written here, in the vocabulary of
//! probes and effects; so preview, drift, recovery and simulation work for it as for any other.

#![expect(clippy::disallowed_macros, reason = "an example shows what it did")]

use std::process::ExitCode;

use examples::{AnyError, rehearse};
use kbz_infra::effect::Removal;
use kbz_infra::effect::{Action, Effect, Owner, PreImage};
use kbz_infra::prelude::*;
use kbz_infra::probe::{Path, PathReading, Probe, Site};
use kbz_infra::resource::{Change, Context, Detail, Impact, Op, PlanError, Planned, Reason};

/// Where sshd finds the banner.
const PATH: &str = "/etc/issue.net";

// ANCHOR: fields
/// The banner that a host shows before a login.
#[derive(Debug, Clone, Resource)]
#[resource(kind = "login-banner", host = "host", name = "name")]
struct LoginBanner {
    host: HostName,
    name: String,
    /// Who may log in.
    greeting: String,
    /// Whom to ask.
    #[resource(impact = "reload")]
    contact: String,
}
// ANCHOR_END: fields

impl LoginBanner {
    fn on(host: &HostName, greeting: &str, contact: &str) -> Self {
        Self {
            host: host.clone(),
            name: "ssh".to_owned(),
            greeting: greeting.to_owned(),
            contact: contact.to_owned(),
        }
    }

    fn text(&self) -> String {
        format!("{}\nContact: {}\n", self.greeting, self.contact)
    }

    /// The banner that a text is; a foreign one has no contact.
    fn found(&self, text: &str) -> Self {
        let (greeting, contact) = text
            .trim_end()
            .split_once("\nContact: ")
            .unwrap_or((text, ""));
        Self::on(&self.host, greeting, contact)
    }

    fn query() -> Path {
        Path {
            path: PATH.to_owned(),
            content: true,
        }
    }

    fn write(&self, expect: PreImage) -> Effect {
        Effect::on(
            &self.host,
            Action::WriteFile {
                path: PATH.to_owned(),
                content: Text::plain(self.text()),
                mode: 0o644,
                owner: Owner::root(),
                expect,
                validate: None,
                immutable: false,
            },
        )
    }

    fn create(&self) -> Change {
        Change {
            op: Op::Create,
            reasons: vec![Reason::Missing],
            impact: Impact::None,
            effects: vec![self.write(PreImage::Absent)],
            details: vec![Detail::Text {
                old: String::new(),
                new: self.text(),
            }],
        }
    }
}

impl kbz_infra::resource::Resource for LoginBanner {
    fn urn(&self) -> Urn {
        self.address()
    }

    // ANCHOR: probes
    fn probes(&self) -> Vec<Probe> {
        vec![Probe::host(&self.host, Self::query())]
    }
    // ANCHOR_END: probes

    fn plan(&self, context: &Context<'_>) -> Result<Planned, PlanError> {
        // ANCHOR: plan
        let change = match context.ask(&Site::Host(self.host.clone()), &Self::query())? {
            PathReading::Absent => Some(self.create()),
            PathReading::File(file) => {
                let old = file.content.clone().unwrap_or_default();
                let difference = self.changes_from(&self.found(&old).fields());
                (!difference.is_empty()).then(|| Change {
                    op: Op::Update,
                    reasons: difference.reasons,
                    impact: difference.impact,
                    effects: vec![self.write(PreImage::Content(file.digest))],
                    details: vec![Detail::Text {
                        old,
                        new: self.text(),
                    }],
                })
            }
            PathReading::Directory(_) | PathReading::Other(_) => {
                return Err(PlanError::Refused {
                    what: format!("{PATH} on {} is no regular file", self.host),
                    help: "look at what is there, and move it away by hand".to_owned(),
                });
            }
        };
        // ANCHOR_END: plan
        Ok(Planned {
            goal: context.keyed(&self.goal_digest()),
            change,
        })
    }

    // ANCHOR: removal
    fn removal(&self) -> Removal {
        let remove = Action::RemoveFile {
            path: PATH.to_owned(),
            expect: PreImage::Any,
        };
        Removal {
            probes: self.probes(),
            effects: vec![Effect::on(&self.host, remove)],
            impact: Impact::None,
        }
    }
    // ANCHOR_END: removal

    fn summary(&self) -> String {
        self.greeting.clone()
    }
}

fn banners(stack: &mut Stack) -> Result<()> {
    let host = HostName::new("install-01")?;
    stack.add(LoginBanner::on(&host, "authorised people only", "ops"));
    Ok(())
}

#[tokio::main]
async fn main() -> Result<ExitCode, AnyError> {
    let rehearsal = rehearse(banners).await?;
    for step in &rehearsal.first.steps {
        println!("{} {}  {}", step.op.mark(), step.urn, step.summary);
    }
    Ok(if rehearsal.second.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_banner_is_made_once() {
        let rehearsal = rehearse(banners).await.unwrap();
        assert_eq!(rehearsal.first.count(Op::Create), 1);
        assert!(rehearsal.second.is_empty(), "{:?}", rehearsal.second.steps);
    }

    #[test]
    fn a_change_tells_its_reason_and_impact() {
        let host = HostName::new("install-01").unwrap();
        let new = LoginBanner::on(&host, "authorised people only", "ops");
        let old = new.found("authorised people only\nContact: nobody\n");
        let difference = new.changes_from(&old.fields());
        assert_eq!(
            difference.reasons,
            [Reason::field("contact", "nobody", "ops")]
        );
        assert_eq!(difference.impact, Impact::Reload);
    }
}
// ANCHOR_END: all
