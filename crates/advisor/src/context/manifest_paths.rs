use ringfence_model::source::KeyPath;

/// The way to the pod spec in an object of this kind: that of a pod, or of the template.
#[must_use]
pub fn pod_spec_path(kind: &str) -> KeyPath {
    pod_template_path(kind).key("spec")
}

/// The way to the pod template in an object of this kind; to a pod, from itself.
#[must_use]
pub fn pod_template_path(kind: &str) -> KeyPath {
    let spec = KeyPath::root().key("spec");
    match kind {
        "Pod" => KeyPath::root(),
        "CronJob" => spec.key("jobTemplate").key("spec").key("template"),
        _ => spec.key("template"),
    }
}

#[cfg(test)]
mod tests {
    use super::pod_spec_path;

    #[test]
    fn each_kind_keeps_its_pod_spec_where_the_api_has_it() {
        for (kind, path) in [
            ("Pod", "spec"),
            ("Deployment", "spec.template.spec"),
            ("CronJob", "spec.jobTemplate.spec.template.spec"),
        ] {
            assert_eq!(pod_spec_path(kind).to_string(), path);
        }
    }
}
