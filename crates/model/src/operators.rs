//! Objects of which an operator makes pods. Such pods are in no manifest: they are seen
//! where the input has the pods, or the workloads, that the operator has made.

/// The code of the diagnostic about an object of such a kind.
pub const UNSEEN_PODS: &str = "unseen-pods";

/// A kind of object of which somebody else makes pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operator {
    /// The API group of the kind, without a version.
    pub group: &'static str,
    /// The kind.
    pub kind: &'static str,
    /// Who makes the pods.
    pub maker: &'static str,
    /// The label by which its pods carry the name of the object.
    pub label: &'static str,
    /// What stands behind the name there; usually nothing.
    pub suffix: &'static str,
    /// Where that is documented.
    pub source: &'static str,
}

impl Operator {
    const fn new(
        group: &'static str,
        kind: &'static str,
        maker: &'static str,
        label: &'static str,
        source: &'static str,
    ) -> Self {
        Self {
            group,
            kind,
            maker,
            label,
            suffix: "",
            source,
        }
    }

    const fn suffixed(self, suffix: &'static str) -> Self {
        Self { suffix, ..self }
    }
}

const CLOUD_NATIVE_PG: &str = "https://cloudnative-pg.io/documentation/current/labels_annotations/";
const CRUNCHY: &str = "https://access.crunchydata.com/documentation/postgres-operator/latest";
const ECK: &str = "https://www.elastic.co/docs/deploy-manage/deploy/cloud-on-k8s";
const PROMETHEUS: &str = "https://prometheus-operator.dev/docs/api-reference/api/";
const STRIMZI: &str = "https://strimzi.io/docs/operators/latest/configuring";
const ZALANDO: &str = "https://postgres-operator.readthedocs.io/en/latest/administrator/";
const ARGO: &str = "https://argo-workflows.readthedocs.io/en/latest/";

/// The kinds that are known, by group and kind.
#[rustfmt::skip]
pub const OPERATORS: &[Operator] = &[
    Operator::new("acid.zalan.do", "postgresql", "Zalando's Postgres operator", "cluster-name", ZALANDO),
    Operator::new("argoproj.io", "Workflow", "Argo Workflows", "workflows.argoproj.io/workflow", ARGO),
    Operator::new("cassandra.datastax.com", "CassandraDatacenter", "Cass Operator", "cassandra.datastax.com/datacenter", "https://docs.k8ssandra.io/components/cass-operator/"),
    Operator::new("databases.spotahome.com", "RedisFailover", "the Redis operator of Spotahome", "redisfailovers.databases.spotahome.com/name", "https://github.com/spotahome/redis-operator"),
    Operator::new("elasticsearch.k8s.elastic.co", "Elasticsearch", "Elastic Cloud on Kubernetes", "elasticsearch.k8s.elastic.co/cluster-name", ECK),
    Operator::new("k8s.keycloak.org", "Keycloak", "the Keycloak operator", "app.kubernetes.io/instance", "https://www.keycloak.org/operator/basic-deployment"),
    Operator::new("k8s.mariadb.com", "MariaDB", "the MariaDB operator", "app.kubernetes.io/instance", "https://github.com/mariadb-operator/mariadb-operator"),
    Operator::new("kafka.strimzi.io", "Kafka", "Strimzi", "strimzi.io/cluster", STRIMZI),
    Operator::new("kafka.strimzi.io", "KafkaBridge", "Strimzi", "strimzi.io/cluster", STRIMZI),
    Operator::new("kafka.strimzi.io", "KafkaConnect", "Strimzi", "strimzi.io/cluster", STRIMZI),
    Operator::new("kafka.strimzi.io", "KafkaMirrorMaker2", "Strimzi", "strimzi.io/cluster", STRIMZI),
    Operator::new("kibana.k8s.elastic.co", "Kibana", "Elastic Cloud on Kubernetes", "kibana.k8s.elastic.co/name", ECK),
    Operator::new("kubevirt.io", "VirtualMachine", "KubeVirt", "vm.kubevirt.io/name", "https://kubevirt.io/user-guide/"),
    Operator::new("minio.min.io", "Tenant", "the MinIO operator", "v1.min.io/tenant", "https://github.com/minio/operator"),
    Operator::new("monitoring.coreos.com", "Alertmanager", "the Prometheus operator", "alertmanager", PROMETHEUS),
    Operator::new("monitoring.coreos.com", "Prometheus", "the Prometheus operator", "operator.prometheus.io/name", PROMETHEUS),
    Operator::new("monitoring.coreos.com", "PrometheusAgent", "the Prometheus operator", "operator.prometheus.io/name", PROMETHEUS),
    Operator::new("monitoring.coreos.com", "ThanosRuler", "the Prometheus operator", "thanos-ruler", PROMETHEUS),
    Operator::new("mysql.oracle.com", "InnoDBCluster", "the MySQL operator", "mysql.oracle.com/cluster", "https://dev.mysql.com/doc/mysql-operator/en/"),
    Operator::new("postgres-operator.crunchydata.com", "PostgresCluster", "PGO", "postgres-operator.crunchydata.com/cluster", CRUNCHY),
    Operator::new("postgresql.cnpg.io", "Cluster", "CloudNativePG", "cnpg.io/cluster", CLOUD_NATIVE_PG),
    Operator::new("postgresql.cnpg.io", "Pooler", "CloudNativePG", "cnpg.io/poolerName", CLOUD_NATIVE_PG),
    Operator::new("psmdb.percona.com", "PerconaServerMongoDB", "the Percona operator", "app.kubernetes.io/instance", "https://docs.percona.com/percona-operator-for-mongodb/"),
    Operator::new("pxc.percona.com", "PerconaXtraDBCluster", "the Percona operator", "app.kubernetes.io/instance", "https://docs.percona.com/percona-operator-for-mysql/pxc/"),
    Operator::new("rabbitmq.com", "RabbitmqCluster", "the RabbitMQ cluster operator", "app.kubernetes.io/name", "https://www.rabbitmq.com/kubernetes/operator/using-operator"),
    Operator::new("ray.io", "RayCluster", "KubeRay", "ray.io/cluster", "https://docs.ray.io/en/latest/cluster/kubernetes/"),
    Operator::new("redis.redis.opstreelabs.in", "Redis", "the Redis operator of OpsTree", "app", "https://redis-operator.opstree.dev/"),
    Operator::new("redis.redis.opstreelabs.in", "RedisCluster", "the Redis operator of OpsTree", "app", "https://redis-operator.opstree.dev/").suffixed("-leader"),
    Operator::new("sparkoperator.k8s.io", "SparkApplication", "the Spark operator", "sparkoperator.k8s.io/app-name", "https://www.kubeflow.org/docs/components/spark-operator/"),
];

/// Who makes pods of objects of this kind, if that is known.
#[must_use]
pub fn find(api_version: &str, kind: &str) -> Option<&'static Operator> {
    let (group, _) = api_version.split_once('/')?;
    let mut operators = OPERATORS.iter();
    operators.find(|operator| operator.group == group && operator.kind == kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_there_once_in_order_with_its_source() {
        let keys: Vec<_> = OPERATORS.iter().map(|o| (o.group, o.kind)).collect();
        let mut sorted = keys.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(keys, sorted);
        for operator in OPERATORS {
            assert!(operator.source.starts_with("https://"), "{}", operator.kind);
            assert!(!operator.label.is_empty(), "{}", operator.kind);
        }
    }

    #[test]
    fn a_kind_is_known_in_its_group_only() {
        let found = find("postgresql.cnpg.io/v1", "Cluster").unwrap();
        assert_eq!(found.maker, "CloudNativePG");
        assert_eq!(find("cluster.x-k8s.io/v1beta1", "Cluster"), None);
        assert_eq!(find("v1", "Cluster"), None);
    }
}
