use ringfence_model::diagnostic::Severity;
use ringfence_model::source::KeyPath;

use crate::context::{Context, pod_template_path};
use crate::finding::{Finding, Place};
use crate::report::Findings;
use crate::rule::{Code, Rule};
use crate::suppress::{ANNOTATION, read};

/// An annotation that was to suppress a finding and does not.
pub(super) static RULE: Rule = Rule {
    code: Code(606),
    name: "ignore-says-nothing",
    severity: Severity::Warning,
    summary: "a `ringfence.dev/ignore` annotation without a code or without a reason",
    page: include_str!("../../../../docs/findings/RF606.md"),
    check,
};

fn check(context: &Context<'_>, findings: &mut Findings) {
    for (object, origin) in context.objects() {
        let own = context.annotation(&object, ANNOTATION);
        let own = own.map(|annotation| (annotation, KeyPath::root()));
        let of_template = context.template_annotation(&object, ANNOTATION);
        let of_template =
            of_template.map(|annotation| (annotation, pod_template_path(&object.kind)));
        let errors = own
            .into_iter()
            .chain(of_template)
            .flat_map(|(text, holder)| {
                let path = holder.key("metadata").key("annotations").key(ANNOTATION);
                let errors = read(text).into_iter().filter_map(Result::err);
                errors.map(move |error| (error, path.clone()))
            });
        for (error, path) in errors {
            findings.push(Finding {
                rule: &RULE,
                severity: RULE.severity,
                message: format!("{error}, so that it suppresses nothing"),
                consequence: None,
                help: Some(
                    "write the code of the rule and the reason: `RF501 calls the payment \
                     provider`; entries are separated by semicolons"
                        .to_owned(),
                ),
                object: object.clone(),
                primary: origin.map(|origin| Place::value(origin, path, "this annotation")),
                related: Vec::new(),
                witness: None,
                affected: Vec::new(),
                fix: None,
            });
        }
    }
}
