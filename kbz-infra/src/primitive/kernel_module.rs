//! A kernel module: loaded now, and again at boot.
//!
//! Read: whether the module is loaded or built in, and `/etc/modules-load.d/kbz-NAME.conf`.
//! Drift seen: a module that was taken out, a changed or removed file. Removal takes the file
//! away and leaves the module loaded: others may use it.
//!
//! ```
//! use kbz_infra::ident::HostName;
//! use kbz_infra::primitive::KernelModule;
//!
//! let host = HostName::new("k3s-master-01")?;
//! let netfilter = KernelModule::on(&host, "br_netfilter");
//! # Ok::<(), kbz_infra::ident::InvalidName>(())
//! ```

use super::File;
use super::persisted::with_runtime;
use crate::effect::Removal;
use crate::effect::{Action, Effect};
use crate::ident::{Digest, HostName, Urn};
use crate::probe::{Module, Probe, Site};
use crate::resource::{Context, FieldNames, PlanError, Planned, Reason, Resource};

/// A kernel module that is loaded.
#[derive(Debug, Clone)]
pub struct KernelModule {
    host: HostName,
    name: String,
}

impl KernelModule {
    /// The kind's name in addresses.
    pub const KIND: &'static str = "kernel-module";

    /// A module by its name.
    pub fn on(host: &HostName, name: impl Into<String>) -> Self {
        Self {
            host: host.clone(),
            name: name.into(),
        }
    }

    fn query(&self) -> Module {
        Module {
            name: self.name.clone(),
        }
    }

    fn file(&self) -> File {
        File::on(
            &self.host,
            format!("/etc/modules-load.d/kbz-{}.conf", self.name),
        )
        .content(format!("{}\n", self.name))
        .mode(0o644)
    }

    fn load(&self) -> (Reason, Effect) {
        let name = self.name.clone();
        let reason = Reason::field("state", "absent", "loaded");
        (reason, Effect::on(&self.host, Action::LoadModule { name }))
    }
}

impl Resource for KernelModule {
    fn urn(&self) -> Urn {
        Urn::on(Self::KIND, &self.host, &self.name)
    }

    fn probes(&self) -> Vec<Probe> {
        let mut probes = self.file().probes();
        probes.push(Probe::host(&self.host, self.query()));
        probes
    }

    fn plan(&self, context: &Context<'_>) -> Result<Planned, PlanError> {
        let kept = self.file().plan(context)?;
        let site = Site::Host(self.host.clone());
        let present = context.ask(&site, &self.query())?.present;
        let load = (!present && !context.ignores("state")).then(|| self.load());
        Ok(Planned {
            goal: context.keyed(&Digest::of(&self.name)),
            change: with_runtime(kept.change, load),
        })
    }

    fn removal(&self) -> Removal {
        self.file().removal()
    }

    fn field_names(&self) -> Option<FieldNames> {
        Some(FieldNames(&[
            "state",
            "content",
            "mode",
            "owner",
            "immutable",
        ]))
    }

    fn summary(&self) -> String {
        "loaded, also at boot".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::primitive::testkit::{World, check, file, host, removal};
    use crate::probe::{ModuleReading, PathReading};

    fn module() -> KernelModule {
        KernelModule::on(&host(), "br_netfilter")
    }

    fn world(present: bool, kept: PathReading) -> World {
        World::host(module().query(), ModuleReading { present }).and(
            crate::probe::Path {
                path: "/etc/modules-load.d/kbz-br_netfilter.conf".to_owned(),
                content: true,
            },
            kept,
        )
    }

    #[test]
    fn every_transition() {
        let kept = || file("br_netfilter\n", 0o644);
        check([
            (
                module(),
                world(false, PathReading::Absent),
                "Create (none) is not there, state  absent → loaded: WriteFile, LoadModule",
            ),
            (module(), world(true, kept()), "nothing"),
            (
                module(),
                world(false, kept()),
                "Update (none) state  absent → loaded: LoadModule",
            ),
            (module(), world(false, kept()).ignoring("state"), "nothing"),
            (
                module(),
                world(true, PathReading::Absent),
                "Create (none) is not there: WriteFile",
            ),
            (module(), World::silent(), "unreachable"),
        ]);
        assert_eq!(removal(&module()), "RemoveFile");
    }
}
