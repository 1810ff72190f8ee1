//! Which assertions hold.

use ringfence_engine::{Engine, Verdict};
use ringfence_model::diagnostic::Diagnostic;

use super::{Assertion, Demand, End, problem};
use crate::endpoint::{Resolver, Target, TargetKind};
use crate::packets::{self, Outcome, Ports, QuestionError};
use crate::unread::Unread;

/// An assertion and how it was found.
#[derive(Debug)]
pub(crate) struct Checked<'a> {
    pub(crate) assertion: &'a Assertion,
    pub(crate) finding: Finding,
}

/// How an assertion was found.
#[derive(Debug)]
pub(crate) enum Finding {
    Holds,
    /// These connections are not as demanded. Never empty.
    Fails(Vec<Outcome>),
    /// It does not hold for a reason that is no connection.
    FailsBecause(String),
}

impl Finding {
    /// Whether the assertion holds.
    pub(crate) fn holds(&self) -> bool {
        matches!(self, Self::Holds)
    }
}

/// Checks every assertion, or says which name nothing in the snapshot.
pub(crate) fn check<'a>(
    engine: &Engine,
    unread: &Unread,
    resolver: &Resolver<'_>,
    assertions: &'a [Assertion],
) -> Result<Vec<Checked<'a>>, Vec<Diagnostic>> {
    let mut checked = Vec::new();
    let mut problems = Vec::new();
    for assertion in assertions {
        let from = resolve(resolver, &assertion.from, &mut problems);
        let to = resolve(resolver, &assertion.to, &mut problems);
        if from.len() < assertion.from.len() || to.len() < assertion.to.len() {
            continue;
        }
        match find((engine, unread), assertion, &from, &to) {
            Ok(finding) => checked.push(Checked { assertion, finding }),
            Err(error) => {
                let at = assertion.location.clone();
                problems.push(problem("assertion", error.to_string(), at, None));
            }
        }
    }
    if problems.is_empty() {
        Ok(checked)
    } else {
        Err(problems)
    }
}

fn resolve(resolver: &Resolver<'_>, ends: &[End], problems: &mut Vec<Diagnostic>) -> Vec<Target> {
    let mut targets = Vec::new();
    for end in ends {
        match resolver.resolve(&end.arg) {
            Ok(target) => targets.push(target),
            Err(error) => {
                let at = end.location.clone();
                problems.push(problem("unknown-endpoint", error.to_string(), at, None));
            }
        }
    }
    targets
}

fn find(
    (engine, unread): (&Engine, &Unread),
    assertion: &Assertion,
    from: &[Target],
    to: &[Target],
) -> Result<Finding, QuestionError> {
    let mut against = Vec::new();
    for destination in to {
        let ports = ports(assertion, destination)?;
        for source in from {
            match packets::judge(engine, source, destination, &ports) {
                Ok(mut answer) => {
                    let profile = engine.profile();
                    unread.doubt(engine.snapshot(), &profile, &mut answer.outcomes);
                    let mut outcomes = answer.outcomes;
                    outcomes.retain(|outcome| !is_as_demanded(assertion, outcome.verdict));
                    against.extend(outcomes);
                }
                Err(error) if says_no_connection(&error) => {
                    if assertion.demand == Demand::Permits {
                        return Ok(Finding::FailsBecause(error.to_string()));
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }
    Ok(if against.is_empty() {
        Finding::Holds
    } else {
        Finding::Fails(against)
    })
}

/// Errors that mean that nothing can be opened: what `forbids` wants.
fn says_no_connection(error: &QuestionError) -> bool {
    matches!(
        error,
        QuestionError::NoCommonFamily | QuestionError::NothingBehind(_)
    )
}

fn is_as_demanded(assertion: &Assertion, verdict: Verdict) -> bool {
    match (assertion.demand, verdict) {
        (Demand::Permits, Verdict::Allowed) | (Demand::Forbids, Verdict::Denied) => true,
        (_, Verdict::Unknown) => assertion.allow_unknown,
        _ => false,
    }
}

/// Which ports an assertion is about.
///
/// Without any, `permits` means what the destination implies or declares, and
/// `forbids` means every port there is.
fn ports<'a>(assertion: &'a Assertion, destination: &Target) -> Result<Ports<'a>, QuestionError> {
    if !assertion.ports.is_empty() {
        return Ok(Ports::These(&assertion.ports));
    }
    let is_address = matches!(destination.kind, TargetKind::Addresses { .. });
    match assertion.demand {
        _ if destination.port.is_some() => Ok(Ports::AsNamed),
        Demand::Permits if is_address => Err(QuestionError::PortsNeeded),
        Demand::Permits => Ok(Ports::AsNamed),
        Demand::Forbids => Ok(Ports::All),
    }
}
