"""NumPy: the step written by hand, as a person would; products and functions write into arrays that are there."""
import numpy as np

import workloads

VERSION = f"numpy {np.__version__}"


def use_threads(_):
    pass  # OPENBLAS_NUM_THREADS says it.


def train(name):
    t = workloads.training(name)
    if t["model"] not in ("linear", "mlp"):
        return {}  # Nobody writes the backward pass of these by hand.
    x, y, batch, w = t["x"], t["y"], t["batch"], t["parameters"]
    batches, rows = len(x) // batch, np.arange(batch)
    rate = np.float32(t["rate"])
    state = {k: (np.zeros_like(v), np.zeros_like(v)) for k, v in w.items()}
    done = 0

    def gradient(xb, yb):
        if t["model"] == "linear":
            a = xb @ w["w1"]
            d = (a @ w["w2"] - yb) * np.float32(2 / batch)
            return {"w2": a.T @ d, "w1": xb.T @ (d @ w["w2"].T)}
        layers = len(w) // 2
        h = [xb]
        for i in range(layers):
            z = h[-1] @ w[f"w{i}"]
            z += w[f"b{i}"]
            h.append(np.maximum(z, 0, out=z) if i < layers - 1 else z)
        d = h.pop()
        d -= d.max(axis=1, keepdims=True)
        np.exp(d, out=d)
        d /= d.sum(axis=1, keepdims=True)
        d[rows, yb] -= 1
        d *= np.float32(1 / batch)
        g = {}
        for i in reversed(range(layers)):
            g[f"w{i}"], g[f"b{i}"] = h[i].T @ d, d.sum(axis=0)
            if i:
                d = d @ w[f"w{i}"].T
                d *= h[i] > 0
        return g

    def run(n):
        nonlocal done
        for _ in range(n):
            at = done % batches * batch
            done += 1
            g = gradient(x[at : at + batch], y[at : at + batch])
            if t["optimizer"] == "sgd":
                for k in w:
                    g[k] *= rate
                    w[k] -= g[k]
                continue
            a = np.float32(t["rate"] * np.sqrt(1 - 0.999**done) / (1 - 0.9**done))
            for k, (m, v) in state.items():
                m *= np.float32(0.9)
                m += np.float32(0.1) * g[k]
                v *= np.float32(0.999)
                v += np.float32(0.001) * g[k] ** 2
                w[k] -= a * m / (np.sqrt(v) + np.float32(1e-8))

    return {"numpy": run}


def product(form, m, k, n):
    a, b = workloads.factors(form, m, k, n)
    a, b = a.T if form == "atb" else a, b.T if form == "abt" else b
    out = np.empty((m, n), np.float32)
    return {"numpy": lambda times: [np.matmul(a, b, out=out) for _ in range(times)]}


def function(name):
    x = workloads.arguments(name)
    out = np.empty_like(x)

    def sigmoid(x, out):
        np.negative(x, out=out)
        np.exp(out, out=out)
        np.add(out, np.float32(1), out=out)
        np.reciprocal(out, out=out)

    f = sigmoid if name == "sigmoid" else getattr(np, name)
    return {"numpy": lambda times: [f(x, out=out) for _ in range(times)]}


def compile_ms(_):
    return {}
