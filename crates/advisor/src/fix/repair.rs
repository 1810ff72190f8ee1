//! Making the fixes of findings one after the other, and looking again each time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ringfence_model::object::ObjectRef;
use ringfence_model::parse::{Input, Sources};
use ringfence_model::source::{FileId, KeyPath};

use super::{Refusal, Replacement, apply, plan};
use crate::finding::{At, Edit, Finding, Fix, Safety};
use crate::report::Report;
use crate::rule::Code;

/// So often it is looked again at most. Each time at least one fix is made or refused.
const MOST_ROUNDS: usize = 500;

/// What a check of some texts gave.
#[derive(Debug)]
pub struct Checked {
    /// What is wrong.
    pub report: Report,
    /// The texts as they were read, in the order they were given.
    pub sources: Sources,
}

/// A fix that was not made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The rule.
    pub code: Code,
    /// The object at fault.
    pub object: ObjectRef,
    /// What the fix would have done.
    pub title: String,
    /// Why it was not made.
    pub why: Refusal,
}

/// What repairing gave.
#[derive(Debug)]
pub struct Repair {
    /// How many findings were fixed.
    pub fixed: usize,
    /// The texts that changed, by the index of their input.
    pub changed: BTreeMap<usize, String>,
    /// What could not be fixed although there is a fix for it.
    pub refused: Vec<Refused>,
    /// The last check: of the texts as they are now.
    pub after: Checked,
}

/// A finding, by what stays the same when it is found again: two rules of one policy may
/// have the same fault, in the same words.
type Identity = (Code, ObjectRef, String, Option<KeyPath>);

fn identity(finding: &Finding) -> Identity {
    let (rule, object) = (finding.rule.code, finding.object.clone());
    let path = match finding.primary.as_ref().map(|place| &place.at) {
        Some(At::Path { path, .. }) => Some(path.clone()),
        Some(At::Location(_)) | None => None,
    };
    (rule, object, finding.message.clone(), path)
}

/// Makes every fix that may be made, until none is left. `may_edit` says of an input
/// whether it may be changed; `check` reads texts and looks for what is wrong.
pub fn repair(
    inputs: Vec<Input>,
    most: Safety,
    may_edit: impl Fn(usize) -> bool,
    mut check: impl FnMut(Vec<Input>) -> Checked,
) -> Repair {
    let mut inputs = inputs;
    let mut after = check(inputs.clone());
    let mut fixed = 0;
    let mut changed = BTreeMap::new();
    let mut refused: BTreeMap<Identity, Refused> = BTreeMap::new();
    // A fix that brings its finding back is not made for ever.
    let mut made: BTreeSet<Identity> = BTreeSet::new();
    let mut alone = false;
    for _ in 0..MOST_ROUNDS {
        let round = Round::of(&after, most, alone, |finding, fix| {
            let identity = identity(finding);
            if made.contains(&identity) || refused.contains_key(&identity) {
                return None;
            }
            match plan(&after.sources, fix) {
                Ok(planned) if planned.iter().all(|r| may_edit(r.file.0 as usize)) => Some(planned),
                // Who asks knows what may not be edited, and why.
                Ok(_) => None,
                Err(why) => {
                    refused.insert(identity, refusal(finding, fix, why));
                    None
                }
            }
        });
        if round.findings.is_empty() {
            break;
        }
        let texts = round.texts(&after.sources);
        let mut next = inputs.clone();
        for (index, text) in &texts {
            if let Some(input) = next.get_mut(*index) {
                input.bytes = text.clone().into_bytes();
            }
        }
        let checked = check(next.clone());
        if round.is_gone(&after.report, &checked.report) {
            fixed += round.findings.len();
            made.extend(round.findings.into_iter().map(|(identity, ..)| identity));
            changed.extend(texts);
            inputs = next;
            after = checked;
            alone = false;
        } else if let [(identity, finding, fix)] = round.findings.as_slice() {
            let why = refusal(finding, fix, Refusal::NoEffect);
            refused.insert(identity.clone(), why);
            alone = false;
        } else {
            // One of them is at fault: the next round is of one only.
            alone = true;
        }
    }
    let there: BTreeSet<Identity> = after.report.findings.iter().map(identity).collect();
    refused.retain(|identity, _| there.contains(identity));
    Repair {
        fixed,
        changed,
        refused: refused.into_values().collect(),
        after,
    }
}

fn refusal(finding: &Finding, fix: &Fix, why: Refusal) -> Refused {
    Refused {
        code: finding.rule.code,
        object: finding.object.clone(),
        title: fix.title.clone(),
        why,
    }
}

/// Fixes that do not concern each other, made together.
struct Round {
    findings: Vec<(Identity, Finding, Fix)>,
    replacements: BTreeMap<FileId, Vec<Replacement>>,
}

impl Round {
    /// Chooses fixes: the safe ones first, and one in each namespace, because what is done
    /// about one finding may be what another one asks for. Misspelt words have nothing to
    /// do with each other, and come before all others: without them policies are missing.
    fn of(
        checked: &Checked,
        most: Safety,
        alone: bool,
        mut planned: impl FnMut(&Finding, &Fix) -> Option<Vec<Replacement>>,
    ) -> Self {
        let findings = checked.report.findings.iter();
        let mut candidates: Vec<(&Finding, &Fix)> = findings
            .filter_map(|finding| Some((finding, finding.fix.as_ref()?)))
            .filter(|(_, fix)| fix.safety <= most)
            .collect();
        candidates.sort_by_key(|(_, fix)| (!is_spelling(fix), fix.safety));
        let mut round = Self {
            findings: Vec::new(),
            replacements: BTreeMap::new(),
        };
        let mut namespaces: BTreeSet<Option<Arc<str>>> = BTreeSet::new();
        let mut has_spelling = false;
        for (finding, fix) in candidates {
            if alone && !round.findings.is_empty() {
                break;
            }
            let spelling = is_spelling(fix);
            if has_spelling && !spelling {
                break;
            }
            let namespace = namespace_of(finding);
            if !spelling && namespaces.contains(&namespace) {
                continue;
            }
            let Some(replacements) = planned(finding, fix) else {
                continue;
            };
            if round.add(replacements) {
                has_spelling |= spelling;
                namespaces.insert(namespace);
                let found = (identity(finding), finding.clone(), fix.clone());
                round.findings.push(found);
            }
        }
        round
    }

    /// Adds replacements unless they are of bytes, or add text at a place, that others of
    /// this round are about.
    fn add(&mut self, replacements: Vec<Replacement>) -> bool {
        let collides = |new: &Replacement| {
            let there = self.replacements.get(&new.file);
            there
                .into_iter()
                .flatten()
                .any(|old| old.bytes.start <= new.bytes.end && new.bytes.start <= old.bytes.end)
        };
        if replacements.iter().any(collides) {
            return false;
        }
        for replacement in replacements {
            let of_file = self.replacements.entry(replacement.file).or_default();
            of_file.push(replacement);
        }
        true
    }

    /// The texts with everything in them, by the index of their input.
    fn texts(&self, sources: &Sources) -> BTreeMap<usize, String> {
        let texts = self.replacements.iter().filter_map(|(file, replacements)| {
            let text = apply(sources.text(*file), replacements)?;
            Some((file.0 as usize, text))
        });
        texts.collect()
    }

    /// Whether each of the findings is found less often than before, and is not said of
    /// another object of its namespace instead, such as one that the fix has added.
    fn is_gone(&self, before: &Report, after: &Report) -> bool {
        self.is_fewer(before, after, identity) && self.is_fewer(before, after, what_is_said)
    }

    fn is_fewer<K: PartialEq>(
        &self,
        before: &Report,
        after: &Report,
        key: impl Fn(&Finding) -> K,
    ) -> bool {
        let count = |report: &Report, wanted: &K| {
            let same = report.findings.iter().filter(|f| key(f) == *wanted);
            same.count()
        };
        self.findings.iter().all(|(_, finding, _)| {
            let wanted = key(finding);
            let of_round = self.findings.iter();
            let of_round = of_round.filter(|(_, f, _)| key(f) == wanted).count();
            count(after, &wanted) + of_round <= count(before, &wanted)
        })
    }
}

/// A finding by what it says, wherever.
fn what_is_said(finding: &Finding) -> (Code, Option<Arc<str>>, String) {
    let (code, message) = (finding.rule.code, finding.message.clone());
    (code, namespace_of(finding), message)
}

fn is_spelling(fix: &Fix) -> bool {
    let mut edits = fix.edits.iter();
    edits.all(|edit| matches!(edit, Edit::Respell { .. }))
}

/// The namespace that a finding is in or about.
fn namespace_of(finding: &Finding) -> Option<Arc<str>> {
    let object = &finding.object;
    match &*object.kind {
        "Namespace" => Some(object.name.clone()),
        _ => object.namespace.clone(),
    }
}
