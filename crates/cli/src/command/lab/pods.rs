//! Pods of a lab that stays up, as `up` and `apply` show them.

use ringfence_lab::state::PodState;

/// A line for each pod: where it is, and which addresses it has.
pub(super) fn lines(pods: &[PodState]) -> Vec<String> {
    let lines = names(pods).into_iter().zip(pods).map(|(name, pod)| {
        let addresses: Vec<String> = pod.addresses.iter().map(ToString::to_string).collect();
        format!("  {name}  {}  on {}", addresses.join(", "), pod.node)
    });
    lines.collect()
}

/// A line for each pod that is gone.
pub(super) fn lines_of_gone(pods: &[PodState]) -> Vec<String> {
    let lines = names(pods).into_iter();
    lines.map(|name| format!("  {name}  gone")).collect()
}

/// Namespaces and names, all of the same width.
fn names(pods: &[PodState]) -> Vec<String> {
    let names = pods.iter();
    let names = names.map(|pod| format!("{}/{}", pod.namespace, pod.name));
    let names: Vec<String> = names.collect();
    let width = names.iter().map(String::len).max().unwrap_or_default();
    let padded = names.iter().map(|name| format!("{name:width$}"));
    padded.collect()
}
