#!/usr/bin/env bash
# Everything that waits for a GPU, in one go: builds for the card, tests, sanitizers, ceilings and kernels, cuDNN's plans, whole steps with
# the loader, the race against PyTorch, a profile, a training. Each step has a time limit, a log and a result of its own, so that a run
# that is cut off leaves what it had.
#   bench/on_gpu.sh                       all steps; results in bench/results/<card>/
#   bench/on_gpu.sh --only build,steps    some of them; --list names them
#   bench/on_gpu.sh --resume              leave out those that went well the last time
#   bench/on_gpu.sh --minutes 9           begin no step for which less than its share of that time is left
#   bench/on_gpu.sh --results DIR --build DIR --jobs N
#   bench/on_gpu.sh --quick               a try of the whole way: short limits, few rounds; the figures are not to be quoted
#   bench/on_gpu.sh --pack                on a machine with the packages: collect what the build needs into third_party/, to travel along
#   bench/on_gpu.sh -- -DDOPPEL_ONEDNN=OFF    what follows -- goes to cmake
# The machine needs a compiler, CMake and ninja, with the CUDA toolkit for the GPU side; Python with PyTorch for the race. Not needed:
# FFmpeg, OpenCV, oneDNN, GoogleTest, Google Benchmark. Without a GPU the steps that need one say so, and the others run on the host.
# Exit code: 0 where every step went well or had nothing to do, 1 where one failed, 2 usage.
# shellcheck disable=SC2317   # the steps are called by name, in a shell of their own
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit

steps=(machine build tests sanitizers kernels plans steps race profile demo report)
only=() resume=no minutes=0 quick=no results='' build=build/on_gpu jobs=$(nproc) cmake_arguments=()

# What a bare CUDA machine has not: headers, GoogleTest as source, and, where a doppel with video and detection is built, two people's
# faces to train on. About 16 MiB, and 12 more for the faces.
pack() {
  local target=third_party folder found missing=()
  mkdir -p "$target/include"
  for folder in fmt nlohmann CLI stb; do
    found=
    for prefix in /usr/include /usr/local/include; do [ -d "$prefix/$folder" ] && { found=$prefix/$folder; break; }; done
    if [ -n "$found" ]; then rm -rf "${target:?}/include/$folder" && cp -rL "$found" "$target/include/"; else missing+=("$folder"); fi
  done
  if [ -f /usr/src/googletest/googletest/src/gtest-all.cc ]; then
    rm -rf "${target:?}/googletest" && mkdir -p "$target/googletest" && cp -rL /usr/src/googletest/googletest/{src,include} "$target/googletest/"
  else
    missing+=(googletest)
  fi
  # Static libraries with their headers, apart from include/: see cmake/third_party.cmake.
  local static=$target/static library header
  rm -rf "${target:?}/static" && mkdir -p "$static/include/openssl" "$static/lib"
  for library in libpng16.a libz.a libcrypto.a; do
    found=$(c++ -print-file-name="$library")   # a path where the compiler finds it
    if [ -f "$found" ]; then cp -L "$found" "$static/lib/"; else missing+=("$library"); fi
  done
  while read -r header; do
    case "$header" in
      */openssl/*) cp -L "$header" "$static/include/openssl/" ;;
      */png*.h | */zlib.h | */zconf.h) cp -L "$header" "$static/include/" ;;
    esac
  done < <(printf '#include <%s>\n' png.h zlib.h openssl/ssl.h openssl/evp.h | c++ -x c++ -M - | grep -o '/[^ ]*\.h')
  [ -f "$static/include/png.h" ] && [ -f "$static/include/openssl/evp.h" ] || missing+=(png.h openssl/evp.h)
  local program
  for program in build/release/tools/doppel build/*/tools/doppel; do
    if [ -x "$program" ] && ! "$program" doctor | grep -q '\(video\|detection\).*not in this build'; then
      rm -rf "${target:?}/faces" && mkdir "$target/faces" && for person in a b; do
        "$program" synth --person $person --frames 400 --no-sound -o "$target/faces/$person.mp4" >/dev/null \
          && "$program" extract "$target/faces/$person.mp4" -o "$target/faces/$person" --every 4 --no-sheet >/dev/null \
          && rm "$target/faces/$person.mp4" || return 1
      done
      break
    fi
  done
  [ -d "$target/faces" ] || echo 'no faces packed: no doppel with video and detection is built here'
  echo "packed into $target/: $(du -sh "$target" | cut -f1)"
  [ ${#missing[@]} -eq 0 ] || { echo "not found here: ${missing[*]} (tools/install_deps.sh build test installs them)" >&2; return 1; }
}

while [ $# -gt 0 ]; do
  case "$1" in
    --only) IFS=, read -ra only <<<"${2:?--only needs names}"; shift ;;
    --resume) resume=yes ;;
    --quick) quick=yes ;;
    --minutes) minutes=${2:?--minutes needs a number}; shift ;;
    --results) results=${2:?--results needs a folder}; shift ;;
    --build) build=${2:?--build needs a folder}; shift ;;
    --jobs) jobs=${2:?--jobs needs a number}; shift ;;
    --list) printf '%s\n' "${steps[@]}"; exit 0 ;;
    --pack) pack; exit ;;
    --help | -h) sed -n '2,18s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
    --) shift; cmake_arguments=("$@"); break ;;
    *) echo "on_gpu.sh: unknown option '$1'; see bench/on_gpu.sh --help" >&2; exit 2 ;;
  esac
  shift
done
for name in ${only[@]+"${only[@]}"}; do
  case " ${steps[*]} " in *" $name "*) ;; *) echo "on_gpu.sh: no step '$name'; there are: ${steps[*]}" >&2; exit 2 ;; esac
done

card='' capability=''
if command -v nvidia-smi >/dev/null && card=$(nvidia-smi --query-gpu=name --format=csv,noheader -i 0 2>/dev/null); then
  capability=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader -i 0 2>/dev/null | tr -d '. ')
else
  card=
fi
if [ -n "$card" ]; then device=cuda folder=$card; else device=cpu folder="host $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)"; fi
[ -n "$results" ] || results=bench/results/$(tr -cs 'A-Za-z0-9\n' '_' <<<"$folder" | sed 's/_*$//')
mkdir -p "$results/logs"
results=$(cd "$results" && pwd)
status=$results/status.tsv
touch "$status"
failed=0

# note NAME WORD SECONDS REMARK: one line a step, the latest wins
note() {
  { grep -v "^$1	" "$status"; printf '%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "$4"; } >"$status.new"
  mv "$status.new" "$status"
  printf '%-11s %-8s %5s s  %s\n' "$1" "$2" "$3" "$4"
  [ "$2" != FAILED ] || failed=1
}

# step NAME LIMIT FUNCTION: runs it in a shell of its own, under a time limit. The function may print a line "no: WHY" to say that there is nothing to do.
step() {
  local name=$1 limit=$2 log=$results/logs/$1.log begin=$SECONDS result=0 short=no
  if [ ${#only[@]} -gt 0 ]; then case " ${only[*]} " in *" $name "*) ;; *) return 0 ;; esac; fi
  if [ "$resume" = yes ] && grep -q "^$name	ok" "$status"; then return 0; fi
  if [ "$minutes" -gt 0 ]; then
    local left=$((minutes * 60 - SECONDS))
    if [ "$left" -lt 20 ]; then note "$name" 'no time' 0 '--minutes are over; go on with --resume'; return 0; fi
    [ "$limit" -le "$left" ] || { limit=$left; short=yes; }
  fi
  timeout --kill-after=20 "$limit" bash -c "set -uo pipefail; $(declare -f "step_$name" "${helpers[@]}"); step_$name" >"$log" 2>&1 </dev/null || result=$?
  local took=$((SECONDS - begin)) why
  why=$(sed -n 's/^no: //p' "$log" | tail -n 1)
  if [ "$short" = yes ] && [ "$result" -eq 124 ]; then note "$name" 'no time' "$took" "cut off, --minutes are over; go on with --resume"
  elif [ "$result" -eq 124 ] || [ "$result" -eq 137 ]; then note "$name" FAILED "$took" "cut off after $limit s; $log"
  elif [ "$result" -ne 0 ]; then note "$name" FAILED "$took" "exit code $result; $log"
  elif [ -n "$why" ]; then note "$name" 'not here' "$took" "$why"
  else note "$name" ok "$took" "$(tail -n 1 "$log" | cut -c 1-110)"; fi
}

# --- the steps ------------------------------------------------------------------------------------------------------------
export device capability results build jobs quick CTEST_OUTPUT_ON_FAILURE=1 OMP_WAIT_POLICY=passive
export DOPPEL_CACHE_DIR=$results/logs/cache   # of cuDNN plans: this run's own
printf '%s\n' ${cmake_arguments[@]+"${cmake_arguments[@]}"} >"$results/logs/cmake_arguments"
helpers=(python_with_torch need_gpu)

python_with_torch() { for p in "${PYTHON:-python3}" /usr/bin/python3; do "$p" -c 'import torch, numpy' 2>/dev/null && { echo "$p"; return; }; done; return 1; }
need_gpu() { [ "$device" = cuda ] || { echo "no: no GPU"; return 1; }; }

step_machine() {
  { date -u; uname -srm; grep -m 1 'model name' /proc/cpuinfo; nproc; free -g; uptime; cmake --version | head -n 1; c++ --version | head -n 1
    git log -1 --format='%h %s'; nvcc --version; nvidia-smi; nvidia-smi -q -d CLOCK,POWER,PERFORMANCE; } >"$results/machine.txt" 2>&1
  if [ "$device" = cuda ]; then echo "a GPU of compute capability $capability"; else echo "no GPU: host figures only"; fi
}

step_build() {
  local extra=() architecture
  mapfile -t extra < <(sed '/^$/d' "$results/logs/cmake_arguments")
  # Hopper's own instructions need the architecture with an a.
  if [ -n "$capability" ]; then
    architecture=$capability
    [ "$capability" != 90 ] || architecture=90a
    extra=("-DCMAKE_CUDA_ARCHITECTURES=$architecture-real" ${extra[@]+"${extra[@]}"})
  fi
  cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DDOPPEL_MEDIA=OFF -DDOPPEL_DETECT=OFF ${extra[@]+"${extra[@]}"} || return
  # First what measures, then the tests: a build that is cut off can measure already.
  local measuring=(doppel doppel_step)
  ! grep -q '^DOPPEL_NVCC:.*/nvcc$' "$build/CMakeCache.txt" || measuring+=(doppel_plans)
  ninja -C "$build" -j "$jobs" "${measuring[@]}" && ninja -C "$build" -k 0 -j "$jobs" && "$build/tools/doppel" doctor && echo "built: $build"
}

step_tests() {
  [ -x "$build/tests/test_kernels" ] || { echo "no: the tests are not built (GoogleTest: bench/on_gpu.sh --pack)"; return 0; }
  # Tests share the card; a few at a time are enough to hide each other's start.
  ctest --test-dir "$build" --parallel "$jobs" --timeout 300 --output-junit "$results/tests.xml"
  local result=$?
  sed -n 's/.*tests="\([0-9]*\)".*/\1 tests/p; s/.*failures="\([0-9]*\)".*/\1 failed/p; s/.*skipped="\([0-9]*\)".*/\1 skipped/p' "$results/tests.xml" \
    | head -n 3 | paste -sd' '
  return "$result"
}

step_sanitizers() {
  need_gpu || return 0
  command -v compute-sanitizer >/dev/null || { echo "no: compute-sanitizer is not installed"; return 0; }
  [ -x "$build/tests/test_kernels" ] || { echo "no: the tests are not built"; return 0; }
  local filter tool result=0
  filter=$("$build/tests/test_kernels" --gtest_list_tests | sed -n 's/^\([^ ]*\)\.  # TypeParam = .*kernels::Cuda.*/\1.*/p' | paste -sd:)
  filter="KernelsOnGpu.*:SimtOnGpu.*:$filter"
  for tool in memcheck racecheck initcheck synccheck; do
    echo "== $tool"
    timeout 280 compute-sanitizer --tool "$tool" --error-exitcode 99 "$build/tests/test_kernels" --gtest_filter="$filter" \
      >"$results/logs/sanitizer_$tool.log" 2>&1 || { echo "$tool: exit code $?"; result=1; }
    grep -E 'ERROR SUMMARY|RACECHECK SUMMARY' "$results/logs/sanitizer_$tool.log"
  done
  return "$result"
}

step_kernels() {
  [ -x "$build/tools/doppel" ] || { echo "no: doppel is not built"; return 0; }
  "$build/tools/doppel" bench --help 2>/dev/null | grep -q -- --json || { echo "no: this build has no doppel bench"; return 0; }
  local seconds=180
  [ "$quick" = no ] || seconds=20
  "$build/tools/doppel" bench --device "$device" --seconds "$seconds" --force --json "$results/kernels.json"
}

# The card as cuDNN describes it (to go into tests/data), and the contest of all engines for every convolution. What training itself
# chooses in the later steps is in cudnn-plans.txt (step_report).
step_plans() {
  need_gpu || return 0
  [ -x "$build/bench/doppel_plans" ] || { echo "no: doppel_plans is not built (cuDNN's headers)"; return 0; }
  local card dtype=bf16 budget=1500
  card=$(nvidia-smi --query-gpu=name --format=csv,noheader -i 0 | sed 's/^NVIDIA *//' | tr '[:upper:]' '[:lower:]' | tr -cs 'a-z0-9\n' '_')
  [ "$capability" -ge 80 ] || dtype=f16
  [ "$quick" = no ] || budget=100
  "$build/bench/doppel_plans" --dtype "$dtype" --budget "$budget" --properties "$results/device_properties_$card.json" --out "$results/plans.json"
}

step_steps() {
  [ -x "$build/bench/doppel_step" ] || { echo "no: doppel_step is not built"; return 0; }
  local seconds=4
  [ "$quick" = no ] || seconds=1
  if [ "$device" = cuda ]; then
    "$build/bench/doppel_step" --device cuda --model all --batch 16 --dtype bf16,tf32,f32,f16 --seconds "$seconds" --out "$results/steps_b16.json" || return
    "$build/bench/doppel_step" --device cuda --model all --batch 4,64 --dtype bf16 --seconds "$seconds" --out "$results/steps_b4_b64.json"
  else
    "$build/bench/doppel_step" --device cpu --model tiny --batch 4,16 --seconds "$seconds" --out "$results/steps.json" || return
    "$build/bench/doppel_step" --device cpu --model tiny --batch 4 --dtype bf16,f16 --seconds "$seconds" --out "$results/steps_half.json"
  fi
}

# The order is that of the questions: if time runs out, the first ones are answered.
step_race() {
  local python
  [ -x "$build/bench/doppel_step" ] || { echo "no: doppel_step is not built"; return 0; }
  python=$(python_with_torch) || { echo "no: no Python with PyTorch and numpy (PYTHON names another)"; return 0; }
  local race=("$python" bench/torch/compare_step.py --program "$build/bench/doppel_step" --device "$device") result=0
  if [ "$quick" = yes ]; then
    "${race[@]}" --model tiny --batch 4 --rounds 1 --steps 4 --limit 60 --out "$results/race.json"
    return
  fi
  if [ "$device" = cuda ]; then
    "${race[@]}" --model original --batch 16,64 --dtype bf16 --rounds 3 --out "$results/race_original.json" || result=1
    "${race[@]}" --model villain,dfl_sae --batch 16 --dtype bf16 --rounds 3 --steps 60 --warmup 20 --out "$results/race_large.json" || result=1
    "${race[@]}" --model original --batch 16,64 --dtype tf32,f32 --rounds 3 --steps 100 --out "$results/race_float.json" || result=1
    "${race[@]}" --model original --batch 16 --dtype f16 --rounds 2 --steps 100 --out "$results/race_f16.json" || result=1
    # Loss curves of 500 steps; the two sides drift apart by the noise of the precision, so the bound is wider.
    "${race[@]}" --model original --batch 16 --dtype bf16 --rounds 1 --steps 500 --tolerance 0.05 --out "$results/race_500.json" || result=1
  else
    "${race[@]}" --model tiny --batch 4 --rounds 2 --steps 4 --out "$results/race.json" || result=1
  fi
  return "$result"
}

step_profile() {
  need_gpu || return 0
  command -v nsys >/dev/null || { echo "no: nsys is not installed"; return 0; }
  local one=("$build/bench/doppel_step" --row --no-parts --device cuda --model original --batch 16 --dtype bf16 --warmup 10 --steps 190)
  "${one[@]}" | tee "$results/profile_row.json" >/dev/null || return
  nsys profile --cuda-graph-trace=node --trace=cuda --force-overwrite true -o "$results/logs/profile" "${one[@]}" || return
  nsys stats --force-export true --report cuda_gpu_kern_sum --format csv "$results/logs/profile.nsys-rep" >"$results/profile.csv"
}

# End to end: two synthetic people, extraction, training, conversion, and the swap measured against its truth. Without video and detection
# (-- -DDOPPEL_MEDIA=ON -DDOPPEL_DETECT=ON where FFmpeg and OpenCV are): training on packed faces, of which losses and previews are kept.
step_demo() {
  [ -x "$build/tools/doppel" ] || { echo "no: doppel is not built"; return 0; }
  local model result=0 hours=0.07 models=(original villain)
  if [ "$quick" = yes ]; then hours=0.003 models=(tiny)
  else need_gpu || return 0; fi
  if ! "$build/tools/doppel" doctor | grep -q '\(video\|detection\).*not in this build'; then
    "$build/tools/doppel" demo --device "$device" --force -o "$build/demo" && cp "$build"/demo/*.json "$build"/demo/*.png "$results/" 2>/dev/null
    return
  fi
  [ -d third_party/faces/a ] || { echo "no: no video or no detection in this build, and no packed faces (--pack where both are)"; return 0; }
  for model in "${models[@]}"; do
    "$build/tools/doppel" train -q -A third_party/faces/a -B third_party/faces/b -m "$build/trained_$model" --model "$model" --device "$device" \
      --hours "$hours" --force || { result=1; continue; }
    cp "$build/trained_$model/preview.png" "$results/preview_$model.png"
    cp "$build/trained_$model/losses.csv" "$results/losses_$model.csv"
    echo "$model: $(tail -n 1 "$build/trained_$model/losses.csv") after $hours h"
  done
  return "$result"
}

step_report() {
  command -v python3 >/dev/null || { echo "no: no Python"; return 0; }
  shopt -s nullglob
  [ ! -f "$DOPPEL_CACHE_DIR/cudnn-plans.txt" ] || cp "$DOPPEL_CACHE_DIR/cudnn-plans.txt" "$results/"
  local files=("$results"/kernels*.json "$results"/plans*.json "$results"/steps*.json "$results"/race*.json) more=()
  [ ${#files[@]} -gt 0 ] || { echo "no: no results yet"; return 0; }
  [ ! -s "$results/profile.csv" ] || more=(--nsys "$results/profile.csv" --nsys-steps 200 --nsys-row "$results/profile_row.json")
  case ${card,,} in *h200*) more+=(--predicted bench/predicted_h200.json) ;; esac
  python3 bench/report/report.py "${files[@]}" ${more[@]+"${more[@]}"} --out "$results/report.md" --svg "$results/plots" && echo "report: $results/report.md"
}

echo "on ${card:-the host, there is no GPU}; results in $results"
step machine 60
step build 1500
step tests 900
step sanitizers 1200
step kernels 420
step plans 1200
step steps 900
step race 2400
step profile 300
step demo 900
step report 120
exit $failed
