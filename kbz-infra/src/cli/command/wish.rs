//! What is to be done, as it was typed.

use std::path::Path;

use crate::cli::args::{Chosen, DriftOptions, Manner, View};
use crate::plan::Request;

/// What `up` or `destroy` is asked for.
pub(in crate::cli) struct Wish<'a> {
    pub(super) request: Request,
    pub(super) view: View,
    pub(super) chosen: &'a Chosen,
    pub(super) fail_fast: bool,
    /// Where a picture of the times is to be.
    pub(super) timings: Option<&'a Path>,
    /// A plan that was made before.
    pub(super) plan: Option<&'a Path>,
    /// Whether only drift is to be put right: of these objects, or of all.
    pub(super) drift_of: Option<&'a [String]>,
}

/// Everything.
static ALL: Chosen = Chosen {
    target: Vec::new(),
    exclude: Vec::new(),
    adopt: Vec::new(),
};

impl<'a> Wish<'a> {
    /// A request for what is chosen.
    pub(in crate::cli) fn new(request: Request, view: View, chosen: &'a Chosen) -> Self {
        Self {
            request,
            view,
            chosen,
            fail_fast: false,
            timings: None,
            plan: None,
            drift_of: None,
        }
    }

    /// To put drift right.
    pub(super) fn revert(options: &'a DriftOptions) -> Self {
        let DriftOptions {
            view,
            target,
            fail_fast,
            timings,
            ..
        } = options;
        Self {
            drift_of: Some(target),
            fail_fast: *fail_fast,
            timings: timings.as_deref(),
            ..Self::new(Request::Up, *view, &ALL)
        }
    }

    /// The same, carried out in this manner.
    pub(in crate::cli) fn in_manner(self, manner: &'a Manner) -> Self {
        Self {
            fail_fast: manner.fail_fast,
            timings: manner.timings.as_deref(),
            ..self
        }
    }

    /// The same, as a plan says that was made before.
    pub(in crate::cli) fn of_plan(self, plan: Option<&'a Path>) -> Self {
        Self { plan, ..self }
    }
}
