#!/usr/bin/env bash
# Finds the binary of one stage and becomes it: `run.sh train` runs `trainyard-train`.
#
# The stage's inputs travel as INPUT_* variables, so no argument is passed on. The binary is looked for in
# this order:
#   1. the folder $TRAINYARD_BIN;
#   2. the runner's tool cache;
#   3. the release of exactly the version in this tree, if checksums.json beside this script has its file and
#      sha256, as `cargo xtask dist` writes them. That file is part of the tagged tree, so a replaced asset is
#      refused. $TRAINYARD_RELEASES names a mirror, for runners that cannot reach github.com;
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

# Becomes the program in the folder $1, which was found in $2.
start() {
  note "running $program $version from $2, found in $SECONDS s"
  exec "$1/$program"
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

# File name and sha256 of the release of $version for $target, with a blank between; empty where there is none.
# An entry stands on one line.
recorded_release() {
  awk -v version="$version" -v target="$target" '
    { gsub(/[ \t\r"{}]/, ""); n = split($0, field, /[:,]/) }
    n == 2 && field[2] == "" { current = field[1] }
    current == version && field[1] == target && field[2] == "file" && field[4] == "sha256" { print field[3], field[5] }
  ' "$support/checksums.json"
}

sha256_of() {
  if command -v sha256sum >/dev/null; then
    sha256sum <"$1" | cut -d ' ' -f 1
  else
    shasum -a 256 <"$1" | cut -d ' ' -f 1
  fi
}

# Downloads $1 to $2. By itself, curl tries again after the answers of a busy server and a refused connection; here it
# does after one that broke off too, but for the answers of a server that has no such file (22) and no such path (37).
download() {
  local attempt=1 code
  while :; do
    code=0
    curl --fail --silent --show-error --location --connect-timeout 20 --retry 4 --retry-connrefused \
      --output "$2" "$1" || code=$?
    case "$code-$attempt" in
      0-*) return ;;
      22-* | 37-* | *-4) return 1 ;;
    esac
    note "the download broke off (curl ended with $code), so it is tried again"
    sleep "$attempt"
    attempt=$((attempt + 1))
  done
}

# Puts the released binaries, the file $2 with the sha256 $3, into the folder $1. Returns 1 where the file cannot be
# had; ends the step where it is not the one that was released. (Called in a condition, so `set -e` does not watch.)
install_release() {
  local folder=$1 expected=$3 url="$releases/v$version/$2" actual work file
  mkdir -p "$(dirname "$folder")" && work=$(mktemp -d "$folder.XXXXXX") || return 1
  note "downloading $url"
  if ! download "$url" "$work/release.tar.gz"; then
    rm -rf "$work"
    note "$url cannot be downloaded"
    return 1
  fi
  actual=$(sha256_of "$work/release.tar.gz")
  if [ "$actual" != "$expected" ]; then
    rm -rf "$work"
    fail "$url has sha256 $actual, but version $version was released with $expected; the file was replaced or damaged, so it is not run" 5
  fi
  # From standard input: tar would take the colon of `C:\…` for a host's name.
  mkdir "$work/bin" && tar -xzf - --strip-components 1 -C "$work/bin" <"$work/release.tar.gz" || return 1
  for file in "$work/bin"/trainyard-*; do
    sha256_of "$file" >"$file.sha256" || return 1
  done
  # Whole at once where there is no such folder. A job beside this one may have been quicker: then `mv` fails, or moves
  # into its folder, which holds the same bytes.
  [ -e "$folder" ] || mv "$work/bin" "$folder" 2>/dev/null || true
  [ ! -d "$work/bin" ] || mend "$folder" "$work/bin"
  rm -rf "$work" "${folder:?}/bin"
  is_cached "$folder"
}

# Replaces the files of the folder $1 that differ from those in $2, each by a rename. Nothing is deleted and a good file
# is left alone, since a job beside this one may have mended the folder and be about to start what is in it.
mend() {
  local file name
  for file in "$2"/*; do
    name=${file##*/}
    if ! cmp -s "$file" "$1/$name" || { [ -x "$file" ] && [ ! -x "$1/$name" ]; }; then
      mv -f "$file" "$1/$name" || true
    fi
  done
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

# Keeps what was built in $1, so that the next job or a workflow's cache need not build it again. The program comes
# last: who sees it sees the server beside it.
keep_build() {
  local folder=$1 work file
  mkdir -p "$folder" || return 0
  for file in "trainyard-serve$suffix" "$program"; do
    [ -x "$root/target/$target/release/$file" ] || continue
    work=$(mktemp "$folder/$file.XXXXXX") && cp -p "$root/target/$target/release/$file" "$work" || return 0
    sha256_of "$work" >"$folder/$file.sha256" && mv "$work" "$folder/$file" || return 0
  done
}

# Whether the folder $1 holds the program whole, and the servers it packs: what was cut off or changed is not run.
is_cached() {
  local record file
  [ -d "$1" ] || return 1
  set -- "$1/$program.sha256"
  [ "$stage" != publish-image ] || set -- "$1" "${1%/*}"/trainyard-serve*.sha256
  for record in "$@"; do
    file=${record%.sha256}
    if [ ! -x "$file" ] || [ ! -f "$record" ] || [ "$(sha256_of "$file")" != "$(cat "$record")" ]; then
      [ ! -e "$file" ] || note "$file is damaged, so it is replaced"
      return 1
    fi
  done
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
  train | evaluate | gate | publish-image | verify | deploy | key) ;;
  *) fail "usage: run.sh train|evaluate|gate|publish-image|verify|deploy|key" 2 ;;
esac

support=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$(dirname "$support")")
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$root/Cargo.toml" | head -n 1)
target=$(find_target)
releases=${TRAINYARD_RELEASES:-https://github.com/trainyard/trainyard/releases/download}
suffix=
case "$target" in *-windows-*) suffix=.exe ;; esac
program=trainyard-$stage$suffix

if [ "$stage" = key ]; then
  # A released binary is fetched in a second, so nothing is to be cached.
  key=
  [ -n "${TRAINYARD_BIN:-}$(recorded_release)" ] || key=$target-$(digest_of_sources)
  printf 'key=%s\n' "$key" >>"${GITHUB_OUTPUT:-/dev/stdout}"
  exit
fi

if [ -n "${TRAINYARD_BIN:-}" ]; then
  [ -x "$TRAINYARD_BIN/$program" ] ||
    fail "TRAINYARD_BIN is $TRAINYARD_BIN, but there is no $program in it; put it there, or unset TRAINYARD_BIN" 2
  start "$TRAINYARD_BIN" "TRAINYARD_BIN"
fi

cached=${RUNNER_TOOL_CACHE:-${RUNNER_TEMP:-$root/target}}/trainyard/$version/$target
if is_cached "$cached"; then
  start "$cached" "the tool cache"
fi
read -r file sha256 <<<"$(recorded_release)"
if [ -z "$sha256" ]; then
  note "no release of version $version for $target is recorded in this tree"
elif install_release "$cached" "$file" "$sha256"; then
  start "$cached" "a release, sha256 $sha256"
fi
kept=${TRAINYARD_BUILDS:-${HOME:-$root/target}/.cache/trainyard-builds}/$target-$(digest_of_sources)
if is_cached "$kept"; then
  start "$kept" "a kept build"
fi
where=$PWD
build_from_source
cd "$where"
keep_build "$kept"
start "$root/target/$target/release" "a build of this tree"
