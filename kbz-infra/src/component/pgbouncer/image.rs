//! The image of PgBouncer, built from Debian's package: it has no official image.
//!
//! Versions 1.25.0 to 1.25.2 refuse logins after the first reconnect, that is at the first
//! failover; a build that gets one of them fails.

use super::config::{COMMAND, paths};
use crate::component::context::{self, BuildContext, InvalidContext};

/// An image from the package of a Debian 13.
pub fn debian(base: &str) -> Result<BuildContext, InvalidContext> {
    context::pinned(base)?;
    let config = paths::CONFIG_DIR;
    let command = COMMAND.map(|word| format!("{word:?}")).join(", ");
    let dockerfile = format!(
        "FROM {base}\n\
         RUN export DEBIAN_FRONTEND=noninteractive \\\n \
         && apt-get update -q \\\n \
         && apt-get install -y -q --no-install-recommends pgbouncer \\\n \
         && rm -rf /var/lib/apt/lists/* {config}/* \\\n \
         && pgbouncer --version \\\n \
         && ! pgbouncer --version | grep -q 'PgBouncer 1\\.25\\.[012]$'\n\
         USER postgres\n\
         STOPSIGNAL SIGINT\n\
         ENTRYPOINT []\n\
         CMD [{command}]\n"
    );
    Ok(BuildContext::new("kbz-pgbouncer", dockerfile))
}
