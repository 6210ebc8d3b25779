#!/usr/bin/env bash
# Checks the style, then builds each preset and runs its tests; installs missing packages first,
# and the face networks where they can be fetched: without them their tests are skipped.
#   tools/test.sh                    release, asan and tsan
#   tools/test.sh --preset asan      one of them (may be given several times)
#   tools/test.sh --jobs 4           so many compilers and tests at once (default: one per core)
#   tools/test.sh --no-install       install nothing
#   tools/test.sh --with-torch       install Debian's PyTorch too and race one small model against
#                                    it: the losses must agree, the speeds are only printed
#   tools/test.sh --with-torch=pypi  the same with PyPI's PyTorch in build/torch-venv (6 GB)
#   tools/test.sh -- -DDOPPEL_CUDA=OFF   arguments after -- go to cmake
# The last line is "N passed, N failed, N skipped"; the exit code is 0 where nothing failed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

presets=()
jobs=$(nproc)
install=yes
groups=(build test)
torch_python=
cmake_arguments=()
while [ $# -gt 0 ]; do
  case "$1" in
    --preset) presets+=("${2:?--preset needs a name}"); shift ;;
    --jobs) jobs=${2:?--jobs needs a number}; shift ;;
    --no-install) install=no ;;
    --with-torch) groups+=(torch); torch_python=/usr/bin/python3 ;;
    --with-torch=pypi) groups+=(torch-pypi); torch_python=build/torch-venv/bin/python ;;
    --help | -h) sed -n '2,12s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
    --) shift; cmake_arguments=("$@"); break ;;
    *) echo "test.sh: unknown option '$1'; see tools/test.sh --help" >&2; exit 2 ;;
  esac
  shift
done
[ ${#presets[@]} -gt 0 ] || presets=(release asan tsan)
mkdir -p build
if [ "$install" = yes ]; then
  tools/install_deps.sh "${groups[@]}"
  tools/install_deps.sh faces >build/faces.log 2>&1 ||
    echo "face networks: not all installed, so some tests are skipped (build/faces.log)"
fi

# Tests run side by side, one process each: a thread that spins while it waits slows the others.
export OMP_WAIT_POLICY=passive
export CTEST_OUTPUT_ON_FAILURE=1

passed=0 failed=0 skipped=0
summary=()

# One test, "style".
check_style() {
  echo "== style"
  local result=0
  tools/check_style.sh >build/style.log 2>&1 || result=$?
  case $result in
    0) passed=$((passed + 1)); summary+=("style: passed") ;;
    77) skipped=$((skipped + 1)); summary+=("style: skipped ($(tail -n 1 build/style.log))") ;;
    *) failed=$((failed + 1)); summary+=("style: FAILED (build/style.log)")
       head -n 40 build/style.log ;;
  esac
}

# attribute NAME FILE: a number from the head of a JUnit report
attribute() { sed -n "s/.*[[:space:]]$1=\"\([0-9]*\)\".*/\1/p" "$2" | head -n 1; }

# broke WHAT LOG: counts a preset that got no further
broke() { summary+=("$1 ($2)"); failed=$((failed + 1)); }

run_preset() {
  local preset=$1 folder=build/$1 started=$SECONDS
  local targets=() select=()
  # ThreadSanitizer runs every logical thread as a context of its own, tens of times slower, so
  # it gets the tests with threads, for one element type.
  if [ "$preset" = tsan ]; then
    targets=(--target test_kernels)
    select=(--tests-regex '^kernels\.' --exclude-regex '(Conv|Gemm)/[1-9]')
  fi
  # The large models run the code that the small ones do, and the killed extractions that of
  # whole ones: once, in release, is enough.
  if [ "$preset" = asan ]; then
    local large='Villain|DflSae|Lightweight|OriginalGradientsInDouble'
    select=(--exclude-regex "GoldenModel\.($large)|KilledExtraction\.AtAnyMoment")
  fi
  echo "== $preset: configure and build"
  local log=build/$preset.configure.log
  if ! cmake --preset "$preset" "${cmake_arguments[@]}" >"$log" 2>&1; then
    tail -n 40 "$log"
    broke "$preset: configuring FAILED" "$log"
    return
  fi
  log=build/$preset.build.log
  if ! cmake --build "$folder" --parallel "$jobs" "${targets[@]}" >"$log" 2>&1; then
    grep -A 8 -E 'error|FAILED' "$log" | head -n 60
    broke "$preset: building FAILED" "$log"
    return
  fi
  local built=$((SECONDS - started))
  echo "== $preset: built in $built s, tests"
  local report=$PWD/$folder/tests.xml result=0
  rm -f "$report"
  log=build/$preset.tests.log
  ctest --test-dir "$folder" --parallel "$jobs" --output-junit "$report" "${select[@]}" \
    >"$log" 2>&1 </dev/null || result=$?
  if [ ! -f "$report" ]; then
    tail -n 40 "$log"
    broke "$preset: the tests did not start" "$log"
    return
  fi
  local total bad skip
  total=$(attribute tests "$report") bad=$(attribute failures "$report")
  skip=$(($(attribute skipped "$report") + $(attribute disabled "$report")))
  # A suite that runs nothing, or fails in a way the report does not count, has not passed.
  if [ "$total" -eq 0 ] || { [ "$result" -ne 0 ] && [ "$bad" -eq 0 ]; }; then
    bad=$((bad + 1)) total=$((total + 1))
  fi
  [ "$bad" -eq 0 ] || sed -n '/The following tests FAILED/,$p' "$log"
  local good=$((total - bad - skip)) ran=$((SECONDS - started - built))
  passed=$((passed + good)) failed=$((failed + bad)) skipped=$((skipped + skip))
  summary+=("$preset: $good passed, $bad failed, $skip skipped (build $built s, tests $ran s)")
}

# One test, "torch": the same losses as PyTorch in f32 and bf16 from the same weights.
race_torch() {
  echo "== torch"
  local log=build/torch.log result=0 program=build/release/bench/doppel_step
  if [ ! -x $program ]; then
    skipped=$((skipped + 1)); summary+=("torch: skipped (no $program: it needs --preset release)")
    return
  fi
  "$torch_python" bench/torch/compare_step.py --program $program --model tiny --batch 4 \
    --dtype f32,bf16 --rounds 1 --steps 3 >"$log" 2>&1 || result=$?
  case $result in
    0) passed=$((passed + 1)); summary+=("torch: passed ($log)") ;;
    6) skipped=$((skipped + 1)); summary+=("torch: skipped ($(tail -n 1 "$log"))") ;;
    *) failed=$((failed + 1)); summary+=("torch: FAILED ($log)"); tail -n 20 "$log" ;;
  esac
}

check_style
for preset in "${presets[@]}"; do run_preset "$preset"; done
[ -z "$torch_python" ] || race_torch
echo
printf '%s\n' "${summary[@]}"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
