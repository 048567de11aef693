//! Effects that are carried out in one go.
//!
//! An exec costs a host a round trip and a handful of programs, and an intent that is waited for
//! costs the operator's disk a sync. So effects of one step that follow each other on one host, and
//! are short scripts there, travel together: the intents of all are on the disk before the first
//! begins, and the host carries them out in order and ends at the first that fails. A change and
//! its mark in the registry are such a pair.

use super::action::{Action, Effect};

/// How many of `effects`, from the first one, go together; 0 where there is none.
pub fn bundle(effects: &[Effect]) -> usize {
    let Some(first) = effects.first() else {
        return 0;
    };
    if !first.action.is_one_script() {
        return 1;
    }
    let together = effects
        .iter()
        .take_while(|effect| effect.site == first.site && effect.action.is_one_script());
    together.count()
}

impl Action {
    /// Whether it is one script on a host that needs nothing else and waits for nobody.
    pub(crate) fn is_one_script(&self) -> bool {
        match self {
            Self::WriteFile { .. }
            | Self::SetFileAttributes { .. }
            | Self::RemoveFile { .. }
            | Self::MakeDirectory { .. }
            | Self::RemoveDirectory { .. }
            | Self::Systemd { .. }
            | Self::SetSysctl { .. }
            | Self::SwapOff {}
            | Self::LoadModule { .. }
            | Self::AllowTraffic(_)
            | Self::SetDrain { .. }
            | Self::Stamp { .. }
            | Self::RemoveStamp { .. }
            | Self::Mark(_)
            | Self::Unmark(_) => true,
            // Some are guarded by a timer that a fresh connection stops, some ask another server,
            // and some wait.
            Self::RevokeTraffic(_)
            | Self::EnableFirewall {}
            | Self::Reboot { .. }
            | Self::TakeLease { .. }
            | Self::RenewLease { .. }
            | Self::GiveLeaseBack { .. }
            | Self::BuildImage(_)
            | Self::ShipImage { .. }
            | Self::RemoveImage { .. }
            | Self::CreateContainer(_)
            | Self::StartContainer { .. }
            | Self::RemoveContainer { .. }
            | Self::SetRole(_)
            | Self::DropRole { .. }
            | Self::SetDatabase(_)
            | Self::DropDatabase { .. }
            | Self::SetExtension { .. }
            | Self::ResetParameters { .. }
            | Self::DropExtension { .. }
            | Self::PatchDcs { .. }
            | Self::Switchover { .. }
            | Self::RestartMember { .. }
            | Self::ChangeLoadBalancer { .. }
            | Self::DeleteLoadBalancer { .. }
            | Self::Gate(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effect::UnitVerb;
    use crate::ident::HostName;

    fn on(host: &str, action: Action) -> Effect {
        Effect::on(&HostName::new(host).unwrap(), action)
    }

    fn unit(verb: UnitVerb) -> Action {
        let unit = "patroni-docker.service".to_owned();
        Action::Systemd { verb, unit }
    }

    #[test]
    fn scripts_of_one_host_go_together_and_nothing_else_does() {
        let create = || Action::StartContainer {
            name: "patroni".to_owned(),
        };
        let effects = [
            on("db-1", unit(UnitVerb::Enable)),
            on("db-1", Action::SwapOff {}),
            on("db-2", Action::SwapOff {}),
            on("db-2", create()),
            on("db-2", create()),
        ];
        let mut rest = effects.as_slice();
        let mut sizes = Vec::new();
        while !rest.is_empty() {
            sizes.push(bundle(rest));
            rest = &rest[bundle(rest)..];
        }
        assert_eq!(sizes, [2, 1, 1, 1]);
        assert_eq!(bundle(&[]), 0);
    }
}
