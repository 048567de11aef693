//! A lab of its own for one command.

use std::time::Duration;

use trials::{Load, Operator};

use crate::program;

/// How long an `up` may take that waits for a host that is gone.
pub(crate) const PATIENCE: Duration = Duration::from_mins(12);

/// An operator with nothing but the inputs.
pub(crate) fn operator() -> Operator {
    Operator::new(program::whole(), program::inputs())
}

/// Makes the whole system in the lab, ready for a load of writes.
pub(crate) fn deploy(operator: &Operator) {
    operator.must(&["up"]);
    operator.settled();
    Load::prepare(operator);
}

/// Takes PgBouncer and its image away from the second proxy: to ship the image again is work that
/// lasts.
pub(crate) fn take_image_away(operator: &Operator) {
    let inspect = "docker inspect -f '{{.Config.Image}}' pgbouncer";
    let image = operator.on("haproxy-02", inspect);
    let remove = format!("docker rm -f pgbouncer && docker rmi {}", image.trim());
    operator.on("haproxy-02", &remove);
}
