#!/usr/bin/env bash
# Memory access of the GPU kernels, read from their machine code for sm_90.
#   tools/kernel_sass.sh build/release
#     prints the table: kernel; bits of the widest load and store of global memory; number of
#     accesses to local memory; number of calls of a 64-bit division
#   tools/kernel_sass.sh build/release --check FILE
#     compares it with a stored table: fails where a kernel's accesses became narrower, or it has
#     more local accesses or divisions; exit code 77 without a disassembler
# cuobjdump and nvdisasm come with the CUDA toolkit, or by tools/install_deps.sh test.
# To renew the stored table:
#   cmake --preset release -DDOPPEL_CUDA=ON && cmake --build --preset release --target kernels_cuda
#   tools/kernel_sass.sh build/release > tests/data/kernel_sass.csv
set -euo pipefail
usage() { sed -n '2,12s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; }
[ $# -eq 1 ] || { [ $# -eq 3 ] && [ "$2" = --check ]; } || { usage >&2; exit 2; }
case "$1" in --help | -h) usage; exit 0 ;; esac
build=$1 stored=${3:-}

installed=${XDG_CACHE_HOME:-$HOME/.cache}/doppel/disassembler
for folder in "${CUDA_HOME:-/usr/local/cuda}/bin" "$installed"/nvidia/*/bin; do
  PATH=$PATH:$folder
done
for tool in cuobjdump nvdisasm; do
  if ! command -v $tool >/dev/null; then
    echo "kernel_sass.sh: no $tool on PATH or in the CUDA toolkit:" \
      "run tools/install_deps.sh test" >&2
    exit 77
  fi
done

mapfile -t objects < <(find "$(realpath "$build")/kernels" -name '*.cu.o' | sort)
if [ ${#objects[@]} -eq 0 ]; then
  echo "kernel_sass.sh: no objects under $build/kernels: build it with nvcc first" >&2
  exit 3
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# kernel <tab> load <tab> store <tab> local <tab> divisions, for each kernel of each object
list() {
  for object in "${objects[@]}"; do
    rm -f "$work"/*.cubin
    (cd "$work" && cuobjdump -xelf sm_90 "$object" >/dev/null)
    for code in "$work"/*.cubin; do [ ! -e "$code" ] || nvdisasm -c "$code"; done
  done | awk '
    # LDG.E.128 has its width as a suffix; LDG.E without one moves 32 bits.
    function bits(op) {
      return op ~ /\.128/ ? 128 : op ~ /\.64/ ? 64 : op ~ /\.[US]16/ ? 16 : op ~ /\.[US]8/ ? 8 : 32
    }
    function finish() {
      if (kernel != "") print kernel "\t" load "\t" stored "\t" local "\t" divisions
      kernel = ""
    }
    /^\t\.section\t\.text\./ {
      finish()
      kernel = $2; sub(/^\.text\./, "", kernel); sub(/,.*/, "", kernel)
      load = stored = local = divisions = 0
    }
    /^ +\/\*[0-9a-f]+\*\// {
      for (i = 2; i <= NF && i <= 3; ++i) {
        if ($i ~ /^LDG/ && bits($i) > load) load = bits($i)
        if ($i ~ /^STG/ && bits($i) > stored) stored = bits($i)
        if ($i ~ /^(LDL|STL)/) ++local
      }
      if (/CALL.*_(div|rem)_[su]64/) ++divisions
    }
    END { finish() }' | c++filt |
    sed -E 's/\(anonymous namespace\):://g; s/^void //; s/\(int\)//g' |
    sed -E 's/\(bool\)1/true/g; s/\(bool\)0/false/g; s/\(([A-Za-z_:]+)\)([0-9]+)/\1 \2/g' |
    sed -E 's/\([^\t]*\t/\t/; s/kernels:://g' | tr '\t' ';' | LC_ALL=C sort -u
}
table() {
  echo "kernel;load;store;local;divisions"
  list
}

if [ -z "$stored" ]; then
  table
  exit 0
fi

table >"$work/table"
awk -F';' -v stored="$stored" '
  BEGIN {
    while ((getline line < stored) > 0) {
      split(line, value, ";")
      known[value[1]] = line
    }
    if (!("kernel" in known)) { print "kernel_sass.sh: cannot read " stored; exit bad = 1 }
  }
  FNR == 1 { next }
  !($1 in known) { fresh = fresh "\n  " $1; next }
  {
    ++compared
    split(known[$1], was, ";")
    if ($2 < was[2] + 0) fault("loads at most " $2 " bits at once instead of " was[2])
    if ($3 < was[3] + 0) fault("stores at most " $3 " bits at once instead of " was[3])
    if ($4 > was[4] + 0) fault("has " $4 " accesses to local memory instead of " was[4])
    if ($5 > was[5] + 0) fault("has " $5 " 64-bit divisions instead of " was[5])
  }
  function fault(text) { print text ": " $1; bad = 1 }
  END {
    print compared + 0 " kernels compared with " stored
    if (fresh != "") print "not in the table yet:" fresh
    if (compared == 0) bad = 1
    if (bad) print "If this is meant, renew the table: see the head of tools/kernel_sass.sh."
    exit bad
  }' "$work/table"
