#!/usr/bin/env bash
# The README's speed table: nn against the C programs in benches/c, on one core, turn by turn in one run.
# Each figure is the median of the turns. Needs gcc; usage: benches/compare.sh [TURNS]
set -euo pipefail
cd "$(dirname "$0")"
turns=${1:-7}
nn=$(realpath ../target/release/nn)
[ -x "$nn" ] || { echo "build first: cargo build --release" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
gcc -O3 -march=native c/w1.c -o "$work/w1-plain"
gcc -O3 -march=native -ffast-math -DSIMD c/w1.c -o "$work/w1-simd"
gcc -O3 -march=native -ffast-math c/w2.c -lm -o "$work/w2-c"
pin=""
command -v taskset >/dev/null && pin="taskset -c 0"

median() { sort -g | awk '{ v[NR] = $1 } END { print (NR % 2) ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }
c_ns() { (cd c && $pin "$@") | sed -E 's/.*(mean|cpu) ([0-9.]+).*/\2/' | awk '{ print $1 * 1000 }'; }
nn_ns() { $pin "$nn" bench "$1" --format json | sed -E 's/.*"ns_per_step": ?([0-9.]+).*/\1/'; }
wall_ms() { local a b; a=$(date +%s%N); $pin "$@" >/dev/null 2>&1; b=$(date +%s%N); awk "BEGIN { print ($b - $a) / 1e6 }"; }

for ((i = 0; i < turns; i++)); do
  c_ns "$work/w1-plain" 200 >> "$work/w1p"
  c_ns "$work/w1-simd" 200 >> "$work/w1s"
  nn_ns w1.nn >> "$work/w1n"
  c_ns "$work/w2-c" >> "$work/w2c"
  nn_ns w2.nn >> "$work/w2n"
done
for ((i = 0; i < turns * 5; i++)); do
  wall_ms /bin/true >> "$work/true"
  wall_ms "$nn" run ../examples/lesson.nn >> "$work/lesson"
done

w1p=$(median < "$work/w1p") w1s=$(median < "$work/w1s") w1n=$(median < "$work/w1n")
w2c=$(median < "$work/w2c") w2n=$(median < "$work/w2n")
true_ms=$(median < "$work/true") lesson_ms=$(median < "$work/lesson")
awk -v p="$w1p" -v s="$w1s" -v n="$w1n" -v c="$w2c" -v m="$w2n" -v t="$true_ms" -v l="$lesson_ms" 'BEGIN {
  printf "| what | nn | C | ratio |\n| --- | --- | --- | --- |\n"
  printf "| W1, the lesson, a step | %.1f ns | %.1f ns (vectorised by hand) | %.2f |\n", n, s, n / s
  printf "| W1, the lesson, a step | %.1f ns | %.1f ns (plain loops, gcc -O3) | %.2f |\n", n, p, n / p
  printf "| W2, digits 64-64-10 with Adam, a step | %.1f us | %.1f us (plain loops, gcc -O3 -ffast-math) | %.2f |\n", m / 1000, c / 1000, m / c
  printf "| `nn run examples/lesson.nn`, the whole process | %.1f ms | %.1f ms (`/bin/true`) | +%.1f ms |\n", l, t, l - t
}'
