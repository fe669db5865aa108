"""TensorFlow: the whole loop as one `tf.function` compiled by XLA, and one step a call."""
import time

import tensorflow as tf

import workloads

VERSION = f"tensorflow {tf.__version__}"


def use_threads(n):
    tf.config.threading.set_intra_op_parallelism_threads(n)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def cross_entropy(logits, label):
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=label, logits=logits))


def mlp(w, x):
    layers = len(w) // 2
    for i in range(layers):
        x = x @ w[f"w{i}"] + w[f"b{i}"]
        x = tf.nn.relu(x) if i < layers - 1 else x
    return x


def cnn(w, x):
    for i in range(2):
        x = tf.nn.relu(tf.nn.conv2d(x, w[f"k{i}"], 1, "SAME") + w[f"b{i}"])
    x = tf.nn.max_pool2d(x, 2, 2, "VALID")
    return tf.reshape(x, [-1, 512]) @ w["w"] + w["b"]


def lstm(w, x):
    gates_of_x = tf.unstack(x @ w["wx"] + w["b"], axis=1)
    h = c = tf.zeros([x.shape[0], 128])
    for gates in gates_of_x:
        i, f, g, o = tf.split(gates + h @ w["wh"], 4, axis=1)
        c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
        h = tf.sigmoid(o) * tf.tanh(c)
    return h @ w["w"] + w["c"]


def attention(w, x):
    centred = x - tf.reduce_mean(x, axis=-1, keepdims=True)
    normed = centred / tf.sqrt(tf.reduce_mean(centred**2, axis=-1, keepdims=True) + 1e-5) * w["gamma"] + w["beta"]
    heads = lambda z: tf.transpose(tf.reshape(normed @ z, [x.shape[0], 64, 4, 16]), [0, 2, 1, 3])
    q, k, v = heads(w["wq"]), heads(w["wk"]), heads(w["wv"])
    seen = tf.nn.softmax(tf.matmul(q, k, transpose_b=True) / 4) @ v
    return x + tf.reshape(tf.transpose(seen, [0, 2, 1, 3]), x.shape) @ w["wo"]


LOSSES = {
    "linear": lambda w, x, y: tf.reduce_mean((x @ w["w1"] @ w["w2"] - y) ** 2),
    "mlp": lambda w, x, y: cross_entropy(mlp(w, x), y),
    "cnn": lambda w, x, y: cross_entropy(cnn(w, x), y),
    "lstm": lambda w, x, y: cross_entropy(lstm(w, x), y),
    "attention": lambda w, x, y: tf.reduce_mean((attention(w, x) - y) ** 2),
}


def gradient(loss, w, x, y):
    with tf.GradientTape() as tape:
        tape.watch(w)
        value = loss(w, x, y)
    return tape.gradient(value, w)


def train(name):
    t = workloads.training(name)
    loss, rate, batch = LOSSES[t["model"]], t["rate"], t["batch"]
    x, y = tf.constant(t["x"]), tf.constant(t["y"])
    batches = len(t["x"]) // batch
    names = list(t["parameters"])

    def step(w, m, v, xb, yb, i):
        g = gradient(loss, dict(zip(names, w)), xb, yb)
        g = [g[k] for k in names]
        if t["optimizer"] == "sgd":
            return [w - rate * g for w, g in zip(w, g)], m, v
        n = tf.cast(i + 1, tf.float32)
        a = rate * tf.sqrt(1 - tf.pow(0.999, n)) / (1 - tf.pow(0.9, n))
        m = [0.9 * m + 0.1 * g for m, g in zip(m, g)]
        v = [0.999 * v + 0.001 * g * g for v, g in zip(v, g)]
        return [w - a * m / (tf.sqrt(v) + 1e-8) for w, m, v in zip(w, m, v)], m, v

    def rows(i, values):
        sizes = [batch, *values.shape[1:]]
        return tf.slice(values, [i % batches * batch] + [0] * (len(sizes) - 1), sizes)

    def body(i, w, m, v):
        return (i + 1, *step(w, m, v, tf.ensure_shape(rows(i, x), [batch, *x.shape[1:]]), rows(i, y), i))

    @tf.function(jit_compile=True)
    def loop(w, m, v, n):
        return tf.while_loop(lambda i, *_: i < n, body, [tf.constant(0), w, m, v], parallel_iterations=1)[1:]

    one = tf.function(step, jit_compile=True)
    w = [tf.constant(p) for p in t["parameters"].values()]
    zeros = [tf.zeros_like(p) for p in w] if t["optimizer"] == "adam" else []
    split = [(x[i * batch : (i + 1) * batch], y[i * batch : (i + 1) * batch]) for i in range(batches)]
    numbers = [tf.constant(i) for i in range(batches)]
    states = {"loop": (w, zeros, zeros), "step": (w, zeros, zeros)}

    def run_loop(n):
        states["loop"] = loop(*states["loop"], tf.constant(n))
        states["loop"][0][0].numpy()

    def run_steps(n):
        state = states["step"]
        for i in range(n):
            state = one(*state, *split[i % batches], numbers[i % batches])
        state[0][0].numpy()
        states["step"] = state

    return {"tf loop": run_loop, "tf step": run_steps}


def product(form, m, k, n):
    a, b = (tf.constant(z) for z in workloads.factors(form, m, k, n))
    return {"tf": lambda times: [tf.matmul(a, b, form == "atb", form == "abt") for _ in range(times)]}


def function(name):
    x, f = tf.constant(workloads.arguments(name)), getattr(tf.math, name)
    return {"tf": lambda times: [f(x) for _ in range(times)]}


def compile_ms(layers):
    w, x, y = workloads.deep(layers)
    w = {k: tf.constant(v) for k, v in w.items()}
    x, y = tf.constant(x), tf.constant(y)

    @tf.function(jit_compile=True)
    def step(w, x, y):
        g = gradient(LOSSES["mlp"], w, x, y)
        return {k: w[k] - 0.01 * g[k] for k in w}

    start = time.perf_counter()
    next(iter(step(w, x, y).values())).numpy()
    return {"tf": (time.perf_counter() - start) * 1e3}
