//! The fields that matter for reachability, by kind. A wrong type anywhere else in an
//! object is none of our business.

use super::deserialize::Mask;
use super::deserialize::Mask::{All, Fields, Texts};
use super::kinds::{Class, Typed};

/// Where objects of a kind have labels that selectors are compared with, or are compared
/// with labels.
pub(super) fn label_maps(class: Class) -> &'static [&'static [&'static str]] {
    const OWN: &[&str] = &["metadata", "labels"];
    const TEMPLATE: &[&str] = &["spec", "template", "metadata", "labels"];
    let Class::Typed(typed) = class else {
        return &[OWN, TEMPLATE];
    };
    match typed {
        Typed::Namespace
        | Typed::Node
        | Typed::Pod
        | Typed::Endpoints
        | Typed::EndpointSlice
        | Typed::Ingress => &[OWN],
        Typed::Deployment
        | Typed::StatefulSet
        | Typed::DaemonSet
        | Typed::ReplicaSet
        | Typed::Job => &[OWN, &["spec", "selector", "matchLabels"], TEMPLATE],
        Typed::ReplicationController => &[OWN, &["spec", "selector"], TEMPLATE],
        Typed::CronJob => &[
            OWN,
            &[
                "spec",
                "jobTemplate",
                "spec",
                "template",
                "metadata",
                "labels",
            ],
        ],
        Typed::Service => &[OWN, &["spec", "selector"]],
    }
}

pub(super) const METADATA: Mask = Fields(&[
    ("name", All),
    ("generateName", All),
    ("namespace", All),
    ("uid", All),
    ("deletionTimestamp", All),
    ("labels", All),
    ("annotations", Texts),
    (
        "ownerReferences",
        Fields(&[
            ("apiVersion", All),
            ("kind", All),
            ("name", All),
            ("uid", All),
            ("controller", All),
        ]),
    ),
]);

const CONTAINER_PORTS: Mask = Fields(&[
    ("name", All),
    ("containerPort", All),
    ("hostPort", All),
    ("protocol", All),
]);

const CONTAINER: Mask = Fields(&[
    ("name", All),
    // No verdict depends on these: they tell which network plugin a cluster has.
    ("image", Texts),
    ("command", Texts),
    ("args", Texts),
    ("restartPolicy", All),
    ("ports", CONTAINER_PORTS),
]);

const POD_SPEC: Mask = Fields(&[
    ("hostNetwork", All),
    // No verdict depends on these: they tell whether pods ask the cluster's name servers.
    ("dnsPolicy", Texts),
    ("dnsConfig", Fields(&[("nameservers", Texts)])),
    ("nodeName", All),
    ("containers", CONTAINER),
    ("initContainers", CONTAINER),
]);

pub(super) const POD_TEMPLATE: Mask = Fields(&[("metadata", METADATA), ("spec", POD_SPEC)]);

const SELECTOR: Mask = All;

const JOB_SPEC: Mask = Fields(&[
    ("parallelism", All),
    ("completions", All),
    ("completionMode", All),
    ("selector", SELECTOR),
    ("template", POD_TEMPLATE),
]);

pub(super) const NAMESPACE: Mask = Fields(&[("metadata", METADATA)]);

pub(super) const NODE: Mask = Fields(&[
    ("metadata", METADATA),
    ("spec", Fields(&[("podCIDR", All), ("podCIDRs", All)])),
    ("status", Fields(&[("addresses", All)])),
]);

pub(super) const POD: Mask = Fields(&[
    ("metadata", METADATA),
    ("spec", POD_SPEC),
    (
        "status",
        Fields(&[
            ("phase", All),
            ("podIP", All),
            ("podIPs", All),
            ("hostIP", All),
            ("hostIPs", All),
        ]),
    ),
]);

/// Deployment, StatefulSet, DaemonSet, ReplicaSet, ReplicationController.
pub(super) const WORKLOAD: Mask = Fields(&[
    ("metadata", METADATA),
    (
        "spec",
        Fields(&[
            ("replicas", All),
            ("selector", SELECTOR),
            ("template", POD_TEMPLATE),
        ]),
    ),
]);

pub(super) const JOB: Mask = Fields(&[("metadata", METADATA), ("spec", JOB_SPEC)]);

pub(super) const CRON_JOB: Mask = Fields(&[
    ("metadata", METADATA),
    (
        "spec",
        Fields(&[(
            "jobTemplate",
            Fields(&[("metadata", METADATA), ("spec", JOB_SPEC)]),
        )]),
    ),
]);

pub(super) const SERVICE: Mask = Fields(&[
    ("metadata", METADATA),
    (
        "spec",
        Fields(&[
            ("type", All),
            ("allocateLoadBalancerNodePorts", All),
            ("clusterIP", All),
            ("clusterIPs", All),
            ("externalIPs", All),
            ("externalName", All),
            ("externalTrafficPolicy", All),
            ("ipFamilies", All),
            ("loadBalancerIP", All),
            ("loadBalancerSourceRanges", All),
            ("publishNotReadyAddresses", All),
            ("selector", All),
            (
                "ports",
                Fields(&[
                    ("name", All),
                    ("port", All),
                    ("targetPort", All),
                    ("nodePort", All),
                    ("protocol", All),
                ]),
            ),
        ]),
    ),
    (
        "status",
        Fields(&[(
            "loadBalancer",
            Fields(&[(
                "ingress",
                Fields(&[("ip", All), ("ipMode", All), ("hostname", All)]),
            )]),
        )]),
    ),
]);

const TARGET_REF: Mask = Fields(&[("kind", All), ("namespace", All), ("name", All)]);

const ENDPOINT_PORT: Mask = Fields(&[("name", All), ("port", All), ("protocol", All)]);

const ENDPOINTS_ADDRESS: Mask =
    Fields(&[("ip", All), ("nodeName", All), ("targetRef", TARGET_REF)]);

pub(super) const ENDPOINTS: Mask = Fields(&[
    ("metadata", METADATA),
    (
        "subsets",
        Fields(&[
            ("addresses", ENDPOINTS_ADDRESS),
            ("notReadyAddresses", ENDPOINTS_ADDRESS),
            ("ports", ENDPOINT_PORT),
        ]),
    ),
]);

pub(super) const ENDPOINT_SLICE: Mask = Fields(&[
    ("metadata", METADATA),
    ("addressType", All),
    (
        "endpoints",
        Fields(&[
            ("addresses", All),
            (
                "conditions",
                Fields(&[("ready", All), ("serving", All), ("terminating", All)]),
            ),
            ("nodeName", All),
            ("targetRef", TARGET_REF),
        ]),
    ),
    ("ports", ENDPOINT_PORT),
]);

const BACKEND: Mask = Fields(&[(
    "service",
    Fields(&[
        ("name", All),
        ("port", Fields(&[("name", All), ("number", All)])),
    ]),
)]);

pub(super) const INGRESS: Mask = Fields(&[
    ("metadata", METADATA),
    (
        "spec",
        Fields(&[
            ("ingressClassName", All),
            ("defaultBackend", BACKEND),
            (
                "rules",
                Fields(&[
                    ("host", All),
                    (
                        "http",
                        Fields(&[(
                            "paths",
                            Fields(&[("path", All), ("pathType", All), ("backend", BACKEND)]),
                        )]),
                    ),
                ]),
            ),
        ]),
    ),
]);
