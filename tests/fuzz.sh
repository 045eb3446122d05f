#!/usr/bin/env bash
# Runs every fuzz target of the repository, one after the other, for the time given.
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:-10m}
failed=0
for file in $(git ls-files '*_test.go' | xargs grep -l '^func Fuzz'); do
	dir=$(dirname "$file")
	for target in $(grep -ho '^func Fuzz[A-Za-z0-9_]*' "$file" | sed 's/^func //'); do
		echo "== ./$dir $target"
		go test "./$dir" -run '^$' -fuzz "^$target\$" -fuzztime "$time" || failed=1
	done
done
exit $failed
