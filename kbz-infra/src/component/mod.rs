//! What an operator declares, and how it is written down: a folder per component, with its
//! templates beside the code. Pure: no async, no IO.

pub mod haproxy;
pub mod hetzner_lb;
pub mod patroni;
pub mod pgbouncer;
pub mod unit;

mod base_os;
mod context;
mod marked;
mod postgres;
mod service_image;

pub use crate::secret::Login;
pub use base_os::BaseOs;
pub use context::{BuildContext, InvalidContext};
pub use hetzner_lb::HetznerLb;
pub use marked::RenderError;
pub use postgres::PgTenant;
pub use service_image::ServiceImage;

use crate::diag::{Finding, SourceLocation};
use crate::ident::{HostName, Urn};
use crate::primitive::{File, SystemdUnit};
use crate::program::{DeclareExt as _, Result, Scope};
use unit::Unit;

/// Declares the unit that supervises a container: its file, and its state, reloaded when one of
/// `settings` changes.
pub(crate) fn supervise(
    scope: &mut Scope<'_>,
    host: &HostName,
    unit: &Unit,
    container: &Urn,
    settings: Vec<Urn>,
    after: impl IntoIterator<Item = Urn>,
) -> Result<()> {
    let text = unit.render().map_err(|error| {
        Finding::error("kbz::component::unit", error.to_string())
            .label(SourceLocation::from(scope.place()), "declared here")
    })?;
    let file = File::on(host, format!("/etc/systemd/system/{}", unit.name()))
        .content(text)
        .mode(0o644);
    let file = scope.add(file).urn().clone();
    scope.add(
        SystemdUnit::on(host, unit.name())
            .reload_on(settings.clone())
            .restart_on([container.clone(), file.clone()])
            .after(settings)
            .after([container.clone(), file])
            .after(after),
    );
    Ok(())
}

/// An error with its causes, for one line.
pub(crate) fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
