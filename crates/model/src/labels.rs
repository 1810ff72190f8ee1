//! Labels of pods and namespaces, including what is not known about them.

use std::collections::BTreeMap;
use std::sync::Arc;

/// The label that the control plane puts on every namespace
/// (KEP-2161, stable since Kubernetes 1.22).
pub const METADATA_NAME: &str = "kubernetes.io/metadata.name";

/// Which label keys an object may carry beyond those written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum UnknownKeys {
    /// None: the written labels are all there is.
    #[default]
    None,
    /// These keys are set by a controller to values the manifest cannot show
    /// (`pod-template-hash` and the like).
    These(&'static [&'static str]),
    /// Any key but `kubernetes.io/metadata.name`: a namespace that is only
    /// mentioned, so that its own manifest was not seen.
    AllButName,
    /// Any key at all: an endpoint known to exist and not described, such as an
    /// ingress controller outside the input.
    All,
}

/// The labels of one object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Labels {
    /// The labels that are written down.
    pub known: Arc<BTreeMap<String, String>>,
    /// The keys that may be present besides.
    pub unknown: UnknownKeys,
}

/// What a lookup of one label key gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelValue<'a> {
    /// The key is present with this value.
    Present(&'a str),
    /// The key is certainly not present.
    Absent,
    /// The key may be present, with any value.
    Unknown,
}

impl Labels {
    /// Labels that are completely known.
    #[must_use]
    pub fn known(labels: BTreeMap<String, String>) -> Self {
        Self {
            known: Arc::new(labels),
            unknown: UnknownKeys::None,
        }
    }

    /// Looks `key` up.
    #[must_use]
    pub fn get(&self, key: &str) -> LabelValue<'_> {
        if let Some(value) = self.known.get(key) {
            return LabelValue::Present(value);
        }
        let open = match self.unknown {
            UnknownKeys::None => false,
            UnknownKeys::These(keys) => keys.contains(&key),
            UnknownKeys::AllButName => key != METADATA_NAME,
            UnknownKeys::All => true,
        };
        if open {
            LabelValue::Unknown
        } else {
            LabelValue::Absent
        }
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Labels {
    fn from_iter<T: IntoIterator<Item = (K, V)>>(iter: T) -> Self {
        Self::known(
            iter.into_iter()
                .map(|(k, v)| (k.into(), v.into()))
                .collect(),
        )
    }
}
