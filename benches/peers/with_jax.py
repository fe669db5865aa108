"""JAX: one jitted step a call, and the whole loop under one jit (`lax.scan`)."""
import time

import jax
import jax.numpy as jnp
from jax import lax

import workloads

VERSION = f"jax {jax.__version__}"


def use_threads(_):
    pass  # XLA_FLAGS and OMP_NUM_THREADS say it.


def cross_entropy(logits, label):
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), label[:, None], axis=1))


def mlp(w, x):
    layers = len(w) // 2
    for i in range(layers):
        x = x @ w[f"w{i}"] + w[f"b{i}"]
        x = jax.nn.relu(x) if i < layers - 1 else x
    return x


def cnn(w, x):
    for i in range(2):
        x = lax.conv_general_dilated(x, w[f"k{i}"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        x = jax.nn.relu(x + w[f"b{i}"])
    x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
    return x.reshape(x.shape[0], -1) @ w["w"] + w["b"]


def lstm(w, x):
    def cell(carry, gates):
        h, c = carry
        i, f, g, o = jnp.split(gates + h @ w["wh"], 4, axis=1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), None

    zero = jnp.zeros((x.shape[0], 128), jnp.float32)
    (h, _), _ = lax.scan(cell, (zero, zero), jnp.swapaxes(x @ w["wx"] + w["b"], 0, 1))
    return h @ w["w"] + w["c"]


def attention(w, x):
    centred = x - x.mean(axis=-1, keepdims=True)
    normed = centred / jnp.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-5) * w["gamma"] + w["beta"]
    heads = lambda z: (normed @ z).reshape(x.shape[0], 64, 4, 16).transpose(0, 2, 1, 3)
    q, k, v = heads(w["wq"]), heads(w["wk"]), heads(w["wv"])
    seen = jax.nn.softmax(q @ k.swapaxes(2, 3) / 4, axis=-1) @ v
    return x + seen.transpose(0, 2, 1, 3).reshape(x.shape) @ w["wo"]


LOSSES = {
    "linear": lambda w, x, y: jnp.mean((x @ w["w1"] @ w["w2"] - y) ** 2),
    "mlp": lambda w, x, y: cross_entropy(mlp(w, x), y),
    "cnn": lambda w, x, y: cross_entropy(cnn(w, x), y),
    "lstm": lambda w, x, y: cross_entropy(lstm(w, x), y),
    "attention": lambda w, x, y: jnp.mean((attention(w, x) - y) ** 2),
}


def train(name):
    t = workloads.training(name)
    loss, rate, batch = LOSSES[t["model"]], t["rate"], t["batch"]
    x, y = jnp.asarray(t["x"]), jnp.asarray(t["y"])
    batches = len(t["x"]) // batch
    tree = jax.tree_util.tree_map

    def step(state, xb, yb, i):
        w, m, v = state
        g = jax.grad(loss)(w, xb, yb)
        if t["optimizer"] == "sgd":
            return tree(lambda w, g: w - rate * g, w, g), m, v
        n = (i + 1).astype(jnp.float32)
        a = rate * jnp.sqrt(1 - 0.999**n) / (1 - 0.9**n)
        m = tree(lambda m, g: 0.9 * m + 0.1 * g, m, g)
        v = tree(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
        return tree(lambda w, m, v: w - a * m / (jnp.sqrt(v) + 1e-8), w, m, v), m, v

    def start():
        w = tree(jnp.array, t["parameters"])
        zeros = lambda: tree(jnp.zeros_like, w) if t["optimizer"] == "adam" else {}
        return w, zeros(), zeros()

    def rows(i, values):
        return lax.dynamic_slice_in_dim(values, i % batches * batch, batch)

    def scanned(state, n):
        return lax.fori_loop(0, n, lambda i, s: step(s, rows(i, x), rows(i, y), i), state)

    loop = jax.jit(scanned, donate_argnums=0)
    one = jax.jit(step, donate_argnums=0)
    split = [(x[i * batch : (i + 1) * batch], y[i * batch : (i + 1) * batch]) for i in range(batches)]
    numbers = [jnp.int32(i) for i in range(batches)]
    states = {"scan": start(), "jit": start()}

    def run_loop(n):
        states["scan"] = jax.block_until_ready(loop(states["scan"], n))

    def run_steps(n):
        state = states["jit"]
        for i in range(n):
            state = one(state, *split[i % batches], numbers[i % batches])
        states["jit"] = jax.block_until_ready(state)

    return {"jax scan": run_loop, "jax jit": run_steps}


def product(form, m, k, n):
    a, b = (jnp.asarray(z) for z in workloads.factors(form, m, k, n))
    f = jax.jit(lambda a, b: (a.T if form == "atb" else a) @ (b.T if form == "abt" else b))
    return {"jax jit": lambda times: [f(a, b).block_until_ready() for _ in range(times)]}


def function(name):
    x = jnp.asarray(workloads.arguments(name))
    f = jax.nn.sigmoid if name == "sigmoid" else getattr(jnp, name)
    # Each round's arguments depend on the last one's values, so that no round can be left out.
    loop = jax.jit(lambda x, n: lax.fori_loop(0, n, lambda _, z: z + jnp.float32(1e-9) * f(z), x))
    return {"jax scan": lambda times: jax.block_until_ready(loop(x, times))}


def compile_ms(layers):
    w, x, y = workloads.deep(layers)
    w = jax.tree_util.tree_map(jnp.asarray, w)
    x, y = jnp.asarray(x), jnp.asarray(y)
    jax.clear_caches()

    def step(w, x, y):
        g = jax.grad(LOSSES["mlp"])(w, x, y)
        return jax.tree_util.tree_map(lambda w, g: w - 0.01 * g, w, g)

    start = time.perf_counter()
    jax.jit(step).lower(w, x, y).compile()
    return {"jax": (time.perf_counter() - start) * 1e3}
