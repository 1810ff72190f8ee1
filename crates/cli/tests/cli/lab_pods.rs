//! Pods that come and go in a lab that is up. These tests make network namespaces and fail
//! where that is not permitted.

use std::net::IpAddr;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::lab::{Up, open_files};
use crate::{Run, Scratch, command, ringfence};

const START: &str = "
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
kind: Service
metadata: {name: server, namespace: duo}
spec: {selector: {app: server}, ports: [{port: 8080, targetPort: 80}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: strangers-ask-only-for-names, namespace: duo}
spec:
  podSelector: {matchExpressions: [{key: app, operator: NotIn, values: [server, friend]}]}
  policyTypes: [Egress]
  egress: [{ports: [{port: 53, protocol: UDP}]}]
";

/// A pod that a policy may know by its label.
fn pod(name: &str, app: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: duo, labels: {{app: \
         {app}}}}}\nspec: {{containers: [{{name: a, ports: [{{containerPort: 8000}}]}}]}}\n"
    )
}

/// A workload with a Service, in a namespace of its own.
fn shop(replicas: u32) -> String {
    format!(
        "apiVersion: v1\nkind: Namespace\nmetadata: {{name: shop}}\n---\napiVersion: apps/v1\n\
         kind: Deployment\nmetadata: {{name: web, namespace: shop}}\nspec: {{replicas: {replicas}, \
         selector: {{matchLabels: {{app: web}}}}, template: {{metadata: {{labels: {{app: web}}}}, \
         spec: {{containers: [{{name: a, ports: [{{containerPort: 80}}]}}]}}}}}}\n---\n\
         apiVersion: v1\nkind: Service\nmetadata: {{name: web, namespace: shop}}\nspec: \
         {{selector: {{app: web}}, ports: [{{port: 80}}]}}\n"
    )
}

impl Up {
    /// A change that is made.
    fn change(&self, verb: &str, words: &str) -> String {
        let run = ringfence(&format!("lab {verb} --name {} {words}", self.0));
        assert_eq!(run.code, Some(0), "{}", run.text());
        run.stdout
    }

    fn refused(&self, verb: &str, words: &str) -> String {
        let run = ringfence(&format!("lab {verb} --name {} {words}", self.0));
        assert_eq!(run.code, Some(2), "{}", run.text());
        run.stderr
    }

    fn get(&self, pod: &str, url: &str) -> Run {
        self.exec(pod, &["timeout", "3", "busybox", "wget", "-qO-", url])
    }

    /// Who answers; on a busy machine names may be answered too late at first.
    fn comes_to_get(&self, pod: &str, url: &str) -> String {
        let mut last = String::new();
        for _ in 0..10 {
            let run = self.get(pod, url);
            if run.code == Some(0) {
                return run.stdout;
            }
            last = run.text();
        }
        panic!("{pod} does not get {url}: {last}");
    }

    fn is_denied(&self, pod: &str, url: &str) {
        let run = self.get(pod, url);
        assert_ne!(run.code, Some(0), "{pod} gets {url}");
    }

    /// How many pods there are.
    fn pods(&self) -> usize {
        let list = ringfence("lab list").stdout;
        let line = list.lines().find(|line| line.starts_with(&self.0)).unwrap();
        let mut words = line.split_whitespace();
        words.nth(1).unwrap().parse().unwrap()
    }
}

/// The addresses of a pod, where it is said that it came.
fn addresses(told: &str, pod: &str) -> Vec<IpAddr> {
    let line = told.lines().find(|line| line.contains(pod)).unwrap();
    let words = line.split([' ', ',']);
    words.filter_map(|word| word.parse().ok()).collect()
}

/// Nothing is held of a pod that is gone, once what listened in it has ended.
fn comes_down_to(files: usize, up: &Up) {
    let mut last = 0;
    for _ in 0..100 {
        last = open_files(&up.pid()).len();
        if last <= files {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("{files} files were open, and now {last} are");
}

fn pods_come_and_go(cni: &str) {
    let scratch = Scratch::new(&format!("lab-pods-{cni}"));
    let file = |name: &str, text: &str| scratch.file(name, text);
    let up = Up::with(
        &format!("pods-{cni}"),
        &format!("--cni {cni} --ip-family dual --replicas 3 -f -"),
        START,
    );
    let start = up.pods();
    let files = open_files(&up.pid()).len();
    // A stranger comes: it is entered, asks for names, and gets no further.
    let stranger = file("stranger.yaml", &pod("stranger", "stranger"));
    let told = up.change("apply", &format!("-f {stranger}"));
    assert!(told.starts_with("pod \"stranger\" created\n"), "{told}");
    let own = addresses(&told, "duo/stranger");
    assert_eq!(own.len(), 2, "{told}");
    assert_eq!(up.pods(), start + 1);
    let shown = up.exec("duo/stranger", &["ip", "-br", "address", "show", "eth0"]);
    for address in &own {
        assert!(
            shown.stdout.contains(&address.to_string()),
            "{}",
            shown.text()
        );
    }
    up.is_denied("duo/stranger", "http://server:8080");
    let run = up.exec(
        "stranger",
        &["getent", "ahosts", "server.duo.svc.cluster.local."],
    );
    assert_eq!(run.code, Some(0), "{}", run.text());
    // Who may reach it, reaches it in both families.
    for address in &own {
        let url = match address {
            IpAddr::V4(v4) => format!("http://{v4}:8000"),
            IpAddr::V6(v6) => format!("http://[{v6}]:8000"),
        };
        let page = up.comes_to_get("duo/server", &url);
        assert!(page.contains("duo/stranger"), "{page}");
    }
    // It goes, and a friend gets its addresses.
    let told = up.change("delete", &format!("-f {stranger}"));
    assert!(told.contains("duo/stranger  gone"), "{told}");
    let run = up.exec("duo/stranger", &["true"]);
    assert_eq!(run.code, Some(2), "{}", run.text());
    assert_eq!(up.pods(), start);
    comes_down_to(files, &up);
    let friends = file(
        "friends.yaml",
        &[pod("a", "friend"), pod("b", "friend")].join("---\n"),
    );
    let told = up.change("apply", &format!("-f {friends}"));
    let reused = ["duo/a", "duo/b"].map(|friend| addresses(&told, friend));
    assert!(reused.contains(&own), "{told}");
    for friend in ["duo/a", "duo/b"] {
        let page = up.comes_to_get(friend, "http://server:8080");
        assert!(page.contains("duo/server"), "{page}");
    }
    // A new namespace with a workload and a Service, more of it, and none of it.
    let told = up.change("apply", &format!("-f {}", file("shop.yaml", &shop(1))));
    assert_eq!(told.matches("shop/web-").count(), 1, "{told}");
    let page = up.comes_to_get("duo/a", "http://web.shop");
    assert!(page.contains("shop/web-"), "{page}");
    let told = up.change("apply", &format!("-f {}", file("three.yaml", &shop(3))));
    assert_eq!(told.matches("shop/web-").count(), 2, "{told}");
    assert_eq!(up.pods(), start + 5);
    let told = up.change("apply", &format!("-f {}", file("none.yaml", &shop(0))));
    assert_eq!(told.matches("  gone").count(), 3, "{told}");
    up.is_denied("duo/a", "http://web.shop");
    up.change("apply", &format!("-f {}", file("one.yaml", &shop(1))));
    up.comes_to_get("duo/a", "http://web.shop");
    let told = up.change("delete", "namespace shop");
    assert!(told.contains("shop/web-"), "{told}");
    let run = up.exec(
        "duo/a",
        &["getent", "ahosts", "web.shop.svc.cluster.local."],
    );
    assert_ne!(run.code, Some(0), "{}", run.text());
    assert_eq!(up.pods(), start + 2);
}

#[test]
fn pods_come_and_go_in_a_lab_that_is_up() {
    pods_come_and_go("routed");
}

#[test]
fn pods_come_and_go_on_bridges() {
    pods_come_and_go("bridge");
}

#[test]
fn what_a_lab_that_is_up_cannot_become_is_said_and_nothing_is_changed() {
    let scratch = Scratch::new("lab-nodes");
    let node = "apiVersion: v1\nkind: Node\nmetadata: {name: first}\n";
    let up = Up::with("nodes", "--nodes 1 -f -", &format!("{START}---\n{node}"));
    let before = up.pods();
    let file = |name: &str, text: &str| format!("-f {}", scratch.file(name, text));
    let pinned = pod("far", "friend").replace("spec: {", "spec: {nodeName: second, ");
    let said = up.refused("apply", &file("far.yaml", &pinned));
    assert!(said.contains("add the node second"), "{said}");
    assert!(said.contains("start another lab"), "{said}");
    let said = up.refused("delete", "node first");
    assert!(said.contains("take away the node first"), "{said}");
    let moved =
        format!("{node}status: {{addresses: [{{type: InternalIP, address: 172.18.0.99}}]}}\n");
    let said = up.refused("apply", &file("moved.yaml", &moved));
    assert!(
        said.contains("addresses or ranges of the node first"),
        "{said}"
    );
    // Labels of a node may change.
    let labelled = node.replace("name: first", "name: first, labels: {zone: a}");
    up.change("apply", &file("labelled.yaml", &labelled));
    // What a controller made is taken away by way of it.
    let told = up.change("apply", &file("shop.yaml", &shop(1)));
    let name = told
        .split_once("shop/")
        .unwrap()
        .1
        .split_whitespace()
        .next()
        .unwrap();
    let said = up.refused("delete", &format!("-n shop pod {name}"));
    assert!(said.contains("is made by Deployment web"), "{said}");
    assert_eq!(up.pods(), before + 1);
}

/// A command that runs in a pod until it is ended.
struct Running(Child);

impl Running {
    /// Starts it; it becomes `sleep` in the end.
    fn start(up: &Up, pod: &str, words: &[&str]) -> Self {
        let child = command()
            .args(["lab", "exec", "--name", &up.0, pod, "--"])
            .args(words)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let running = Self(child);
        let name = format!("/proc/{}/comm", running.0.id());
        let is_there = || std::fs::read_to_string(&name).is_ok_and(|name| name == "sleep\n");
        let until = Instant::now() + Duration::from_secs(20);
        while !is_there() {
            assert!(Instant::now() < until, "{pod} {words:?} does not start");
            std::thread::sleep(Duration::from_millis(10));
        }
        running
    }

    fn is_alive(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn what_runs_in_a_pod_that_is_deleted_ends_and_nothing_else_does() {
    let scratch = Scratch::new("lab-processes");
    let file = |name: &str, text: &str| format!("-f {}", scratch.file(name, text));
    let on_host = pod("on-host", "friend").replace("spec: {", "spec: {hostNetwork: true, ");
    let pods = [
        pod("goes", "friend"),
        pod("stays", "friend"),
        pod("is-made-again", "friend"),
        on_host.clone(),
    ];
    let up = Up::with("processes", "--nodes 1 -f -", START);
    up.change("apply", &file("pods.yaml", &pods.join("---\n")));
    let asleep = &["sleep", "1000"][..];
    let stubborn = &["sh", "-c", "trap '' TERM; exec sleep 1000"][..];
    let elsewhere = &["unshare", "--net", "sleep", "1000"][..];
    let mut going = [
        Running::start(&up, "duo/goes", asleep),
        Running::start(&up, "duo/goes", stubborn),
        Running::start(&up, "duo/is-made-again", asleep),
    ];
    let mut staying = [
        Running::start(&up, "duo/goes", elsewhere),
        Running::start(&up, "duo/stays", asleep),
        Running::start(&up, "duo/server", asleep),
        Running::start(&up, "duo/on-host", asleep),
    ];
    // A pod that only gets other labels is the same.
    up.change("apply", &file("stays.yaml", &pod("stays", "other")));
    assert!(going.iter_mut().chain(&mut staying).all(Running::is_alive));
    up.change("delete", "-n duo pod goes on-host");
    let moved = pod("is-made-again", "friend") + "status: {podIP: 10.244.0.77}\n";
    up.change("apply", &file("moved.yaml", &moved));
    let ended: Vec<bool> = going.iter_mut().map(|one| !one.is_alive()).collect();
    assert_eq!(ended, [true; 3]);
    let alive: Vec<bool> = staying.iter_mut().map(Running::is_alive).collect();
    assert_eq!(alive, [true; 4]);
    // Who took its place can be entered.
    let run = up.exec("duo/is-made-again", &["true"]);
    assert_eq!(run.code, Some(0), "{}", run.text());
    // With the lab everything ends that is in it.
    staying[1] = Running::start(&up, "duo/stays", stubborn);
    drop(up);
    let alive: Vec<bool> = staying.iter_mut().map(Running::is_alive).collect();
    assert_eq!(alive, [true, false, false, false]);
}
