#!/bin/sh
# Installs the named tools where they are missing: rust, busybox, cargo-deny, cargo-fuzz.
# Debian and its derivatives; elsewhere it says what to install.
set -eu

root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

apt() {
    command -v apt-get >/dev/null || return 1
    root apt-get update -qq && root apt-get install -y -qq "$@"
}

# The oldest compiler that Cargo.toml admits.
required=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)

new_enough() {
    have=$(rustc --version 2>/dev/null | cut -d' ' -f2) || return 1
    [ -n "$have" ] && [ "$(printf '%s\n%s\n' "$required" "$have" | sort -V | head -n1)" = "$required" ]
}

ensure_rust() {
    command -v cc >/dev/null || apt gcc libc6-dev || {
        echo "ringfence: a C compiler is needed (on Debian: apt-get install gcc libc6-dev)" >&2
        exit 1
    }
    new_enough && return
    # Debian 13 and later package rustup.
    command -v rustup >/dev/null || apt rustup || true
    if command -v rustup >/dev/null; then
        rustup toolchain install stable --profile minimal --component rustfmt --component clippy
        rustup default stable
    fi
    new_enough || {
        echo "ringfence: Rust $required or newer is needed; install it from https://rustup.rs" >&2
        exit 1
    }
}

# What runs in the pods of the lab: wget, nslookup, ping.
ensure_busybox() {
    command -v busybox >/dev/null || apt busybox || {
        echo "ringfence: busybox is needed (on Debian: apt-get install busybox)" >&2
        exit 1
    }
}

for tool in "$@"; do
    case $tool in
    rust) ensure_rust ;;
    busybox) ensure_busybox ;;
    cargo-deny | cargo-fuzz)
        command -v "$tool" >/dev/null || cargo install --locked "$tool"
        ;;
    *)
        echo "ensure-tools.sh: no such tool: $tool" >&2
        exit 2
        ;;
    esac
done
