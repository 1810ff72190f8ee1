//! Every connection that matters, predicted and tried.

mod controls;
mod forged;
mod questions;

pub use forged::{Forged, Forgery};
pub use questions::{End, Purpose, Question, Questions, questions};

use std::sync::Arc;

use ringfence_engine::{Engine, Verdict};

use crate::error::LabError;
use crate::lab::Lab;
use crate::probe::{Observation, Observed, Progress};

/// A question, and its two answers.
#[derive(Clone, Debug)]
pub struct Row {
    /// What was asked.
    pub question: Question,
    /// What the policies say.
    pub predicted: Verdict,
    /// What the packets did.
    pub observation: Observation,
}

/// How the two answers of a row relate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Agreement {
    /// They are the same.
    Same,
    /// They differ.
    Differ,
    /// The policies do not say, or differ by endpoint.
    NotPredicted,
    /// It cannot be told what the packets did.
    NotObserved,
}

impl Row {
    /// How the two answers relate.
    #[must_use]
    pub fn agreement(&self) -> Agreement {
        match (self.predicted, self.observation.observed.passed()) {
            (_, None) => Agreement::NotObserved,
            (Verdict::Unknown, _) => Agreement::NotPredicted,
            (Verdict::Allowed, Some(passed)) if passed => Agreement::Same,
            (Verdict::Denied, Some(passed)) if !passed => Agreement::Same,
            _ => Agreement::Differ,
        }
    }
}

/// What a run gave.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Every question with its answers, in the order of the questions.
    pub rows: Vec<Row>,
    /// Controls that failed, a sentence each: where one did, silence proves nothing.
    pub failed_controls: Vec<String>,
    /// Frames that no pod may send.
    pub forged: Forged,
    /// How many ways to node ports and external addresses were not tried, because one like
    /// them was.
    pub left_out: usize,
}

impl Report {
    /// How many rows are so.
    #[must_use]
    pub fn count(&self, agreement: Agreement) -> usize {
        let rows = self.rows.iter();
        rows.filter(|row| row.agreement() == agreement).count()
    }
}

/// Tries every question in a lab, with controls before and after. In audit mode nothing
/// is denied, whatever is predicted.
///
/// # Errors
/// If a probe panicked.
pub async fn run(
    lab: &Lab,
    engine: &Engine,
    audit: bool,
    progress: &Arc<Progress>,
) -> Result<Report, LabError> {
    let Questions {
        asked: questions,
        left_out,
    } = questions(lab, engine);
    let before = controls::failed(lab, engine).await?;
    let probes: Vec<_> = questions.iter().map(|(q, _)| q.probe.clone()).collect();
    let due: Vec<bool> = questions
        .iter()
        .map(|(_, predicted)| audit || *predicted == Verdict::Allowed)
        .collect();
    let observations = lab.prober().probe_all(&probes, &due, progress).await?;
    let after = controls::failed(lab, engine).await?;
    let forged = forged::forge(lab, &questions).await?;
    let mut rows = Vec::with_capacity(questions.len());
    for ((question, predicted), mut observation) in questions.into_iter().zip(observations) {
        let ends = [question.from.station, question.to.station];
        let silent = matches!(
            observation.observed,
            Observed::Dropped | Observed::DnsFailed
        );
        let mut failed = before.iter().chain(&after);
        if silent && failed.any(|failed| ends.contains(&Some(failed.station))) {
            observation.observed = Observed::Inconclusive;
            observation.detail = Some("its control failed as well".to_owned());
        }
        rows.push(Row {
            question,
            predicted,
            observation,
        });
    }
    let mut failed_controls: Vec<String> = before
        .into_iter()
        .map(|failed| format!("before: {}", failed.what))
        .collect();
    failed_controls.extend(after.into_iter().map(|f| format!("after: {}", f.what)));
    Ok(Report {
        rows,
        failed_controls,
        forged,
        left_out,
    })
}
