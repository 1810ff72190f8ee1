use std::io::Read as _;
use std::process::Stdio;

use crate::{SMALL, Scratch, command, ringfence, ringfence_with};

#[test]
fn broken_documents_are_named_and_the_rest_is_answered() {
    let broken = format!(
        "{SMALL}---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: typo, namespace: web}}\nspec:\n  podSelector: {{}}\n  ingres: []\n---\nkind: [\n"
    );
    insta::assert_snapshot!(ringfence_with("reach -f - --to web/db", &broken).text());
}

#[test]
fn quiet_prints_errors_only() {
    let duplicate = format!("{SMALL}---\n{SMALL}");
    let loud = ringfence_with("reach -f -", &duplicate);
    let quiet = ringfence_with("reach -f - --quiet", &duplicate);
    assert_eq!(loud.stdout, quiet.stdout);
    assert!(loud.stderr.contains("warning"), "{}", loud.stderr);
    assert!(!quiet.stderr.contains("warning"), "{}", quiet.stderr);
    assert!(quiet.stderr.contains("incomplete"), "{}", quiet.stderr);
}

#[test]
fn without_input_the_error_says_what_to_pass() {
    let run = ringfence("reach");
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("-f PATH"), "{}", run.stderr);
}

#[test]
fn an_input_without_any_object_is_never_a_good_answer() {
    let scratch = Scratch::new("empty");
    let empty = scratch.file("empty.yaml", "# nothing\n---\n");
    let config = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";
    let other = scratch.file("other.yaml", config);
    let asserted = scratch.file(
        "a.yaml",
        "apiVersion: ringfence.dev/v1alpha1\nkind: Assertions\nforbids: [{from: '*/*', to: metadata}]\n",
    );
    for verb in [
        "check",
        "check -o junit",
        "check --fix",
        "check --diff",
        "check --standard all",
        "reach",
        &format!("assert {asserted}"),
    ] {
        for (path, text, says) in [
            (
                "-",
                "",
                "no objects were read from `<stdin>`: there is no document",
            ),
            (&*empty, "", "there is no document"),
            (
                &*other,
                "",
                "it has ConfigMap, and neither workloads nor policies",
            ),
        ] {
            let run = ringfence_with(&format!("{verb} -f {path}"), text);
            assert_eq!(run.code, Some(2), "{verb} {path}: {}", run.text());
            assert_eq!(run.stdout, "", "{verb} {path}");
            assert!(run.stderr.contains(says), "{verb} {path}: {}", run.stderr);
        }
    }
    let shop = scratch.file("shop.yaml", SMALL);
    for (arguments, says) in [
        (
            format!("diff -f {empty} --to {shop}"),
            "nothing to compare with",
        ),
        (
            format!("diff -f {shop} --to {empty}"),
            "nothing to compare:",
        ),
        (
            format!("baseline web -f {other} --dns kube-dns"),
            "nothing to start from",
        ),
    ] {
        let run = ringfence(&arguments);
        assert_eq!(run.code, Some(2), "{arguments}: {}", run.text());
        assert_eq!(run.stdout, "", "{arguments}");
        assert!(run.stderr.contains(says), "{arguments}: {}", run.stderr);
    }
    let check = ringfence_with("check -f -", "");
    assert!(
        check.stderr.contains("nothing to check: no objects"),
        "{}",
        check.stderr
    );
}

#[test]
fn policies_that_are_not_evaluated_alone_are_not_a_clean_input() {
    let foreign = "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: a, namespace: b}\nspec: {}\n";
    let run = ringfence_with("check -f -", foreign);
    assert_eq!(run.code, Some(2), "{}", run.text());
    assert!(run.stdout.contains("RF604"), "{}", run.text());
    // GitHub shows few annotations of a step: one is enough.
    let github = ringfence_with("check -f - -o github", &format!("{SMALL}---\n{foreign}"));
    let annotations = github.stdout.lines().filter(|l| l.contains("Cilium"));
    assert_eq!(annotations.count(), 1, "{}", github.stdout);
}

#[test]
fn a_kustomization_that_was_not_built_is_not_a_whole_input() {
    let scratch = Scratch::new("kustomize");
    scratch.file("base/shop.yaml", SMALL);
    let header = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n";
    let base = format!("{header}resources: [shop.yaml]\n");
    scratch.file("base/kustomization.yaml", &base);
    let plain = ringfence(&format!("reach -f {}", scratch.path()));
    assert_eq!(plain.code, Some(0), "{}", plain.text());
    assert_eq!(plain.stderr, "");
    let overlay = format!("{header}namespace: prod\nresources: [../base]\n");
    scratch.file("prod/kustomization.yaml", &overlay);
    for verb in ["check", "reach", "explain web/shop web/db"] {
        let run = ringfence(&format!("{verb} -f {}", scratch.path()));
        assert_eq!(run.code, Some(2), "{verb}: {}", run.text());
        let says = format!("kustomize build {}/prod | ringfence", scratch.path());
        assert!(run.stderr.contains(&says), "{verb}: {}", run.stderr);
        assert!(run.stderr.contains("incomplete"), "{verb}: {}", run.stderr);
    }
}

#[test]
fn every_missing_path_is_named_and_nothing_is_answered() {
    let run = ringfence("reach -f nowhere.yaml -f examples/shop/base -f nowhere-else/");
    assert_eq!(run.code, Some(2));
    assert_eq!(run.stdout, "");
    assert!(
        run.stderr.contains("`nowhere.yaml` does not exist"),
        "{}",
        run.stderr
    );
    assert!(
        run.stderr.contains("`nowhere-else/` does not exist"),
        "{}",
        run.stderr
    );
}

#[test]
fn problems_are_part_of_structured_output() {
    let broken = SMALL.replace("policyTypes: [Ingress, Egress]", "policyTypes: [ingress]");
    let run = ringfence_with("reach -f - -o json", &broken);
    assert_eq!(run.code, Some(2), "{}", run.text());
    let problems = run.json();
    let problem = &problems["problems"][0];
    assert_eq!(problem["severity"], "error");
    assert_eq!(problem["location"]["file"], "<stdin>");
    assert!(problem["leftOut"].is_string(), "{problem}");
}

#[test]
fn json_and_the_output_of_kubectl_are_read_like_yaml() {
    let scratch = Scratch::new("kubectl");
    let documents: Vec<serde_json::Value> = SMALL
        .split("---\n")
        .map(|document| serde_saphyr::from_str(document).unwrap())
        .collect();
    let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": documents});
    let file = scratch.file("list.json", &list.to_string());
    let from_list = ringfence(&format!("reach -f {file} -o csv"));
    let from_yaml = ringfence_with("reach -f - -o csv", SMALL);
    assert_eq!(from_list.stdout, from_yaml.stdout, "{}", from_list.text());
}

#[test]
fn a_reader_that_leaves_is_a_quiet_end() {
    let mut child = command()
        .args(["reach", "-o", "yaml", "-f", "examples/shop/base"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut [0]).unwrap();
    drop(stdout);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

/// A policy that is left out because of a typo.
fn incomplete() -> String {
    format!(
        "{SMALL}---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: typo, namespace: web}}\nspec:\n  podSelector: {{}}\n  policyTypes: [egres]\n"
    )
}

#[test]
fn every_report_says_that_the_input_was_incomplete() {
    let scratch = Scratch::new("incomplete");
    let file = scratch.file("all.yaml", &incomplete());
    let assertions = scratch.file(
        "assertions.yaml",
        "apiVersion: ringfence.dev/v1alpha1\nkind: Assertions\npermits:\n- {from: web/shop, to: 'web/db:sql'}\n",
    );
    for (verb, formats) in [
        (
            "reach".to_owned(),
            &["human", "markdown", "dot", "mermaid", "svg"][..],
        ),
        ("explain web/shop web/db".to_owned(), &["human", "markdown"]),
        (
            format!("diff --to {file}"),
            &["human", "markdown", "github"],
        ),
        (
            format!("assert {assertions}"),
            &["human", "markdown", "github", "junit"],
        ),
    ] {
        for format in formats {
            let run = ringfence(&format!("{verb} -f {file} -o {format}"));
            let stdout = run.stdout.to_lowercase();
            let told = if *format == "junit" {
                "errors=\"1\""
            } else {
                "incomplete"
            };
            assert!(stdout.contains(told), "{verb} -o {format}: {}", run.text());
            assert!(
                stdout.contains("typo"),
                "{verb} -o {format}: {}",
                run.text()
            );
            assert_eq!(run.code, Some(2), "{verb} -o {format}");
        }
    }
    let whole = ringfence_with("reach -f -", SMALL);
    assert!(!whole.stdout.contains("incomplete"));
}

#[test]
fn many_problems_are_counted_and_not_all_printed() {
    let broken = "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: NAME}\nspec: {podSelector: {}, policyTypes: [egres]}\n";
    let many: String = (0..200)
        .map(|n| broken.replace("NAME", &format!("p{n}")))
        .collect();
    let run = ringfence_with("reach -f -", &many);
    assert_eq!(run.code, Some(2));
    assert!(
        run.stderr.contains("and 150 problems more"),
        "{}",
        run.stderr
    );
    let last = run.stderr.lines().last().unwrap();
    assert!(last.contains("and 195 more"), "{last}");
    assert!(last.len() < 600, "{last}");
}

#[cfg(unix)]
#[test]
fn what_cannot_be_read_in_a_directory_is_named_and_the_rest_is_answered() {
    let scratch = Scratch::new("unreadable");
    scratch.file("a.yaml", SMALL);
    std::os::unix::fs::symlink("nowhere", scratch.0.join("dangling.yaml")).unwrap();
    let made = std::process::Command::new("mkfifo")
        .arg(scratch.0.join("pipe.yaml"))
        .status();
    assert!(made.unwrap().success());
    let run = ringfence(&format!("reach -f {}", scratch.path()));
    assert_eq!(run.code, Some(2), "{}", run.text());
    assert!(run.stdout.contains("web/db"), "{}", run.text());
    assert!(
        run.stdout.contains("dangling.yaml` was left out"),
        "{}",
        run.text()
    );
    assert!(
        run.stderr.contains("pipe.yaml` is not a regular file"),
        "{}",
        run.text()
    );

    std::fs::remove_file(scratch.0.join("dangling.yaml")).unwrap();
    let run = ringfence(&format!("reach -f {}", scratch.path()));
    assert_eq!(run.code, Some(0), "{}", run.text());
}

#[test]
fn names_cannot_drive_a_terminal_or_break_a_report() {
    let name = r#""x\e[2J\n<b>|`\u202e\"&#""#;
    let hostile = format!(
        "{SMALL}---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: web}}\nspec: {{containers: [{{name: c}}]}}\n---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: {name}}}\nspec: {{containers: [{{name: c}}]}}\n"
    );
    for format in [
        "human", "csv", "markdown", "mermaid", "dot", "svg", "json", "yaml",
    ] {
        for color in ["always", "never"] {
            let run = ringfence_with(&format!("reach -f - -o {format} --color {color}"), &hostile);
            for stream in [&run.stdout, &run.stderr] {
                assert!(!stream.contains("\u{1b}[2J"), "{format}: {}", run.text());
            }
            assert!(!run.text().contains("\n<b>|"), "{format}: {}", run.text());
        }
    }
}

/// The small cluster, and a policy with a misspelt field beside it.
fn with_unread_policy(policy: &str) -> String {
    format!("{SMALL}---\n{policy}")
}

const UNREAD: &str = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: broken, namespace: web}\nspec: {podSelector: {}, ingres: []}\n";

#[test]
fn what_a_policy_that_could_not_be_read_may_change_is_not_known() {
    let input = with_unread_policy(UNREAD);
    let run = ringfence_with("explain web/shop internet:443 -f -", &input);
    assert_eq!(run.code, Some(2));
    assert!(
        run.stdout.contains(
            "this does not count NetworkPolicy web/broken, which could not be read; without it:"
        ) && run.stdout.contains("NOT KNOWN"),
        "{}",
        run.stdout
    );
    let run = ringfence_with("explain web/shop web/db:5432 -f - -o json", &input);
    let explanation = run.json();
    assert_eq!(explanation["verdict"], "Unknown");
    assert_eq!(
        explanation["outcomes"][0]["notCounted"][0],
        "NetworkPolicy web/broken"
    );
}

#[test]
fn what_a_policy_of_a_kind_that_is_not_evaluated_may_change_is_not_known() {
    let global = "apiVersion: projectcalico.org/v3\nkind: GlobalNetworkPolicy\nmetadata: {name: all}\nspec: {order: 1, selector: all(), types: [Egress], egress: [{action: Allow}]}\n";
    let cilium = "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: world, namespace: web}\nspec: {endpointSelector: {}, egress: [{toEntities: [world]}]}\n";
    for (policy, name) in [
        (global, "GlobalNetworkPolicy all (not evaluated)"),
        (cilium, "CiliumNetworkPolicy web/world (not evaluated)"),
    ] {
        let input = with_unread_policy(policy);
        let run = ringfence_with("explain web/shop internet:443 -f - -o json", &input);
        assert_eq!(run.code, Some(2));
        let explanation = run.json();
        assert_eq!(explanation["verdict"], "Unknown");
        assert_eq!(explanation["outcomes"][0]["notCounted"][0], name);
        let run = ringfence_with("reach -f -", &input);
        let warning = format!("not certain: {name} may decide otherwise");
        assert!(run.stdout.contains(&warning), "{}", run.stdout);
    }
}

#[test]
fn what_a_policy_that_could_not_be_read_cannot_change_stays_certain() {
    // A policy of another namespace cannot lift the denial of the database's own.
    let other = UNREAD.replace("namespace: web", "namespace: elsewhere");
    let input = with_unread_policy(&other);
    let run = ringfence_with("explain web/db internet:443 -f - -o json", &input);
    assert_eq!(run.json()["verdict"], "Denied");
    // A NetworkPolicy cannot take back what another allows: that side is settled.
    let own_ingress = with_unread_policy(&UNREAD.replace("namespace: web", "namespace: app"));
    let pod = "---\napiVersion: v1\nkind: Pod\nmetadata: {name: open, namespace: app}\nspec: {containers: [{name: c}]}\n---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: all, namespace: app}\nspec: {podSelector: {}, egress: [{}]}\n";
    let run = ringfence_with(
        "explain app/open 192.0.2.7:80 -f - -o json",
        &format!("{own_ingress}{pod}"),
    );
    assert_eq!(run.json()["verdict"], "Allowed");
}

#[test]
fn reach_and_assert_do_not_count_on_what_was_left_out() {
    let input = with_unread_policy(UNREAD);
    let run = ringfence_with("reach -f -", &input);
    assert!(
        run.stdout
            .contains("not certain: NetworkPolicy web/broken could not be read"),
        "{}",
        run.stdout
    );
    let run = ringfence_with("reach -f - -o json", &input);
    for connection in run.json()["connections"].as_array().unwrap() {
        assert_eq!(connection["allow"], serde_json::json!({}), "{connection}");
    }
    let scratch = Scratch::new("unread");
    let file = scratch.file(
        "assertions.yaml",
        "apiVersion: ringfence.dev/v1alpha1\nkind: Assertions\nforbids:\n  - {from: web/db, to: internet}\n",
    );
    let run = ringfence_with(&format!("assert {file} -f -"), &input);
    assert!(
        run.stdout.contains("is not known")
            && run
                .stdout
                .contains("this does not count NetworkPolicy web/broken, which could not be read"),
        "{}",
        run.stdout
    );
}

#[test]
fn diff_does_not_count_on_what_was_left_out() {
    let scratch = Scratch::new("unread-diff");
    let read = scratch.file("read.yaml", SMALL);
    let unread = scratch.file("unread.yaml", &with_unread_policy(UNREAD));
    let warning = "NetworkPolicy web/broken could not be read: what pods of web can open or accept is not known";

    let run = ringfence(&format!("diff -f {read} --to {unread} -o json"));
    assert_eq!(run.code, Some(2), "{}", run.text());
    let closed = run.json()["closed"].as_array().unwrap().clone();
    assert!(!closed.is_empty(), "{}", run.stdout);
    for change in &closed {
        assert_eq!(change["before"], "Allowed", "{change}");
        assert_eq!(change["after"], "Unknown", "{change}");
    }
    let run = ringfence(&format!("diff -f {read} --to {unread}"));
    assert!(
        run.stdout
            .contains(&format!("not certain: after, {warning}")),
        "{}",
        run.stdout
    );

    // What was denied as far as could be read is not said to have been.
    let opening = SMALL.replace("port: sql", "port: 5433");
    let opened = scratch.file("opened.yaml", &opening);
    let run = ringfence(&format!("diff -f {unread} --to {opened} -o json"));
    for change in run.json()["opened"].as_array().unwrap() {
        assert_eq!(change["before"], "Unknown", "{change}");
        assert_eq!(change["after"], "Allowed", "{change}");
    }

    // What is known of neither has not changed, and that is no promise.
    let both = scratch.file("both.yaml", &format!("{opening}---\n{UNREAD}"));
    let run = ringfence(&format!("diff -f {unread} --to {both}"));
    assert!(
        run.stdout.contains(&format!("not certain: {warning}"))
            && run.stdout.contains("nothing is known to open or close"),
        "{}",
        run.stdout
    );
    let run = ringfence(&format!("diff -f {unread} --to {both} -o markdown"));
    assert!(
        run.stdout.contains("## Nothing is known to open or close")
            && run.stdout.contains("Not certain: NetworkPolicy web/broken"),
        "{}",
        run.stdout
    );
}

#[test]
fn the_same_key_twice_is_bad_input_as_the_same_object_twice_is() {
    let twice = SMALL.replace(
        "metadata: {labels: {app: shop}}",
        "metadata: {labels: {app: other, app: shop}}",
    );
    for verb in ["reach", "explain web/shop web/db:5432"] {
        let run = ringfence_with(&format!("{verb} -f -"), &twice);
        assert_eq!(run.code, Some(2), "{}", run.text());
        assert!(
            run.stderr.contains("the key `app` is here twice")
                && run
                    .stderr
                    .contains("what stands at the first one was left out"),
            "{}",
            run.stderr
        );
    }
    // To `check` both are findings.
    let object = format!("{SMALL}---\n{}", SMALL.split("---").next().unwrap());
    for input in [&twice, &object] {
        let run = ringfence_with("check --select RF604 --fail-on warning -f -", input);
        assert_eq!(run.code, Some(1), "{}", run.text());
        assert!(run.stdout.contains("warning[RF604]"), "{}", run.stdout);
    }
    // It is read all the same: the last one counts.
    let run = ringfence_with("explain web/shop web/db:5432 -f - -o json", &twice);
    assert_eq!(run.json()["verdict"], "Allowed");
}
