//! The laws, and what breaks one.

use std::fmt;

/// What must hold in every story.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Law {
    /// 1. After `up` there is nothing to do.
    NothingIsLeftToDo,
    /// 2. What is carried out is what was planned, in the order of what waits for what.
    OnlyWhatIsPlannedInItsOrder,
    /// 3. After a crash or a fault the next `up` reaches the world of no crash.
    TheNextRunConverges,
    /// 4. Every object is known, and none is made twice.
    NothingIsLostOrMadeTwice,
    /// 5. A failure skips exactly what waits for it.
    AFailureSkipsWhatWaitsForIt,
    /// 6. What is protected stays.
    ProtectionHolds,
    /// 7. A plan depends on nothing but what it is made from.
    PlansDependOnTheirInputsAlone,
    /// 8. No limit is exceeded.
    LimitsAreKept,
    /// 9. No secret leaves the run.
    SecretsStaySecret,
    /// 10. `destroy` leaves what was there before.
    DestroyLeavesNothing,
    /// 11. What a killed writer leaves is read, without what was not whole.
    TheStateIsRead,
    /// 12. The graph says what its declarations say.
    TheGraphIsTheDeclarations,
    /// Of three nodes two always run, and the order of every plan is proved.
    QuorumIsKept,
    /// What is told of an effect that was left open is true.
    WhatIsToldIsTrue,
    /// The engine does not panic.
    NothingPanics,
}

/// A law that a story breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// Which.
    pub law: Law,
    /// In which way.
    pub what: String,
}

impl Breach {
    pub(crate) fn of(law: Law, what: impl Into<String>) -> Self {
        Self {
            law,
            what: what.into(),
        }
    }
}

impl fmt::Display for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NothingIsLeftToDo => "after `up` there is nothing to do",
            Self::OnlyWhatIsPlannedInItsOrder => "only what is planned is done, in its order",
            Self::TheNextRunConverges => "the next `up` reaches the world of no crash",
            Self::NothingIsLostOrMadeTwice => "no object is lost or made twice",
            Self::AFailureSkipsWhatWaitsForIt => "a failure skips exactly what waits for it",
            Self::ProtectionHolds => "what is protected stays",
            Self::PlansDependOnTheirInputsAlone => "a plan depends on its inputs alone",
            Self::LimitsAreKept => "no limit is exceeded",
            Self::SecretsStaySecret => "no secret leaves the run",
            Self::DestroyLeavesNothing => "`destroy` leaves what was there before",
            Self::TheStateIsRead => "state is read whatever a killed writer left",
            Self::TheGraphIsTheDeclarations => "the graph says what its declarations say",
            Self::QuorumIsKept => "a cluster keeps its quorum",
            Self::NothingPanics => "nothing panics",
            Self::WhatIsToldIsTrue => "what is told of an open effect is true",
        })
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.law, self.what)
    }
}
