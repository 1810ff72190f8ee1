use std::fmt;
use std::sync::Arc;

/// One step into a document.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PathSegment {
    /// The value of a mapping key.
    Key(Arc<str>),
    /// An element of a sequence, from 0.
    Index(usize),
}

/// The way from a root to a value, such as `spec.egress[0].to[1].ipBlock.cidr`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct KeyPath(pub Vec<PathSegment>);

impl KeyPath {
    /// The root.
    #[must_use]
    pub fn root() -> Self {
        Self::default()
    }

    /// This path, one mapping key deeper.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        let mut segments = self.0.clone();
        segments.push(PathSegment::Key(key.into()));
        Self(segments)
    }

    /// This path, one sequence element deeper.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        let mut segments = self.0.clone();
        segments.push(PathSegment::Index(index));
        Self(segments)
    }

    /// This path followed by `tail`.
    #[must_use]
    pub fn join(&self, tail: &Self) -> Self {
        Self(self.0.iter().chain(&tail.0).cloned().collect())
    }

    /// The path without its last step; the root's parent is the root.
    #[must_use]
    pub fn parent(&self) -> Self {
        let mut segments = self.0.clone();
        segments.pop();
        Self(segments)
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, segment) in self.0.iter().enumerate() {
            match segment {
                PathSegment::Key(key) if position == 0 => write!(f, "{key}")?,
                PathSegment::Key(key) if key.contains(['.', '/']) => write!(f, "[\"{key}\"]")?,
                PathSegment::Key(key) => write!(f, ".{key}")?,
                PathSegment::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::KeyPath;

    #[test]
    fn a_path_reads_like_a_jsonpath() {
        let path = KeyPath::root().key("spec").key("egress").index(0).key("to");
        assert_eq!(path.to_string(), "spec.egress[0].to");
        assert_eq!(path.parent().to_string(), "spec.egress[0]");
        let label = KeyPath::root().key("labels").key("app.kubernetes.io/name");
        assert_eq!(label.to_string(), "labels[\"app.kubernetes.io/name\"]");
    }
}
