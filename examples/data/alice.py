#!/usr/bin/env python3
"""Makes alice.csv from alice.txt: `python alice.py` rewrites it. Not part of the build or the tests.

A character is a number: 0 a space or the end of a line (several in a row count once), 1 to 26 a letter, small or
large, 27 to 34 one of ' , . ! ? ; : -; others are left out. A row has 33 of them: 32 to read, each
followed by the one to predict, the last of which begins the next row.
"""
import pathlib

LETTERS = " abcdefghijklmnopqrstuvwxyz',.!?;:-"
HERE = pathlib.Path(__file__).parent
LENGTH = 32

text = " ".join((HERE / "alice.txt").read_text("ascii").lower().split()).replace("`", "'")
codes = [LETTERS.index(c) for c in text if c in LETTERS]
rows = (len(codes) - 1) // LENGTH
lines = (codes[k * LENGTH : k * LENGTH + LENGTH + 1] for k in range(rows))
(HERE / "alice.csv").write_text("".join(",".join(map(str, line)) + "\n" for line in lines))
