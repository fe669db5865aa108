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

# The tables of docs/performance.md: nn against C and the peers (benches/peers/compare.py says what it needs).
bench *ARGS:
    python3 benches/peers/compare.py {{ARGS}}

# The table of docs/reliability.md: sixteen figures with their targets, `full` or `long`.
reliability *ARGS:
    bash .ci/reliability {{ARGS}}
