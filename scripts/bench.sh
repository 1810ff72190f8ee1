#!/bin/sh
# The figures of docs/benchmarks.md, in the order of that page.
set -eu
cd "$(dirname "$0")/.."
scale() { cargo bench --quiet --package ringfence-testkit --bench scale -- "$@"; }

echo "machine: $(nproc) cores, $(uname -sr), $(rustc --version)"
cargo build --release --locked --quiet --package ringfence

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
scale yaml "$work/800.yaml" 800

echo
echo "== ringfence reach -o json, whole process, 800 deployments ($(wc -c <"$work/800.yaml") bytes)"
for run in 1 2 3 4 5 6 7; do
    start=$(date +%s%N)
    "${CARGO_TARGET_DIR:-target}/release/ringfence" reach -f "$work/800.yaml" -o json >"$work/reach.json"
    end=$(date +%s%N)
    echo "$(((end - start) / 1000)) us"
done | sort -n | awk '{a[NR]=$1} END {print "min " a[1] " us, median " a[int((NR+1)/2)] " us, max " a[NR] " us"}'
echo "$(wc -c <"$work/reach.json") bytes of JSON"

# The same for `check`, which ends with 1 where it finds something.
check() {
    echo
    echo "== ringfence check -o json, whole process, $1"
    for run in 1 2 3 4 5 6 7; do
        start=$(date +%s%N)
        "${CARGO_TARGET_DIR:-target}/release/ringfence" check --no-config -f "$2" -o json \
            >"$work/check.json" || [ $? -eq 1 ]
        end=$(date +%s%N)
        echo "$(((end - start) / 1000)) us"
    done | sort -n | awk '{a[NR]=$1} END {print "min " a[1] " us, median " a[int((NR+1)/2)] " us, max " a[NR] " us"}'
}
check "800 deployments" "$work/800.yaml"
check "a single file" crates/advisor/tests/trees/article-deny-metadata-service/manifests/deny-metadata-service.yaml

echo
echo "== reading manifests"
cargo bench --quiet --package ringfence-model --bench parse

echo
echo "== 100,000 pods"
scale large

echo
echo "== the curve"
scale curve

echo
echo "== oracle and engine on generated cases"
scale agree

# These make network namespaces, and need the right to.
echo
echo "== the data plane: making a node follow"
cargo bench --quiet --package ringfence-dataplane --bench programming

echo
echo "== the data plane: what a packet pays"
cargo bench --quiet --package ringfence-dataplane --bench packets
