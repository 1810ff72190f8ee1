use ringfence_model::diagnostic::Severity;

use crate::finding::{Finding, NotVerified};
use crate::not_counted::NotCountedPolicy;
use crate::posture::NamespacePosture;

/// What rules find, while they look.
#[derive(Debug, Default)]
pub struct Findings {
    pub(crate) found: Vec<Finding>,
    pub(crate) suppressed: Vec<Suppressed>,
    pub(crate) not_verified: Vec<NotVerified>,
}

impl Findings {
    /// Something is wrong.
    pub fn push(&mut self, finding: Finding) {
        self.found.push(finding);
    }

    /// Some things are wrong.
    pub fn extend(&mut self, findings: impl IntoIterator<Item = Finding>) {
        self.found.extend(findings);
    }

    /// Something is as a rule looks for it, and is meant to be so: it is counted, not
    /// reported. `reason` says why in one sentence without a full stop, `by` who says so.
    pub fn push_suppressed(
        &mut self,
        finding: Finding,
        reason: impl Into<String>,
        by: impl Into<String>,
    ) {
        self.suppressed.push(Suppressed {
            finding,
            reason: reason.into(),
            by: by.into(),
        });
    }

    /// Something cannot be told from the input.
    pub fn not_verified(&mut self, question: NotVerified) {
        self.not_verified.push(question);
    }
}

/// A finding that somebody has decided to live with, or that is as it must be.
#[derive(Clone, Debug)]
pub struct Suppressed {
    /// The finding.
    pub finding: Finding,
    /// Why.
    pub reason: String,
    /// Who says so, in words: `annotation of NetworkPolicy shop/allow-https`.
    pub by: String,
}

/// Everything that is wrong with a cluster, and what is not known.
#[derive(Debug, Default)]
pub struct Report {
    /// By severity, worst first; then by place.
    pub findings: Vec<Finding>,
    /// In the same order.
    pub suppressed: Vec<Suppressed>,
    /// By code.
    pub not_verified: Vec<NotVerified>,
    /// The policies that no verdict counts and that may select pods of the input, without
    /// those that somebody has accepted by suppressing what is found of them. Ascending.
    pub not_counted: Vec<NotCountedPolicy>,
    /// By namespace.
    pub posture: Vec<NamespacePosture>,
}

impl Report {
    /// How many findings are this bad, exactly.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        let findings = self.findings.iter();
        findings.filter(|f| f.severity == severity).count()
    }

    /// The worst severity among the findings.
    #[must_use]
    pub fn worst(&self) -> Option<Severity> {
        self.findings.iter().map(|finding| finding.severity).max()
    }
}
