"""What every peer is given: the sizes, rows and start values of the programs in benches/*.nn."""
import os

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
FUNCTIONS = ("exp", "log", "tanh", "sigmoid")
ELEMENTS = 8192
FORMS = ("ab", "atb", "abt")


def digits():
    table = np.loadtxt(os.path.join(HERE, "..", "data", "digits_1472.csv"), delimiter=",", dtype=np.float32)
    return table[:, :64] / 16, table[:, 64].astype(np.int32)


def matrix(r, rows, columns):
    """He's start values; a step takes the same time for any."""
    return (r.standard_normal((rows, columns)) * np.sqrt(2 / rows)).astype(np.float32)


def training(name):
    """A dict: model, x, y, batch, optimizer, rate, parameters (a dict by name)."""
    r = np.random.RandomState(0)
    w = {}
    given = dict(optimizer="sgd", rate=0.05, parameters=w)
    if name == "w1":
        x = np.random.RandomState(23455).rand(32, 2)
        y = (x.sum(axis=1, keepdims=True) < 1).astype(np.float32)
        w.update(w1=matrix(r, 2, 3), w2=matrix(r, 3, 1))
        return dict(given, model="linear", x=x.astype(np.float32), y=y, batch=8, rate=0.001)
    if name in ("w2", "w3", "w3a"):
        sizes = [64, 64, 10] if name == "w2" else [784, 256, 128, 10]
        for i, (a, b) in enumerate(zip(sizes, sizes[1:])):
            w[f"w{i}"], w[f"b{i}"] = matrix(r, a, b), np.zeros(b, np.float32)
        adam = dict(optimizer="adam", rate=0.001) if name != "w3" else {}
        if name == "w2":
            x, y = digits()
            return dict(given, model="mlp", x=x, y=y, batch=32, **adam)
        x, y = r.rand(9984, 784).astype(np.float32), r.randint(0, 10, 9984).astype(np.int32)
        return dict(given, model="mlp", x=x, y=y, batch=128, **adam)
    if name == "cnn":
        x, y = digits()
        w.update(k0=matrix(r, 9, 16).reshape(3, 3, 1, 16), b0=np.zeros(16, np.float32))
        w.update(k1=matrix(r, 144, 32).reshape(3, 3, 16, 32), b1=np.zeros(32, np.float32))
        w.update(w=matrix(r, 512, 10), b=np.zeros(10, np.float32))
        return dict(given, model="cnn", x=x.reshape(-1, 8, 8, 1), y=y, batch=32, optimizer="adam", rate=0.001)
    if name == "lstm":
        w.update(wx=matrix(r, 64, 512), wh=matrix(r, 128, 512), b=np.zeros(512, np.float32))
        w.update(w=matrix(r, 128, 10), c=np.zeros(10, np.float32))
        x, y = r.rand(256, 32, 64).astype(np.float32), r.randint(0, 10, 256).astype(np.int32)
        return dict(given, model="lstm", x=x, y=y, batch=32)
    if name == "attention":
        w.update(gamma=np.ones(64, np.float32), beta=np.zeros(64, np.float32))
        w.update({k: matrix(r, 64, 64) for k in ("wq", "wk", "wv", "wo")})
        x, y = r.rand(64, 64, 64).astype(np.float32), r.rand(64, 64, 64).astype(np.float32)
        return dict(given, model="attention", x=x, y=y, batch=16)
    raise KeyError(name)


def deep(layers):
    """Start values and a batch of the deep net whose compile time is measured."""
    r = np.random.RandomState(0)
    sizes = [32] * (layers + 1) + [10]
    w = {}
    for i, (a, b) in enumerate(zip(sizes, sizes[1:])):
        w[f"w{i}"], w[f"b{i}"] = matrix(r, a, b), np.zeros(b, np.float32)
    return w, r.rand(32, 32).astype(np.float32), r.randint(0, 10, 32).astype(np.int32)


def factors(form, m, k, n):
    """The operands of a product as they lie in memory: at is [k, m], bt is [n, k]."""
    r = np.random.RandomState(0)
    a, b = r.rand(m, k).astype(np.float32), r.rand(k, n).astype(np.float32)
    if form == "atb":
        a = np.ascontiguousarray(a.T)
    if form == "abt":
        b = np.ascontiguousarray(b.T)
    return a, b


def arguments(function):
    r = np.random.RandomState(0)
    low, high = (1e-6, 8) if function == "log" else (-8, 8)
    return r.uniform(low, high, ELEMENTS).astype(np.float32)
