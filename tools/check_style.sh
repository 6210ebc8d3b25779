#!/usr/bin/env bash
# Checks the tracked sources: clang-format, no line over 100 columns, no file over 600 lines.
#   tools/check_style.sh       prints each fault; exit code 1 with faults, 77 if it cannot check
# A block from a line with `table: wide` to one with `table: end` may be wider.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cannot() { echo "check_style.sh: $1" >&2; exit 77; }
command -v clang-format >/dev/null || cannot "no clang-format: run tools/install_deps.sh test"
git rev-parse --is-inside-work-tree >/dev/null 2>&1 || cannot "this is not a git checkout"

present() { git ls-files -- "$@" | while read -r file; do [ ! -f "$file" ] || echo "$file"; done; }
mapfile -t formatted < <(present '*.h' '*.cpp' '*.cu')
mapfile -t measured < <(present '*.py' '*.sh' '*.cmake' '*CMakeLists.txt')

faults=0
clang-format --dry-run --Werror "${formatted[@]}" || faults=1
perl -CSD -ne '
  chomp;
  $wide = 1 if /table: wide/;
  print("$ARGV:$.: ", length, " columns, at most 100\n"), ++$faults if !$wide && length > 100;
  $wide = 0 if /table: end/;
  next unless eof;
  print("$ARGV: $. lines, at most 600\n"), ++$faults if $. > 600;
  $wide = 0;
  close ARGV;
  END { $? = $faults ? 1 : 0 }' "${formatted[@]}" "${measured[@]}" || faults=1
exit "$faults"
