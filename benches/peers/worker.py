"""worker.py PEER THREADS: measures what stdin asks for, one request a line, one JSON object a line as the answer.

A request is `train w3`, `product ab 64 64 64`, `function exp` or `compile 8`. What was built for a request stays, so that asking
again measures another turn. The answer holds a number by variant: nanoseconds a step, a product or an element, milliseconds of
compiling.
"""
import importlib
import json
import os
import sys
import time

PEER, THREADS = sys.argv[1], int(sys.argv[2])
ENOUGH = 0.2  # seconds a turn takes at least


def timed(run):
    """Nanoseconds of one round of run(n), which does n rounds."""
    n = 1
    while True:
        start = time.perf_counter()
        run(n)
        took = time.perf_counter() - start
        if took >= ENOUGH:
            return took / n * 1e9
        n = max(2 * n, min(int(n * 1.2 * ENOUGH / max(took, 1e-9)), 100 * n))


def main():
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    if THREADS == 1 and PEER == "jax":
        os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    # Libraries write to stdout what is no answer.
    answers, sys.stdout = sys.stdout, sys.stderr
    peer = importlib.import_module(f"with_{PEER}")
    peer.use_threads(THREADS)
    print(json.dumps({"version": peer.VERSION}), file=answers, flush=True)
    built = {}
    for line in sys.stdin:
        kind, *what = line.split()
        try:
            if kind == "compile":
                answer = peer.compile_ms(int(what[0]))
            else:
                if line not in built:
                    build = getattr(peer, kind)
                    built[line] = build(*[int(w) if w.isdigit() else w for w in what])
                    for run in built[line].values():
                        run(2)
                answer = {variant: timed(run) for variant, run in built[line].items()}
            if kind == "function":
                from workloads import ELEMENTS
                answer = {variant: ns / ELEMENTS for variant, ns in answer.items()}
        except Exception as e:  # A peer that cannot do it is not in the table.
            answer = {"error": f"{type(e).__name__}: {e}"[:300]}
        print(json.dumps(answer), file=answers, flush=True)


main()
