//! The image of HAProxy: Docker's official one, or built from Debian's package.
//!
//! The configuration is no part of it: it is mounted.

use super::config::{COMMAND, paths};
use crate::component::context::{self, BuildContext, InvalidContext};

/// The official image of an exact version, such as `2.8.5`.
pub fn official(version: &str) -> Result<String, InvalidContext> {
    context::exact("HAProxy", version, 3..=3, "2.8.5")?;
    Ok(format!("haproxy:{version}"))
}

/// An image from the package of a Debian 13.
pub fn debian(base: &str) -> Result<BuildContext, InvalidContext> {
    context::pinned(base)?;
    let state = paths::STATE_DIR;
    let command = COMMAND.map(|word| format!("{word:?}")).join(", ");
    let dockerfile = format!(
        "FROM {base}\n\
         RUN export DEBIAN_FRONTEND=noninteractive \\\n \
         && apt-get update -q \\\n \
         && apt-get install -y -q --no-install-recommends bash haproxy \\\n \
         && rm -rf /var/lib/apt/lists/* /etc/haproxy/* \\\n \
         && install -d -o haproxy -g haproxy {state}\n\
         USER haproxy\n\
         STOPSIGNAL SIGTERM\n\
         ENTRYPOINT []\n\
         CMD [{command}]\n"
    );
    Ok(BuildContext::new("kbz-haproxy", dockerfile))
}
