//! Many findings, in the order in which a person should read them.

use serde::{Deserialize, Serialize};

use super::{Finding, Severity};

/// Findings gathered for showing them at once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[must_use = "a report that nobody renders is never seen"]
pub struct Report {
    findings: Vec<Finding>,
}

impl Report {
    /// An empty report.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a finding, unless the same one is there already.
    pub fn push(&mut self, finding: Finding) {
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }

    /// The findings in the order in which they were made.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.findings.is_empty()
    }

    /// Whether one of the findings is an error.
    pub fn has_errors(&self) -> bool {
        self.count(Severity::Error) > 0
    }

    /// How many findings weigh exactly this much.
    pub fn count(&self, severity: Severity) -> usize {
        let weighs = |finding: &&Finding| finding.severity == severity;
        self.findings.iter().filter(weighs).count()
    }

    /// The same findings, what weighs most last: that is where the eye is after a scroll.
    pub fn sorted(mut self) -> Self {
        self.findings.sort_by_key(|finding| finding.severity);
        self
    }

    /// The same findings in the order of their places, those without a place first.
    pub fn by_place(mut self) -> Self {
        self.findings
            .sort_by(|a, b| a.location().cmp(&b.location()));
        self
    }

    /// The number of errors and warnings in words: `2 errors, 1 warning`.
    pub fn summary(&self) -> String {
        let counted = |severity: Severity| match self.count(severity) {
            0 => None,
            1 => Some(format!("1 {}", severity.as_str())),
            // "advice" has no plural.
            n if severity == Severity::Advice => Some(format!("{n} pieces of advice")),
            n => Some(format!("{n} {}s", severity.as_str())),
        };
        let parts: Vec<_> = [Severity::Error, Severity::Warning, Severity::Advice]
            .into_iter()
            .filter_map(counted)
            .collect();
        if parts.is_empty() {
            "nothing found".to_owned()
        } else {
            parts.join(", ")
        }
    }
}

impl Extend<Finding> for Report {
    fn extend<T: IntoIterator<Item = Finding>>(&mut self, findings: T) {
        for finding in findings {
            self.push(finding);
        }
    }
}

impl FromIterator<Finding> for Report {
    fn from_iter<T: IntoIterator<Item = Finding>>(findings: T) -> Self {
        let mut report = Self::new();
        report.extend(findings);
        report
    }
}

impl IntoIterator for Report {
    type Item = Finding;
    type IntoIter = std::vec::IntoIter<Finding>;

    fn into_iter(self) -> Self::IntoIter {
        self.findings.into_iter()
    }
}

impl From<Finding> for Report {
    fn from(finding: Finding) -> Self {
        Self {
            findings: vec![finding],
        }
    }
}
