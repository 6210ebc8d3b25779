# shellcheck shell=bash disable=SC2154   # its variables come from bench/on_gpu.sh
# The steps of a visit to a GPU, and the lists that bench/on_gpu.sh goes through: name of the
# step, its limit in seconds, function and arguments.

visit_1() {
  step device 40 device 8
  step correct 120 correct
  step step_original_b16 55 steps original 16 "$half"
  step step_original_b64 50 steps original 64 "$half"
  step step_villain_b16 105 steps villain 16 "$half"
  step race_original_b16 65 race original 16 "$half" 2 15 "$eager_and_graph"
  step race_original_b64 40 race original 64 "$half" 1 15 "$eager_and_graph"
  step race_villain_b16 45 race villain 16 "$half" 1 18 "$eager_and_graph"
  step plans 40 plans original 16 250
  step kernels 70 kernels 55 "$own_kernels"
  step memcheck 40 sanitize memcheck '/(f32|bf16)/'
  step racecheck 30 sanitize racecheck '/bf16/'
  step ncu 60 profile original 16 260
  step race_compiled 120 race original 16 "$half" 1 95 '^PyTorch compiled.*joined'
}
visit_2() {
  step device 20 device 4
  step train_original 120 train original 80
  step step_dfl_sae_b16 100 steps dfl_sae 16 "$half"
  step step_lightweight_b16 50 steps lightweight 16 "$half"
  step step_original_tf32 50 steps original 16 tf32
  step step_original_f16 50 steps original 16 f16
  step race_original_tf32 50 race original 16 tf32 1 18 "$eager_and_graph"
  step race_dfl_sae_b16 50 race dfl_sae 16 "$half" 1 18 "$eager_and_graph"
  step train_villain 80 train villain 40
  step initcheck 40 sanitize initcheck '/(f32|bf16)/'
  step synccheck 30 sanitize synccheck '/bf16/'
  step ncu_villain 60 profile villain 16 400
  step plans_villain 50 plans villain 16 200
  step kernels_all 50 kernels 40 '^cuda/.*/(cold|hot)$'
}
visit_host() {
  step doctor 20 doctor
  step host_kernels 300 tests test_kernels '*'
  step host_nn 300 tests test_nn '*'
  step host_faceswap 900 tests test_faceswap '*'
}
visit_all() {
  local model tool dtype
  step device 60 device 10
  step correct 900 correct
  for tool in memcheck racecheck initcheck synccheck; do step "$tool" 900 sanitize "$tool" .; done
  step kernels 600 kernels 500 .
  for model in original villain dfl_sae; do
    step "plans_$model" 3000 plans "$model" 16,64 1500
    for dtype in "$half" tf32 f32; do
      step "step_${model}_$dtype" 600 steps "$model" 4,16,64 "$dtype"
      step "race_${model}_$dtype" 3000 race "$model" 16,64 "$dtype" 3 300 .
    done
    step "ncu_$model" 600 profile "$model" 16 2000
    step "train_$model" 400 train "$model" 300
  done
}
# Of the race's PyTorch variants: tuned, eager and as a CUDA graph, both people in one call.
eager_and_graph='^PyTorch (graph, )?channels_last.*joined'
# Rows of ours; steps and plans time the convolutions and products.
own_kernels='^cuda/(?!conv_|gemm).*/(cold|hot)$'

# --- the steps. A printed line "no: REASON" says that there is nothing to do. ---------------------
need_gpu() { [ "$card" ] || { echo 'no: no GPU'; return 1; }; }
need() { command -v "$1" >/dev/null || { echo "no: no $1 on this machine"; return 1; }; }

doctor() {
  need doppel && doppel doctor && doppel doctor --json >"$json/doctor.json" || return
  doppel doctor | grep '^.. *gpu '
}

# device SECONDS: facts, cuDNN's description of the card, and the ceilings
device() {
  { uname -srm; grep -m 1 'model name' /proc/cpuinfo; nproc; free -g; ldd --version | head -n 1
    nvidia-smi; nvidia-smi -q -d CLOCK,POWER,PERFORMANCE; "$python" --version
    echo "LD_LIBRARY_PATH=$LD_LIBRARY_PATH"; command -v ncu compute-sanitizer nvcc
  } >"$logs/facts.log" 2>&1
  need_gpu || return 0
  doctor || return
  doppel_plans --model tiny --batch 1 --dtype "$half" --budget 1 \
    --properties "$data/device_properties.json" || echo 'no description by cuDNN'
  doppel bench --device cuda --filter '^cuda/add/bf16/.*/cold$' --seconds "$1" --force \
    --json "$json/ceilings.json"
}

# tests PROGRAM FILTER: its result in JSON, its output in a log of its own
tests() {
  need "$1" || return 0
  local name=$1_${2//[^A-Za-z0-9]/} code=0
  "$(command -v "$1")" --gtest_filter="$2" --gtest_output="json:$json/$name.json" \
    >"$logs/$name.log" 2>&1 || code=$?   # by its path: death tests start it again
  echo "$name: $(grep -c '^\[       OK' "$logs/$name.log") passed," \
    "$(grep -c '^\[  FAILED  .* ms)' "$logs/$name.log") failed, exit code $code"
  return "$code"
}

# losses NAME DEVICE DTYPE: those of 23 steps of `tiny`, one a line
losses() {
  doppel_step --row --no-phases --mode fixed --model tiny --batch 4 --warmup 3 --steps 20 \
    --device "$2" --dtype "$3" >"$json/losses_$1.json" || return
  sed -n 's/.*"loss_a":\[\([^]]*\)\],"loss_b":\[\([^]]*\)\].*/\1,\2/p' "$json/losses_$1.json" \
    | tr ',' '\n'
}

# Every kernel and seam against the reference, and steps of a model: the card's losses are
# the host's to 1e-3, and its own, to the bit, in a second run. All at once: a fault in one
# process does not end the others.
correct() {
  need_gpu && need test_kernels || return 0
  export DOPPEL_MEASURE_PLANS=0   # the first plan that works: timing them takes minutes
  local result=0 jobs=() suites suite job
  mapfile -t suites < <(test_kernels --gtest_list_tests \
    | sed -n 's/^\([^ ]*\.\)  # TypeParam = .*kernels::Cuda.*/\1*/p')
  for suite in '*Gpu*:*/cuda' "${suites[@]}"; do tests test_kernels "$suite" & jobs+=($!); done
  tests test_nn '*Gpu*:*/cuda' & jobs+=($!)
  tests test_faceswap '*Gpu*:*/cuda' & jobs+=($!)
  if losses card cuda f32 >"$logs/card.txt" && losses again cuda f32 >"$logs/again.txt" \
      && losses host cpu f32 >"$logs/host.txt" && losses half cuda "$half" >"$logs/half.txt"; then
    cmp "$logs/card.txt" "$logs/again.txt" || { echo 'other losses in a second run'; result=1; }
    paste "$logs/card.txt" "$logs/host.txt" | awk '
      { d = $1 - $2; if (d < 0) d = -d; if (!(d <= 1e-3 * $2)) { ++bad; print "step", NR, $0 } }
      END { print NR, "losses,", bad + 0, "far from the host"; exit bad > 0 || NR == 0 }' \
      || result=1
  else
    result=1
  fi
  for job in "${jobs[@]}"; do wait "$job" || result=1; done
  return "$result"
}

# steps MODEL BATCHES DTYPE. A step that lost its graph is a failure.
steps() {
  need_gpu && need doppel_step || return 0
  local file=$json/steps_$1_b$2_$3.json
  doppel_step --device cuda --seconds 2 --model "$1" --batch "$2" --dtype "$3" --out "$file" \
    || return
  grep -E '"(error|graph_why_not)"' "$file" && return 1
  grep -oE '"(median_ms|total|graph)": [^,]*' "$file" | grep -v '{' | paste -sd' '
}

# race MODEL BATCH DTYPE ROUNDS SECONDS VARIANTS: PyTorch and doppel in alternation; so long
# for a variant
race() {
  need_gpu && need doppel_step || return 0
  "$python" -c 'import importlib.util as u; assert u.find_spec("torch") and u.find_spec("numpy")' \
    2>/dev/null || { echo "no: no PyTorch with numpy for $python"; return 0; }   # or $PYTHON
  "$python" bench/torch/compare_step.py --program "$(command -v doppel_step)" --device cuda \
    --model "$1" --batch "$2" --dtype "$3" --rounds "$4" --variants "$6" --steps 100 --warmup 20 \
    --limit "$5" --out "$json/$step.json"
}

# plans MODEL BATCHES MILLISECONDS: every engine of cuDNN for every convolution
plans() {
  need_gpu && need doppel_plans || return 0
  doppel_plans --model "$1" --batch "$2" --dtype "$half" --budget "$3" --out "$json/plans_$1.json"
}

# kernels SECONDS ROWS
kernels() {
  need_gpu && need doppel || return 0
  doppel bench --device cuda --seconds "$1" --filter "$2" --force --json "$json/$step.json"
}

# sanitize TOOL ROWS: our kernels' small rows, and a step of `tiny`
sanitize() {
  need_gpu && need compute-sanitizer && need test_kernels || return 0
  export DOPPEL_MEASURE_PLANS=0 DOPPEL_ROWS="^(?!conv_|gemm).*$2"
  local command=(compute-sanitizer --tool "$1" --error-exitcode 99) result=0
  "${command[@]}" "$(command -v test_kernels)" --gtest_filter='KernelsOnGpu.*:SimtOnGpu.*' \
    || result=1
  "${command[@]}" "$(command -v doppel_step)" --row --no-phases --device cuda --model tiny \
    --batch 2 --dtype "$half" --warmup 3 --steps 1 --block 1 || result=1
  grep 'ERROR SUMMARY\|RACECHECK SUMMARY' "$logs/$step.log" | paste -sd' '
  return "$result"
}

# profile MODEL BATCH LAUNCHES: time and bytes of each launch, then the five slowest kernels
# in detail
profile() {
  need_gpu && need ncu && need doppel_step || return 0
  local table=$data/ncu_$1.csv time=gpu__time_duration.sum slowest name
  local ncu=(ncu --csv --page raw --print-units base --kill yes --graph-profiling node
    --clock-control none)
  local run=("$(command -v doppel_step)" --row --no-phases --device cuda --model "$1"
    --batch "$2" --dtype "$half" --warmup 3 --steps 1 --block 1)
  "${ncu[@]}" --launch-count "$3" --metrics "$time,dram__bytes_read.sum,dram__bytes_write.sum" \
    --log-file "$table" "${run[@]}"   # ended by ncu, so its exit code says nothing
  slowest=$(awk -F'","' -v time="$time" '
    /^"ID"/ { for (i = 1; i <= NF; ++i) {
                gsub(/"/, "", $i); if ($i == "Kernel Name") k = i; if ($i == time) t = i }
              next }
    /^"[0-9]/ { gsub(/[",]/, "", $t); name = $k
                sub(/.*block_kernel</, "", name)   # of our block kernels: what they run
                gsub(/^void |<unnamed>::|\(anonymous namespace\)::/, "", name)
                sub(/[<(].*/, "", name); sub(/.*::/, "", name); total[name] += $t }
    END { for (name in total) print total[name] "\t" name }' "$table" | sort -rn | head -n 5)
  [ "$slowest" ] || { echo "no launch in $table"; return 1; }
  echo "$slowest"
  for name in $(cut -f2 <<<"$slowest"); do
    "${ncu[@]}" --launch-count 1 --kernel-name-base demangled --kernel-name "regex:$name" \
      --section SpeedOfLight --section Occupancy \
      --section MemoryWorkloadAnalysis --section WarpStateStats --section LaunchStats \
      --log-file "$data/ncu_$1_$name.csv" "${run[@]}"
  done
}

# train MODEL SECONDS: on the packed faces
train() {
  need_gpu && need doppel || return 0
  [ -d faces/a ] || { echo 'no: no faces here (bench/gpu_pack.sh packs some)'; return 0; }
  doppel train -q -A faces/a -B faces/b -m "$work/$1" --model "$1" --device cuda --force \
    --hours "$(awk -v s="$2" -v n="$speed" 'BEGIN { print s / n / 3600 }')"
  local result=$?
  cp "$work/$1/preview.png" "$data/preview_$1.png"
  cp "$work/$1/losses.csv" "$data/losses_$1.csv" && tail -n 1 "$data/losses_$1.csv"
  return "$result"
}

report() {
  need "$python" || return 0
  local more=() known files=("$json"/{kernels,ceilings,plans,steps,race}*.json)
  [ ${#files[@]} -gt 0 ] || { echo 'no: nothing was measured'; return 0; }
  files+=("$data"/ncu_{original,villain,dfl_sae}.cs[v])
  for known in h200 h100 a100; do
    [[ ${card,,} != *$known* ]] || ! doppel_step --predict $known --out "$json/predicted.json" ||
      more=(--predicted "$json/predicted.json")
  done
  "$python" bench/report/report.py "${files[@]}" ${more[@]+"${more[@]}"} --out "$json/report.md"
}
