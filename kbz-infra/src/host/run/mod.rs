//! Changes of the real world: each action of the vocabulary, idempotent, at its site.
//!
//! Every change of a host begins with a fence: a host that a newer run has changed refuses it.
//! Secrets are filled in here and nowhere earlier, and travel on standard input. What a site
//! says in refusal is shown redacted, cleaned and short.

mod balancer;
mod container;
mod file;
mod firewall;
mod gate;
mod image;
mod lease;
mod mark;
mod owner;
mod reboot;
mod said;
mod shell;
mod system;
mod unit;

use std::sync::Arc;

use bollard::Docker;

pub(super) use balancer::change as on_hetzner;
pub(super) use container::fence;
pub(super) use gate::run as wait;
pub(super) use said::{failed, misplaced, tidy};

use self::shell::Change;
use super::builder;
use super::drain;
use super::read::HostSite;
use super::transport::Transport;
use crate::diag::error_chain;
use crate::effect::{Action, Effect, EffectError, Halt, RunContext};
use crate::probe::{Outage, Site};

/// A host that is to be changed, and all that a change may need.
pub(super) struct HostChange<'a> {
    /// The host.
    pub(super) site: HostSite,
    /// A way to it that has no connection yet, to see whether one comes about.
    pub(super) knock: Arc<dyn Transport>,
    /// The operator's Docker engine, where images come from.
    pub(super) operator: &'a Docker,
}

impl HostChange<'_> {
    /// Carries an action out on the host.
    pub(super) async fn run(&self, action: &Action, run: &RunContext) -> Result<(), EffectError> {
        if let Some(change) = self.scripted(action, run).await {
            return change?.run(&self.site, run).await.map(drop);
        }
        match action {
            Action::RevokeTraffic(rule) => {
                firewall::revoke(&self.site, self.knock.as_ref(), rule, run).await
            }
            Action::Reboot { since } => {
                reboot::run(&self.site, self.knock.as_ref(), since, run).await
            }
            Action::EnableFirewall {} => {
                firewall::enable(&self.site, self.knock.as_ref(), run).await
            }
            _ => self.engine(action, run).await,
        }
    }

    /// Carries out actions that go together, by one exec.
    pub(super) async fn run_all(&self, effects: &[Effect], run: &RunContext) -> Result<(), Halt> {
        let mut changes = Vec::new();
        for effect in effects {
            let change = self.scripted(&effect.action, run).await;
            let change = change.unwrap_or_else(|| Err(misplaced(&effect.site, &effect.action)));
            changes.push(change.map_err(Halt::at_once)?);
        }
        shell::run_all(changes, &self.site, run).await
    }

    /// Actions that are one script.
    async fn scripted(
        &self,
        action: &Action,
        run: &RunContext,
    ) -> Option<Result<Change, EffectError>> {
        if let Some(change) = file::change(&self.site, action, run).await {
            return Some(change);
        }
        Some(match action {
            Action::Systemd { verb, unit } => unit::change(*verb, unit),
            Action::TakeLease { holder } => lease::take(&self.site, holder, run.run),
            Action::RenewLease { holder } => lease::renew(&self.site, holder, run.run),
            Action::GiveLeaseBack { holder } => lease::give_back(&self.site, holder),
            Action::SetSysctl { key, value } => system::set_sysctl(key, value),
            Action::SwapOff {} => Ok(system::swap_off()),
            Action::LoadModule { name } => system::load_module(name),
            Action::AllowTraffic(rule) => Ok(firewall::allow(rule)),
            Action::SetDrain { port, drained } => {
                Ok(Change::new("drain of HAProxy", drain::set(*port, *drained)))
            }
            Action::Stamp { name, value } => mark::stamp(&self.site, name, value),
            Action::RemoveStamp { name } => mark::remove_stamp(&self.site, name),
            Action::Mark(record) => mark::mark(&self.site, record),
            Action::Unmark(urn) => mark::unmark(&self.site, urn),
            _ => return None,
        })
    }

    /// Actions of the host's Docker engine.
    async fn engine(&self, action: &Action, run: &RunContext) -> Result<(), EffectError> {
        let site = &self.site;
        container::fence(site, run).await?;
        match action {
            Action::ShipImage { reference, users } => {
                image::ship(site, self.operator, reference, users, run).await
            }
            Action::RemoveImage { reference } => image::remove(site, reference, run).await,
            Action::CreateContainer(spec) => container::create(site, spec, run).await,
            Action::StartContainer { name } => container::start(site, name, run).await,
            Action::RemoveContainer { name, grace } => {
                container::remove(site, name, *grace, run).await
            }
            other => Err(misplaced(&Site::Host(site.name().clone()), other)),
        }
    }
}

/// Carries an action out on the operator's machine.
pub(super) async fn on_operator(
    docker: &Docker,
    action: &Action,
    run: &RunContext,
) -> Result<(), EffectError> {
    match action {
        Action::BuildImage(context) => {
            let what = format!("build of {}", context.reference());
            builder::build(docker, context, run)
                .await
                .map_err(|error| match error {
                    builder::BuildError::Engine(why) => {
                        EffectError::Unreachable(Outage::new(&Site::Operator, why))
                    }
                    error => failed(what, tidy(run, &error_chain(&error))),
                })
        }
        Action::RemoveImage { reference } => image::remove_local(docker, reference, run).await,
        other => Err(misplaced(&Site::Operator, other)),
    }
}
