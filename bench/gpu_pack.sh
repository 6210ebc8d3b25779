#!/usr/bin/env bash
# Packs doppel for a visit to a GPU: programs built here, on a machine that needs nvcc and
# no GPU, which run on any x86-64 Linux with a glibc of at least the floor in MANIFEST.txt.
#   bench/gpu_pack.sh                 builds and writes build/doppel-gpu.tar.xz
#   --faces DIR     folders a/ and b/ of extracted faces; without it, synthetic ones, made
#                   by a doppel with video and detection in build/*/tools
#   --plans FILE    cuDNN plans that an earlier visit brought home
#   --glibc 2.39    the newest glibc symbol allowed, the target's (2.36)
#   --jobs N        compilers at once
#   bench/gpu_pack.sh --try ROOT      tries the pack in a root folder without our packages,
#                   for example one of `debootstrap --variant=minbase bookworm ROOT`; as root
# Inside: sm90a/ for cards of capability 9.0, common/ for 7.5 to 12.0, bench/on_gpu.sh with the
# PyTorch side of the race, faces, golden files. oneDNN is left out: Debian has no static
# one, and the questions are the GPU's. cuDNN and cuBLAS are the target's.
# Exit codes: 0 done, 1 a check failed, 2 usage.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

programs=(tools/doppel bench/doppel_step bench/doppel_plans tests/test_kernels tests/test_nn
  tests/test_faceswap)
sets=(sm90a:90a-real 'common:75-real;80-real;86-real;89-real;90-real;100-real;120-real')
faces='' plans='' glibc=2.36 jobs=$(nproc) root='' pack=build/doppel-gpu most=$((50 << 20))

fail() { echo "gpu_pack.sh: $1" >&2; exit "${2:-1}"; }

while [ $# -gt 0 ]; do
  case "$1" in
    --faces) faces=${2:?--faces needs a folder}; shift ;;
    --plans) plans=${2:?--plans needs a file}; shift ;;
    --glibc) glibc=${2:?--glibc needs a version}; shift ;;
    --jobs) jobs=${2:?--jobs needs a number}; shift ;;
    --try) root=${2:?--try needs a folder}; shift ;;
    --help | -h) sed -n '2,/^# Exit/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
    *) fail "unknown option '$1'; see bench/gpu_pack.sh --help" 2 ;;
  esac
  shift
done

# try ROOT: the programs start there, say that there is no GPU, and pass their host tests
try() {
  local mounted=() folder code=0
  [ -f "$pack.tar.xz" ] || fail "no $pack.tar.xz: run bench/gpu_pack.sh first"
  [ -x "$1/bin/bash" ] || fail "$1 is no root folder: make one with debootstrap"
  rm -rf "$1/visit" && mkdir "$1/visit"
  tar -C "$1/visit" -xJf "$pack.tar.xz"
  for folder in proc dev; do
    mount --bind "/$folder" "$1/$folder" && mounted+=("$1/$folder")
  done
  trap 'umount "${mounted[@]}"' RETURN
  local run=(chroot "$1" env -i PATH=/usr/bin:/bin /visit/doppel-gpu/bench/on_gpu.sh --short)
  chroot "$1" ldd --version | head -n 1
  # With a card visible in /dev these would run on it, and that is no fault.
  "${run[@]}" --results /visit/card --only device,correct | tee "$1/visit/card.txt" || code=1
  grep -q 'not here .*no GPU' "$1/visit/card.txt" || { echo 'nothing says "no GPU"'; code=1; }
  "${run[@]}" host --results /visit/host --seconds 1800 || code=1
  ls -l "$1/visit/card" "$1/visit/host"
  return $code
}

# needs FILE: fails if it needs a library that a bare machine lacks, or a newer glibc
needs() {
  local library floor
  for library in $(objdump -p "$1" | sed -n 's/^ *NEEDED *//p'); do
    case "$library" in
      libc.so.6 | libm.so.6 | ld-linux-x86-64.so.2) ;;
      *) fail "$1 needs $library" ;;
    esac
  done
  floor=$(objdump -T "$1" | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -n 1)
  [ "$(printf '%s\n' "${floor#GLIBC_}" "$glibc" | sort -V | tail -n 1)" = "$glibc" ] \
    || fail "$1 needs glibc ${floor#GLIBC_}, newer than --glibc $glibc: build on an older system"
  echo "${floor#GLIBC_}"
}

# make_faces: 100 faces of each of two synthetic people, small enough to travel
make_faces() {
  local doppel person
  for doppel in build/*/tools/doppel; do
    [ -x "$doppel" ] || continue
    if "$doppel" doctor | grep -q '\(video\|detection\).*not in this build'; then continue; fi
    for person in a b; do
      "$doppel" synth --person "$person" --frames 400 --no-sound -o "$pack/$person.mp4" >/dev/null
      "$doppel" extract "$pack/$person.mp4" -o "$pack/faces/$person" --every 4 --size 256 \
        --no-sheet >/dev/null
      rm "$pack/$person.mp4"
    done
    return
  done
  fail 'no doppel with video and detection in build/*/tools: build one, or name faces with --faces'
}

if [ "$root" ]; then try "$root"; exit; fi

rm -rf "$pack"
mkdir -p "$pack"/{faces,bench/report,tools,tests,docs,build/visit/cache}
newest=0
for set in "${sets[@]}"; do
  build=build/pack-${set%%:*}
  cmake -S . -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DDOPPEL_PORTABLE=ON \
    -DDOPPEL_CUDA=ON -DDOPPEL_MEDIA=OFF -DDOPPEL_DETECT=OFF -DDOPPEL_REVIEW=OFF \
    -DDOPPEL_ONEDNN=OFF \
    "-DCMAKE_CUDA_ARCHITECTURES=${set#*:}" >"$build.log" || fail "configuring failed: $build.log"
  ninja -C "$build" -j "$jobs" "${programs[@]}" >>"$build.log" || fail "building failed: $build.log"
  mkdir "$pack/${set%%:*}"
  for program in "${programs[@]}"; do
    strip -o "$pack/${set%%:*}/${program#*/}" "$build/$program"
    floor=$(needs "$pack/${set%%:*}/${program#*/}")
    newest=$(printf '%s\n' "$newest" "$floor" | sort -V | tail -n 1)
  done
done
if [ "$faces" ]; then cp -r "$faces"/{a,b} "$pack/faces/"; else make_faces; fi
[ -z "$plans" ] || cp "$plans" "$pack/build/visit/cache/cudnn-plans.txt"
cp -r bench/{on_gpu.sh,visit,torch} "$pack/bench/"
cp bench/report/*.py "$pack/bench/report/"
cp -r tools/torch "$pack/tools/"
cp -r tests/{golden,data} "$pack/tests/"
cp docs/gpu-visit.md "$pack/docs/"

{
  echo "doppel for a visit to a GPU: commit $(git describe --always --dirty), $(date -u +%F)"
  echo "needs: x86-64 Linux with glibc $newest or newer, bash, tar, gzip, and xz or Python;"
  echo "  for the card: a driver for CUDA 13, cuDNN 9 and cuBLAS 13 (a toolkit's or PyTorch's)"
  echo 'use: tar xJf doppel-gpu.tar.xz && doppel-gpu/bench/on_gpu.sh --short   (docs/gpu-visit.md)'
  echo 'check: sha256sum -c --ignore-missing MANIFEST.txt'
  (cd "$pack" && find . -type f -printf '# %s bytes  %P\n' | sort -k 4)
  (cd "$pack" && find . -type f -printf '%P\0' | sort -z | xargs -0 sha256sum)
} >"$pack.manifest"
mv "$pack.manifest" "$pack/MANIFEST.txt"
tar -C build --owner=0 --group=0 --sort=name -cf - doppel-gpu | xz -9 >"$pack.tar.xz"
size=$(stat -c %s "$pack.tar.xz")
echo "$pack.tar.xz: $((size >> 20)) MiB, glibc $newest, $(grep -c '^# ' "$pack/MANIFEST.txt") files"
[ "$size" -le "$most" ] || fail "it is over $((most >> 20)) MiB"
