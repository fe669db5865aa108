# Everything CI checks.
ci:
    bash .ci/run

# Layout, then lints.
lint:
    cargo fmt
    cargo clippy --release --all-targets -- -D warnings

# The README's test command.
test:
    cargo test --release

# Look at changed snapshots one by one.
review:
    cargo insta review

# The speed table of the README: W1 and W2 against the C programs in benches/.
bench:
    bash benches/compare.sh
