//! Kinds that nothing else here knows: which of them make no pods, which install what is
//! not in the input, and what is said of all others, of which it is not known.

/// The code of the diagnostic about an object of which it is not known whether somebody
/// makes pods.
pub const MAY_MAKE_PODS: &str = "may-make-pods";

/// A kind of object by which others are installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Installer {
    /// The API group of the kind, without a version.
    pub group: &'static str,
    /// The kind.
    pub kind: &'static str,
    /// How to get what it installs.
    pub how: &'static str,
}

impl Installer {
    const fn new(group: &'static str, kind: &'static str, how: &'static str) -> Self {
        Self { group, kind, how }
    }
}

const ARGO_CD: &str = "render it: `argocd app manifests NAME | ringfence ... -f -`";
const BUILD: &str = "render it: `kustomize build DIR | ringfence ... -f -`";
const FLEET: &str = "render it: `fleet apply -o - NAME | ringfence ... -f -`";
const HELM: &str = "render it: `helm template NAME CHART -f VALUES | ringfence ... -f -`";
const DUMP: &str = "add what is installed: `kubectl get all -A -o yaml`";

/// The installers that are known, by group and kind.
#[rustfmt::skip]
pub const INSTALLERS: &[Installer] = &[
    Installer::new("argoproj.io", "Application", ARGO_CD),
    Installer::new("argoproj.io", "ApplicationSet", ARGO_CD),
    Installer::new("fleet.cattle.io", "Bundle", FLEET),
    Installer::new("fleet.cattle.io", "GitRepo", FLEET),
    Installer::new("helm.cattle.io", "HelmChart", HELM),
    Installer::new("helm.toolkit.fluxcd.io", "HelmRelease", HELM),
    Installer::new("kustomize.toolkit.fluxcd.io", "Kustomization", BUILD),
    Installer::new("operators.coreos.com", "ClusterServiceVersion", DUMP),
    Installer::new("operators.coreos.com", "Subscription", DUMP),
    Installer::new("policy.open-cluster-management.io", "ConfigurationPolicy", DUMP),
    Installer::new("policy.open-cluster-management.io", "Policy", DUMP),
    Installer::new("work.open-cluster-management.io", "ManifestWork", DUMP),
];

/// Kinds of which nobody makes pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Podless {
    /// The API group; all that end so where it begins with a dot.
    pub group: &'static str,
    /// The kinds of the group; all of them where there is none.
    pub kinds: &'static [&'static str],
    /// Where the kinds of the group are documented.
    pub source: &'static str,
}

impl Podless {
    const fn all(group: &'static str, source: &'static str) -> Self {
        Self {
            group,
            kinds: &[],
            source,
        }
    }

    const fn some(
        group: &'static str,
        kinds: &'static [&'static str],
        source: &'static str,
    ) -> Self {
        Self {
            group,
            kinds,
            source,
        }
    }

    fn is(&self, group: &str, kind: &str) -> bool {
        let is_group = match self.group.starts_with('.') {
            true => group.ends_with(self.group),
            false => group == self.group,
        };
        is_group && (self.kinds.is_empty() || self.kinds.contains(&kind))
    }
}

const ANTREA: &str = "https://antrea.io/docs/main/docs/api-reference/";
const AWS: &str = "https://docs.aws.amazon.com/eks/latest/userguide/";
const CALICO: &str = "https://docs.tigera.io/calico/latest/reference/resources/";
const CERT_MANAGER: &str = "https://cert-manager.io/docs/reference/api-docs/";
const CILIUM: &str = "https://docs.cilium.io/en/stable/crdlist/";
const CLUSTER_API: &str = "https://cluster-api.sigs.k8s.io/";
const EXTERNAL_SECRETS: &str = "https://external-secrets.io/latest/api/spec/";
const FLUX: &str = "https://fluxcd.io/flux/components/";
const GATEKEEPER: &str = "https://open-policy-agent.github.io/gatekeeper/website/docs/";
const GKE: &str = "https://cloud.google.com/kubernetes-engine/docs/reference/crds";
const ISTIO: &str = "https://istio.io/latest/docs/reference/config/";
const KARPENTER: &str = "https://karpenter.sh/docs/concepts/";
const KUBERNETES: &str = "https://kubernetes.io/docs/reference/kubernetes-api/";
const KYVERNO: &str = "https://kyverno.io/docs/";
const LINKERD: &str = "https://linkerd.io/2/reference/";
const OPENSHIFT: &str = "https://docs.openshift.com/container-platform/latest/rest_api/";
const SMI: &str = "https://smi-spec.io/";
const TRAEFIK: &str =
    "https://doc.traefik.io/traefik/reference/dynamic-configuration/kubernetes-crd/";

/// The kinds of which nobody makes pods, by group. Groups without a dot are those of
/// Kubernetes itself and need not be here.
#[rustfmt::skip]
pub const PODLESS: &[Podless] = &[
    Podless::all(".cnrm.cloud.google.com", "https://cloud.google.com/config-connector/docs/reference/overview"),
    Podless::all(".services.k8s.aws", "https://aws-controllers-k8s.github.io/community/reference/"),
    Podless::all("access.smi-spec.io", SMI),
    Podless::all("acme.cert-manager.io", CERT_MANAGER),
    Podless::all("admissionregistration.k8s.io", KUBERNETES),
    Podless::all("apiextensions.k8s.io", KUBERNETES),
    Podless::all("apiregistration.k8s.io", KUBERNETES),
    Podless::all("app.k8s.io", KUBERNETES),
    Podless::all("appprotect.f5.com", "https://docs.nginx.com/nginx-ingress-controller/"),
    Podless::some("argoproj.io", &["AppProject"], "https://argo-cd.readthedocs.io/en/stable/operator-manual/"),
    Podless::all("authentication.k8s.io", KUBERNETES),
    Podless::all("authorization.k8s.io", KUBERNETES),
    Podless::all("authorization.openshift.io", OPENSHIFT),
    Podless::some("autoscaling.agones.dev", &["FleetAutoscaler"], "https://agones.dev/site/docs/reference/"),
    Podless::all("autoscaling.k8s.io", KUBERNETES),
    Podless::some("bitnami.com", &["SealedSecret"], "https://github.com/bitnami-labs/sealed-secrets"),
    Podless::all("bootstrap.cluster.x-k8s.io", CLUSTER_API),
    Podless::all("cert-manager.io", CERT_MANAGER),
    Podless::all("certificates.k8s.io", KUBERNETES),
    Podless::all("cilium.io", CILIUM),
    Podless::all("cloud.google.com", GKE),
    Podless::all("cluster.x-k8s.io", CLUSTER_API),
    Podless::all("config.gatekeeper.sh", GATEKEEPER),
    Podless::all("config.openshift.io", OPENSHIFT),
    Podless::all("configuration.konghq.com", "https://docs.konghq.com/kubernetes-ingress-controller/latest/reference/custom-resources/"),
    Podless::all("console.openshift.io", OPENSHIFT),
    Podless::all("constraints.gatekeeper.sh", GATEKEEPER),
    Podless::all("controlplane.cluster.x-k8s.io", CLUSTER_API),
    Podless::all("coordination.k8s.io", KUBERNETES),
    Podless::all("crd.antrea.io", ANTREA),
    Podless::all("crd.k8s.amazonaws.com", AWS),
    Podless::all("crd.projectcalico.org", CALICO),
    Podless::all("custom.metrics.k8s.io", KUBERNETES),
    Podless::all("dapr.io", "https://docs.dapr.io/reference/resource-specs/"),
    Podless::all("discovery.k8s.io", KUBERNETES),
    Podless::all("eks.amazonaws.com", AWS),
    Podless::all("elbv2.k8s.aws", "https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/"),
    Podless::all("events.k8s.io", KUBERNETES),
    Podless::all("expansion.gatekeeper.sh", GATEKEEPER),
    Podless::all("extensions.istio.io", ISTIO),
    Podless::all("external-secrets.io", EXTERNAL_SECRETS),
    Podless::all("external.metrics.k8s.io", KUBERNETES),
    Podless::all("externaldns.k8s.io", KUBERNETES),
    Podless::all("flowcontrol.apiserver.k8s.io", KUBERNETES),
    Podless::some("gateway.envoyproxy.io", &["Backend", "BackendTrafficPolicy", "ClientTrafficPolicy", "EnvoyExtensionPolicy", "EnvoyPatchPolicy", "HTTPRouteFilter", "SecurityPolicy"], "https://gateway.envoyproxy.io/docs/api/extension_types/"),
    Podless::all("gateway.networking.k8s.io", KUBERNETES),
    Podless::all("gateway.networking.x-k8s.io", "https://gateway-api.sigs.k8s.io/"),
    Podless::all("generators.external-secrets.io", EXTERNAL_SECRETS),
    Podless::some("grafana.integreatly.org", &["GrafanaAlertRuleGroup", "GrafanaContactPoint", "GrafanaDashboard", "GrafanaDatasource", "GrafanaFolder", "GrafanaLibraryPanel", "GrafanaMuteTiming", "GrafanaNotificationPolicy", "GrafanaNotificationTemplate"], "https://grafana.github.io/grafana-operator/docs/api/"),
    Podless::all("groupsnapshot.storage.k8s.io", KUBERNETES),
    Podless::some("helm.cattle.io", &["HelmChartConfig"], "https://docs.k3s.io/helm"),
    Podless::all("image.openshift.io", OPENSHIFT),
    Podless::all("image.toolkit.fluxcd.io", FLUX),
    Podless::all("inference.networking.k8s.io", KUBERNETES),
    Podless::all("inference.networking.x-k8s.io", "https://gateway-api-inference-extension.sigs.k8s.io/"),
    Podless::all("infrastructure.cluster.x-k8s.io", CLUSTER_API),
    Podless::all("internal.apiserver.k8s.io", KUBERNETES),
    Podless::all("ipam.cluster.x-k8s.io", CLUSTER_API),
    Podless::all("isindir.github.com", "https://github.com/isindir/sops-secrets-operator"),
    Podless::some("k8s.cni.cncf.io", &["NetworkAttachmentDefinition"], "https://github.com/k8snetworkplumbingwg/multus-cni"),
    Podless::some("k8s.mariadb.com", &["Connection", "Database", "Grant", "User"], "https://github.com/mariadb-operator/mariadb-operator"),
    Podless::all("k8s.nginx.org", "https://docs.nginx.com/nginx-ingress-controller/"),
    Podless::all("k8s.ovn.org", "https://ovn-kubernetes.io/api-reference/introduction/"),
    Podless::some("kafka.strimzi.io", &["KafkaConnector", "KafkaNodePool", "KafkaRebalance", "KafkaTopic", "KafkaUser"], "https://strimzi.io/docs/operators/latest/configuring"),
    Podless::all("karpenter.azure.com", KARPENTER),
    Podless::all("karpenter.k8s.aws", KARPENTER),
    Podless::all("karpenter.sh", KARPENTER),
    Podless::some("keda.sh", &["ClusterTriggerAuthentication", "ScaledObject", "TriggerAuthentication"], "https://keda.sh/docs/latest/concepts/"),
    Podless::all("kubeovn.io", "https://kubeovn.github.io/docs/stable/en/"),
    Podless::all("kueue.x-k8s.io", "https://kueue.sigs.k8s.io/docs/reference/"),
    Podless::all("kyverno.io", KYVERNO),
    Podless::all("linkerd.io", LINKERD),
    Podless::all("machineconfiguration.openshift.io", OPENSHIFT),
    Podless::all("metallb.io", "https://metallb.universe.tf/apis/"),
    Podless::all("metrics.k8s.io", KUBERNETES),
    Podless::some("monitoring.coreos.com", &["AlertmanagerConfig", "PodMonitor", "Probe", "PrometheusRule", "ScrapeConfig", "ServiceMonitor"], "https://prometheus-operator.dev/docs/api-reference/api/"),
    Podless::all("multicluster.linkerd.io", LINKERD),
    Podless::all("multicluster.x-k8s.io", "https://multicluster.sigs.k8s.io/"),
    Podless::all("mutations.gatekeeper.sh", GATEKEEPER),
    Podless::all("network.openshift.io", OPENSHIFT),
    Podless::all("networking.gke.io", GKE),
    Podless::all("networking.istio.io", ISTIO),
    Podless::all("networking.k8s.aws", AWS),
    Podless::all("networking.k8s.io", KUBERNETES),
    Podless::all("node.k8s.io", KUBERNETES),
    Podless::all("notification.toolkit.fluxcd.io", FLUX),
    Podless::all("oauth.openshift.io", OPENSHIFT),
    Podless::some("opentelemetry.io", &["Instrumentation"], "https://opentelemetry.io/docs/platforms/kubernetes/operator/"),
    Podless::some("operators.coreos.com", &["CatalogSource", "OperatorGroup"], "https://olm.operatorframework.io/docs/concepts/crds/"),
    Podless::all("policies.kyverno.io", KYVERNO),
    Podless::all("policy.cert-manager.io", CERT_MANAGER),
    Podless::all("policy.linkerd.io", LINKERD),
    Podless::all("policy.networking.k8s.io", KUBERNETES),
    Podless::some("policy.open-cluster-management.io", &["PlacementBinding", "PolicyAutomation"], "https://open-cluster-management.io/docs/"),
    Podless::some("postgresql.cnpg.io", &["Backup", "ClusterImageCatalog", "Database", "ImageCatalog", "Publication", "ScheduledBackup", "Subscription"], "https://cloudnative-pg.io/documentation/current/cloudnative-pg.v1/"),
    Podless::all("project.openshift.io", OPENSHIFT),
    Podless::all("projectcalico.org", CALICO),
    Podless::all("projectcontour.io", "https://projectcontour.io/docs/main/config/api/"),
    Podless::all("quota.openshift.io", OPENSHIFT),
    Podless::some("rabbitmq.com", &["Binding", "Exchange", "Federation", "OperatorPolicy", "Permission", "Policy", "Queue", "SchemaReplication", "Shovel", "SuperStream", "TopicPermission", "User", "Vhost"], "https://www.rabbitmq.com/kubernetes/operator/using-topology-operator"),
    Podless::all("rbac.authorization.k8s.io", KUBERNETES),
    Podless::all("resource.k8s.io", KUBERNETES),
    Podless::all("route.openshift.io", OPENSHIFT),
    Podless::all("scheduling.k8s.io", KUBERNETES),
    Podless::some("scheduling.volcano.sh", &["PodGroup", "Queue"], "https://volcano.sh/en/docs/"),
    Podless::all("scheduling.x-k8s.io", KUBERNETES),
    Podless::all("secrets-store.csi.x-k8s.io", "https://secrets-store-csi-driver.sigs.k8s.io/"),
    Podless::all("secrets.hashicorp.com", "https://developer.hashicorp.com/vault/docs/deploy/kubernetes/vso/api-reference"),
    Podless::all("security.istio.io", ISTIO),
    Podless::all("security.openshift.io", OPENSHIFT),
    Podless::all("snapshot.storage.k8s.io", KUBERNETES),
    Podless::all("source.toolkit.fluxcd.io", FLUX),
    Podless::all("specs.smi-spec.io", SMI),
    Podless::all("split.smi-spec.io", SMI),
    Podless::all("status.gatekeeper.sh", GATEKEEPER),
    Podless::all("storage.k8s.io", KUBERNETES),
    Podless::all("storagemigration.k8s.io", KUBERNETES),
    Podless::some("tekton.dev", &["ClusterTask", "Pipeline", "StepAction", "Task"], "https://tekton.dev/docs/pipelines/"),
    Podless::all("telemetry.istio.io", ISTIO),
    Podless::all("templates.gatekeeper.sh", GATEKEEPER),
    Podless::all("traefik.containo.us", TRAEFIK),
    Podless::all("traefik.io", TRAEFIK),
    Podless::some("triggers.tekton.dev", &["ClusterInterceptor", "ClusterTriggerBinding", "Interceptor", "Trigger", "TriggerBinding", "TriggerTemplate"], "https://tekton.dev/docs/triggers/"),
    Podless::all("trust.cert-manager.io", CERT_MANAGER),
    Podless::all("user.openshift.io", OPENSHIFT),
    Podless::some("velero.io", &["Backup", "BackupStorageLocation", "Restore", "Schedule", "VolumeSnapshotLocation"], "https://velero.io/docs/main/api-types/"),
    Podless::all("vpcresources.k8s.aws", AWS),
    Podless::all("wgpolicyk8s.io", KYVERNO),
    Podless::all("whereabouts.cni.cncf.io", "https://github.com/k8snetworkplumbingwg/whereabouts"),
];

/// Who installs others by objects of this kind, if that is known.
#[must_use]
pub fn installer(api_version: &str, kind: &str) -> Option<&'static Installer> {
    let (group, _) = api_version.split_once('/')?;
    let mut installers = INSTALLERS.iter();
    installers.find(|installer| installer.group == group && installer.kind == kind)
}

/// Whether it is known that nobody makes pods of objects of this kind.
#[must_use]
pub fn makes_no_pods(api_version: &str, kind: &str) -> bool {
    match api_version.split_once('/') {
        None => true,
        Some((group, _)) => {
            !group.contains('.') || PODLESS.iter().any(|podless| podless.is(group, kind))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_group_is_there_once_with_its_source_and_no_kind_is_on_both_lists() {
        let mut groups: Vec<_> = PODLESS.iter().map(|podless| podless.group).collect();
        groups.sort_unstable();
        let count = groups.len();
        groups.dedup();
        assert_eq!(groups.len(), count);
        for podless in PODLESS {
            let source = podless.source;
            assert!(source.starts_with("https://"), "{}", podless.group);
            assert!(podless.kinds.is_sorted(), "{}", podless.group);
        }
        for installer in INSTALLERS {
            let version = format!("{}/v1", installer.group);
            assert!(!makes_no_pods(&version, installer.kind), "{installer:?}");
        }
        for operator in crate::operators::OPERATORS {
            let version = format!("{}/v1", operator.group);
            assert!(!makes_no_pods(&version, operator.kind), "{operator:?}");
        }
    }

    #[test]
    fn what_makes_no_pods_is_known_by_group_and_kind() {
        for (version, kind) in [
            ("v1", "ConfigMap"),
            ("policy/v1", "PodDisruptionBudget"),
            ("rbac.authorization.k8s.io/v1", "Role"),
            ("snapshot.storage.k8s.io/v1", "VolumeSnapshot"),
            ("gateway.networking.k8s.io/v1", "HTTPRoute"),
            ("monitoring.coreos.com/v1", "ServiceMonitor"),
            ("cert-manager.io/v1", "Certificate"),
            ("external-secrets.io/v1", "ExternalSecret"),
        ] {
            assert!(makes_no_pods(version, kind), "{version} {kind}");
        }
        for (version, kind) in [
            ("monitoring.coreos.com/v1", "Prometheus"),
            ("jobset.x-k8s.io/v1alpha2", "JobSet"),
            ("my.corp/v1", "Widget"),
            ("tekton.dev/v1", "PipelineRun"),
        ] {
            assert!(!makes_no_pods(version, kind), "{version} {kind}");
        }
    }
}
