//! What is asked about objects that may make pods, or that install others: one question a
//! kind, so that many of them stay readable.

use std::collections::BTreeSet;

use ringfence_model::object::ObjectRef;

use crate::context::{Context, Unlooked};
use crate::finding::NotVerified;
use crate::rule::Code;

/// So many objects of a kind are named.
const NAMED: usize = 3;

/// The questions, with the code of the rule that would say more.
pub(crate) fn questions(context: &Context<'_>, code: Code) -> Vec<NotVerified> {
    let kinds = context.unlooked().iter();
    kinds.filter_map(|kind| question(kind, code)).collect()
}

fn question(of_kind: &Unlooked, code: Code) -> Option<NotVerified> {
    let first = of_kind.objects.first()?;
    let (kind, api_version) = (&first.kind, &first.api_version);
    let one = of_kind.objects.len() == 1;
    let who = named(&of_kind.objects);
    Some(match of_kind.installer {
        Some(installer) => NotVerified {
            code,
            what: format!("what {who} {}", if one { "installs" } else { "install" }),
            why: "that is not in the object, and nothing in the input was seen to be of it"
                .to_owned(),
            how: installer.how.to_owned(),
        },
        None => NotVerified {
            code,
            what: format!(
                "whether pods are made of {who}, whether they are isolated, and what they reach"
            ),
            why: format!("Ringfence does not know kind `{kind}` of `{api_version}`"),
            how: format!("add the pods to the input: {}", dump(&of_kind.objects)),
        },
    })
}

/// Some objects of a kind in a sentence.
fn named(objects: &[ObjectRef]) -> String {
    let full = |object: &ObjectRef| match &object.namespace {
        Some(namespace) => format!("`{namespace}/{}`", object.name),
        None => format!("`{}`", object.name),
    };
    let kind = objects.first().map_or("", |object| &object.kind);
    let shown: Vec<String> = objects.iter().take(NAMED).map(full).collect();
    let listed = shown.join(", ");
    match objects.len() {
        0 | 1 => format!("{kind} {listed}"),
        count if count > NAMED => {
            format!(
                "{count} objects of kind {kind} ({listed} and {} more)",
                count - NAMED
            )
        }
        count => format!("{count} objects of kind {kind} ({listed})"),
    }
}

/// The command that lists the pods beside some objects.
fn dump(objects: &[ObjectRef]) -> String {
    let namespaces: BTreeSet<&str> = objects
        .iter()
        .filter_map(|object| object.namespace.as_deref())
        .collect();
    let mut namespaces = namespaces.into_iter();
    match (namespaces.next(), namespaces.next()) {
        (Some(one), None) => format!("`kubectl get pods -n {one} -o yaml`"),
        _ => "`kubectl get pods -A -o yaml`".to_owned(),
    }
}
