#!/usr/bin/env bash
# Finds the binary of one stage and becomes it: `run.sh train` runs `trainyard-train`.
#
# The stage's inputs travel as INPUT_* variables, so no argument is passed on. The binary is looked for in
# this order:
#   1. the folder $TRAINYARD_BIN;
#   2. the runner's tool cache;
#   3. the release of exactly the version in this tree, if its sha256 stands in checksums.json beside this
#      script. That file is part of the tagged tree, so a replaced asset is refused. $TRAINYARD_RELEASES names
#      a mirror, for runners that cannot reach github.com;
#   4. the folder $TRAINYARD_BUILDS (by default ~/.cache/trainyard-builds), where a build of this very tree is
#      kept, which a workflow may cache; `run.sh key` says what such a cache is to be called;
#   5. a build of this tree.
# Works with bash 3.2 (macOS) and with Git for Windows.
set -euo pipefail

note() { printf 'trainyard: %s\n' "$*" >&2; }

fail() {
  printf '::error title=Trainyard::%s\n' "${1//%/%25}"
  exit "$2"
}

# The triple that releases and builds of this machine are named by.
find_target() {
  case "$(uname -s)-$(uname -m)" in
    Linux-x86_64) echo x86_64-unknown-linux-gnu ;;
    Linux-aarch64 | Linux-arm64) echo aarch64-unknown-linux-gnu ;;
    Darwin-x86_64) echo x86_64-apple-darwin ;;
    Darwin-arm64) echo aarch64-apple-darwin ;;
    MINGW*-x86_64 | MSYS*-x86_64 | CYGWIN*-x86_64) echo x86_64-pc-windows-msvc ;;
    *) echo unknown ;;
  esac
}

# The sha256 recorded for $version and $target; empty where there is none. One entry stands on one line.
recorded_sha256() {
  awk -v version="$version" -v target="$target" '
    { gsub(/[ \t\r",{]/, ""); n = split($0, field, ":") }
    n == 2 && field[2] == "" { current = field[1] }
    n == 2 && current == version && field[1] == target { print field[2] }
  ' "$support/checksums.json"
}

sha256_of() {
  if command -v sha256sum >/dev/null; then
    sha256sum <"$1" | cut -d ' ' -f 1
  else
    shasum -a 256 <"$1" | cut -d ' ' -f 1
  fi
}

# Puts the released binaries into the folder $1. Returns 1 where the asset cannot be had; ends the step where
# it is not the one that was released. (Called in a condition, so `set -e` does not watch over it.)
download_release() {
  local folder=$1 expected=$2 actual work
  local url="$releases/v$version/trainyard-$version-$target.tar.gz"
  mkdir -p "$(dirname "$folder")" && work=$(mktemp -d "$folder.XXXXXX") || return 1
  note "downloading $url"
  if ! curl --fail --silent --show-error --location --retry 4 --retry-connrefused --output "$work/release.tar.gz" "$url"; then
    rm -rf "$work"
    return 1
  fi
  actual=$(sha256_of "$work/release.tar.gz")
  if [ "$actual" != "$expected" ]; then
    rm -rf "$work"
    fail "$url has sha256 $actual, but version $version was released with $expected; the asset was replaced or damaged, so it is not run" 5
  fi
  mkdir "$work/bin" && tar -xzf "$work/release.tar.gz" -C "$work/bin" || return 1
  local file
  for file in "$work/bin"/*; do
    sha256_of "$file" >"$file.sha256" || return 1
  done
  # A job beside this one may have been quicker; its folder holds the same bytes.
  [ -x "$folder/$program" ] || mv "$work/bin" "$folder" || return 1
  rm -rf "$work"
}

# A digest of all that a build of this tree is made of.
digest_of_sources() {
  local list=$support/sources.$$ digest
  (
    cd "$root"
    for part in Cargo.toml Cargo.lock rust-toolchain.toml crates actions; do
      [ ! -e "$part" ] || find "$part" -type f ! -name 'sources.*'
    done | LC_ALL=C sort | while IFS= read -r file; do
      printf '%s\n' "$file" && cat "$file"
    done
  ) >"$list"
  digest=$(sha256_of "$list")
  rm -f "$list"
  printf '%s\n' "$digest"
}

# Keeps what was built in $1, so that the next job or a workflow's cache need not build it again.
keep_build() {
  local folder=$1 work file
  mkdir -p "$(dirname "$folder")" "$folder" || return 0
  for file in "$program" trainyard-serve; do
    [ -x "$root/target/$target/release/$file" ] || continue
    work=$(mktemp "$folder/$file.XXXXXX") && cp -p "$root/target/$target/release/$file" "$work" || return 0
    sha256_of "$work" >"$folder/$file.sha256" && mv "$work" "$folder/$file" || return 0
  done
}

# Whether the folder $cached holds the program whole: one that was cut off or changed is not run.
is_cached() {
  if [ -x "$cached/$program" ] && [ -f "$cached/$program.sha256" ] &&
    [ "$(sha256_of "$cached/$program")" = "$(cat "$cached/$program.sha256")" ]; then
    return 0
  fi
  if [ -e "$cached/$program" ]; then
    note "$cached is damaged, so it is fetched again"
    rm -rf "$cached"
  fi
  return 1
}

build_from_source() {
  command -v cargo >/dev/null ||
    fail "no released binary for version $version on $target, and no cargo to build one; install Rust in an earlier step, or set TRAINYARD_BIN to the folder of the binary" 5
  note "building trainyard-$stage $version from source, which takes a few minutes"
  # Cargo and the toolchain file are looked up from the current folder.
  cd "$root"
  set -- --package "trainyard-$stage"
  # The image's server travels with the stage that packs it, and runs where there is no C library.
  [ "$stage" != publish-image ] || set -- "$@" --package trainyard-serve
  case "$target" in
    *-linux-gnu) export RUSTFLAGS="${RUSTFLAGS:-} -C target-feature=+crt-static" ;;
  esac
  cargo build --release --locked --target "$target" --target-dir "$root/target" "$@"
}

stage=${1:-}
case "$stage" in
  train | evaluate | gate | publish-image | verify | key) ;;
  *) fail "usage: run.sh train|evaluate|gate|publish-image|verify|key" 2 ;;
esac

support=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$(dirname "$support")")
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$root/Cargo.toml" | head -n 1)
target=$(find_target)
releases=${TRAINYARD_RELEASES:-https://github.com/trainyard/trainyard/releases/download}
program=trainyard-$stage
case "$target" in *-windows-*) program=$program.exe ;; esac

if [ "$stage" = key ]; then
  # A released binary is fetched in a second, so nothing is to be cached.
  key=
  [ -n "${TRAINYARD_BIN:-}$(recorded_sha256)" ] || key=$target-$(digest_of_sources)
  printf 'key=%s\n' "$key" >>"${GITHUB_OUTPUT:-/dev/stdout}"
  exit
fi

if [ -n "${TRAINYARD_BIN:-}" ]; then
  [ -x "$TRAINYARD_BIN/$program" ] ||
    fail "TRAINYARD_BIN is $TRAINYARD_BIN, but there is no $program in it; put it there, or unset TRAINYARD_BIN" 2
  exec "$TRAINYARD_BIN/$program"
fi

cached=${RUNNER_TOOL_CACHE:-${RUNNER_TEMP:-$root/target}}/trainyard/$version/$target
if ! is_cached; then
  sha256=$(recorded_sha256)
  if [ -z "$sha256" ] || ! download_release "$cached" "$sha256"; then
    cached=${TRAINYARD_BUILDS:-${HOME:-$root/target}/.cache/trainyard-builds}/$target-$(digest_of_sources)
    if ! is_cached; then
      where=$PWD
      started=$(date +%s)
      build_from_source
      note "built in $(($(date +%s) - started)) s"
      cd "$where"
      keep_build "$cached"
      cached=$root/target/$target/release
    fi
  fi
fi
exec "$cached/$program"
