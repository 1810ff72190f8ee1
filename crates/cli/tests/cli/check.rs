//! The formats of `check`.

use crate::{SMALL, Scratch, ringfence, ringfence_with};

/// The rules whose findings the snapshots show: a new rule does not change them.
const RULES: &str = "--select RF201,RF202,RF401";

pub(crate) const SHOP: &str =
    "check -f examples/shop/base -f examples/shop/steps/3-deny-metadata-additive";

/// What a stranger could write into manifests to break a report.
pub(crate) const HOSTILE: &str = r#"apiVersion: v1
kind: Namespace
metadata:
  # <script>alert(1)</script> ]]> ```` ::error::forged <!-- --> &amp; [a](javascript:alert(1))
  name: "n<script>alert('1')</script>]]>"
---
apiVersion: v1
kind: Pod
metadata:
  name: "p\n::error::forged \e[31mred\e[0m | `x`; $(id) <img src=x onerror=alert(1)>\u202e"
  namespace: "n<script>alert('1')</script>]]>"
spec: {containers: [{name: c}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: "deny-all \"><svg onload=alert(1)>"
  namespace: "n<script>alert('1')</script>]]>"
spec:
  podSelector: {}
  policyTypes: [Ingress]
"#;

#[test]
fn every_format_shows_a_small_input() {
    let shown =
        |format: &str| ringfence_with(&format!("check -f - {RULES} {format}"), SMALL).text();
    insta::assert_snapshot!("small_human", shown(""));
    insta::assert_snapshot!("small_quiet", shown("--quiet"));
    insta::assert_snapshot!("small_json", shown("-o json"));
    insta::assert_snapshot!("small_yaml", shown("-o yaml"));
    insta::assert_snapshot!("small_sarif", without_pages(&shown("-o sarif")));
    insta::assert_snapshot!("small_junit", shown("-o junit"));
    insta::assert_snapshot!("small_github", shown("-o github"));
    insta::assert_snapshot!("small_markdown", shown("-o markdown"));
    insta::assert_snapshot!("small_html", without_styles(&shown("-o html")));
}

#[test]
fn every_format_shows_the_policy_that_opens_what_it_says_it_denies() {
    let shown = |format: &str| ringfence(&format!("{SHOP} {RULES} {format}")).text();
    insta::assert_snapshot!("shop_human", shown(""));
    insta::assert_snapshot!(
        "shop_coloured",
        shown("--color always").replace('\u{1b}', "␛")
    );
    insta::assert_snapshot!("shop_json", shown("-o json"));
    insta::assert_snapshot!("shop_sarif", without_pages(&shown("-o sarif")));
    insta::assert_snapshot!("shop_junit", shown("-o junit"));
    insta::assert_snapshot!("shop_github", shown("-o github"));
    insta::assert_snapshot!("shop_markdown", shown("-o markdown"));
    insta::assert_snapshot!("shop_html", without_styles(&shown("-o html")));
}

/// The log without the pages of rules, which have files of their own.
fn without_pages(log: &str) -> String {
    let lines = log
        .lines()
        .map(|line| match line.split_once("\"markdown\": ") {
            Some((indent, _)) => format!("{indent}\"markdown\": ...\n"),
            None => format!("{line}\n"),
        });
    lines.collect()
}

/// The page without its styles and the picture, which have files of their own.
fn without_styles(page: &str) -> String {
    let mut out = String::new();
    let mut rest = page;
    for (from, to) in [("<style>", "</style>"), ("src=\"data:", "\"")] {
        let Some((before, after)) = rest.split_once(from) else {
            continue;
        };
        out.push_str(before);
        out.push_str(from);
        out.push_str("...");
        rest = &after[after.find(to).unwrap()..];
    }
    out + rest
}

#[test]
fn what_is_not_verified_has_not_passed_in_junit() {
    let run = ringfence_with("check -f - -o junit --select RF1", SMALL);
    let of_101 = run.stdout.matches("classname=\"RF101\"");
    assert_eq!(of_101.count(), 1, "{}", run.stdout);
    assert!(!run.stdout.contains("RF101 policies"), "{}", run.stdout);
    // What is certain to be fine has.
    assert!(run.stdout.contains("RF103 host-network"), "{}", run.stdout);
}

#[test]
fn what_does_not_fail_the_run_is_skipped_in_junit() {
    let with =
        |options: &str| ringfence_with(&format!("check -f - -o junit {RULES} {options}"), SMALL);
    let fails = with("--fail-on note").stdout;
    assert!(fails.contains("<failure"), "{fails}");
    let passes = with("--fail-on never").stdout;
    assert!(
        !passes.contains("<failure") && passes.contains("<skipped"),
        "{passes}"
    );
    let clean = with("--ignore RF201,RF401").stdout;
    assert!(
        clean.contains("RF202") && !clean.contains("RF401"),
        "{clean}"
    );
}

#[test]
fn quiet_leaves_the_findings_and_their_number() {
    let quiet = ringfence(&format!("{SHOP} {RULES} --quiet"));
    assert!(quiet.stdout.contains("error[RF401]") && quiet.stdout.contains(" (profile"));
    assert!(!quiet.stdout.contains("NAMESPACE") && !quiet.stdout.contains("--explain"));
}

#[test]
fn names_in_manifests_do_nothing_to_the_lines_of_a_report() {
    for format in ["human", "github", "markdown", "junit", "sarif"] {
        let run = ringfence_with(&format!("check -f - -o {format} --quiet"), HOSTILE);
        let text = &run.stdout;
        assert!(
            text.contains("alert"),
            "{format}: the names are there: {text}"
        );
        let forged = text
            .lines()
            .find(|line| line.trim_start().starts_with("::error::"));
        assert_eq!(forged, None, "{format}");
        let unwanted = |c: char| c == '\u{202e}' || (c.is_control() && c != '\n');
        assert!(!text.contains(unwanted), "{format}: {text}");
    }
    // Some formats show characters that turn the text, others leave them to who reads them.
    let turned = HOSTILE.replace("alert", "\u{202e}alert\u{2067}");
    for format in ["human", "github", "markdown", "junit", "html"] {
        let run = ringfence_with(&format!("check -f - -o {format} --quiet"), &turned);
        let turns = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        assert!(!run.stdout.contains(turns), "{format}: {}", run.stdout);
    }
    // A command that is there to be copied is one command.
    let human = ringfence_with("check -f - --quiet --select RF401", HOSTILE).stdout;
    assert!(human.contains("ringfence explain 'n<script>alert('\\''1'\\'')</script>]]>/Pod/p␊"));
}

#[test]
fn markdown_shows_markup_as_text() {
    let text = ringfence_with("check -f - -o markdown --quiet", HOSTILE).stdout;
    let mut fence: Option<&str> = None;
    for line in text.lines() {
        let ticks = &line[..line.len() - line.trim_start_matches('`').len()];
        match fence {
            Some(open) if ticks == open => fence = None,
            None if ticks.len() >= 3 => fence = Some(ticks),
            Some(_) => {}
            None => {
                let line = outside_code(line);
                for markup in ["<script", "<img", "<svg"] {
                    assert!(!line.contains(markup), "{line}");
                }
            }
        }
    }
    assert_eq!(fence, None, "every block ends");
}

/// A line of Markdown without what stands in backticks; escaped ones are text.
fn outside_code(line: &str) -> String {
    let text = line.replace("\\`", "");
    text.split('`').step_by(2).collect()
}

#[test]
fn hundreds_of_findings_fit_into_every_format() {
    let mut input = String::new();
    for number in 0..300 {
        input.push_str(&format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: p, namespace: ns-{number:03}}}\nspec: {{containers: [{{name: c}}]}}\n---\n"
        ));
    }
    let scratch = Scratch::new("many");
    let file = scratch.file("many.yaml", &input);
    for format in [
        "human", "json", "sarif", "junit", "github", "markdown", "html",
    ] {
        let run = ringfence(&format!("check -f {file} {RULES} -o {format}"));
        assert_eq!(run.code, Some(1), "{format}: {}", run.stderr);
        assert!(run.stdout.contains("ns-000"), "{format}");
        if format == "markdown" {
            let length = run.stdout.chars().count();
            assert!(
                length < 65_536,
                "a comment of {length} characters is refused"
            );
            assert!(run.stdout.contains(" more; `-o json` lists all"));
        } else {
            assert!(run.stdout.contains("ns-299"), "{format}");
        }
    }
}

#[test]
fn the_command_that_confirms_a_finding_asks_about_the_same_input() {
    const OPEN: &str = "apiVersion: v1
kind: Pod
metadata: {name: p}
spec: {containers: [{name: c, image: example.org/c:1.0.0}]}
";
    let explained = |stdout: &str| {
        let (_, command) = stdout.split_once("see `ringfence ").unwrap();
        let (command, _) = command.split_once('`').unwrap();
        command.to_owned()
    };
    let options = "-n shop --pod-cidr 10.0.0.0/8 --profile calico";
    let run = ringfence_with(
        &format!("check -f - --select RF401 -o github {options}"),
        OPEN,
    );
    let command = explained(&run.stdout);
    assert_eq!(
        command,
        format!("explain shop/Pod/p 169.254.169.254:80 -f - {options}")
    );
    let run = ringfence_with(&command, OPEN);
    assert_eq!(run.code, Some(0), "{}", run.text());

    let scratch = Scratch::new("explained");
    let file = scratch.file("it's open.yaml", OPEN);
    let output = command_of(&["check", "-f", &file, "--select", "RF401", "-o", "github"]);
    let quoted = format!("-f '{}'", file.replace('\'', r"'\''"));
    assert!(explained(&output).ends_with(&quoted), "{output}");
}

fn command_of(arguments: &[&str]) -> String {
    let output = crate::command().args(arguments).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}
