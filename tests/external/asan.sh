# What is not generated code, under the address sanitizer: interpreter, lowering, kernels, readers. The sanitizer is a
# nightly option of a stable compiler.
set -euo pipefail
export RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address CARGO_TARGET_DIR=$SCRATCH/asan
host=$(rustc -vV | sed -n 's/^host: //p')
# A target of its own, so that build scripts and macros stay as they are; crates as they are compiled fastest.
cargo() { command cargo --config 'profile.dev.package."*".opt-level=0' "$@"; }
cargo test --locked --target "$host" --lib -- loops:: lower:: kernels:: runtime:: rng:: scalar::
cargo test --locked --target "$host" --test lowering
