#!/usr/bin/env bash
# A machine with a GPU, played by one script under the names of its programs. Each call is a
# line in $CALLS, takes some seconds of the rehearsal's clock, and leaves the files that the
# real program would.
#   PACE=N             N times as long
#   FAULTS='a=b ...'   what program a does on a call whose words contain its pattern:
#                      fail, crash, hang (deaf to signals), late (until stopped), huge
name=${0##*/} words="${0##*/} $*"
echo "DOPPEL_MEASURE_PLANS=${DOPPEL_MEASURE_PLANS:-} $words" >>"$CALLS"

# after OPTION WORDS...: the word behind an option
after() {
  local option=$1
  while [ $# -gt 1 ]; do shift; [ "$1" != "$option" ] || { echo "${2:-}"; return; }; done
}
# takes SECONDS of the rehearsal's clock
takes() { sleep "$(awk -v s="$1" -v p="${PACE:-1}" -v n="${speed:-1}" 'BEGIN {print s * p / n}')"; }

fault=''
for entry in ${FAULTS:-}; do
  case "$words" in *${entry%%=*}*) fault=${entry#*=} ;; esac
done
case "$fault" in
  fail) echo "$name: made to fail" >&2; exit 1 ;;
  crash) kill -SEGV $$ ;;
  hang) trap '' TERM; while :; do sleep 0.1; done ;;
esac

out=$(after --out "$@")
step_row='{"model": "original", "batch": 16, "dtype": "bf16", "device": "cuda", "mode": "real",
   "median_ms": 2.5, "p95_ms": 2.6, "min_ms": 2.4, "faces_per_second": 12800, "graph": true,
   "graph_nodes": 60, "peak_bytes": 1000000000, "start_seconds": {
    "total": 9.5}, "floor_ms": 1.1, "parts": []}'
context='"context": {"suite": "doppel_step", "gpu": "NVIDIA Stand-In H200", "threads": 16,
   "date": "2026-01-01T00:00:00Z", "load_average": 1.0}'
case "$name" in
  nvidia-smi)
    case "$words" in
      *name*) echo 'NVIDIA Stand-In H200' ;;
      *compute_cap*) echo 9.0 ;;
    esac ;;
  doppel)
    case "$1" in
      doctor) echo 'ok  gpu                NVIDIA Stand-In H200' ;;
      bench)
        trap 'echo stopped; stopped=yes' TERM   # the real one writes what it has
        takes 2
        cat >"$(after --json "$@")" <<<'{"format": "doppel-bench-1", "ceilings": {}, "rows": []}' ;;
      train)
        folder=$(after -m "$@")
        mkdir -p "$folder"
        echo 'a picture' >"$folder/preview.png"
        printf 'step,loss_a,loss_b\n100,0.1,0.2\n' >"$folder/losses.csv"
        [ "$fault" != huge ] || head -c 20000000 /dev/urandom >"$folder/preview.png"
        takes 3 ;;
    esac ;;
  doppel_step)
    case "$words" in
      *--predict*) echo '{"steps": []}' >"$out" ;;
      *--row*)
        takes 1
        echo '{"model":"tiny","loss_a":[1.0,0.5],"loss_b":[2.0,1.5],"graph":true}' ;;
      *)
        echo "{$context, \"rows\": [$step_row]}" >"$out"   # after each row, so before the next
        [ "$fault" != eager ] || sed -i 's/"graph": true/"graph_why_not": "made to"/' "$out"
        [ "$fault" != late ] || takes 100000
        takes 3 ;;
    esac ;;
  doppel_plans)
    properties=$(after --properties "$@")
    [ -z "$properties" ] || echo '{}' >"$properties"
    echo '{"context": {"suite": "doppel_plans", "dtype": "bf16"}, "rows": []}' >"${out:-/dev/null}"
    mkdir -p "$DOPPEL_CACHE_DIR" && echo 'a plan' >"$DOPPEL_CACHE_DIR/cudnn-plans.txt"
    takes 2 ;;
  test_*)
    case "$words" in
      *--gtest_list_tests*)
        echo 'Conv/9.  # TypeParam = (anonymous namespace)::Seam<kernels::Cuda, float>'
        echo 'Gemm/0.  # TypeParam = (anonymous namespace)::Seam<kernels::Host, float>' ;;
      *)
        takes 2
        json=${words##*--gtest_output=json:}
        [ "$json" = "$words" ] || echo '{"tests": 1}' >"${json%% *}"
        echo '[       OK ] KernelsOnGpu.EqualReferenceAndThemselves (2000 ms)' ;;
    esac ;;
  compute-sanitizer)
    takes 4
    echo '========= ERROR SUMMARY: 0 errors' ;;
  ncu)
    takes 3
    {
      echo '==PROF== Connected to process 1'
      echo '"ID","Kernel Name","Grid Size","dram__bytes_read.sum","gpu__time_duration.sum"'
      echo '"","","","byte","ns"'
      for i in 1 2 3 4 5 6 7; do
        echo "\"$i\",\"kernel_$i\",\"(132, 1, 1)\",\"1,000\",\"$i,000\""
        echo "\"1$i\",\"kernel_$i\",\"(132, 1, 1)\",\"1,000\",\"$i,500\""
      done
    } >"$(after --log-file "$@")" ;;
  python3)
    case "$words" in
      *sysconfig*) echo "${PACKAGES:-/nowhere}" ;;
      *compare_step.py*)
        takes 5
        echo '{"context": {"suite": "compare_step"}, "races": []}' >"$out" ;;
      *find_spec* | *--version*) ;;
      *) exec "$REAL_PYTHON" "$@" ;;
    esac ;;
esac
