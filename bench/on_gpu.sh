#!/usr/bin/env bash
# Measures everything that needs a GPU: build, tests, sanitizers, kernels, cuDNN's
# plans, training steps, the race against PyTorch, a profile, a training. Each step has
# a time limit, a log and a result of its own, so an interrupted run keeps what it has.
#   bench/on_gpu.sh                       all steps; results in bench/results/<card>/
#   bench/on_gpu.sh --only build,steps    some of them; --list names them
#   bench/on_gpu.sh --resume              without those that went well the last time
#   bench/on_gpu.sh --minutes 9           ends after so long; go on with --resume
#   bench/on_gpu.sh --results DIR --build DIR --jobs N
#   bench/on_gpu.sh --quick               short limits and few rounds, to try the script itself
#   bench/on_gpu.sh --pack                on a machine with the packages: copies what the build
#                                         needs into third_party/, to travel with the
#                                         tree
#   bench/on_gpu.sh -- -DDOPPEL_ONEDNN=OFF    options after -- are cmake's
# The machine needs a compiler, CMake and ninja, the CUDA toolkit for the GPU side, and
# Python with PyTorch for the race. Not needed: FFmpeg, OpenCV, oneDNN, GoogleTest,
# Google Benchmark. Without a GPU, the steps that need one say so and the others run on
# the host.
# Exit codes: 0 all steps went well or had nothing to do, 1 one failed, 2 usage.
# shellcheck disable=SC2317   # the steps are called by name, in a shell of their own
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit

# Each step with its time limit in seconds, in the order of their run.
steps=(machine=60 build=1500 tests=900 sanitizers=1200 kernels=420 plans=1200 steps=900 race=2400
  profile=300 demo=900 report=120)
only=() resume=no minutes=0 quick=no results='' build=build/on_gpu jobs=$(nproc) cmake_arguments=()

# is_in WORD LIST...
is_in() { case " ${*:2} " in *" $1 "*) ;; *) return 1 ;; esac; }
lacks_faces() { "$1" doctor | grep -q '\(video\|detection\).*not in this build'; }

# Copies headers, GoogleTest's source and static libraries (16 MiB) and, if a doppel with
# video and detection is built here, faces of two people to train on (12 MiB).
pack() {
  local target=third_party folder found program missing=()
  mkdir -p "$target/include"
  for folder in fmt nlohmann CLI stb; do
    found=$(find /usr/include /usr/local/include -maxdepth 1 -name "$folder" | head -n 1)
    [ -n "$found" ] || { missing+=("$folder"); continue; }
    rm -rf "${target:?}/include/$folder" && cp -rL "$found" "$target/include/"
  done
  if [ -f /usr/src/googletest/googletest/src/gtest-all.cc ]; then
    rm -rf "${target:?}/googletest" && mkdir -p "$target/googletest"
    cp -rL /usr/src/googletest/googletest/{src,include} "$target/googletest/"
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
  done < <(printf '#include <%s>\n' png.h zlib.h openssl/ssl.h openssl/evp.h \
    | c++ -x c++ -M - | grep -o '/[^ ]*\.h')
  [ -f "$static/include/png.h" ] || missing+=(png.h)
  [ -f "$static/include/openssl/evp.h" ] || missing+=(openssl/evp.h)
  for program in build/release/tools/doppel build/*/tools/doppel; do
    if [ ! -x "$program" ] || lacks_faces "$program"; then continue; fi
    rm -rf "${target:?}/faces" && mkdir "$target/faces"
    for person in a b; do
      folder=$target/faces/$person
      "$program" synth --person $person --frames 400 --no-sound -o "$folder.mp4" >/dev/null \
        && "$program" extract "$folder.mp4" -o "$folder" --every 4 --no-sheet >/dev/null \
        && rm "$folder.mp4" || return 1
    done
    break
  done
  [ -d "$target/faces" ] || echo 'no faces packed: no doppel with video and detection is built here'
  echo "packed into $target/: $(du -sh "$target" | cut -f1)"
  [ ${#missing[@]} -eq 0 ] && return
  echo "not found here: ${missing[*]} (tools/install_deps.sh build test installs them)" >&2
  return 1
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
    --list) printf '%s\n' "${steps[@]%=*}"; exit 0 ;;
    --pack) pack; exit ;;
    --help | -h) sed -n '2,/^# Exit/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
    --) shift; cmake_arguments=("$@"); break ;;
    *) echo "on_gpu.sh: unknown option '$1'; see bench/on_gpu.sh --help" >&2; exit 2 ;;
  esac
  shift
done
for name in ${only[@]+"${only[@]}"}; do
  is_in "$name" "${steps[@]%=*}" && continue
  echo "on_gpu.sh: no step '$name'; there are: ${steps[*]%=*}" >&2
  exit 2
done

# ask_card FIELD: one property of the first card, or nothing
ask_card() { nvidia-smi --query-gpu="$1" --format=csv,noheader -i 0 2>/dev/null; }
card='' capability='' device=cpu
if command -v nvidia-smi >/dev/null && card=$(ask_card name) && [ -n "$card" ]; then
  device=cuda capability=$(ask_card compute_cap | tr -d '. ') folder=$card
else
  card='' folder="host $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)"
fi
slug=$(tr -cs 'A-Za-z0-9\n' '_' <<<"$folder" | sed 's/_*$//')
results=${results:-bench/results/$slug}
mkdir -p "$results/logs"
results=$(cd "$results" && pwd)
status=$results/status.tsv
touch "$status"
failed=0

# note NAME WORD SECONDS REMARK: replaces the line of a step
note() {
  { grep -v "^$1	" "$status"; printf '%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "$4"; } >"$status.new"
  mv "$status.new" "$status"
  printf '%-11s %-8s %5s s  %s\n' "$1" "$2" "$3" "$4"
  [ "$2" != FAILED ] || failed=1
}

# step NAME LIMIT: runs step_NAME in a shell of its own for at most LIMIT seconds. A
# printed line "no: REASON" says that it had nothing to do.
step() {
  local name=$1 limit=$2 log=$results/logs/$1.log begin=$SECONDS result=0 short=no
  local left took why code
  if [ ${#only[@]} -gt 0 ] && ! is_in "$name" "${only[@]}"; then return 0; fi
  if [ "$resume" = yes ] && grep -q "^$name	ok" "$status"; then return 0; fi
  if [ "$minutes" -gt 0 ]; then
    left=$((minutes * 60 - SECONDS))
    if [ "$left" -lt 20 ]; then
      note "$name" 'no time' 0 'after --minutes; go on with --resume'
      return 0
    fi
    [ "$limit" -le "$left" ] || { limit=$left; short=yes; }
  fi
  code="set -uo pipefail; $(declare -f "step_$name" "${helpers[@]}"); step_$name"
  timeout --kill-after=20 "$limit" bash -c "$code" >"$log" 2>&1 </dev/null || result=$?
  took=$((SECONDS - begin))
  why=$(sed -n 's/^no: //p' "$log" | tail -n 1)
  case "$result" in
    0) if [ -n "$why" ]; then note "$name" 'not here' "$took" "$why"
       else note "$name" ok "$took" "$(tail -n 1 "$log" | cut -c 1-110)"; fi ;;
    124 | 137)
      if [ "$short$result" = yes124 ]; then
        note "$name" 'no time' "$took" 'cut off after --minutes; go on with --resume'
      else
        note "$name" FAILED "$took" "cut off after $limit s; $log"
      fi ;;
    *) note "$name" FAILED "$took" "exit code $result; $log" ;;
  esac
}

# --- the steps ------------------------------------------------------------------------------------
export card device capability results build jobs quick
export CTEST_OUTPUT_ON_FAILURE=1 OMP_WAIT_POLICY=passive
export DOPPEL_CACHE_DIR=$results/logs/cache   # of cuDNN plans, for this run alone
printf '%s\n' ${cmake_arguments[@]+"${cmake_arguments[@]}"} >"$results/logs/cmake_arguments"
export doppel=$build/tools/doppel doppel_step=$build/bench/doppel_step
export test_kernels=$build/tests/test_kernels
helpers=(python_with_torch need_gpu need lacks_faces)

python_with_torch() {
  local python
  for python in "${PYTHON:-python3}" /usr/bin/python3; do
    "$python" -c 'import torch, numpy' 2>/dev/null && { echo "$python"; return; }
  done
  return 1
}
need_gpu() { [ "$device" = cuda ] || { echo "no: no GPU"; return 1; }; }
# need FILE HOW: a program of the build, or of the machine
need() {
  [ -x "$1" ] || command -v "$1" >/dev/null && return
  echo "no: no $(basename "$1")${2:+ ($2)}"
  return 1
}

step_machine() {
  {
    date -u; uname -srm; grep -m 1 'model name' /proc/cpuinfo; nproc; free -g; uptime
    cmake --version | head -n 1; c++ --version | head -n 1; git log -1 --format='%h %s'
    nvcc --version; nvidia-smi; nvidia-smi -q -d CLOCK,POWER,PERFORMANCE
  } >"$results/machine.txt" 2>&1
  [ "$device" = cuda ] || { echo "no GPU: host figures only"; return; }
  echo "a GPU of compute capability $capability"
}

step_build() {
  local extra=() architecture
  mapfile -t extra < <(sed '/^$/d' "$results/logs/cmake_arguments")
  # The instructions of Hopper alone need the architecture 90a.
  if [ -n "$capability" ]; then
    architecture=$capability
    [ "$capability" != 90 ] || architecture=90a
    extra=("-DCMAKE_CUDA_ARCHITECTURES=$architecture-real" ${extra[@]+"${extra[@]}"})
  fi
  cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DDOPPEL_MEDIA=OFF \
    -DDOPPEL_DETECT=OFF ${extra[@]+"${extra[@]}"} || return
  # The measuring programs come first, so an interrupted build can measure.
  local measuring=(doppel doppel_step)
  ! grep -q '^DOPPEL_NVCC:.*/nvcc$' "$build/CMakeCache.txt" || measuring+=(doppel_plans)
  ninja -C "$build" -j "$jobs" "${measuring[@]}" && ninja -C "$build" -k 0 -j "$jobs" \
    && "$doppel" doctor && echo "built: $build"
}

step_tests() {
  need "$test_kernels" 'needs GoogleTest: bench/on_gpu.sh --pack' || return 0
  ctest --test-dir "$build" --parallel "$jobs" --timeout 300 --output-junit "$results/tests.xml"
  local result=$? word
  for word in tests failures skipped; do
    sed -n "s/.* $word=\"\([0-9]*\)\".*/\1 $word/p" "$results/tests.xml" | head -n 1
  done | paste -sd' '
  return "$result"
}

step_sanitizers() {
  need_gpu && need compute-sanitizer && need "$test_kernels" || return 0
  local suites filter tool result=0
  suites=$("$test_kernels" --gtest_list_tests)
  suites=$(sed -n 's/^\([^ ]*\)\.  # TypeParam = .*kernels::Cuda.*/\1.*/p' <<<"$suites")
  filter="KernelsOnGpu.*:SimtOnGpu.*:$(paste -sd: <<<"$suites")"
  for tool in memcheck racecheck initcheck synccheck; do
    echo "== $tool"
    timeout 280 compute-sanitizer --tool "$tool" --error-exitcode 99 "$test_kernels" \
      --gtest_filter="$filter" >"$results/logs/sanitizer_$tool.log" 2>&1 \
      || { echo "$tool: exit code $?"; result=1; }
    grep -E 'ERROR SUMMARY|RACECHECK SUMMARY' "$results/logs/sanitizer_$tool.log"
  done
  return "$result"
}

step_kernels() {
  need "$doppel" || return 0
  if ! "$doppel" bench --help 2>/dev/null | grep -q -- --json; then
    echo "no: this build has no doppel bench"
    return 0
  fi
  local seconds=180
  [ "$quick" = no ] || seconds=20
  "$doppel" bench --device "$device" --seconds "$seconds" --force --json "$results/kernels.json"
}

# Times every engine of cuDNN for every convolution, and writes the card's description
# for tests/data. The choices of the training runs are in cudnn-plans.txt (step_report).
step_plans() {
  need_gpu && need "$build/bench/doppel_plans" "needs cuDNN's headers" || return 0
  local card=${card#NVIDIA } dtype=bf16 budget=1500
  card=$(tr '[:upper:]' '[:lower:]' <<<"$card" | tr -cs 'a-z0-9\n' '_')
  [ "$capability" -ge 80 ] || dtype=f16
  [ "$quick" = no ] || budget=100
  "$build/bench/doppel_plans" --dtype "$dtype" --budget "$budget" \
    --properties "$results/device_properties_$card.json" --out "$results/plans.json"
}

step_steps() {
  need "$doppel_step" || return 0
  local seconds=4
  [ "$quick" = no ] || seconds=1
  measure() {  # OUT OPTION...
    "$doppel_step" --device "$device" --seconds "$seconds" --out "$results/$1.json" "${@:2}"
  }
  if [ "$device" = cuda ]; then
    measure steps_b16 --model all --batch 16 --dtype bf16,tf32,f32,f16 || return
    measure steps_b4_b64 --model all --batch 4,64 --dtype bf16
  else
    measure steps --model tiny --batch 4,16 || return
    measure steps_half --model tiny --batch 4 --dtype bf16,f16
  fi
}

# The most important races come first.
step_race() {
  need "$doppel_step" || return 0
  local python result=0
  python=$(python_with_torch) \
    || { echo "no: no Python with PyTorch and numpy (PYTHON names another)"; return 0; }
  race() {  # OUT OPTION...
    "$python" bench/torch/compare_step.py --program "$doppel_step" --device "$device" \
      --out "$results/$1.json" "${@:2}" || result=1
  }
  if [ "$quick" = yes ]; then
    race race --model tiny --batch 4 --rounds 1 --steps 4 --limit 60
  elif [ "$device" = cpu ]; then
    race race --model tiny --batch 4 --rounds 2 --steps 4
  else
    race race_original --model original --batch 16,64 --dtype bf16 --rounds 3
    race race_large --model villain,dfl_sae --batch 16 --dtype bf16 --rounds 3 --steps 60 \
      --warmup 20
    race race_float --model original --batch 16,64 --dtype tf32,f32 --rounds 3 --steps 100
    race race_f16 --model original --batch 16 --dtype f16 --rounds 2 --steps 100
    # Over 500 steps the noise of the precision separates the losses, so the bound is
    # wider.
    race race_500 --model original --batch 16 --dtype bf16 --rounds 1 --steps 500 --tolerance 0.05
  fi
  return "$result"
}

step_profile() {
  need_gpu && need nsys || return 0
  nsys profile --cuda-graph-trace=node --trace=cuda --force-overwrite true \
    -o "$results/logs/profile" "$doppel_step" --row --no-phases --device cuda --model original \
    --batch 16 --dtype bf16 --warmup 10 --steps 190 || return
  nsys stats --force-export true --report cuda_gpu_kern_sum --format csv \
    "$results/logs/profile.nsys-rep" >"$results/profile.csv"
}

# Runs `doppel demo`: two synthetic people, extraction, training, conversion, and the
# swap beside its truth. It needs video and detection (-- -DDOPPEL_MEDIA=ON
# -DDOPPEL_DETECT=ON); without them it trains on packed faces and keeps losses and
# previews.
step_demo() {
  need "$doppel" || return 0
  local model faces=third_party/faces result=0 hours=0.07 models=(original villain)
  if [ "$quick" = yes ]; then hours=0.003 models=(tiny); else need_gpu || return 0; fi
  if ! lacks_faces "$doppel"; then
    "$doppel" demo --device "$device" --force -o "$build/demo" \
      && cp "$build"/demo/*.json "$build"/demo/*.png "$results/" 2>/dev/null
    return
  fi
  [ -d "$faces/a" ] || { echo "no: no video, no detection and no packed faces (--pack)"; return 0; }
  for model in "${models[@]}"; do
    "$doppel" train -q -A "$faces/a" -B "$faces/b" -m "$build/trained_$model" --model "$model" \
      --device "$device" --hours "$hours" --force || { result=1; continue; }
    cp "$build/trained_$model/preview.png" "$results/preview_$model.png"
    cp "$build/trained_$model/losses.csv" "$results/losses_$model.csv"
    echo "$model: $(tail -n 1 "$build/trained_$model/losses.csv") after $hours h"
  done
  return "$result"
}

step_report() {
  need python3 || return 0
  shopt -s nullglob
  local plans=$DOPPEL_CACHE_DIR/cudnn-plans.txt files more=()
  [ ! -f "$plans" ] || cp "$plans" "$results/"
  files=("$results"/{kernels,plans,steps,race}*.json)
  [ ${#files[@]} -gt 0 ] || { echo "no: no results yet"; return 0; }
  case ${card,,} in *h200*) more+=(--predicted bench/predicted_h200.json) ;; esac
  ! python3 -c 'import matplotlib' 2>/dev/null || more+=(--svg "$results/plots")
  python3 bench/report/report.py "${files[@]}" ${more[@]+"${more[@]}"} --out "$results/report.md" \
    && echo "report: $results/report.md"
}

echo "on ${card:-the host, there is no GPU}; results in $results"
for entry in "${steps[@]}"; do step "${entry%=*}" "${entry#*=}"; done
exit $failed
