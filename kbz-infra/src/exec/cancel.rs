//! Ending a run early, in two ways.

use tokio_util::sync::CancellationToken;

/// How a run is asked to end early: first gently, then at once.
#[derive(Debug, Clone, Default)]
pub struct Cancel {
    finish: CancellationToken,
    leave: CancellationToken,
}

impl Cancel {
    /// Nobody has asked yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks once more: the first time what has begun is finished and nothing is started, the
    /// second time everything is dropped where it is. Both leave what the next run can go on
    /// from.
    pub fn press(&self) {
        if self.finish.is_cancelled() {
            self.leave.cancel();
        } else {
            self.finish.cancel();
        }
    }

    /// Cancelled when no further step is to start.
    pub fn finish(&self) -> &CancellationToken {
        &self.finish
    }

    /// Cancelled when everything is to be dropped.
    pub fn leave(&self) -> &CancellationToken {
        &self.leave
    }
}
