//! What a plan does to a resource, or to the parts of a component together.

use crate::resource::{Op, Reason};

/// What a plan does to a resource, or to the parts of a component together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "what becomes of the parts of a component adds up"
)]
pub(super) struct Fate {
    /// Something about it changes. To become ours is no change.
    changes: bool,
    /// It is made, for the first time or anew.
    made: bool,
    /// It should run, does not, and is brought up.
    starts: bool,
    /// It, or a part of it, is there already and stays.
    there: bool,
}

impl Fate {
    /// That of what is as declared.
    pub(super) const KEPT: Self = Self {
        changes: false,
        made: false,
        starts: false,
        there: true,
    };

    /// That of what is changed, for these reasons.
    pub(super) fn of(op: Op, reasons: &[Reason]) -> Self {
        Self {
            changes: op != Op::Adopt,
            made: matches!(op, Op::Create | Op::Replace),
            starts: reasons.iter().any(Reason::is_of_a_stop),
            there: matches!(op, Op::Update | Op::Adopt),
        }
    }

    /// That of a component of which this is one more part.
    pub(super) fn and(self, part: Self) -> Self {
        Self {
            changes: self.changes | part.changes,
            made: self.made | part.made,
            starts: self.starts | part.starts,
            there: self.there | part.there,
        }
    }

    /// Whether anything about it changes.
    pub(super) fn changes(self) -> bool {
        self.changes
    }

    /// Whether there is nothing of it yet. One part that is made makes no component new.
    pub(super) fn is_new(self) -> bool {
        self.made && !self.there
    }

    /// Whether its silence tells nothing, because it does not run before this plan is done.
    pub(super) fn is_coming(self) -> bool {
        self.starts || self.is_new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fate(op: Op) -> Fate {
        Fate::of(op, &[Reason::Missing])
    }

    fn brought_up() -> Fate {
        let state = "inactive".to_owned();
        Fate::of(Op::Update, &[Reason::NotRunning { state }])
    }

    #[test]
    fn one_part_that_is_made_makes_no_component_new() {
        let rule = fate(Op::Create);
        assert!(rule.is_coming(), "alone it is all that there is");
        let component = rule.and(Fate::KEPT);
        assert!(!component.is_new() && !component.is_coming());
        assert!(component.changes());
        let waiting = fate(Op::Create).and(fate(Op::Run));
        assert!(waiting.is_new(), "what is only waited for is not there");
    }

    #[test]
    fn what_is_brought_up_does_not_answer_yet_whatever_else_is_there() {
        let component = Fate::KEPT.and(brought_up());
        assert!(component.is_coming() && !component.is_new());
        assert!(!fate(Op::Update).is_coming(), "a reload leaves it running");
        assert!(!fate(Op::Adopt).changes());
    }
}
