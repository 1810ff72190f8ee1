//! Ctrl-C and SIGTERM, at any moment of a lab: no process, namespace or file stays.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::command;
use crate::lab::{Up, assert_gone, namespaces_of};

const SIGNALS: [&str; 2] = ["-INT", "-TERM"];

/// Pods that deny each other, so that a run waits for what does not come.
fn many_pods(count: usize) -> String {
    let mut yaml = String::new();
    for number in 0..count {
        yaml.push_str(&format!(
            "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: p{number}, namespace: many}}\n\
             spec: {{containers: [{{name: a, ports: [{{containerPort: 80}}]}}]}}\n"
        ));
    }
    yaml.push_str(
        "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: deny, \
         namespace: many}\nspec: {podSelector: {}, policyTypes: [Egress, Ingress]}\n",
    );
    yaml
}

/// A shell that runs tests in the background has them ignore SIGINT, and what they start
/// with them: `env` takes that back before it becomes the program.
fn start(arguments: &[&str], stdin: &str) -> Child {
    let program = command();
    let mut child = Command::new("env")
        .arg("--default-signal=INT,TERM")
        .arg(program.get_program())
        .arg("lab")
        .args(arguments)
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut pipe = child.stdin.take().unwrap();
    pipe.write_all(stdin.as_bytes()).unwrap();
    child
}

fn send(signal: &str, pid: &str) {
    let sent = Command::new("kill").args([signal, pid]).status();
    assert!(sent.unwrap().success());
}

/// Waits until it is so, on a busy machine for long.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < end, "{what}: not within a minute");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn folder(name: &str) -> PathBuf {
    Path::new("/run/ringfence-lab").join(name)
}

/// The process that holds a lab, if one does.
fn keeper(name: &str) -> Option<String> {
    let wanted = format!("lab\0keep\0--name\0{name}\0");
    let processes = std::fs::read_dir("/proc").unwrap();
    processes.filter_map(Result::ok).find_map(|process| {
        let line = std::fs::read(process.path().join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).into_owned();
        let pid = process.file_name().to_string_lossy().into_owned();
        line.ends_with(&wanted).then_some(pid)
    })
}

#[test]
fn a_run_that_is_interrupted_leaves_nothing_behind() {
    for signal in SIGNALS {
        let mut run = start(&["run", "--nodes", "2"], &many_pods(40));
        let pid = run.id().to_string();
        let mut namespaces = Vec::new();
        until("namespaces", || {
            namespaces = namespaces_of(&pid);
            namespaces.len() > 20
        });
        send(signal, &pid);
        let status = run.wait().unwrap();
        assert!(!status.success(), "{signal}: {status}");
        assert_gone(&namespaces);
    }
}

#[test]
fn a_lab_that_is_up_ends_with_a_signal_and_leaves_nothing_behind() {
    for signal in SIGNALS {
        let up = Up::with(
            &format!("signal{}", signal.to_lowercase()),
            "-f -",
            &many_pods(3),
        );
        let pid = up.pid();
        let namespaces = namespaces_of(&pid);
        assert!(namespaces.len() >= 5, "{}", namespaces.len());
        send(signal, &pid);
        until("the folder is gone", || !folder(&up.0).exists());
        until("the process is gone", || keeper(&up.0).is_none());
        assert_gone(&namespaces);
    }
}

#[test]
fn a_lab_that_is_interrupted_while_it_is_built_leaves_nothing_behind() {
    // Who waits for it, and who builds it.
    for (signal, is_builder) in SIGNALS.into_iter().flat_map(|s| [(s, false), (s, true)]) {
        let name = format!(
            "test-{}-build{}-{is_builder}",
            std::process::id(),
            signal.to_lowercase()
        );
        let mut up = start(&["up", "--name", &name], &many_pods(150));
        let mut builder = String::new();
        let mut namespaces = Vec::new();
        until("somebody builds", || {
            builder = keeper(&name).unwrap_or_default();
            namespaces = namespaces_of(&builder);
            namespaces.len() > 5
        });
        match is_builder {
            true => send(signal, &builder),
            false => send(signal, &up.id().to_string()),
        }
        let status = up.wait().unwrap();
        assert!(!status.success(), "{signal}: {status}");
        until("the folder is gone", || !folder(&name).exists());
        until("the process is gone", || keeper(&name).is_none());
        assert_gone(&namespaces);
    }
}
