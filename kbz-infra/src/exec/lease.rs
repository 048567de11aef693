//! The lease of a run: while it goes on, nobody else changes the hosts.
//!
//! It is taken on every host of the stack before the first effect, and given back after the
//! last. Whoever finds it held by somebody else begins nothing. It ends by itself when its run
//! has not been heard of for a while, so that a machine that is lost holds nothing up for ever;
//! then the number of the newer run is what keeps the older one out, should it wake up. So that a
//! run is heard of however long its effects take, it renews the lease while it lives.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::Duration;

use futures::future::join_all;
use tokio::time::{sleep, timeout};

use super::outcome::RunError;
use crate::effect::{Action, Effect, EffectError, Interpreter, LEASE_LASTS, RunContext};
use crate::ident::HostName;

/// How often a run renews its lease: a host may miss it more than once.
const RENEWED: Duration = Duration::from_secs(LEASE_LASTS.as_secs() / 4);

/// How long a renewal is waited for. A host that does not answer must not keep the others waiting.
const PATIENCE: Duration = Duration::from_mins(1);

/// Who holds the hosts of a stack while a run goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The hosts.
    pub hosts: BTreeSet<HostName>,
    /// Who runs, in words. Who says the same is the same: a run takes over the lease of an earlier
    /// one of its own state directory, of which only one runs at a time.
    pub holder: String,
}

impl Lease {
    /// Takes it on all hosts that answer, or on none.
    pub(super) async fn take(
        &self,
        interpreter: &dyn Interpreter,
        context: &RunContext,
    ) -> Result<(), RunError> {
        let take = |holder| Action::TakeLease { holder };
        let outcomes = everywhere(&self.hosts, &self.holder, interpreter, context, take).await;
        let mut taken = BTreeSet::new();
        let mut refused = None;
        for (host, outcome) in self.hosts.iter().zip(outcomes) {
            match outcome {
                Ok(()) => drop(taken.insert(host.clone())),
                Err(error @ (EffectError::Held { .. } | EffectError::Moved { .. })) => {
                    refused.get_or_insert(error);
                }
                // What does not answer fails where something is to be done there.
                Err(_) => {}
            }
        }
        let Some(refused) = refused else {
            return Ok(());
        };
        // Where somebody else holds it, nothing may be said: that would make this the newer run.
        give_back(&taken, &self.holder, interpreter, context).await;
        Err(RunError::Held(refused))
    }

    /// Lets `work` come to its end, and renews the lease until then. What a host says to that, or
    /// whether it answers, changes nothing: the next effect there tells what is the matter.
    pub(super) async fn renewed_during<T>(
        &self,
        work: impl Future<Output = T>,
        interpreter: &dyn Interpreter,
        context: &RunContext,
    ) -> T {
        tokio::select! {
            biased;
            outcome = work => outcome,
            never = self.renew(interpreter, context) => match never {},
        }
    }

    /// Renews it again and again.
    async fn renew(&self, interpreter: &dyn Interpreter, context: &RunContext) -> Infallible {
        let renew = |holder| Action::RenewLease { holder };
        loop {
            sleep(RENEWED).await;
            let renewal = everywhere(&self.hosts, &self.holder, interpreter, context, renew);
            let _ = timeout(PATIENCE, renewal).await;
        }
    }

    /// Gives it back where it is this run's. Where that fails, it ends by itself.
    pub(super) async fn give_back(&self, interpreter: &dyn Interpreter, context: &RunContext) {
        give_back(&self.hosts, &self.holder, interpreter, context).await;
    }
}

async fn give_back(
    hosts: &BTreeSet<HostName>,
    holder: &str,
    interpreter: &dyn Interpreter,
    context: &RunContext,
) {
    let back = |holder| Action::GiveLeaseBack { holder };
    everywhere(hosts, holder, interpreter, context, back).await;
}

/// What each of the hosts says to an action.
async fn everywhere(
    hosts: &BTreeSet<HostName>,
    holder: &str,
    interpreter: &dyn Interpreter,
    context: &RunContext,
    action: impl Fn(String) -> Action,
) -> Vec<Result<(), EffectError>> {
    let effects: Vec<Effect> = hosts
        .iter()
        .map(|host| Effect::on(host, action(holder.to_owned())))
        .collect();
    join_all(
        effects
            .iter()
            .map(|effect| interpreter.run(effect, context)),
    )
    .await
}
