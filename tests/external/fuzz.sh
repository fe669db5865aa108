#!/usr/bin/env bash
# Builds the targets of fuzz/ and runs each for some seconds, on the small files of tests/data/read and our programs.
# Needs cargo-fuzz (`cargo install cargo-fuzz`); says so and ends well where there is none. `SECONDS_EACH=36000` is the long run.
set -euo pipefail
cd "$(dirname "$0")/../.."
if ! command -v cargo-fuzz >/dev/null; then
  echo "not run: there is no cargo-fuzz"
  exit 0
fi
# Sanitizers are switched on by options that a stable compiler has, and hides.
export RUSTC_BOOTSTRAP=1
corpus="${SCRATCH:-$(mktemp -d)}/corpus"
mkdir -p "$corpus"/{program,npy,npz,idx,csv,safetensors,checkpoint}
cp examples/*.nn tests/errors/*.nn "$corpus/program"
cp tests/data/read/*.npz "$corpus/npz"
cp tests/data/read/*.idx tests/data/read/*.gz "$corpus/idx"
cp tests/data/read/*.safetensors "$corpus/safetensors"
cp tests/data/read/*.safetensors "$corpus/checkpoint"
cp examples/data/*.csv "$corpus/csv"
for target in program npy npz idx csv safetensors checkpoint; do
  cargo fuzz run --sanitizer "${SANITIZER:-address}" "$target" "$corpus/$target" -- \
    -max_total_time="${SECONDS_EACH:-5}" -timeout=10 -rss_limit_mb=1024 -print_final_stats=0
done
