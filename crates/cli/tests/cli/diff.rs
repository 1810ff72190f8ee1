use std::process::Command;

use crate::{SMALL, Scratch, ringfence};

#[test]
fn the_steps_of_the_shop_are_told_apart_by_what_they_open() {
    insta::assert_snapshot!(
        "typo_changes_nothing",
        ringfence("diff -f examples/shop/base --to examples/shop/base --to examples/shop/steps/4-label-typo").text()
    );
    let steps = "diff -f examples/shop/base -f examples/shop/steps/2-deny-all-dns-forgotten --to examples/shop/base --to examples/shop/steps/3-deny-metadata-additive";
    insta::assert_snapshot!("human", ringfence(steps).text());
    insta::assert_snapshot!(
        "markdown",
        ringfence(&format!("{steps} -o markdown")).text()
    );
    insta::assert_snapshot!("github", ringfence(&format!("{steps} -o github")).text());
}

#[test]
fn a_difference_is_an_exit_code_only_when_asked_for() {
    let scratch = Scratch::new("diff");
    let old = scratch.file("old.yaml", SMALL);
    let new = scratch.file("new.yaml", &SMALL.replace("port: sql", "port: 5433"));
    assert_eq!(
        ringfence(&format!("diff -f {old} --to {new}")).code,
        Some(0)
    );
    assert_eq!(
        ringfence(&format!("diff -f {old} --to {new} --exit-code")).code,
        Some(1)
    );
    assert_eq!(
        ringfence(&format!("diff -f {old} --to {old} --exit-code")).code,
        Some(0)
    );
}

#[test]
fn a_git_revision_is_compared_with_the_files_as_they_are() {
    let scratch = Scratch::new("git");
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .arg("-C")
            .arg(&scratch.0)
            .args(["-c", "user.name=a", "-c", "user.email=a@example.com"])
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    git(&["init", "--quiet"]);
    scratch.file("deploy/cluster.yaml", SMALL);
    scratch.file("deploy/.hidden/ignored.yaml", "not: [read");
    scratch.file("deploy/gone later.yaml", &POLICY.replace("NAME", "gone"));
    scratch.file("other/ignored.yaml", "not: [read");
    git(&["add", "--force", "."]);
    git(&["commit", "--quiet", "--message", "before"]);
    std::fs::remove_file(scratch.0.join("deploy/gone later.yaml")).unwrap();
    scratch.file("deploy/new.yaml", &POLICY.replace("NAME", "new"));
    let deploy = scratch.0.join("deploy").display().to_string();

    let shown = |run: crate::Run| run.text().replace(&scratch.path(), "SCRATCH");
    insta::assert_snapshot!(shown(ringfence(&format!("diff -f {deploy} --git HEAD"))));
    let single = ringfence(&format!("diff -f {deploy}/cluster.yaml --git HEAD"));
    assert!(
        single.stdout.contains("nothing opens or closes"),
        "{}",
        single.text()
    );

    let run = ringfence(&format!("diff -f {deploy} --git no-such-revision"));
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("is not a revision"), "{}", run.stderr);
    // What is gone, and what is new, is compared with nothing.
    std::fs::remove_file(scratch.0.join("deploy/cluster.yaml")).unwrap();
    let run = ringfence(&format!("diff -f {deploy}/cluster.yaml --git HEAD"));
    assert_eq!(run.code, Some(0), "{}", run.text());
    assert!(
        run.stderr.contains("was deleted since HEAD"),
        "{}",
        run.text()
    );
    let run = ringfence(&format!("diff -f {deploy}/new.yaml --git HEAD"));
    assert_eq!(run.code, Some(0), "{}", run.text());
    assert!(
        run.stderr.contains("did not exist at HEAD"),
        "{}",
        run.text()
    );
    let run = ringfence(&format!("diff -f {deploy}/never.yaml --git HEAD"));
    assert_eq!(run.code, Some(2), "{}", run.text());
    assert!(run.stderr.contains("does not exist"), "{}", run.text());

    // A revision cannot smuggle an option in.
    let run = ringfence(&format!("diff -f {deploy} --git=--help"));
    assert_eq!(run.code, Some(2), "{}", run.text());
    assert!(run.stderr.contains("is not a revision"), "{}", run.stderr);
}

const POLICY: &str = "apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: NAME, namespace: web}
spec:
  podSelector: {matchLabels: {app: shop}}
  policyTypes: [Egress]
";

#[test]
fn outside_a_repository_there_is_no_revision() {
    let scratch = Scratch::new("no-git");
    let file = scratch.file("a.yaml", SMALL);
    let run = ringfence(&format!("diff -f {file} --git HEAD"));
    assert_eq!(run.code, Some(2));
    assert!(
        run.stderr.contains("is not in a git repository"),
        "{}",
        run.stderr
    );
    let run = ringfence("diff -f - --git HEAD");
    assert!(run.stderr.contains("has no history"), "{}", run.stderr);
}

#[test]
fn standard_input_is_read_only_once() {
    for arguments in ["-f - --to -", "-f - -f - --to README.md"] {
        let run = ringfence(&format!("diff {arguments}"));
        assert_eq!(run.code, Some(2), "{}", run.text());
        assert_eq!(
            run.stderr,
            "error: standard input can be read only once: `-` was given 2 times\n"
        );
    }
}
