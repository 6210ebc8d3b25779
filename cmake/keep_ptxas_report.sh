#!/usr/bin/env bash
# Runs a compiler command (nvcc with -Xptxas -v) and keeps ptxas's report beside the object, as
# <object>.ptxas, so the build prints faults only. tools/kernel_resources.sh reads the reports.
set -uo pipefail
object=
for ((i = 1; i < $#; ++i)); do
  [ "${!i}" != -o ] || { next=$((i + 1)); object=${!next}; }
done
[ -n "$object" ] || exec "$@"
"$@" 2>"$object.messages"
result=$?
ptxas='^ptxas info|bytes stack frame,'
grep -E "$ptxas" "$object.messages" >"$object.ptxas"
grep -vE "$ptxas" "$object.messages" >&2
rm -f "$object.messages"
exit $result
