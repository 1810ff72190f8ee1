#!/bin/sh
# Fuzzes every target for the given number of seconds. Findings stay in
# fuzz/artifacts; turn each into a fixture before it is mended.
set -eu
seconds=${1:-300}
for target in parse engine; do
    echo "== fuzz $target for ${seconds}s"
    # libFuzzer needs flags that only nightly admits; this switch admits them on stable.
    RUSTC_BOOTSTRAP=1 cargo fuzz run "$target" -- -max_total_time="$seconds" -timeout=20
done
