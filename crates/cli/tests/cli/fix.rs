//! `check --fix` and `check --diff` on files and on standard input.

use crate::{Scratch, ringfence, ringfence_with};

const TYPO: &str = "\
# The team's only policy.
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: closed, namespace: shop}
spec:
  podSelector: {} # everybody
  policyTypes: [ingress, Egress]
";

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn a_diff_changes_nothing_and_says_that_there_is_something_to_do() {
    let scratch = Scratch::new("diff");
    let file = scratch.file("closed.yaml", TYPO);
    let run = ringfence(&format!("check --no-config --diff -f {file}"));
    assert_eq!(run.code, Some(1), "{}", run.text());
    assert_eq!(
        run.stdout,
        format!(
            "--- {file}\n+++ {file}\n@@ -4,4 +4,4 @@\n metadata: {{name: closed, namespace: shop}}\n \
             spec:\n   podSelector: {{}} # everybody\n-  policyTypes: [ingress, Egress]\n+  \
             policyTypes: [Ingress, Egress]\n"
        )
    );
    assert!(
        run.stderr.contains("would fix 1 finding in 1 file"),
        "{}",
        run.stderr
    );
    assert_eq!(read(&file), TYPO);
}

#[test]
fn a_file_is_fixed_once_and_keeps_its_permissions() {
    let scratch = Scratch::new("fix");
    let file = scratch.file("closed.yaml", TYPO);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    }
    let run = ringfence(&format!("check --no-config --fix -f {}", scratch.path()));
    assert!(
        run.stderr.contains("fixed 1 finding in 1 file"),
        "{}",
        run.text()
    );
    assert!(!run.stdout.contains("RF604"), "{}", run.text());
    assert_eq!(read(&file), TYPO.replace("[ingress", "[Ingress"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
    }
    // Nothing else is left in the directory.
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 1);
    let again = ringfence(&format!("check --no-config --fix -f {file}"));
    assert!(
        again.stderr.contains("fixed 0 findings in 0 files"),
        "{}",
        again.text()
    );
    let nothing = ringfence(&format!("check --no-config --diff -f {file}"));
    assert_eq!((nothing.code, &*nothing.stdout), (Some(0), ""));
}

#[test]
fn standard_input_comes_out_fixed() {
    let windows = TYPO.replace('\n', "\r\n");
    for text in [TYPO, &windows] {
        let run = ringfence_with("check --no-config --fix -f -", text);
        assert_eq!(run.stdout, text.replace("[ingress", "[Ingress"));
        assert!(run.stderr.contains("fixed 1 finding"), "{}", run.stderr);
    }
    let run = ringfence_with("check --no-config --fix -f - -o json", TYPO);
    assert_eq!((run.code, &*run.stdout), (Some(2), ""));
}

#[test]
fn what_somebody_should_look_at_is_fixed_only_if_asked_for() {
    let text = TYPO.replace("[ingress, Egress]", "[Ingress, Egress]\n  ingres: []");
    let run = ringfence_with("check --no-config --fix -f -", &text);
    assert_eq!(run.stdout, text);
    assert!(
        run.stderr.contains("can be fixed with `--unsafe-fixes`"),
        "{}",
        run.stderr
    );
    let run = ringfence_with("check --no-config --fix --unsafe-fixes -f -", &text);
    assert_eq!(run.stdout, text.replace("ingres:", "ingress:"));
    let run = ringfence_with("check --unsafe-fixes -f -", &text);
    assert_eq!(run.code, Some(2));
}

#[test]
fn what_cannot_be_fixed_is_told_with_the_reason() {
    let run = ringfence_with("check --no-config --diff -f -", &format!("\u{feff}{TYPO}"));
    assert_eq!(run.stdout, "");
    assert!(run.stderr.contains("byte order mark"), "{}", run.stderr);
}

fn copy_below(from: &str, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copy_below(path.to_str().unwrap(), &target),
            false => {
                std::fs::copy(&path, &target).unwrap();
            }
        }
    }
}

#[test]
fn isolating_egress_is_a_guess_and_brings_dns_with_it() {
    let scratch = Scratch::new("isolate");
    let shop = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/shop");
    copy_below(&format!("{shop}/base"), &scratch.0.join("base"));
    copy_below(
        &format!("{shop}/steps/1-ingress-only"),
        &scratch.0.join("step"),
    );
    let found = |run: &crate::Run, code: &str| {
        let json = run.json();
        let findings = json["findings"].as_array().unwrap();
        findings.iter().filter(|f| f["rule"] == code).count()
    };
    let path = scratch.path();
    let safe = ringfence(&format!("check --no-config --fix -o json -f {path}"));
    assert_eq!(found(&safe, "RF202"), 3, "{}", safe.text());
    let fixed = ringfence(&format!(
        "check --no-config --fix --unsafe-fixes --select RF202,RF301 -o json -f {path}"
    ));
    assert_eq!(found(&fixed, "RF202"), 0, "{}", fixed.text());
    assert_eq!(found(&fixed, "RF301"), 0, "{}", fixed.text());
}

#[test]
fn a_line_with_a_comment_is_not_removed() {
    let text = "\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: shop}
spec:
  podSelector: {}
  policyTypes: [Egress]
  egress:
  - to:
    - ipBlock:
        cidr: 0.0.0.0/0
        except:
        - 169.254.169.254/32
        - 100.100.100.200/32   # Alibaba Cloud
    - ipBlock: {cidr: 10.0.0.1/8}
    ports: [{port: 443, protocol: TCP}]
";
    let run = ringfence_with("check --no-config --fix --unsafe-fixes -f -", text);
    assert!(
        run.stdout
            .contains("- 100.100.100.200/32   # Alibaba Cloud\n"),
        "{}",
        run.text()
    );
    assert!(
        run.stdout.contains("- ipBlock: {cidr: 10.0.0.1/8}\n"),
        "{}",
        run.text()
    );
    let again = ringfence_with("check --no-config -o json -f -", &run.stdout);
    assert!(!again.text().contains("rejects"), "{}", again.text());
}

#[cfg(unix)]
#[test]
fn a_file_that_a_link_leads_to_is_left_alone() {
    let (inside, outside) = (Scratch::new("inside"), Scratch::new("outside"));
    let real = outside.file("closed.yaml", TYPO);
    let link = inside.0.join("link.yaml");
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let run = ringfence(&format!("check --no-config --fix -f {}", inside.path()));
    assert!(run.stderr.contains("a link leads to it"), "{}", run.text());
    assert_eq!(read(&real), TYPO);
    // Named itself, it is meant; and the link stays one.
    let run = ringfence(&format!("check --no-config --fix -f {}", link.display()));
    assert!(run.stderr.contains("fixed 1 finding"), "{}", run.text());
    assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(read(&real), TYPO.replace("[ingress", "[Ingress"));
}

#[test]
fn reports_have_the_edits_of_a_fix() {
    let report = ringfence_with("check --no-config -f - --select RF604 -o json", TYPO).json();
    let fix = &report["findings"][0]["fix"];
    assert_eq!(fix["safe"], true);
    let edit = &fix["edits"][0];
    let (start, end) = (
        usize::try_from(edit["startByte"].as_u64().unwrap()).unwrap(),
        usize::try_from(edit["endByte"].as_u64().unwrap()).unwrap(),
    );
    assert_eq!(&TYPO[start..end], "ingress");
    assert_eq!(edit["replacement"], "Ingress");
    let log = ringfence_with("check --no-config -f - --select RF604 -o sarif", TYPO).json();
    let change = &log["runs"][0]["results"][0]["fixes"][0]["artifactChanges"][0];
    assert_eq!(
        change["replacements"][0]["insertedContent"]["text"],
        "Ingress"
    );
    assert_eq!(change["replacements"][0]["deletedRegion"]["startLine"], 7);
}
