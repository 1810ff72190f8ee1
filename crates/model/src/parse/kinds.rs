//! What an object is, by its `apiVersion` and `kind`.

use super::node::Node;
use super::report::Reporter;
use super::suggest::nearest;
use super::{syntax_help, templates};
use crate::custom;
use crate::diagnostic::Severity;
use crate::operators::{self, Operator};
use crate::policy::PolicyFamily;

/// `apiVersion` and `kind`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) api_version: String,
    pub(crate) kind: String,
}

impl Header {
    /// The part of `apiVersion` before the slash; empty for the core group.
    fn group(&self) -> &str {
        self.api_version
            .rsplit_once('/')
            .map_or("", |(group, _)| group)
    }
}

/// What to do with an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Policy(PolicyFamily),
    Typed(Typed),
    /// A kind we do not know with a pod template where all workloads have it.
    OtherWorkload,
    /// A kind we do not know with pod templates elsewhere.
    NestedTemplates,
}

impl Class {
    /// Whether objects of this kind have no namespace.
    pub(crate) fn is_cluster_wide(self) -> bool {
        match self {
            Self::Policy(family) => family != PolicyFamily::NetworkPolicy,
            Self::Typed(typed) => matches!(typed, Typed::Namespace | Typed::Node),
            Self::OtherWorkload | Self::NestedTemplates => false,
        }
    }
}

/// The kinds that have a type of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Typed {
    Namespace,
    Node,
    Pod,
    Deployment,
    StatefulSet,
    DaemonSet,
    ReplicaSet,
    ReplicationController,
    Job,
    CronJob,
    Service,
    Endpoints,
    EndpointSlice,
    Ingress,
}

/// Kind, type, and the API versions it is read in, the current one first. Older ones
/// have the same shape as far as we look at it.
const TYPED: &[(&str, Typed, &[&str])] = &[
    ("Namespace", Typed::Namespace, &["v1"]),
    ("Node", Typed::Node, &["v1"]),
    ("Pod", Typed::Pod, &["v1"]),
    (
        "Deployment",
        Typed::Deployment,
        &[
            "apps/v1",
            "apps/v1beta2",
            "apps/v1beta1",
            "extensions/v1beta1",
        ],
    ),
    (
        "StatefulSet",
        Typed::StatefulSet,
        &["apps/v1", "apps/v1beta2", "apps/v1beta1"],
    ),
    (
        "DaemonSet",
        Typed::DaemonSet,
        &["apps/v1", "apps/v1beta2", "extensions/v1beta1"],
    ),
    (
        "ReplicaSet",
        Typed::ReplicaSet,
        &["apps/v1", "apps/v1beta2", "extensions/v1beta1"],
    ),
    (
        "ReplicationController",
        Typed::ReplicationController,
        &["v1"],
    ),
    ("Job", Typed::Job, &["batch/v1"]),
    ("CronJob", Typed::CronJob, &["batch/v1", "batch/v1beta1"]),
    ("Service", Typed::Service, &["v1"]),
    ("Endpoints", Typed::Endpoints, &["v1"]),
    (
        "EndpointSlice",
        Typed::EndpointSlice,
        &["discovery.k8s.io/v1", "discovery.k8s.io/v1beta1"],
    ),
    ("Ingress", Typed::Ingress, &["networking.k8s.io/v1"]),
];

const FAMILIES: [PolicyFamily; 4] = [
    PolicyFamily::NetworkPolicy,
    PolicyFamily::ClusterNetworkPolicy,
    PolicyFamily::AdminNetworkPolicy,
    PolicyFamily::BaselineAdminNetworkPolicy,
];

/// Groups of Kubernetes itself in which we read something.
const OUR_GROUPS: &[&str] = &[
    "",
    "apps",
    "batch",
    "extensions",
    "discovery.k8s.io",
    "networking.k8s.io",
    "policy.networking.k8s.io",
];

/// Kinds of the networking groups that say nothing about who may connect to whom.
const OTHER_NETWORKING_KINDS: &[&str] =
    &["IngressClass", "IPAddress", "ServiceCIDR", "ClusterCIDR"];

/// Policies of other makers: group and whose they are.
const FOREIGN_GROUPS: &[(&str, &str)] = &[
    ("cilium.io", "Cilium"),
    ("projectcalico.org", "Calico"),
    ("crd.projectcalico.org", "Calico"),
    ("crd.antrea.io", "Antrea"),
    ("networking.k8s.aws", "AWS VPC CNI"),
    ("networking.gke.io", "GKE"),
    ("k8s.ovn.org", "OVN-Kubernetes"),
    ("network.openshift.io", "OpenShift SDN"),
    ("security.istio.io", "Istio"),
    ("policy.linkerd.io", "Linkerd"),
];

/// Foreign kinds that filter connections and are not called `...NetworkPolicy`.
const FOREIGN_KINDS: &[&str] = &[
    "EgressFirewall",
    "AuthorizationPolicy",
    "EgressNetworkPolicy",
];

/// Those of service meshes: a proxy asks them about requests, when a connection is there.
const REQUEST_KINDS: &[&str] = &["AuthorizationPolicy"];

/// Files that are part of other tools' input.
const COMPANION_FILES: &[&str] = &[
    "Chart.yaml",
    "Chart.lock",
    "compose.yaml",
    "compose.yml",
    "docker-compose.yaml",
    "docker-compose.yml",
    "requirements.yaml",
    "requirements.lock",
];

/// Reads the header of an object. `None` after a message, or silently for an empty
/// document.
pub(crate) fn header(
    node: &Node<'_>,
    implied: Option<&Header>,
    reporter: &mut Reporter<'_>,
) -> Option<Header> {
    if node.is_null() {
        return None;
    }
    if !node.is_mapping() {
        not_an_object(node, "a document must be a mapping", reporter);
        return None;
    }
    let mut field = |key: &'static str, implied: Option<&String>| match node.get(key) {
        Some(value) => match value.text() {
            Some(text) => Ok(Some(text.to_owned())),
            None => {
                reporter
                    .error(
                        "wrong-type",
                        value.head(),
                        format!("`{key}`: expected a string, found {}", value.describe()),
                    )
                    .left_out("this object was left out");
                Err(())
            }
        },
        None => Ok(implied.cloned()),
    };
    let kind = field("kind", implied.map(|header| &header.kind)).ok()?;
    let api_version = field("apiVersion", implied.map(|header| &header.api_version)).ok()?;
    match (api_version, kind) {
        (Some(api_version), Some(kind)) => Some(Header { api_version, kind }),
        (None, None) => {
            not_an_object(node, "it has neither `apiVersion` nor `kind`", reporter);
            None
        }
        (api_version, kind) => {
            missing_half(node, api_version.as_deref(), kind.as_deref(), reporter);
            None
        }
    }
}

fn not_an_object(node: &Node<'_>, why: &str, reporter: &mut Reporter<'_>) {
    let file = reporter.file_name();
    let is_values = file.starts_with("values") && file.contains(".y");
    if is_values || COMPANION_FILES.contains(&file) {
        reporter
            .report(
                Severity::Note,
                "not-kubernetes",
                node.head(),
                format!("`{file}` is not a manifest and was not read"),
            )
            .left_out("this document was left out");
        return;
    }
    reporter
        .error(
            "not-kubernetes",
            node.head(),
            format!("this is not a Kubernetes object: {why}"),
        )
        .left_out("this document was left out");
}

fn missing_half(
    node: &Node<'_>,
    api_version: Option<&str>,
    kind: Option<&str>,
    reporter: &mut Reporter<'_>,
) {
    let (missing, known) = match (api_version, kind) {
        (None, Some(kind)) => ("apiVersion", current_api_version(kind)),
        _ => ("kind", None),
    };
    // Misspelt rather than missing, perhaps.
    let entry = node
        .entries()
        .iter()
        .find(|entry| entry.key.eq_ignore_ascii_case(missing) && entry.key != missing);
    let help = entry
        .map(|entry| format!("`{}` must be written `{missing}`", entry.key))
        .or_else(|| known.map(|version| format!("add `apiVersion: {version}`")));
    reporter
        .error(
            "missing-field",
            entry.map_or_else(|| node.head(), |entry| entry.key_extent),
            format!("this object has no `{missing}`"),
        )
        .maybe_help(help)
        .left_out("this object was left out");
}

/// The API version that a kind is written in today.
fn current_api_version(kind: &str) -> Option<&'static str> {
    let family = FAMILIES.iter().find(|family| family.kind() == kind);
    family.map(|family| family.api_version()).or_else(|| {
        let (_, _, versions) = TYPED.iter().find(|(name, _, _)| *name == kind)?;
        versions.first().copied()
    })
}

/// What to do with an object. `None`: nothing, after a message where one is due.
pub(crate) fn classify(
    header: &Header,
    node: &Node<'_>,
    reporter: &mut Reporter<'_>,
) -> Option<Class> {
    let (group, kind) = (header.group(), header.kind.as_str());
    if let Some(maker) = foreign_policy(group, kind) {
        unsupported(header, maker, node, reporter);
        return None;
    }
    if let Some(family) = FAMILIES.iter().find(|family| family.kind() == kind) {
        let read = family.api_versions();
        if read.contains(&header.api_version.as_str()) {
            return Some(Class::Policy(*family));
        }
        wrong_api_version(header, node, family.api_version(), reporter);
        return None;
    }
    if let Some((_, typed, versions)) = TYPED.iter().find(|(name, _, _)| *name == kind) {
        if versions.contains(&header.api_version.as_str()) {
            return Some(Class::Typed(*typed));
        }
        if OUR_GROUPS.contains(&group) || !group.contains('.') {
            let current = versions.first().copied().unwrap_or_default();
            wrong_api_version(header, node, current, reporter);
            return None;
        }
    }
    if is_mistyped(header, node, reporter) {
        return None;
    }
    let containers = node.at(&["spec", "template", "spec", "containers"]);
    if containers.is_some_and(Node::is_sequence) {
        return Some(Class::OtherWorkload);
    }
    if let Some(operator) = operators::find(&header.api_version, kind) {
        pods_of_others(kind, operator, node, reporter);
        return None;
    }
    if custom::makes_no_pods(&header.api_version, kind) {
        return None;
    }
    if !templates::nested(node).is_empty() {
        return Some(Class::NestedTemplates);
    }
    may_make_pods(header, node, reporter);
    None
}

/// Says of an object that it is not known whether somebody makes pods of it.
fn may_make_pods(header: &Header, node: &Node<'_>, reporter: &mut Reporter<'_>) {
    let kind = &header.kind;
    let installer = custom::installer(&header.api_version, kind);
    let namespace = node.at(&["metadata", "namespace"]);
    // By what such kinds are called everywhere, they are in no namespace.
    if installer.is_none() && namespace.is_none() && kind.starts_with("Cluster") {
        return;
    }
    let (message, help) = match installer {
        Some(installer) => (
            format!("what this {kind} installs is not in it"),
            installer.how.to_owned(),
        ),
        None => (
            format!("it is not known whether pods are made of this {kind}"),
            "pods are seen where the input has them: add `kubectl get pods -o yaml`".to_owned(),
        ),
    };
    let extent = node.get("kind").map_or_else(|| node.head(), Node::head);
    reporter
        .report(Severity::Note, custom::MAY_MAKE_PODS, extent, message)
        .help(help);
}

/// Says of an object that its pods are made by an operator, and are not seen in it.
fn pods_of_others(kind: &str, operator: &Operator, node: &Node<'_>, reporter: &mut Reporter<'_>) {
    reporter
        .report(
            Severity::Note,
            operators::UNSEEN_PODS,
            node.get("kind").map_or_else(|| node.head(), Node::head),
            format!(
                "the pods that {} makes of this {kind} are not in it",
                operator.maker
            ),
        )
        .help("they are seen where the input has them: add `kubectl get pods -o yaml`");
}

/// Whose policy it is, if it is one that we do not evaluate.
fn foreign_policy(group: &str, kind: &str) -> Option<&'static str> {
    let is_policy = kind.ends_with("NetworkPolicy") || FOREIGN_KINDS.contains(&kind);
    if !is_policy {
        return None;
    }
    let known = FOREIGN_GROUPS.iter().find(|(name, _)| *name == group);
    if let Some((_, maker)) = known {
        return Some(maker);
    }
    let is_ours = OUR_GROUPS.contains(&group) || !group.contains('.');
    let is_typo = || {
        OUR_GROUPS
            .iter()
            .any(|ours| ours.contains('.') && strsim::damerau_levenshtein(ours, group) <= 2)
    };
    (!is_ours && !is_typo()).then_some("another maker")
}

fn unsupported(header: &Header, maker: &str, node: &Node<'_>, reporter: &mut Reporter<'_>) {
    let extent = node.get("kind").map_or_else(|| node.head(), Node::head);
    let reported = reporter.warning(
        "unsupported-policy",
        extent,
        format!(
            "verdicts do not take this {} of {maker} into account",
            header.kind
        ),
    );
    if REQUEST_KINDS.contains(&&*header.kind) {
        // Nothing is missing in an answer about connections.
        reported.help("it decides about requests inside connections, and opens none");
    } else {
        reported
            .help("only NetworkPolicy, ClusterNetworkPolicy, AdminNetworkPolicy and BaselineAdminNetworkPolicy are evaluated")
            .left_out("this policy was left out");
    }
}

fn wrong_api_version(header: &Header, node: &Node<'_>, right: &str, reporter: &mut Reporter<'_>) {
    let written = node.get("apiVersion");
    reporter
        .error(
            "wrong-api-version",
            written.map_or_else(|| node.head(), Node::head),
            format!("there is no {} in `{}`", header.kind, header.api_version),
        )
        .help(format!("write `apiVersion: {right}`"))
        .instead(written.map(|_| right))
        .left_out(format!("this {} was left out", header.kind));
}

/// Whether the kind is nearly one of ours, in a group where that is not a coincidence.
/// Reports it.
fn is_mistyped(header: &Header, node: &Node<'_>, reporter: &mut Reporter<'_>) -> bool {
    let group = header.group();
    if !OUR_GROUPS.contains(&group) {
        return false;
    }
    let families = FAMILIES.iter().map(|family| family.kind());
    let kinds = families.chain(TYPED.iter().map(|(kind, _, _)| *kind));
    let right = nearest(&header.kind, kinds);
    let is_closed_group = matches!(group, "networking.k8s.io" | "policy.networking.k8s.io");
    let is_other = OTHER_NETWORKING_KINDS.contains(&header.kind.as_str());
    if right.is_none() && (!is_closed_group || is_other) {
        return false;
    }
    let value = node.get("kind");
    if value
        .and_then(Node::text)
        .is_some_and(syntax_help::has_template_action)
    {
        return false;
    }
    reporter
        .error(
            "unknown-kind",
            value.map_or_else(|| node.head(), Node::head),
            format!(
                "there is no kind `{}` in `{}`",
                header.kind, header.api_version
            ),
        )
        .maybe_help(right.map(|right| format!("did you mean `{right}`?")))
        .instead(right.filter(|_| value.is_some()))
        .left_out("this object was left out");
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_kubernetes_that_we_do_not_read_are_not_taken_for_misspellings() {
        let ours = || TYPED.iter().map(|(kind, _, _)| *kind);
        for kind in [
            "Binding",
            "ComponentStatus",
            "ConfigMap",
            "ControllerRevision",
            "Event",
            "IngressClass",
            "LimitRange",
            "List",
            "PersistentVolume",
            "PersistentVolumeClaim",
            "PodTemplate",
            "ResourceQuota",
            "Secret",
            "ServiceAccount",
            "Scale",
        ] {
            assert_eq!(nearest(kind, ours()), None, "{kind}");
        }
    }
}
