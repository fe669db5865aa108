#!/usr/bin/env python3
"""The tables of docs/performance.md: nn against C and the peers, all in one run, turn by turn.

Usage: compare.py [--turns N] [--only w1,w3,products,…] [--into ../../docs/performance.md]

Needs `cargo build --release` and gcc. A peer takes part if its interpreter can import it: PY_NUMPY, PY_JAX, PY_TORCH and
PY_TENSORFLOW name interpreters, each python3 unless given. NN names another nn.
With one thread everything is pinned to core 0. A figure is the median of the turns; only ratios within one run mean something.
"""
import argparse
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
BENCHES = os.path.dirname(HERE)
ROOT = os.path.dirname(BENCHES)
NN = os.environ.get("NN", os.path.join(ROOT, "target", "release", "nn"))
PEERS = ("numpy", "jax", "torch", "tensorflow")
TRAININGS = {
    "w1": "W1, the lesson, 2-3-1, batch 8, SGD",
    "w2": "W2, digits 64-64-10, batch 32, Adam",
    "w3": "W3, 784-256-128-10, batch 128, SGD",
    "w3a": "W3, the same with Adam",
    "cnn": "digits CNN, 16 and 32 channels, batch 32, Adam",
    "lstm": "LSTM, 128 units, 32 steps, batch 32, SGD",
    "attention": "attention, 4 heads, 64 tokens, width 64, batch 16, SGD",
}
SQUARES = (8, 16, 32, 48, 64, 128, 256, 512)
OBLONGS = ((128, 784, 256), (784, 128, 256), (128, 256, 10), (1, 784, 256), (256, 256, 1))
FORMS = ("ab", "atb", "abt")
DEPTHS = (2, 8, 32, 128)


def pinned(threads):
    return ["taskset", "-c", "0"] if threads == 1 and shutil.which("taskset") else []


def output(command, **how):
    return subprocess.run(command, check=True, capture_output=True, text=True, **how).stdout


class Worker:
    """A peer in a process of its own, which keeps what it has built."""

    def __init__(self, peer, threads):
        python = os.environ.get(f"PY_{peer.upper()}", "python3")
        env = dict(os.environ)
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            env[name] = str(threads)
        command = [*pinned(threads), python, os.path.join(HERE, "worker.py"), peer, str(threads)]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True, env=env)
        first = self.process.stdout.readline()
        self.version = json.loads(first)["version"] if first else None

    def ask(self, request):
        """The best variant's figure, or None."""
        try:
            self.process.stdin.write(request + "\n")
            self.process.stdin.flush()
            answer = json.loads(self.process.stdout.readline())
        except (BrokenPipeError, json.JSONDecodeError):
            return None
        answer.pop("error", None)
        return min(answer.values(), default=None)

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def turns(contestants, count):
    """The median of each contestant's figures, one after the other in every turn."""
    figures = {name: [] for name in contestants}
    for turn in range(count):
        for name, measure in contestants.items():
            # One that failed once is out.
            figure = measure() if len(figures[name]) == turn else None
            if figure is not None:
                figures[name].append(figure)
    return {name: statistics.median(f) for name, f in figures.items() if f}


def bench(name, threads, *more):
    command = [*pinned(threads), NN, "bench", os.path.join(BENCHES, f"{name}.nn"), "--format", "json"]
    return json.loads(output([*command, "--threads", str(threads), *more]))


def built(work, name, *flags):
    path = os.path.join(work, name)
    source, *flags = flags
    subprocess.run(["gcc", "-O3", "-march=native", *flags, os.path.join(BENCHES, "c", source), "-lm", "-o", path], check=True)
    return path


def c_ns(program, *arguments):
    text = output([*pinned(1), program, *arguments], cwd=os.path.join(BENCHES, "c"))
    return float(re.search(r"(?:mean|cpu) ([0-9.]+)", text).group(1)) * 1000


def time_text(ns):
    if ns is None:
        return "—"
    return f"{ns:.1f} ns" if ns < 1000 else f"{ns / 1e3:.3g} µs" if ns < 1e6 else f"{ns / 1e6:.3g} ms"


def ratio(a, b):
    return "—" if a is None or b is None else f"{a / b:.2f}"


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def best_of(figures):
    return min((figures[p] for p in PEERS if p in figures), default=None)


def trainings(workers, threads, count, c, chosen):
    rows = []
    for name, what in TRAININGS.items():
        if name not in chosen or threads > 1 and name == "w1":
            continue
        repeat = [] if name in ("w1", "w2") else ["--repeat", "5"]
        contestants = {"nn": lambda: bench(name, threads, *repeat)["ns_per_step"]}
        if threads == 1:
            contestants.update(c.get(name, {}))
        contestants.update({p: lambda w=w: w.ask(f"train {name}") for p, w in workers.items()})
        f = turns(contestants, count)
        in_c = min((f[k] for k in c.get(name, {}) if k in f), default=None)
        cells = [time_text(f["nn"]), time_text(in_c), *(time_text(f.get(p)) for p in PEERS)]
        rows.append([what, *cells, ratio(f["nn"], in_c), ratio(f["nn"], best_of(f))])
    return table(["a step of", "nn", "C", *PEERS, "nn / C", "nn / best peer"], rows)


def products(workers, count, peak):
    rows = []
    for m, k, n in [(s, s, s) for s in SQUARES] + list(OBLONGS):
        flops = 2 * m * k * n
        sizes = ["--set", f"M={m}", "--set", f"K={k}", "--set", f"N={n}", "--repeat", "20"]
        rate = {}
        for form in FORMS:
            contestants = {"nn": lambda: bench("w4", 1, "--of", form, *sizes)["ns_per_step"]}
            ask = f"product {form} {m} {k} {n}"
            contestants.update({p: lambda w=w: w.ask(ask) for p, w in workers.items()})
            rate[form] = {who: flops / ns for who, ns in turns(contestants, count).items()}
        cell = lambda who: " / ".join(f"{rate[form][who]:.1f}" if who in rate[form] else "—" for form in FORMS)
        least = min(rate[form]["nn"] for form in FORMS)
        best = [max((rate[form][p] for p in PEERS if p in rate[form]), default=0) for form in FORMS]
        worst = min((rate[form]["nn"] / b for form, b in zip(FORMS, best) if b), default=None)
        last = [f"{100 * least / peak:.0f} %", "—" if worst is None else f"{worst:.2f}"]
        rows.append([f"{m}×{k}×{n}", cell("nn"), *(cell(p) for p in PEERS), *last])
    head = ["m×k×n", "nn", *PEERS, "nn's least / peak", "nn's least / best peer"]
    return table(head, rows)


def functions(workers, count):
    rows = []
    for name in ("exp", "log", "tanh", "sigmoid"):
        value = "log_p" if name == "log" else f"{name}_x"
        contestants = {"nn": lambda: bench("w5", 1, "--of", value)["ns_per_step"] / 8192}
        contestants.update({p: lambda w=w: w.ask(f"function {name}") for p, w in workers.items()})
        f = turns(contestants, count)
        cells = [f"{f[who]:.2f}" if who in f else "—" for who in ("nn", *PEERS)]
        rows.append([name, *cells, ratio(f["nn"], best_of(f))])
    return table(["ns an element", "nn", *PEERS, "nn / best peer"], rows)


def compiling(workers, count):
    rows = []
    for layers in DEPTHS:
        contestants = {"nn": lambda: bench("w6", 1, "--set", f"LAYERS={layers}", "--repeat", "1")["compile_ms"]}
        asked = {p: w for p, w in workers.items() if p != "numpy"}
        contestants.update({p: lambda w=w: w.ask(f"compile {layers}") for p, w in asked.items()})
        f = turns(contestants, count)
        cells = [f"{f[who]:.3g} ms" if who in f else "—" for who in ("nn", *PEERS)]
        rows.append([str(layers), *cells, ratio(f["nn"], best_of(f))])
    return table(["hidden layers", "nn", *PEERS, "nn / best peer"], rows)


def wall_ms(*command):
    start = time.perf_counter()
    subprocess.run([*pinned(1), *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return (time.perf_counter() - start) * 1e3


def processes(count):
    lesson = os.path.join(ROOT, "examples", "lesson.nn")
    f = turns({"nn": lambda: wall_ms(NN, "run", lesson), "true": lambda: wall_ms("/bin/true")}, 8 * count)
    cells = ["`nn run examples/lesson.nn`", f"{f['nn']:.1f} ms", f"{f['true']:.1f} ms", f"+{f['nn'] - f['true']:.1f} ms"]
    return table(["the whole process", "nn", "`/bin/true`", "difference"], [cells])


def machine():
    model = "an unknown processor"
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo") as f:
            found = re.search(r"model name\s*: (.*)", f.read())
            model = found.group(1) if found else model
    return f"{model}, {os.cpu_count()} cores, {platform.system()}"


def report(arguments):
    """The sections, each as soon as it is measured."""
    chosen = arguments.only
    workers = {p: Worker(p, 1) for p in PEERS}
    workers = {p: w for p, w in workers.items() if w.version}
    with tempfile.TemporaryDirectory() as work:
        peak = statistics.median(
            float(output([*pinned(1), built(work, "peak", "peak.c", "-ffp-contract=fast")])) for _ in range(3)
        )
        simd = built(work, "w1-simd", "w1.c", "-ffast-math", "-DSIMD")
        w2 = built(work, "w2", "w2.c", "-ffast-math")
        c = {"w1": {"C": lambda: c_ns(simd, "200")}, "w2": {"C": lambda: c_ns(w2)}}
        versions = [output([NN, "--version"]).strip(), *(w.version for w in workers.values())]
        gcc = output(["gcc", "-dumpfullversion"]).strip()
        yield (
            f"Machine: {machine()}; {peak:.0f} GFLOP/s of f32 a core at most, as `benches/c/peak.c` measures it. "
            f"{', '.join(versions)}, gcc {gcc}. Medians of {arguments.turns} turns.\n"
        )
        if chosen & TRAININGS.keys():
            yield "### Training, one thread\n\n" + trainings(workers, 1, arguments.turns, c, chosen)
        if "products" in chosen:
            text = "GFLOP/s of `a @ b` / `a.T @ b` / `a @ b.T`.\n\n" + products(workers, arguments.turns, peak)
            yield "### Products, one thread\n\n" + text
        if "functions" in chosen:
            yield "### Functions of 8192 numbers, one thread\n\n" + functions(workers, arguments.turns)
        if "compiling" in chosen:
            yield "### Compiling a training step, one thread\n\n" + compiling(workers, min(arguments.turns, 3))
        if "process" in chosen:
            yield "### From the shell\n\n" + processes(arguments.turns)
        for w in workers.values():
            w.end()
        if chosen & TRAININGS.keys() and (os.cpu_count() or 1) > 1:
            workers = {p: Worker(p, 2) for p in workers}
            yield "### Training, two threads\n\n" + trainings(workers, 2, arguments.turns, {}, chosen)
            for w in workers.values():
                w.end()


def main():
    every = [*TRAININGS, "products", "functions", "compiling", "process"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--only", type=lambda s: set(s.split(",")), default=set(every), help=",".join(every))
    parser.add_argument("--into", help="replace what stands between the marks of this document")
    arguments = parser.parse_args()
    if not arguments.only <= set(every):
        parser.error(f"--only takes {','.join(every)}")
    if not os.path.exists(NN):
        parser.error(f"{NN} is missing: cargo build --release")
    if not arguments.into:
        for section in report(arguments):
            print(section, flush=True)
        return
    text = "\n".join(report(arguments))
    with open(arguments.into) as f:
        before, _, after = f.read().partition("<!-- compare.py: begin -->\n")
        after = after.partition("<!-- compare.py: end -->\n")[2]
    with open(arguments.into, "w") as f:
        f.write(f"{before}<!-- compare.py: begin -->\n{text}<!-- compare.py: end -->\n{after}")


main()
