use ringfence_model::diagnostic::Severity;
use ringfence_model::labels::LabelValue;
use ringfence_model::snapshot::NamespaceId;
use ringfence_model::source::KeyPath;
use serde_json::json;

use crate::context::Context;
use crate::finding::{Edit, Finding, Fix, NotVerified, Place, Safety};
use crate::report::Findings;
use crate::rule::{Code, Rule};

/// A namespace whose Pod Security level lets pods into the node's network.
pub(super) static RULE: Rule = Rule {
    code: Code(104),
    name: "host-network-admitted",
    severity: Severity::Warning,
    summary: "the Pod Security level of the namespace admits hostNetwork pods",
    page: include_str!("../../../../docs/findings/RF104.md"),
    check,
};

/// The label that says which pods a namespace admits.
const ENFORCE: &str = "pod-security.kubernetes.io/enforce";

fn check(context: &Context<'_>, findings: &mut Findings) {
    let mut unknown = Vec::new();
    for (id, namespace) in context.snapshot.namespace_ids() {
        let has_pods = context.groups_in(id).next().is_some();
        // What runs the cluster needs the network of its nodes.
        if !has_pods || context.role(id).is_protected() {
            continue;
        }
        match namespace.labels.get(ENFORCE) {
            LabelValue::Present("baseline" | "restricted") => {}
            LabelValue::Present(level) => findings.push(finding(context, id, Some(level))),
            LabelValue::Absent => findings.push(finding(context, id, None)),
            LabelValue::Unknown => unknown.push(format!("`{}`", namespace.name)),
        }
    }
    if !unknown.is_empty() {
        findings.not_verified(NotVerified {
            code: RULE.code,
            what: match unknown.as_slice() {
                [one] => format!("whether namespace {one} admits hostNetwork pods"),
                all => format!(
                    "whether namespaces {} admit hostNetwork pods",
                    all.join(", ")
                ),
            },
            why: "the input does not declare them, so their labels are not known".to_owned(),
            how: format!("add the Namespace objects with the label `{ENFORCE}`"),
        });
    }
}

fn finding(context: &Context<'_>, id: NamespaceId, level: Option<&str>) -> Finding {
    let namespace = context.snapshot.namespace(id);
    let name = &namespace.name;
    let message = match level {
        Some("privileged") => {
            format!(
                "namespace `{name}` admits hostNetwork pods: its Pod Security level is privileged"
            )
        }
        Some(other) => format!("`{other}` of namespace `{name}` is no Pod Security level"),
        None => format!("namespace `{name}` sets no Pod Security level"),
    };
    let consequence = match level {
        Some(_) => {
            "whoever may create a pod there puts it into the network of a node, where no \
                    policy applies"
        }
        None => {
            "unless the API server has a default of its own, whoever may create a pod there \
                 puts it into the network of a node, where no policy applies"
        }
    };
    let uses_it = context.groups_in(id).any(|group| group.host_network);
    let help = match uses_it {
        false => {
            "set `pod-security.kubernetes.io/enforce: baseline` or `restricted`: both refuse \
                  hostNetwork"
        }
        true => {
            "it has hostNetwork pods: move them to a namespace of their own, then set \
                 `pod-security.kubernetes.io/enforce: baseline` or `restricted` here"
        }
    };
    let labels = KeyPath::root().key("metadata").key("labels");
    let place = namespace.origin.as_ref().map(|origin| match level {
        Some(_) => Place::value(origin, labels.key(ENFORCE), ""),
        None => Place::value(
            origin,
            KeyPath::root().key("metadata").key("name"),
            format!("no label `{ENFORCE}`"),
        ),
    });
    let fix = namespace
        .origin
        .as_ref()
        .filter(|_| !uses_it)
        .map(|origin| {
            let has_labels = Place::key(origin, labels.clone(), "");
            let (path, value) = match has_labels.locate(context.sources) {
                Some(_) => (labels.key(ENFORCE), json!("baseline")),
                None => (labels, json!({ENFORCE: "baseline"})),
            };
            Fix {
                title: "set the Pod Security level to baseline".to_owned(),
                safety: Safety::Unsafe,
                edits: vec![Edit::Set {
                    origin: origin.clone(),
                    path,
                    value,
                }],
            }
        });
    Finding {
        rule: &RULE,
        severity: match level {
            Some(_) => RULE.severity,
            None => Severity::Note,
        },
        message,
        consequence: Some(consequence.to_owned()),
        help: Some(help.to_owned()),
        object: context.namespace_ref(id),
        primary: place,
        related: Vec::new(),
        witness: None,
        affected: Vec::new(),
        fix,
    }
}
