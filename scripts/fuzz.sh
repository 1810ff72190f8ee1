#!/bin/sh
# Fuzzes every target for the given number of seconds. A finding stays in
# fuzz/artifacts; it becomes a fixture before it is mended.
set -eu
cd "$(dirname "$0")/.."
seconds=${1:-300}
# libFuzzer needs compiler flags that stable admits only with this switch.
export RUSTC_BOOTSTRAP=1

mkdir -p fuzz/corpus/parse fuzz/corpus/engine fuzz/corpus/wire fuzz/corpus/denials fuzz/corpus/names
for fixture in fixtures/*/cluster.yaml; do
    cp "$fixture" "fuzz/corpus/engine/$(basename "$(dirname "$fixture")").yaml"
done
cp crates/model/tests/broken/* fuzz/corpus/parse/ 2>/dev/null || true

for target in parse engine wire denials names; do
    echo "== fuzz $target for ${seconds}s"
    cargo fuzz run "$target" -- -max_total_time="$seconds" -timeout=20 -rss_limit_mb=4096 \
        -max_len=16384 -print_final_stats=1
done
