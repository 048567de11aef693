//! What an image is made of: one build, for the hosts of all nodes that run it.

use crate::component::patroni::node::PatroniNode;
use crate::component::patroni::patroni_image::PatroniImage;
use crate::ident::{HostName, Urn};
use crate::program::{Component, Result, Scope};

impl Component for PatroniImage {
    fn urn(&self) -> Urn {
        Urn::global(Self::KIND, format!("postgresql-{}", self.postgres.major))
    }

    fn summary(&self) -> String {
        format!(
            "PostgreSQL {}, Patroni {}",
            self.postgres, self.pins.patroni
        )
    }

    fn expand(&self, scope: &mut Scope<'_>) -> Result<()> {
        let nodes = scope.all::<PatroniNode>();
        let hosts: Vec<HostName> = nodes
            .iter()
            .filter(|node| node.uses_image(&self.urn()))
            .map(|node| node.host().clone())
            .collect();
        self.source_in(scope)?.declare_build(scope, &hosts);
        Ok(())
    }
}
