//! The Hetzner load balancer; its client does the work.

use super::said;
use crate::diag::error_chain;
use crate::effect::{Action, EffectError, RunContext};
use crate::host::hetzner::{HetznerClient, HetznerError};
use crate::probe::{Outage, Site};

/// Carries an action out, or says that Hetzner is no place for it.
pub(in crate::host) async fn change(
    client: &HetznerClient,
    action: &Action,
    run: &RunContext,
) -> Result<(), EffectError> {
    let (name, outcome) = match action {
        Action::ChangeLoadBalancer { name, change } => (name, client.apply(name, change).await),
        Action::DeleteLoadBalancer { name } => {
            (name, client.delete(name, run.stack.as_str()).await)
        }
        other => return Err(said::misplaced(&Site::Hetzner, other)),
    };
    outcome.map(drop).map_err(|error| told(name, run, error))
}

fn told(name: &str, run: &RunContext, error: HetznerError) -> EffectError {
    let what = format!("load balancer {name}");
    let said = said::tidy(run, &error_chain(&error));
    match error {
        HetznerError::Unexpected { why, .. } => EffectError::Moved {
            what,
            found: said::tidy(run, &why),
        },
        HetznerError::NoAnswer { .. }
        | HetznerError::Server { .. }
        | HetznerError::Garbled { .. }
        | HetznerError::RateLimited { .. }
        | HetznerError::Unending { .. } => {
            EffectError::Unreachable(Outage::new(&Site::Hetzner, said))
        }
        HetznerError::Unauthorized
        | HetznerError::Refused { .. }
        | HetznerError::Busy { .. }
        | HetznerError::Running { .. }
        | HetznerError::ActionFailed { .. }
        | HetznerError::TooLate { .. }
        | HetznerError::NoNetwork { .. }
        | HetznerError::ForeignTarget { .. } => said::failed(what, said),
    }
}
