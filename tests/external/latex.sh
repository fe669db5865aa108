# What `nn` writes for LaTeX, through pdflatex of a standard distribution: derivations of all examples, worksheets.
set -euo pipefail
if ! command -v pdflatex > /dev/null; then
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends texlive-latex-base texlive-latex-recommended
fi
dir=$SCRATCH/latex
rm -rf "$dir"
mkdir -p "$dir"
compile() {
  if ! (cd "$dir" && pdflatex -halt-on-error -interaction=nonstopmode "$1.tex" > "$1.out" 2>&1); then
    echo "$1.tex does not compile:"
    grep -A 6 '^!' "$dir/$1.out" || tail -n 20 "$dir/$1.out"
    return 1
  fi
}
# A derivation is a fragment: it says itself what it needs.
fragment() {
  {
    printf '%s\n' '\documentclass{article}' '\usepackage[T1]{fontenc}' '\usepackage[utf8]{inputenc}' \
      '\usepackage{amsmath,amssymb,textcomp}' '\begin{document}'
    cat
    echo '\end{document}'
  } > "$dir/$1.tex"
  compile "$1"
}
for file in examples/*.nn; do
  name=$(basename "$file" .nn)
  "$NN" grad -q "$file" --format latex | fragment "$name"
  "$NN" grad -q "$file" --format latex --explain | fragment "$name-explained"
done
for name in lesson logistic_regression cross_entropy; do
  for kind in blank key; do
    "$NN" trace -q "examples/$name.nn" --format latex --$kind > "$dir/$name-$kind.tex"
    compile "$name-$kind"
  done
done
# A document that is wrong must be seen.
if echo '\frac{1}' | fragment broken > /dev/null; then
  echo "a broken fragment compiled"
  exit 1
fi
echo "$(ls "$dir"/*.pdf | wc -l) documents compile"
