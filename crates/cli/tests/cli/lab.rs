//! Labs, in the kernel. These tests make network namespaces and fail where that is not
//! permitted.

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;

use serde_json::Value;

use crate::{Run, Scratch, command, ringfence, ringfence_with};

const TWO: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: duo}
---
apiVersion: v1
kind: Pod
metadata: {name: server, namespace: duo, labels: {app: server}}
spec: {containers: [{name: a, ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: client, namespace: duo, labels: {app: client}}
spec: {containers: [{name: a, ports: [{containerPort: 81}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: server, namespace: duo}
spec: {selector: {app: server}, ports: [{port: 8080, targetPort: 80}]}
";

const DENY: &str = "
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny, namespace: duo}
spec: {podSelector: {matchLabels: {app: client}}, policyTypes: [Egress]}
";

fn denied() -> String {
    format!("{TWO}{DENY}")
}

/// A lab that stays up until the test ends, however it ends.
pub(crate) struct Up(pub(crate) String);

impl Up {
    fn new(test: &str, yaml: &str) -> Self {
        let up = Self::with(test, "--nodes 1 -f -", yaml);
        assert!(
            ringfence("lab list").stdout.contains(&up.0),
            "{} is not there",
            up.0
        );
        up
    }

    /// A lab with a name of its own, with these options of `lab up`.
    pub(crate) fn with(test: &str, options: &str, stdin: &str) -> Self {
        let up = Self(format!("test-{}-{test}", std::process::id()));
        let run = ringfence_with(&format!("lab up --name {} {options}", up.0), stdin);
        assert_eq!(run.code, Some(0), "{}", run.text());
        up
    }

    pub(crate) fn exec(&self, pod: &str, words: &[&str]) -> Run {
        let output = command()
            .args(["lab", "exec", "--name", &self.0, pod, "--"])
            .args(words)
            // What is denied is waited for.
            .env("RES_OPTIONS", "timeout:1 attempts:1")
            .output()
            .unwrap();
        Run {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Whether names are answered in the end: on a busy machine the first answer may come
    /// too late for who asked.
    fn comes_to_resolve(&self) -> bool {
        (0..10).any(|_| self.resolves())
    }

    /// Whether the client resolves a name of the internet, as any program does it.
    fn resolves(&self) -> bool {
        let run = self.exec("duo/client", &["getent", "ahostsv4", "www.example.com."]);
        assert!(run.stderr.is_empty(), "{}", run.text());
        run.stdout.contains("203.0.113.10")
    }

    pub(crate) fn pid(&self) -> String {
        let path = format!("/run/ringfence-lab/{}/state.json", self.0);
        let state: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        state["pid"].to_string()
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        ringfence(&format!("lab down --name {}", self.0));
    }
}

#[test]
fn packets_do_what_is_predicted() {
    let run = ringfence_with("lab run --ip-family dual -f -", &denied());
    assert_eq!(run.code, Some(0), "{}", run.text());
    assert!(run.stdout.contains("none differs"), "{}", run.text());
    assert!(run.stdout.contains("denied and dropped"), "{}", run.text());
}

#[test]
fn a_plugin_that_knows_no_policies_is_noticed() {
    // As it was called first.
    let run = ringfence_with(
        "lab run --families ipv4 --no-enforce -o json -f -",
        &denied(),
    );
    assert_eq!(run.code, Some(1), "{}", run.text());
    assert!(run.json()["differ"].as_u64().unwrap() > 10);
}

#[test]
fn what_is_said_to_explain_a_prediction_explains_it() {
    let scratch = Scratch::new("lab-explain");
    let manifests = scratch.file("denied.yaml", &denied());
    let v4 = ["duo/server:80 ", "203.0.113.10:443 ", "8.8.8.8:icmp "];
    let v6 = [
        "svc:duo/server:8080 ",
        "[2001:db8::10]:443 ",
        "8888]:53/udp ",
    ];
    for (family, expected) in [("ipv4", v4), ("ipv6", v6)] {
        let run = ringfence(&format!(
            "lab run --nodes 1 --ip-family {family} --no-enforce -f {manifests}"
        ));
        assert_eq!(run.code, Some(1), "{}", run.text());
        let lines = run.stdout.lines();
        let hints: Vec<&str> = lines
            .filter_map(|line| line.trim().strip_prefix("why it is predicted: ringfence "))
            .collect();
        for what in expected {
            let is_there = hints.iter().any(|hint| hint.contains(what));
            assert!(is_there, "{what}: {}", run.text());
        }
        for hint in hints {
            let explained = ringfence(hint);
            assert_eq!(explained.code, Some(1), "{hint}: {}", explained.text());
            assert!(explained.stdout.contains("denied"), "{}", explained.text());
        }
    }
}

#[test]
fn audit_tells_what_would_be_denied_and_denies_nothing() {
    let run = ringfence_with("lab run --audit -o json -f -", &denied());
    assert_eq!(run.code, Some(0), "{}", run.text());
    let report = run.json();
    let connections = report["connections"].as_array().unwrap();
    let told = |row: &&Value| row["agreement"] == "would be denied";
    assert!(connections.iter().filter(told).count() > 10);
    assert!(connections.iter().all(|row| row["observed"] != "dropped"));
}

#[test]
fn junit_has_a_case_for_each_connection() {
    let run = ringfence_with("lab run -o junit -f -", &denied());
    assert_eq!(run.code, Some(0), "{}", run.text());
    assert!(run.stdout.contains("failures=\"0\""), "{}", run.stdout);
    assert!(run.stdout.matches("<testcase").count() > 40);
}

const NODE_PORT: &str = "
---
apiVersion: v1
kind: Service
metadata: {name: by-node, namespace: duo}
spec: {type: NodePort, selector: {app: server}, ports: [{port: 8080, targetPort: 80}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: server, namespace: duo}
spec:
  podSelector: {matchLabels: {app: server}}
  policyTypes: [Ingress]
  ingress: [{from: [{podSelector: {matchLabels: {app: client}}}]}]
";

#[test]
fn node_ports_are_tried_by_one_pod_for_all() {
    let yaml = format!("{TWO}{NODE_PORT}");
    let run = ringfence_with("lab run --nodes 3 -f -", &yaml);
    assert_eq!(run.code, Some(0), "{}", run.text());
    let head = run.stdout.lines().next().unwrap();
    assert!(head.contains(" port "), "{}", run.text());
    assert!(!head.contains(" ext "), "{}", run.text());
    assert!(run.stdout.contains("asks for all"), "{}", run.text());
    let run = ringfence_with("lab run --nodes 3 -o json -f -", &yaml);
    let report = run.json();
    assert!(report["notTried"].as_u64().unwrap() > 0, "{}", run.text());
    let all = report["connections"].as_array().unwrap();
    let of_client: Vec<&Value> = all
        .iter()
        .filter(|row| row["purpose"] == "nodeport" && row["from"] == "duo/client")
        .collect();
    // Its own node, and others with and without the endpoint, as far as there are.
    assert!((2..=3).contains(&of_client.len()), "{of_client:?}");
    let predicted = |verdict: &str| of_client.iter().any(|row| row["predicted"] == verdict);
    assert!(predicted("allowed") && predicted("denied"), "{of_client:?}");
}

#[test]
fn bad_input_is_exit_code_2_and_the_rest_is_tried() {
    let broken = format!("{TWO}---\nkind: [\n");
    let run = ringfence_with("lab run --nodes 1 -f -", &broken);
    assert_eq!(run.code, Some(2), "{}", run.text());
    assert!(run.stdout.contains("none differs"), "{}", run.text());
}

#[test]
fn an_input_without_a_pod_is_no_success() {
    let idle = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {replicas: 0, \
                selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: \
                {containers: [{name: a}]}}}\n";
    let namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: duo}\n";
    for (yaml, expected) in [
        ("", "nothing to try: no objects were read from"),
        ("# nothing\n", "there is no document in it"),
        (namespace, "nothing to try: what was read has no pod"),
        (DENY, "nothing to try: what was read has no pod"),
        (
            idle,
            "Deployment default/web is scaled to zero, and has no pod here",
        ),
        (idle, "nothing to try: what was read has no pod"),
        ("kind: [\n", "nothing to try: what was read has no pod"),
    ] {
        let run = ringfence_with("lab run -f -", yaml);
        assert_eq!(run.code, Some(2), "{yaml}: {}", run.text());
        assert_eq!(run.stdout, "", "{yaml}: {}", run.text());
        assert!(run.stderr.contains(expected), "{yaml}: {}", run.text());
    }
}

#[test]
fn what_is_scaled_to_zero_is_left_out_and_said() {
    let idle = TWO.to_owned()
        + "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: idle, namespace: duo}\nspec: \
           {replicas: 0, selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, \
           spec: {containers: [{name: a}]}}}\n";
    let run = ringfence_with("lab run --nodes 1 --all -f -", &idle);
    assert_eq!(run.code, Some(0), "{}", run.text());
    let said = "Deployment duo/idle is scaled to zero, and has no pod here";
    assert!(run.stderr.contains(said), "{}", run.text());
    assert!(!run.stdout.contains("idle"), "{}", run.text());
}

#[test]
fn commands_run_in_pods_and_policies_come_and_go() {
    let scratch = Scratch::new("lab-apply");
    let (deny, open) = (
        scratch.file("deny.yaml", DENY),
        scratch.file("open.yaml", TWO),
    );
    let up = Up::new("apply", TWO);
    assert!(up.comes_to_resolve());
    let own = up.exec("duo/client", &["ip", "-br", "address", "show", "eth0"]);
    assert!(own.stdout.contains("10.244."), "{}", own.text());
    let run = ringfence(&format!("lab apply --name {} -f {deny}", up.0));
    assert_eq!(run.code, Some(0), "{}", run.text());
    assert_eq!(run.stdout, "networkpolicy \"deny\" created\n");
    assert!(!up.resolves());
    let run = ringfence(&format!("lab apply --name {} --replace -f {open}", up.0));
    assert_eq!(run.code, Some(0), "{}", run.text());
    assert!(run.stdout.contains("\"deny\" deleted"), "{}", run.text());
    assert!(up.comes_to_resolve());
    // Away by the file that it came from, and by its name.
    for way in [format!("-f {deny}"), "-n duo netpol deny".to_owned()] {
        let run = ringfence(&format!("lab apply --name {} -f {deny}", up.0));
        assert_eq!(run.code, Some(0), "{}", run.text());
        assert!(!up.resolves());
        let run = ringfence(&format!("lab delete --name {} {way}", up.0));
        assert_eq!(run.code, Some(0), "{}", run.text());
        assert_eq!(run.stdout, "networkpolicy \"deny\" deleted\n");
        assert!(up.comes_to_resolve());
    }
    let run = ringfence(&format!("lab delete --name {} -n duo netpol deny", up.0));
    assert_eq!(run.code, Some(2), "{}", run.text());
    assert!(run.stderr.contains("is not there"), "{}", run.text());
}

/// A network namespace, which we hold as well: the kernel gives the number of one that is
/// gone to another.
pub(crate) struct Held {
    name: String,
    _file: std::fs::File,
}

/// The network namespaces that a process holds, but for the one that it came from.
pub(crate) fn namespaces_of(pid: &str) -> Vec<Held> {
    let ours = std::fs::read_link("/proc/self/ns/net").unwrap();
    let ours = ours.display().to_string();
    let mut all = Vec::new();
    // It may end while we look.
    for path in open_files(pid) {
        let Ok(link) = std::fs::read_link(&path) else {
            continue;
        };
        let name = link.display().to_string();
        // Threads that work in a namespace remember the one that they came from.
        if name.starts_with("net:")
            && name != ours
            && let Ok(file) = std::fs::File::open(&path)
        {
            all.push(Held { name, _file: file });
        }
    }
    all
}

pub(crate) fn open_files(pid: &str) -> Vec<std::path::PathBuf> {
    let files = std::fs::read_dir(format!("/proc/{pid}/fd"));
    let files = files.into_iter().flatten().filter_map(Result::ok);
    files.map(|file| file.path()).collect()
}

/// Nobody else is in one of these namespaces, or holds one; in the end, because a process
/// that is just being started has what we have for a moment.
pub(crate) fn assert_gone(namespaces: &[Held]) {
    let mut last = None;
    for _ in 0..100 {
        last = holder(namespaces);
        if last.is_none() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("{last:?}");
}

fn holder(namespaces: &[Held]) -> Option<String> {
    let ours = std::process::id().to_string();
    for process in std::fs::read_dir("/proc").unwrap().filter_map(Result::ok) {
        let pid = process.file_name().to_string_lossy().into_owned();
        if pid == ours || !pid.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        let mut paths = open_files(&pid);
        paths.push(process.path().join("ns/net"));
        for path in paths {
            let link = std::fs::read_link(&path);
            let name = link.map(|link| link.display().to_string());
            let is_one = |held: &&Held| name.as_ref().is_ok_and(|name| *name == held.name);
            if let Some(held) = namespaces.iter().find(is_one) {
                return Some(format!("{} is {}", path.display(), held.name));
            }
        }
    }
    None
}

#[test]
fn nothing_is_left_of_a_lab_that_was_killed() {
    let up = Up::new("killed", TWO);
    let pid = up.pid();
    let namespaces = namespaces_of(&pid);
    assert!(namespaces.len() >= 5, "{}", namespaces.len());
    let killed = std::process::Command::new("kill")
        .args(["-9", &pid])
        .status();
    assert!(killed.unwrap().success());
    while std::path::Path::new(&format!("/proc/{pid}/ns")).exists() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert_gone(&namespaces);
    let run = up.exec("duo/client", &["true"]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("is gone"), "{}", run.text());
    let sweeping = format!("`ringfence lab down --name {}`", up.0);
    let run = ringfence("lab list");
    let mut lines = run.stdout.lines();
    let line = lines.find(|line| line.contains(&up.0)).unwrap_or_default();
    assert!(line.contains("gone"), "{line}");
    assert!(line.contains(&sweeping), "{line}");
    let run = ringfence_with(&format!("lab up --name {} -f -", up.0), TWO);
    assert_eq!(run.code, Some(2), "{}", run.text());
    assert!(run.stderr.contains("is gone"), "{}", run.text());
    assert!(run.stderr.contains(&sweeping), "{}", run.text());
    assert!(!run.stderr.contains("os error"), "{}", run.text());
    let run = ringfence(&format!("lab down --name {}", up.0));
    assert_eq!(run.code, Some(0), "{}", run.text());
    assert!(!ringfence("lab list").stdout.contains(&up.0));
}

#[test]
fn what_is_no_name_for_a_lab_is_said_every_time() {
    for name in ["../x", &"x".repeat(200)] {
        for _ in 0..10 {
            let run = ringfence_with(&format!("lab up --name {name} -f -"), TWO);
            assert_eq!(run.code, Some(2), "{}", run.text());
            let said = run.stderr.contains("is no name for a lab");
            assert!(said, "{}", run.text());
        }
    }
}

#[test]
fn two_labs_have_two_names() {
    let up = Up::new("twice", TWO);
    let run = ringfence_with(&format!("lab up --name {} -f -", up.0), TWO);
    assert_eq!(run.code, Some(2), "{}", run.text());
    assert!(run.stderr.contains("is there already"), "{}", run.text());
    assert!(!run.stderr.contains("os error"), "{}", run.text());
    assert!(up.comes_to_resolve());
}

#[test]
fn no_root_is_needed_where_user_namespaces_are_permitted() {
    let scratch = Scratch::new("lab-user");
    // A place that everybody can read.
    let program = scratch.0.join("ringfence");
    std::fs::copy(env!("CARGO_BIN_EXE_ringfence"), &program).unwrap();
    let manifests = scratch.file("two.yaml", &denied());
    let nobody = 65_534;
    let run = |words: &[&str]| {
        let output = std::process::Command::new(&program)
            .arg("lab")
            .args(words)
            .env("XDG_RUNTIME_DIR", &scratch.0)
            .env("RES_OPTIONS", "timeout:1 attempts:1")
            .current_dir("/")
            .uid(nobody)
            .gid(nobody)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (
            output.status.code(),
            text + &String::from_utf8_lossy(&output.stderr),
        )
    };
    let (code, text) = run(&["run", "-f", &manifests]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("none differs"), "{text}");
    // And one that stays up.
    chown(&scratch.0, Some(nobody), Some(nobody)).unwrap();
    let (code, told) = run(&["up", "-f", &manifests]);
    assert_eq!(code, Some(0), "{told}");
    // By hand as well, with the command that is said.
    let node = told.lines().find(|line| line.ends_with("# node-1"));
    let mut words = node.unwrap_or_default().split_whitespace();
    let entered = std::process::Command::new(words.next().unwrap_or("nsenter"))
        .args(words.take_while(|word| *word != "#"))
        .args(["ip", "-br", "link", "show", "up"])
        .uid(nobody)
        .gid(nobody)
        .output()
        .unwrap();
    let (code, text) = run(&[
        "exec",
        "duo/server",
        "--",
        "getent",
        "ahostsv4",
        "dns.google.",
    ]);
    let (down, said) = run(&["down"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("8.8.8.8"), "{text}");
    assert_eq!(down, Some(0), "{said}");
    let links = String::from_utf8_lossy(&entered.stdout);
    let error = String::from_utf8_lossy(&entered.stderr);
    assert!(links.contains("pod"), "{told}\n{links}{error}");
}
