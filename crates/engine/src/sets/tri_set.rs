use ringfence_model::tri::Tri;
use roaring::RoaringBitmap;

/// A set whose membership may be unknown: `certain` is a subset of `possible`.
#[derive(Clone, Debug, PartialEq, Default)]
pub(crate) struct TriSet {
    /// The members for sure.
    pub(crate) certain: RoaringBitmap,
    /// The members that cannot be ruled out.
    pub(crate) possible: RoaringBitmap,
}

impl TriSet {
    pub(crate) fn exactly(members: RoaringBitmap) -> Self {
        Self {
            certain: members.clone(),
            possible: members,
        }
    }

    pub(crate) fn contains(&self, id: u32) -> Tri {
        if self.certain.contains(id) {
            Tri::Yes
        } else if self.possible.contains(id) {
            Tri::Unknown
        } else {
            Tri::No
        }
    }

    pub(crate) fn insert(&mut self, id: u32, member: Tri) {
        if member.certain() {
            self.certain.insert(id);
        }
        if member.possible() {
            self.possible.insert(id);
        }
    }

    pub(crate) fn intersect_with(&mut self, other: &Self) {
        self.certain &= &other.certain;
        self.possible &= &other.possible;
    }

    pub(crate) fn union_with(&mut self, other: &Self) {
        self.certain |= &other.certain;
        self.possible |= &other.possible;
    }
}
