# Reports and graphs in headless Chromium, at the widths of a desk and of a hand.
set -euo pipefail
if ! command -v chromium > /dev/null; then
  apt-get update -qq
  apt-get install -y -qq chromium fonts-dejavu-core
fi
if ! command -v npm > /dev/null; then
  apt-get update -qq
  apt-get install -y -qq nodejs npm
fi
if [ ! -d "$SCRATCH/node_modules/playwright-core" ]; then
  npm install --no-audit --no-fund --silent --prefix "$SCRATCH" playwright-core@1
fi
pages=$SCRATCH/pages
rm -rf "$pages"
mkdir -p "$pages"
for example in lesson spirals digits digits_cnn attention; do
  "$NN" run -q "examples/$example.nn" --out "$pages/out" --report "$pages/$example.report.html" > /dev/null
  for format in svg html; do
    "$NN" graph "examples/$example.nn" --format $format --backward --values --grads -o "$pages/$example.graph.$format"
  done
done
node tests/external/pages.mjs "$SCRATCH" "$pages"
