//! The owner's mark of a role or a database: its comment.

use crate::resource::{Context, PlanError, Reason};

/// What an owner's mark begins with.
const MARK: &str = "kbz:";

/// The mark of the stack.
pub(super) fn mark(context: &Context<'_>) -> String {
    mark_of(context.stack())
}

/// The mark of a stack.
pub(in crate::primitive) fn mark_of(stack: &str) -> String {
    format!("{MARK}{stack}")
}

/// Whether an object bears the mark of this stack; one of another stack is refused.
pub(super) fn judge_mark(
    context: &Context<'_>,
    what: &str,
    comment: Option<&str>,
) -> Result<Option<Reason>, PlanError> {
    match comment {
        Some(found) if found == mark(context) => Ok(None),
        Some(found) if found.starts_with(MARK) => Err(PlanError::Refused {
            what: format!("{what} belongs to stack {}", &found[MARK.len()..]),
            help: "give this one another name, or remove that one by its own stack".to_owned(),
        }),
        Some(_) | None => Ok(Some(Reason::Unmarked)),
    }
}
