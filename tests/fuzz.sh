#!/usr/bin/env bash
# Fuzzes the decoders, family by family: tests/fuzz.sh [TIME [FAMILY...]]
#
# A family is what reads one kind of foreign bytes. TIME, a number of minutes (default 10), is a family's own: its targets share it equally.
# WORKERS (default: all cores) is how many inputs run at once. A panic fails a target, and so does an input that costs more than
# tests/fuzzcost allows.
set -euo pipefail
cd "$(dirname "$0")/.."
minutes=${1:-10}
shift || true

families=(
	"requests protocol/schema protocol:FuzzParseRequestHeader|FuzzProduceRequestDecode|FuzzFetchRequestDecode|FuzzUnauthenticatedDecode"
	"records protocol:FuzzWalkRecords|FuzzDownConvert|FuzzValidate"
	"compression protocol/compress"
	"files log"
	"metadata metadata metadata/kraftimport metadata/raftstore"
	"groups broker/group"
	"sasl auth"
	"kerberos auth/kerberos"
	"bearer auth/bearer"
	"tls auth/tlsconf auth/internal/javaregexp"
	"configuration broker/config"
	"telemetry broker"
)

# targets prints "directory target" for the packages given, each with an optional pattern of names.
targets() {
	local place dir pattern
	for place in "$@"; do
		dir=${place%%:*}
		pattern='Fuzz[A-Za-z0-9_]*'
		[ "$place" = "$dir" ] || pattern=${place#*:}
		cat "$dir"/*_test.go | grep -oE "^func ($pattern)\(" | sed -E "s|^func (.*)\(|$dir \1|"
	done
}

# every target of the repository belongs to a family
all=$(git grep -hE '^func Fuzz[A-Za-z0-9_]*\(' -- '*_test.go' | wc -l)
known=$(for family in "${families[@]}"; do read -ra words <<<"$family"; targets "${words[@]:1}"; done | wc -l)
if [ "$all" != "$known" ]; then
	echo "$all fuzz targets, $known of them in a family of this script" >&2
	exit 1
fi

# fuzz runs one target. The engine now and then takes the end of the time it was given for a failure of the target, and then writes no input that failed: the
# target has its time once more.
fuzz() {
	local output
	output=$(mktemp)
	for _ in 1 2 3; do
		if fuzzOnce "$@" 2>&1 | tee "$output"; then
			rm "$output"
			return 0
		fi
		if ! grep -q '^ *context deadline exceeded$' "$output" || grep -q 'Failing input written' "$output"; then
			break
		fi
		echo "the engine's own deadline: once more"
	done
	rm "$output"
	return 1
}

fuzzOnce() {
	go test "./$1" -run '^$' -fuzz "^$2\$" -fuzztime "$3s" -fuzzminimizetime 10s ${WORKERS:+-parallel "$WORKERS"} 2>&1 |
		awk '/^fuzz: elapsed/ { last = $0; next } /^fuzz: (minimizing|elapsed)/ { next } { print } END { print last }'
}

failed=0
for family in "${families[@]}"; do
	read -ra words <<<"$family"
	if [ $# -gt 0 ] && [[ " $* " != *" ${words[0]} "* ]]; then
		continue
	fi
	list=$(targets "${words[@]:1}")
	seconds=$(((minutes * 60 + $(wc -l <<<"$list") - 1) / $(wc -l <<<"$list")))
	while read -r dir target; do
		echo "== ${words[0]}: ./$dir $target, $seconds s"
		fuzz "$dir" "$target" "$seconds" || {
			failed=1
			echo "FAILED: ./$dir $target"
		}
	done <<<"$list"
done
exit $failed
