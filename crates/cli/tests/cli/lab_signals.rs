//! Signals, at any moment of a lab: no process, namespace or file stays, and no other lab goes.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::lab::{Held, Up, assert_gone, namespaces_of};
use crate::{command, ringfence, ringfence_with};

const SIGNALS: [&str; 2] = ["-INT", "-TERM"];

/// All ways in which who waits for a lab may die.
const DEATHS: [&str; 4] = ["-INT", "-TERM", "-HUP", "-KILL"];

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
        .arg("--default-signal=INT,TERM,HUP")
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

/// Waits until a lab is in the middle of being built: who builds it, and what it has made.
fn until_it_is_built(name: &str) -> (String, Vec<Held>) {
    let mut builder = String::new();
    let mut namespaces = Vec::new();
    until("somebody builds", || {
        builder = keeper(name).unwrap_or_default();
        namespaces = namespaces_of(&builder);
        namespaces.len() > 5
    });
    (builder, namespaces)
}

/// Whether somebody would take the lab for one that is up.
fn is_said_to_be_up(name: &str) -> bool {
    let state = std::fs::read_to_string(folder(name).join("state.json"));
    state.is_ok_and(|state| state.contains("\"fd\""))
}

fn line_of(name: &str) -> Option<String> {
    let list = ringfence("lab list");
    let mut lines = list.stdout.lines();
    let line = lines.find(|line| line.split_whitespace().next() == Some(name));
    line.map(ToOwned::to_owned)
}

fn name_for(test: &str) -> String {
    format!("test-{}-{test}", std::process::id())
}

#[test]
fn a_lab_that_is_interrupted_while_it_is_built_leaves_nothing_behind() {
    let who_waits = DEATHS.map(|signal| (signal, false));
    let who_builds = SIGNALS.map(|signal| (signal, true));
    for (signal, is_builder) in who_waits.into_iter().chain(who_builds) {
        let name = name_for(&format!("build{}-{is_builder}", signal.to_lowercase()));
        let mut up = start(&["up", "--name", &name], &many_pods(250));
        let (builder, namespaces) = until_it_is_built(&name);
        match is_builder {
            true => send(signal, &builder),
            false => send(signal, &up.id().to_string()),
        }
        let status = up.wait().unwrap();
        assert!(!status.success(), "{signal}: {status}");
        until("the folder is gone", || {
            assert!(!is_said_to_be_up(&name), "{signal}: it was finished");
            !folder(&name).exists()
        });
        until("the process is gone", || keeper(&name).is_none());
        assert_gone(&namespaces);
    }
}

#[test]
fn a_lab_that_is_still_built_is_listed_and_ends_with_down() {
    let name = name_for("down-early");
    let mut up = start(&["up", "--name", &name], &many_pods(600));
    let (builder, namespaces) = until_it_is_built(&name);
    let line = line_of(&name).unwrap_or_default();
    assert!(line.contains("is being built"), "{line}");
    assert!(line.contains(&builder), "{line}");
    let again = ringfence_with(&format!("lab up --name {name} -f -"), &many_pods(1));
    assert_eq!(again.code, Some(2), "{}", again.text());
    assert!(again.stderr.contains("being built"), "{}", again.text());
    let exec = ringfence(&format!("lab exec --name {name} many/p0 -- true"));
    assert!(exec.stderr.contains("being built"), "{}", exec.text());
    let down = ringfence(&format!("lab down --name {name}"));
    assert_eq!(down.code, Some(0), "{}", down.text());
    assert!(down.stderr.is_empty(), "{}", down.text());
    assert_eq!(keeper(&name), None);
    assert!(!folder(&name).exists());
    assert!(!up.wait().unwrap().success());
    assert_gone(&namespaces);
}

#[test]
fn a_lab_gets_the_name_of_one_whose_up_was_killed_and_keeps_it() {
    let name = name_for("next-of-name");
    let mut up = start(&["up", "--name", &name], &many_pods(250));
    let (first, _) = until_it_is_built(&name);
    up.kill().unwrap();
    up.wait().unwrap();
    let down = ringfence(&format!("lab down --name {name}"));
    assert_eq!(down.code, Some(0), "{}", down.text());
    let second = Up::with("next-of-name", "-f -", &many_pods(2));
    assert_eq!(second.0, name);
    until("the first is gone", || {
        !Path::new("/proc").join(&first).join("fd").exists()
    });
    let line = line_of(&name).unwrap_or_default();
    assert!(line.contains("pods, process"), "{line}");
    assert_eq!(second.exec("many/p0", &["true"]).code, Some(0));
}

#[test]
fn a_lab_that_ends_sweeps_away_nothing_but_its_own() {
    let first = Up::with("own", "-f -", &many_pods(2));
    let pid = first.pid();
    // As if somebody had thought that it was dead.
    std::fs::remove_dir_all(folder(&first.0)).unwrap();
    let second = Up::with("own", "-f -", &many_pods(2));
    assert_ne!(second.pid(), pid);
    send("-TERM", &pid);
    until("the first is gone", || {
        !Path::new("/proc").join(&pid).join("fd").exists()
    });
    assert!(folder(&second.0).exists());
    let line = line_of(&second.0).unwrap_or_default();
    assert!(line.contains("pods, process"), "{line}");
}
