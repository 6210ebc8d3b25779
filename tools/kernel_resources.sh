#!/usr/bin/env bash
# Registers and memory of the GPU kernels, from the reports kept by the build
# (cmake/keep_ptxas_report.sh).
#   tools/kernel_resources.sh build/release
#     prints the table: kernel, then registers/shared/stack/spilled per architecture
#     (bytes, except for registers)
#   tools/kernel_resources.sh build/release --check FILE
#     compares it with a stored table: fails on any spill, and on more registers if fewer
#     warps then fit on a multiprocessor
# To renew the stored table, for all architectures:
#   real=$(printf '%s-real;' 75 80 86 89 90 100 120)
#   cmake --preset release -B build/all -DDOPPEL_CUDA=ON -DCMAKE_CUDA_ARCHITECTURES="${real%;}"
#   cmake --build build/all --target kernels_cuda
#   tools/kernel_resources.sh build/all > tests/data/kernel_resources.csv
set -euo pipefail
usage() { sed -n '2,14s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; }
[ $# -eq 1 ] || { [ $# -eq 3 ] && [ "$2" = --check ]; } || { usage >&2; exit 2; }
case "$1" in --help | -h) usage; exit 0 ;; esac
build=$1 stored=${3:-}

reports=$(find "$build/kernels" -name '*.ptxas' | sort)
if [ -z "$reports" ]; then
  echo "kernel_resources.sh: no reports under $build/kernels: build it with nvcc first" >&2
  exit 3
fi

# One line per kernel and architecture: name <tab> architecture <tab> registers/shared/stack/spilled
list() {
  # shellcheck disable=SC2086
  awk '
    /Compiling entry function/ {
      split($0, quoted, "\x27"); name = quoted[2]; arch = substr(quoted[4], 4)
    }
    /bytes stack frame/ { stack = $1; spilled = $5 + $9 }
    /Used [0-9]+ registers/ {
      if (name == "") next
      registers = 0; shared = 0
      for (i = 2; i <= NF; ++i) {
        if ($i ~ /^registers/) registers = $(i - 1)
        if ($i ~ /^smem/) shared = $(i - 2)
      }
      print name "\t" arch "\t" registers "/" shared "/" stack "/" spilled
      name = ""
    }' $reports | c++filt |
    sed -E 's/\(anonymous namespace\):://g; s/^void //; s/\(int\)//g' |
    sed -E 's/\(bool\)1/true/g; s/\(bool\)0/false/g; s/\(([A-Za-z_:]+)\)([0-9]+)/\1 \2/g' |
    sed -E 's/\([^\t]*\t/\t/; s/kernels:://g'
}

table() {
  awk -F'\t' '
    { cell[$1, $2] = $3; kernels[$1]; architectures[$2] }
    END {
      printf "kernel"
      n = asorti_numbers()
      for (i = 1; i <= n; ++i) printf ";sm_%s", order[i]
      print ""
      for (k in kernels) {
        line = k
        for (i = 1; i <= n; ++i) line = line ";" cell[k, order[i]]
        print line | "LC_ALL=C sort"
      }
    }
    function asorti_numbers(   count, a, i, j, swap) {
      for (a in architectures) order[++count] = a
      for (i = 1; i <= count; ++i)
        for (j = i + 1; j <= count; ++j)
          if (order[j] + 0 < order[i] + 0) {
            swap = order[i]; order[i] = order[j]; order[j] = swap
          }
      return count
    }'
}

if [ -z "$stored" ]; then
  list | table
  exit 0
fi

list | table | awk -F';' -v stored="$stored" '
  # Warps per multiprocessor as limited by registers (65536, allotted by 8 per thread), in
  # blocks of 8 warps.
  function warps(registers, arch,   most, fit) {
    most = arch == 75 ? 32 : arch == 86 || arch == 89 || arch == 120 ? 48 : 64
    fit = int(65536 / (int((registers + 7) / 8) * 8 * 32))
    if (fit > most) fit = most
    return int(fit / 8) * 8
  }
  BEGIN {
    while ((getline line < stored) > 0) {
      fields = split(line, value, ";")
      if (!old_header) {
        old_header = 1
        for (i = 2; i <= fields; ++i) old_arch[i] = substr(value[i], 4)
        continue
      }
      known[value[1]]
      for (i = 2; i <= fields; ++i) old[value[1], old_arch[i]] = value[i]
    }
    if (!old_header) { print "kernel_resources.sh: cannot read " stored; bad = 1; exit }
  }
  NR == 1 { for (i = 2; i <= NF; ++i) arch[i] = substr($i, 4); next }
  {
    if (!($1 in known)) fresh = fresh "\n  " $1
    for (i = 2; i <= NF; ++i) {
      if ($i == "") continue
      split($i, now, "/")
      ++compared
      if (now[4] > 0) {
        print "spills " now[4] " bytes of registers on sm_" arch[i] ": " $1
        bad = 1
      }
      if (old[$1, arch[i]] == "") continue
      split(old[$1, arch[i]], was, "/")
      if (warps(now[1], arch[i]) < warps(was[1], arch[i])) {
        print "takes " now[1] " registers instead of " was[1] " on sm_" arch[i] ", so " \
          warps(now[1], arch[i]) " warps fit instead of " warps(was[1], arch[i]) ": " $1
        bad = 1
      }
    }
  }
  END {
    print compared + 0 " kernels compared with " stored
    if (fresh != "") print "not in the table yet:" fresh
    if (compared == 0) bad = 1
    if (bad) print "If this is meant, renew the table: see the head of tools/kernel_resources.sh."
    exit bad
  }'
