use crate::{SMALL, Scratch, command, ringfence, ringfence_with};

#[test]
fn help_is_stable() {
    for verb in [
        "",
        "reach",
        "explain",
        "diff",
        "assert",
        "baseline",
        "lab",
        "lab run",
        "lab up",
        "lab exec",
        "lab apply",
        "lab delete",
        "lab down",
        "lab list",
        "completions",
        "man",
    ] {
        let name = if verb.is_empty() { "ringfence" } else { verb };
        let run = ringfence(&format!("{verb} --help"));
        assert_eq!(run.code, Some(0));
        let name = name.replace(' ', "_");
        insta::assert_snapshot!(format!("help_{name}"), run.text());
    }
}

#[test]
fn called_as_a_plugin_of_kubectl_it_says_so() {
    let scratch = Scratch::new("plugin");
    let plugin = scratch.0.join("kubectl-ringfence");
    // Linking is enough and quick; the file system of a test machine may not have it.
    if std::fs::hard_link(env!("CARGO_BIN_EXE_ringfence"), &plugin).is_err() {
        std::fs::copy(env!("CARGO_BIN_EXE_ringfence"), &plugin).unwrap();
    }
    let output = std::process::Command::new(&plugin)
        .args(["reach", "-h"])
        .output()
        .unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(help.contains("Usage: kubectl ringfence reach"), "{help}");
}

#[test]
fn bad_usage_is_exit_code_2_on_stderr() {
    for arguments in [
        "",
        "reach --no-such-option",
        "frobnicate",
        "explain web/shop",
        "explain a/b/c/d x -f -",
        "reach -f - -o sarif",
        "reach -f - --profile weave",
        "reach -f - --pod-cidr 10.0.0.0",
        "reach -f - --port 70000",
        "diff -f a --to b --git c",
    ] {
        let run = ringfence_with(arguments, SMALL);
        assert_eq!(run.code, Some(2), "{arguments}: {}", run.text());
        assert_eq!(run.stdout, "", "{arguments}");
        assert!(!run.stderr.is_empty(), "{arguments}");
    }
}

#[test]
fn colour_is_for_terminals_or_when_asked_for() {
    let arguments = [
        "explain",
        "shop-web/cart",
        "dns",
        "-f",
        "examples/shop/base",
    ];
    let run = |extra: &[&str], environment: &[(&str, &str)]| {
        let output = command()
            .args(arguments)
            .args(extra)
            .envs(environment.iter().copied())
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(!run(&[], &[]).contains('\u{1b}'));
    assert!(run(&["--color", "always"], &[]).contains('\u{1b}'));
    assert!(run(&["--color", "always"], &[("NO_COLOR", "1")]).contains('\u{1b}'));
    assert!(!run(&["--color", "never"], &[("CLICOLOR_FORCE", "1")]).contains('\u{1b}'));
}

#[test]
fn completions_and_manual_pages_are_made() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let run = ringfence(&format!("completions {shell}"));
        assert_eq!(run.code, Some(0));
        assert!(run.stdout.contains("explain"), "{shell}");
    }
    let run = ringfence("man");
    assert!(run.stdout.contains(".TH"), "{}", run.stdout);
    let scratch = Scratch::new("man");
    let run = ringfence(&format!("man {}", scratch.path()));
    assert_eq!(run.code, Some(0), "{}", run.text());
    assert!(scratch.0.join("ringfence-explain.1").is_file());
    let run = ringfence("man /nowhere/at/all");
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("/nowhere/at/all"), "{}", run.stderr);
}

#[test]
fn profiles_change_verdicts_and_are_said() {
    let by_block = SMALL.replace(
        "{podSelector: {matchLabels: {app: shop}}}",
        "{ipBlock: {cidr: 0.0.0.0/0}}",
    );
    let upstream = ringfence_with("explain web/shop web/db:sql -f -", &by_block);
    let cilium = ringfence_with(
        "explain web/shop web/db:sql -f - --profile cilium",
        &by_block,
    );
    assert_eq!(upstream.code, Some(0), "{}", upstream.text());
    assert_eq!(cilium.code, Some(1), "{}", cilium.text());
    assert!(
        cilium.stdout.contains("profile cilium"),
        "{}",
        cilium.stdout
    );
}

#[test]
fn options_that_would_check_nothing_are_errors() {
    for (arguments, says) in [
        ("check -f examples/shop/base --provider awz", "aws, google"),
        (
            "baseline shop --preset deny-metadata --provider amazon",
            "aws, google",
        ),
        (
            "check -f examples/shop/base --select RF401 --ignore RF4",
            "no rule is left to check",
        ),
        (
            "baseline -f examples/shop/base --preset workload-to-cidr --from shop-web/cart \
             --to 10.0.0.5/8:443",
            "write 10.0.0.0/8",
        ),
    ] {
        let run = ringfence(arguments);
        assert_eq!(run.code, Some(2), "{arguments}: {}", run.text());
        assert!(run.stdout.is_empty(), "{arguments}: {}", run.stdout);
        assert!(run.stderr.contains(says), "{arguments}: {}", run.stderr);
    }
}

#[test]
fn global_options_go_with_a_page_of_a_rule_and_the_list() {
    for arguments in [
        "check --explain RF401 --color never",
        "check --list --quiet",
        "baseline shop --preset deny-all",
    ] {
        let run = ringfence(arguments);
        assert_eq!(run.code, Some(0), "{arguments}: {}", run.text());
    }
}

#[track_caller]
fn is_refused(arguments: &str) {
    let run = ringfence(arguments);
    assert_eq!(run.code, Some(2), "{arguments}: {}", run.text());
    assert!(run.stdout.is_empty(), "{arguments}: {}", run.stdout);
    let says = "cannot be used with";
    assert!(run.stderr.contains(says), "{arguments}: {}", run.stderr);
}

#[test]
fn options_of_a_run_do_not_go_with_a_page_of_a_rule_or_the_list() {
    for option in [
        "-f .",
        "-o json",
        "--fix",
        "--unsafe-fixes",
        "--diff",
        "--why-open shop/cart",
        "--standard cis",
        "-n shop",
        "--pod-cidr 10.0.0.0/8",
        "--ip-family dual",
        "--profile cilium",
        "--own-node strict",
        "--config ringfence.toml",
    ] {
        is_refused(&format!("check --explain RF401 {option}"));
        is_refused(&format!("check --list {option}"));
    }
}

#[test]
fn a_view_fixes_nothing_and_a_diff_reports_nothing() {
    let scratch = Scratch::new("views-and-fixes");
    let text = "apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: shop}
spec: {podSelector: {}, policyTypes: [egress]}
";
    let file = scratch.file("policy.yaml", text);
    for view in ["--standard cis", "--why-open shop/web"] {
        for option in ["--fix", "--fix --unsafe-fixes", "--diff"] {
            is_refused(&format!("check -f {file} {view} {option}"));
        }
    }
    for option in ["-o json", "--fail-on note", "--show-suppressed"] {
        is_refused(&format!("check -f {file} --diff {option}"));
    }
    is_refused(&format!("check -f {file} --standard cis --show-suppressed"));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
}

#[test]
fn nothing_is_added_to_a_file_that_could_not_be_read() {
    let scratch = Scratch::new("broken-target");
    let text = "kind: [\n";
    let file = scratch.file("policies.yaml", text);
    let run = ringfence(&format!(
        "baseline shop --preset deny-all --patch --write {file}"
    ));
    assert_eq!(run.code, Some(2), "{}", run.text());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
}
