//! The last sentence of the walk.

use ringfence_model::snapshot::PodId;

use super::reached::{Destination, Reach, and};
use super::{Answer, Conclusion, Question, Status, Step};
use crate::context::{Context, Group};

/// Namespaces that the sentence names at most.
const NAMED: usize = 5;

pub(super) fn of(
    context: &Context<'_>,
    group: &Group,
    pod: PodId,
    steps: &[Step],
    reach: &Reach,
) -> Conclusion {
    let name = context.name_of(pod);
    let failing: Vec<&Step> = steps.iter().filter(|s| s.status == Status::NotOk).collect();
    // In the network of a node no policy applies: what is wrong with policies comes after.
    let before = |step: &&&Step| {
        let first = [Question::Enforcement, Question::HostNetwork];
        group.host_network && first.contains(&step.question)
    };
    let first = failing.iter().find(before).or(failing.first());
    if let Some(step) = first {
        let others: Vec<String> = failing
            .iter()
            .filter(|other| other.question != step.question)
            // What rules let out is what the steps before do not close.
            .filter(|other| other.question != Question::Rules)
            .map(|other| other.question.number().to_string())
            .collect();
        let then = match others.len() {
            0 => String::new(),
            1 => format!("; then see step {}", and(&others)),
            _ => format!("; then see steps {}", and(&others)),
        };
        // Policies change nothing about a plugin, or in the network of a node.
        let by_policies = ![Question::Enforcement, Question::HostNetwork].contains(&step.question);
        let unless = match reach.may_be_closed_by().filter(|_| by_policies) {
            Some(says) => format!(" (as far as is known: {says}, and may close it)"),
            None => String::new(),
        };
        return Conclusion {
            answer: Answer::Open,
            step: Some(step.question),
            sentence: format!("{name} is open at {}{then}{unless}", at(step)),
        };
    }
    let unknown = steps.iter().find(|step| {
        let decides = [Question::ClusterWide, Question::Labels, Question::Rules];
        step.status == Status::NotVerified && decides.contains(&step.question)
    });
    if let Some(step) = unknown {
        return Conclusion {
            answer: Answer::Unknown,
            step: Some(step.question),
            sentence: format!("it is not known whether {name} is open: {}", at(step)),
        };
    }
    let enforced = match steps.first().map(|step| step.status) {
        Some(Status::Ok) => "",
        _ => ", if policies are enforced (step 1)",
    };
    Conclusion {
        answer: Answer::Closed,
        step: None,
        sentence: format!(
            "{name} is not open: {}{enforced}",
            can_reach(context, reach)
        ),
    }
}

fn at(step: &Step) -> String {
    let (number, says) = (step.question.number(), &step.says);
    match &step.help {
        Some(help) => format!("step {number} ({says}): {help}"),
        None => format!("step {number} ({says})"),
    }
}

fn can_reach(context: &Context<'_>, reach: &Reach) -> String {
    let certain = || reach.reached.iter().filter(|r| !r.open.allow.is_empty());
    let mut namespaces: Vec<String> = certain()
        .filter_map(|reached| match reached.what {
            Destination::Workloads(id, _) => Some(id),
            _ => None,
        })
        .map(|id| format!("`{}`", context.snapshot.namespace(id).name))
        .collect();
    namespaces.sort();
    namespaces.dedup();
    let more = namespaces.len().saturating_sub(NAMED);
    namespaces.truncate(NAMED);
    if more > 0 {
        namespaces.push(format!("{more} more"));
    }
    let mut parts = match namespaces.len() {
        0 => Vec::new(),
        1 => vec![format!("workloads of namespace {}", and(&namespaces))],
        _ => vec![format!("workloads of namespaces {}", and(&namespaces))],
    };
    if certain().any(|reached| matches!(reached.what, Destination::Private(_))) {
        parts.push("private addresses".to_owned());
    }
    if certain().any(|reached| matches!(reached.what, Destination::Internet(_))) {
        parts.push("parts of the internet".to_owned());
    }
    match parts.is_empty() {
        true => "it can reach nothing".to_owned(),
        false => format!("it can reach {}", and(&parts)),
    }
}
