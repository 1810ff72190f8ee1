use super::ContainerFacts;

/// Images of what works on the node itself and therefore in its network, by the last part
/// of the name, and what they are.
const AGENTS: [(&str, &str); 20] = [
    ("kube-proxy", "kube-proxy"),
    ("kube-proxy-amd64", "kube-proxy"),
    ("node-exporter", "the exporter of the node's metrics"),
    ("windows-exporter", "the exporter of the node's metrics"),
    ("calico-node", "the network plugin"),
    ("cilium", "the network plugin"),
    ("flannel", "the network plugin"),
    ("kindnetd", "the network plugin"),
    ("kube-router", "the network plugin"),
    ("kube-network-policies", "the network plugin"),
    ("amazon-k8s-cni", "the network plugin"),
    ("azure-npm", "the network plugin"),
    ("azure-cns", "the network plugin"),
    ("weave-kube", "the network plugin"),
    ("k8s-dns-node-cache", "the DNS cache of the node"),
    ("node-problem-detector", "the watcher of the node's health"),
    (
        "eks-pod-identity-agent",
        "the credentials agent of the node",
    ),
    ("speaker", "the announcer of load balancer addresses"),
    ("aws-network-policy-agent", "the network plugin"),
    ("tuned", "the tuner of the node"),
];

/// What a workload is, if by its image it is a well-known agent that must be in the
/// network of its node: network plugin, kube-proxy, CSI driver, exporter of node metrics.
///
/// An image can be called anything, so this lowers a severity and hides nothing.
#[must_use]
pub fn node_agent(containers: &[ContainerFacts]) -> Option<&'static str> {
    let running = || containers.iter().filter(|container| !container.init);
    let known = running().find_map(|container| {
        let name = container.image_name();
        let is_calico = container.repository().ends_with("calico/node");
        let agent = AGENTS.iter().find(|(image, _)| {
            *image == name && (name != "speaker" || container.repository().contains("metallb"))
        });
        match agent {
            Some((_, what)) => Some(*what),
            None if is_calico => Some("the network plugin"),
            None if name.starts_with("antrea-") => Some("the network plugin"),
            None if name.starts_with("ovn-kube") => Some("the network plugin"),
            None => None,
        }
    });
    let is_csi_driver = || {
        running().any(|container| {
            let name = container.image_name();
            name == "csi-node-driver-registrar" || name == "livenessprobe"
        }) && running().any(|container| container.image_name().contains("csi"))
    };
    known.or_else(|| is_csi_driver().then_some("the storage driver of the node"))
}
