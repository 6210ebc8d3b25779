#!/usr/bin/env bash
# A visit to a machine with a GPU: a list of steps, each with a time limit, a log and JSON
# of its own. It needs nothing but the pack of bench/gpu_pack.sh, or a build of this tree.
# docs/gpu-visit.md tells what to carry and how to read what comes back.
#   bench/on_gpu.sh --short         13 minutes: is it right, how fast, where is the time
#   bench/on_gpu.sh --short 2       13 more: training, other models and precisions
#   bench/on_gpu.sh --short host    doppel and its host tests, on a machine without a GPU
#   bench/on_gpu.sh                 everything, in hours
#   --seconds N     of the whole run; late steps are shortened or left out (780 with --short)
#   --results DIR   where the results go ($OUT, or else build/visit/results)
#   --only A,B      these steps alone; --list prints the names and limits
#   --build DIR     programs outside a pack (build/release)
#   --speed N       a rehearsal: limits and clock run N times as fast
# Results are packed after each step and every 15 seconds, into at most four files a visit
# of at most 16 MiB. Settings of the card stay as they are.
# Exit codes: 0 all steps went well or had nothing to do, 1 one failed or was cut, 2 usage.
# shellcheck disable=SC2317 source=bench/visit/steps.sh   # its functions are called by name
set -uo pipefail
self=$(realpath "${BASH_SOURCE[0]}") here=$PWD
cd "$(dirname "$self")/.." || exit
. bench/visit/steps.sh

if [ "${1:-}" = --run ]; then   # a step, in the process group of its time limit
  trap 'exit 124' TERM
  shopt -s nullglob
  "${@:2}"
  exit
fi

# --- the run --------------------------------------------------------------------------------------
visit=all seconds=0 speed=1 only='' list=no
results=${OUT:-$PWD/build/visit/results} build=$PWD/build/release
while [ $# -gt 0 ]; do
  case "$1" in
    --short)
      visit=1 seconds=780
      case "${2:-}" in 1 | 2 | host) visit=$2; shift ;; esac ;;
    --list) list=yes ;;
    --help | -h) sed -n '2,/^# Exit/s/^# \{0,1\}//p' "$self"; exit 0 ;;
    --seconds | --results | --build | --speed | --only)
      [ $# -gt 1 ] || { echo "on_gpu.sh: $1 needs a value" >&2; exit 2; }
      printf -v "${1#--}" %s "$2"; shift ;;
    *) echo "on_gpu.sh: unknown option '$1'; see bench/on_gpu.sh --help" >&2; exit 2 ;;
  esac
  shift
done

card='' capability=0 python=${PYTHON:-python3}
# ask FIELD: of the first card
ask() { nvidia-smi --query-gpu="$1" --format=csv,noheader -i 0 2>/dev/null; }
if card=$(ask name); then capability=$(ask compute_cap | tr -d '. '); else card=''; fi
half=bf16 set=common
[ "$capability" -ge 80 ] || half=f16
[ "$capability" != 90 ] || set=sm90a   # with the instructions of Hopper alone
if [ $list = yes ]; then
  step() { echo "$1 $2"; }
  "visit_$visit"
  exit
fi

[[ $results = /* ]] || results=$here/$results
[[ $build = /* ]] || build=$here/$build
work=$PWD/build/visit/$visit
rm -rf "$work"
mkdir -p "$work"/{json,logs,data} build/visit/cache "$results" || exit
rm -f "$results"/*.part
json=$work/json logs=$work/logs data=$work/data status=$work/status.tsv
export json logs data work card half python speed
export DOPPEL_CACHE_DIR=$PWD/build/visit/cache PYTHONUNBUFFERED=1 OMP_WAIT_POLICY=passive
PATH=$PWD/$set:$build/tools:$build/bench:$build/tests:$PATH
for folder in /usr/local/cuda/bin /opt/nvidia/nsight-compute/*/; do PATH=$PATH:${folder%/}; done
# cuDNN, cuBLAS and NVRTC come with PyTorch where no toolkit is installed.
LD_LIBRARY_PATH=${LD_LIBRARY_PATH:-}
packages=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))' 2>/dev/null)
for folder in "$packages"/nvidia/*/lib; do
  [ ! -d "$folder" ] || LD_LIBRARY_PATH+=${LD_LIBRARY_PATH:+:}$folder
done
export PATH LD_LIBRARY_PATH

began=${EPOCHREALTIME/[.,]/} failed=0 child='' ticker=''
now() { echo $(((${EPOCHREALTIME/[.,]/} - began) * speed / 1000000)); }
real() { printf '%d.%03d' $(($1 / speed)) $(($1 % speed * 1000 / speed)); }   # by the wall clock

# put KIND PARENT FOLDER: one file of the results, whole at any moment
put() {
  local name=visit_$visit.$1.tar.gz part=$results/$1.$BASHPID.part
  tar -C "$2" -czf "$part" "$3" 2>/dev/null   # a file may grow meanwhile
  if [ "$(stat -c %s "$part")" -le $((16 << 20)) ]; then mv -f "$part" "$results/$name"
  else
    rm -f "$part"
    grep -q "^$1	too large" "$status" \
      || printf '%s\ttoo large\t0\t%s\n' "$1" "over 16 MiB, so look into $2/$3" >>"$status"
  fi
}
pack() {
  local log tails=$work/tails.$BASHPID
  mkdir -p "$tails/logs" "$data/cache"
  for log in "$logs"/*; do tail -c 300000 "$log" >"$tails/logs/${log##*/}"; done
  cp build/visit/cache/* "$data/cache/" 2>/dev/null
  put logs "$tails" logs
  put json "$work" json
  put data "$work" data
  cp "$status" "$results/status.$BASHPID.part" \
    && mv -f "$results/status.$BASHPID.part" "$results/visit_$visit.status.tsv"
  rm -rf "$tails"
}

# note NAME WORD SECONDS REMARK
note() {
  printf '%s\t%s\t%s\t%s\n' "$@" >>"$status"
  printf '%5s s  %-20s %-8s %4s s  %s\n' "$(now)" "$@"
  case "$2" in FAILED | cut) failed=1 ;; esac
}

# step NAME LIMIT FUNCTION ARGUMENT...: in a process group of its own, for LIMIT seconds
step() {
  local limit=$2 code=0 left why log=$logs/$1.log
  case ",$only," in ,, | *",$1,"*) ;; *) return ;; esac
  step=$1 begun=$(now)
  if [ "$seconds" -gt 0 ]; then
    left=$((seconds - begun - 20))
    [ "$step" != report ] || left=$((left + 15))
    [ "$left" -ge 5 ] || { note "$step" 'no time' 0 'of --seconds was left'; return; }
    [ "$limit" -le "$left" ] || limit=$left
  fi
  export step limit
  timeout --kill-after="$(real 5)" "$(real "$limit")" bash "$self" --run "${@:3}" \
    >"$log" 2>&1 </dev/null &
  child=$!
  wait $child 2>/dev/null || code=$?   # without bash's word on a killed job
  child=''
  why=$(tail -n 1 "$log" | sed -n 's/^no: //p')
  case "$code$why" in
    0) note "$step" ok $(($(now) - begun)) "$(tail -n 1 "$log" | cut -c 1-120)" ;;
    0*) note "$step" 'not here' $(($(now) - begun)) "$why" ;;
    124* | 137*) note "$step" cut $(($(now) - begun)) "after $limit s; what it wrote is kept" ;;
    *) note "$step" FAILED $(($(now) - begun)) "exit $code; $(tail -n 1 "$log" | cut -c 1-99)" ;;
  esac
  pack
}

# stop CODE: a signal ends the run; the results of the step in flight are kept
stop() {
  trap '' TERM INT HUP
  if [ "$child" ]; then
    kill -TERM "$child" && wait "$child"
    note "$step" cut $(($(now) - begun)) 'by a signal; what it wrote is kept'
  fi
  exit "$1"
}
trap 'stop 143' TERM
trap 'stop 130' INT HUP
# finish: the ticker may have died over a file
finish() {
  kill "$ticker" && wait "$ticker"
  rm -f "$results"/*.part
  pack
} 2>/dev/null
trap finish EXIT

echo "on ${card:-a machine without a GPU}; results in $results"
: >"$status"
(
  trap - EXIT INT HUP
  trap 'kill $nap; exit' TERM
  while sleep "$(real 15)" & nap=$!; wait $nap && kill -0 $$; do pack; done
) >/dev/null 2>&1 &
ticker=$!
"visit_$visit"
step report 30 report
[ ! -f "$json/report.md" ] || cat "$json/report.md"
exit $failed
