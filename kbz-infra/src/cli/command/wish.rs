//! What is to be done, as it was typed.

use std::path::Path;

use crate::cli::args::{Chosen, View};
use crate::plan::Request;

/// What `up` or `destroy` is asked for.
pub(in crate::cli) struct Wish<'a> {
    pub(super) request: Request,
    pub(super) view: View,
    pub(super) chosen: &'a Chosen,
    pub(super) fail_fast: bool,
    /// A plan that was made before.
    pub(super) plan: Option<&'a Path>,
}

impl<'a> Wish<'a> {
    /// A request for what is chosen.
    pub(in crate::cli) fn new(
        request: Request,
        view: View,
        chosen: &'a Chosen,
        fail_fast: bool,
    ) -> Self {
        Self {
            request,
            view,
            chosen,
            fail_fast,
            plan: None,
        }
    }

    /// The same, as a plan says that was made before.
    pub(in crate::cli) fn of_plan(self, plan: Option<&'a Path>) -> Self {
        Self { plan, ..self }
    }
}
