#!/usr/bin/env bash
# Runs the verbs on the examples, one after the other, and says what each one shows.
#
#   RINGFENCE=target/release/ringfence scripts/demo.sh
#
# Every exit code is checked: the script fails as soon as a step does not behave as it
# says.
set -u

fail() {
    printf 'demo: %s\n' "$*" >&2
    exit 1
}

here=$(cd "$(dirname "$0")/.." && pwd) || exit 1
program=${RINGFENCE:-$here/target/release/ringfence}
[ -x "$program" ] || fail "there is no program at $program: build it, or say in RINGFENCE where it is"
program=$(cd "$(dirname "$program")" && pwd)/$(basename "$program")

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
    bold=$(printf '\033[1m') dim=$(printf '\033[2m') plain=$(printf '\033[0m')
else
    bold='' dim='' plain=''
fi

steps=0

chapter() {
    printf '\n%s%s%s\n' "$bold" "$1" "$plain"
    printf '%s\n' "${1//?/=}"
}

# report EXPECTED GOT LESSON
report() {
    [ "$2" -eq "$1" ] || fail "the step above ended with exit code $2, expected $1"
    printf '%s[exit code %s]%s\n' "$dim" "$2" "$plain"
    printf '>> %s\n' "$3"
    steps=$((steps + 1))
}

# show EXPECTED LESSON ARGUMENT...
show() {
    local expected=$1 lesson=$2
    shift 2
    printf '\n%s$ ringfence' "$bold"
    printf ' %s' "$@"
    printf '%s\n' "$plain"
    "$program" "$@"
    report "$expected" $? "$lesson"
}

# Like show, with the output of kubectl, helm or cat on standard input.
show_piped() {
    local expected=$1 lesson=$2 producer=$3
    shift 3
    printf '\n%s$ %s | ringfence' "$bold" "$producer"
    printf ' %s' "$@"
    printf '%s\n' "$plain"
    bash -c "$producer" | "$program" "$@"
    report "$expected" "${PIPESTATUS[1]}" "$lesson"
}

cd "$here/examples/shop" || fail "the examples are not where they should be"

chapter 'A web shop without policies'
show 1 'What is wrong, where, and what to do about it. Nothing isolates these pods.' \
    check -f base
show 0 'Fourteen workloads, no policy: everything reaches everything, and so does the internet.' \
    reach -f base
show 0 'One forged request in the storefront is enough for the credentials of the node.' \
    explain -f base shop-web/storefront 169.254.169.254:80

chapter '1. A default deny that isolates ingress only'
show 1 'The shop is broken: nobody may call the cart any more. The line that does it is shown, and so is the rule that is missing.' \
    explain -f base -f steps/1-ingress-only shop-web/storefront svc:shop-web/cart:80
show 0 'And yet it is as open as before: policyTypes does not say Egress.' \
    explain -f base -f steps/1-ingress-only shop-web/storefront 169.254.169.254:80

show 1 'The line to change, and the fix.' \
    check -f base -f steps/1-ingress-only --select RF202

chapter '2. Both directions, and DNS forgotten'
show 0 'The cart may talk to Redis: a rule on either side says so.' \
    explain -f base -f steps/2-deny-all-dns-forgotten shop-web/cart svc:shop-data/redis:6379
show 1 'It will not find Redis, because nobody answers when it asks for the address.' \
    explain -f base -f steps/2-deny-all-dns-forgotten shop-web/cart dns:53/udp

show 1 'Found before it was applied, with the policy that is missing.' \
    check -f base -f steps/2-deny-all-dns-forgotten --select RF301

chapter '3. A policy called deny that only allows'
show 0 'NetworkPolicies add up. This one was meant to deny the metadata service and opens 80 and 443 of the whole internet, private networks and the metadata addresses that it does not list.' \
    reach -f base -f steps/3-deny-metadata-additive --from shop-web/cart --external-only
show 0 'Here is the rule that does it.' \
    explain -f base -f steps/3-deny-metadata-additive shop-web/cart 203.0.113.7:443

show 1 'A name is not an effect.' \
    check -f base -f steps/3-deny-metadata-additive --select RF402

chapter '4. A typo in a label'
show 0 'A policy that selects no pod changes nothing: the diff is empty, and --exit-code says so to a pipeline.' \
    diff -f base --to base --to steps/4-label-typo --exit-code

show 1 'And here is the label that was probably meant.' \
    check -f base -f steps/4-label-typo --select RF204

chapter '5. hostNetwork'
show 1 'Prometheus is closed.' \
    explain -f base -f steps/5-hostnetwork monitoring/prometheus 169.254.169.254:80
show 0 'node-exporter is in the same namespace and under the same policy, and not subject to either.' \
    explain -f base -f steps/5-hostnetwork monitoring/node-exporter 169.254.169.254:80

show 0 'No policy helps here; it is said, and why such a pod may be there.' \
    check -f base -f steps/5-hostnetwork --select RF103

chapter '6. Closed'
show 0 'Exactly the connections that the shop needs. What stays unknown is node-exporter: a pod and its own node always reach each other, and on which node a pod runs is not in a manifest. (Without --pod-cidr it would not be known either whether a pod has an address that a rule names.)' \
    reach -f base -f steps/6-closed --pod-cidr 10.244.0.0/16
show 0 'What the shop needs works, and what must never be is not: for a pipeline.' \
    assert -f base -f steps/6-closed assertions.yaml
show 1 'Why not? Every policy that selects either end, and the smallest rules that are missing.' \
    explain -f base -f steps/6-closed shop-web/storefront shop-data/postgres:5432
show 0 'For a README or a review: a graph that GitHub draws.' \
    reach -f base -f steps/6-closed --from 'shop-payments/*' -o mermaid

show 0 'A set for a namespace that has none yet, for the name servers of this cluster.' \
    baseline shop-data -f base

chapter '7. A month later somebody adds the policy of step 3'
added=steps/3-deny-metadata-additive/deny-metadata-service.yaml
show 1 'In the review: what this file opens, and the rule that does it. With --exit-code it stops the pipeline.' \
    diff -f base -f steps/6-closed --to base --to steps/6-closed --to "$added" --exit-code
show 1 'The assertions fail, each with a counterexample.' \
    assert -f base -f steps/6-closed -f "$added" assertions.yaml

cd "$here/examples/dual-stack" || fail "the examples are not where they should be"

chapter 'IPv6 has a metadata service of its own'
show 1 'The IPv4 address is excepted.' \
    explain -f cluster.yaml -f leaky reports/renderer 169.254.169.254:80
show 0 'The IPv6 address is a private one, and inside ::/0.' \
    explain -f cluster.yaml -f leaky reports/renderer '[fd00:ec2::254]:80'
show 1 'Allowing global unicast only closes it.' \
    explain -f cluster.yaml -f closed reports/renderer '[fd00:ec2::254]:80'

cd "$here/examples/cluster-policies" || fail "the examples are not where they should be"

chapter 'Cluster-wide policies'
show 1 'A ClusterNetworkPolicy of the Admin tier can deny, whatever a team allows itself.' \
    explain -f cluster.yaml -f admin.yaml -f baseline.yaml -f team-a.yaml team-a/api 169.254.169.254:80
show 0 'Team A lets team B in; the baseline, which comes last, is not asked.' \
    explain -f cluster.yaml -f admin.yaml -f baseline.yaml -f team-a.yaml team-b/web team-a/api:8080
show 1 'Two policies of one priority that disagree: an implementation may take either, so the answer is Unknown.' \
    explain -f cluster.yaml -f admin.yaml -f team-a.yaml -f tie team-a/api 169.254.169.254:80

cd "$here/examples/shop" || fail "the examples are not where they should be"

chapter 'In a pipeline'
show_piped 0 'Standard input works, so that helm template or kubectl get -o yaml can be asked.' \
    'cat base/*.yaml base/payments/*.yaml base/data/postgres.yaml steps/6-closed/*.yaml' \
    explain -f - shop-payments/payments shop-data/postgres:5432

show 0 'The closed shop, checked: no findings. What is accepted is in ringfence.toml, with its reasons.' \
    check -f base -f steps/6-closed --config steps/6-closed/ringfence.toml

chapter 'With real packets'
show 0 'The closed shop as network namespaces on this machine: every connection is tried, and does what is predicted.' \
    lab run -f base -f steps/6-closed
show 1 'The same with a network plugin that knows no policies, as some clusters have it: the packets tell.' \
    lab run -f base -f steps/6-closed --no-enforce

printf '\n%s steps, each of them as it said.\n' "$steps"
