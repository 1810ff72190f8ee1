//! A suggested policy as YAML that can be applied.

use std::fmt::Write as _;

use ringfence_model::k8s_openapi::api::networking::v1::{NetworkPolicyPeer, NetworkPolicyPort};
use ringfence_model::k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use ringfence_model::k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use ringfence_model::policy::{Policy, PolicyBody};

/// The policy as YAML.
pub(super) fn manifest(policy: &Policy) -> String {
    let mut out = String::new();
    let PolicyBody::Network(spec) = &policy.body else {
        return out;
    };
    let mut line = |indent: usize, text: &str| {
        let _ = writeln!(out, "{:indent$}{text}", "");
    };
    line(0, "apiVersion: networking.k8s.io/v1");
    line(0, "kind: NetworkPolicy");
    line(0, "metadata:");
    line(2, &format!("name: {}", scalar(&policy.name)));
    if let Some(namespace) = &policy.namespace {
        line(2, &format!("namespace: {}", scalar(namespace)));
    }
    line(0, "spec:");
    selector(&mut line, 2, "podSelector", spec.pod_selector.as_ref());
    for policy_type in spec.policy_types.iter().flatten() {
        line(2, &format!("policyTypes: [{policy_type}]"));
    }
    for rule in spec.egress.iter().flatten() {
        line(2, "egress:");
        rule_lines(&mut line, "to", rule.to.as_deref(), rule.ports.as_deref());
    }
    for rule in spec.ingress.iter().flatten() {
        line(2, "ingress:");
        rule_lines(
            &mut line,
            "from",
            rule.from.as_deref(),
            rule.ports.as_deref(),
        );
    }
    out
}

fn rule_lines(
    line: &mut impl FnMut(usize, &str),
    key: &str,
    peers: Option<&[NetworkPolicyPeer]>,
    ports: Option<&[NetworkPolicyPort]>,
) {
    line(4, &format!("- {key}:"));
    for peer in peers.unwrap_or_default() {
        if let Some(block) = &peer.ip_block {
            line(8, "- ipBlock:");
            line(12, &format!("cidr: {}", block.cidr));
            continue;
        }
        let mut first = "- ";
        for (name, labels) in [
            ("namespaceSelector", &peer.namespace_selector),
            ("podSelector", &peer.pod_selector),
        ] {
            if labels.is_some() {
                let indent = if first.is_empty() { 10 } else { 8 };
                selector_at(line, indent, first, name, labels.as_ref());
                first = "";
            }
        }
    }
    line(6, "ports:");
    for port in ports.unwrap_or_default() {
        let protocol = port.protocol.as_deref().unwrap_or("TCP");
        line(8, &format!("- protocol: {protocol}"));
        if let Some(IntOrString::Int(number)) = &port.port {
            line(10, &format!("port: {number}"));
        }
    }
}

fn selector(
    line: &mut impl FnMut(usize, &str),
    indent: usize,
    key: &str,
    selector: Option<&LabelSelector>,
) {
    selector_at(line, indent, "", key, selector);
}

fn selector_at(
    line: &mut impl FnMut(usize, &str),
    indent: usize,
    dash: &str,
    key: &str,
    selector: Option<&LabelSelector>,
) {
    let labels = selector.and_then(|s| s.match_labels.as_ref());
    match labels {
        None => line(indent, &format!("{dash}{key}: {{}}")),
        Some(labels) => {
            line(indent, &format!("{dash}{key}:"));
            let inner = indent + dash.len() + 2;
            line(inner, "matchLabels:");
            for (key, value) in labels {
                line(inner + 2, &format!("{}: {}", scalar(key), scalar(value)));
            }
        }
    }
}

/// A YAML scalar that reads back as this string: plain where that is safe.
fn scalar(text: &str) -> String {
    let plain = text
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/'))
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && !matches!(
            text.to_ascii_lowercase().as_str(),
            "y" | "n" | "yes" | "no" | "on" | "off" | "true" | "false" | "null"
        );
    if plain {
        text.to_owned()
    } else {
        // Label values and names have no characters that JSON and YAML escape differently.
        format!("{text:?}")
    }
}
