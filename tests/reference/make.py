#!/usr/bin/env python3
"""Makes the numbers that tests/reference.rs compares with: `python make.py` rewrites the *.json beside it.

Not part of the tests. The numbers in the repository were made with
    pip install tensorflow-cpu==2.21.0      (brings keras 3.15.1 and numpy 2.4.6; Python 3.11)
Everything is computed in float64, on the CPU. Inputs, weights and rates are multiples of a power of two, so that an
f32 run starts from the same numbers.

NAME.json belongs to the program NAME.nn and holds
    equals    which framework call each name of the program is
    data      the columns of the dataset `data`, [rows, ...]
    weights   what every variable of the program is set to before anything else; states start as they are declared
    before    expressions of the program and their values over `data`, not training
    losses    the loss of each of the 20 steps of the program's training, before that step's update
    after     expressions and their values over `data` when the training is done
A tensor is {"dtype", "shape", "data"}, its elements in row-major order.

What our layers compute, and so what is compared:
    dense           x @ w + b                               keras.layers.Dense
    conv            NHWC, kernel [height, width, in, out]   keras.layers.Conv2D
    max_pool2d, avg_pool2d                                  tf.nn.max_pool2d, tf.nn.avg_pool2d
    embedding       rows of the table                       keras.layers.Embedding
    rnn             h = tanh(x @ wx + h' @ wh + b)          keras.layers.SimpleRNN
    lstm            gates i, f, g, o side by side           keras.layers.LSTM
    gru             gates z, r, h, two biases               keras.layers.GRU(reset_after=True)
    attention       softmax(q k' / sqrt(d / heads)) v @ wo  keras.layers.MultiHeadAttention(use_bias=False)
    layer_norm      last axis, variance / n, epsilon 1e-5   keras.layers.LayerNormalization(epsilon=1e-5)
    batch_norm      all axes but the last, variance / n,
                    epsilon 1e-3, moving averages           keras.layers.BatchNormalization
The recurrent layers give the outputs of all steps, from zeros. What each loss and activation equals stands in "equals".
"""
import json
import os
import pathlib

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import keras
import numpy as np
import tensorflow as tf

keras.backend.set_floatx("float64")
HERE = pathlib.Path(__file__).parent
STEPS = 20


class Numbers:
    """Inputs: multiples of 1/64 from a fixed stream for each case."""

    def __init__(self, seed):
        self.stream = np.random.RandomState(seed)

    def __call__(self, *shape, low=-1.0, high=1.0):
        return self.stream.randint(int(low * 64), int(high * 64) + 1, shape) / 64

    def integers(self, count, *shape):
        return self.stream.randint(0, count, shape)


def tensor(value):
    value = np.asarray(value)
    dtype = {"f": "f64", "i": "i64"}[value.dtype.kind]
    return {"dtype": dtype, "shape": list(value.shape), "data": value.flatten().tolist()}


def write(name, equals, data, weights=None, before=None, losses=None, after=None):
    def tensors(values):
        return {key: tensor(value) for key, value in (values or {}).items()}

    case = {
        "made_with": f"tensorflow {tf.__version__}, keras {keras.__version__}, float64",
        "equals": equals,
        "data": tensors(data),
        "weights": tensors(weights),
        "before": tensors(before),
        "losses": losses or [],
        "after": tensors(after),
    }
    # One line for each tensor, so that a changed number is a changed line.
    def block(value):
        if not isinstance(value, dict) or not value:
            return json.dumps(value)
        return "{\n  " + ",\n  ".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in value.items()) + "}"

    text = "{\n" + ",\n".join(f'"{key}": {block(value)}' for key, value in case.items()) + "\n}\n"
    (HERE / f"{name}.json").write_text(text)


def values_of(outputs, sources, scalar="l"):
    """The outputs, and the gradient of one of them with respect to each source.

    `outputs` computes {name: tensor}; `sources` is {name in the program: tensor or variable}."""
    with tf.GradientTape() as tape:
        for source in sources.values():
            tape.watch(source)
        made = outputs()
    grads = tape.gradient(made[scalar], list(sources.values()))
    for (name, source), grad in zip(sources.items(), grads):
        made[f"grad({scalar}, {name})"] = tf.convert_to_tensor(grad)
    return {name: np.asarray(value) for name, value in made.items()}


def descend(loss, variables, update):
    """STEPS steps; `update` gets [(gradient, variable)]. The loss of each step is that before its update."""
    losses = []
    for _ in range(STEPS):
        with tf.GradientTape() as tape:
            value = loss()
        update(list(zip([tf.convert_to_tensor(g) for g in tape.gradient(value, variables)], variables)))
        losses.append(float(value))
    return losses


def sgd(rate):
    def update(pairs):
        for grad, variable in pairs:
            variable.assign(variable - rate * grad)

    return update


# Functions


def activations():
    n = Numbers(1)
    x = n(4, 5, low=-4, high=4)
    x[0] = [0, -20, 20, 1 / 64, -1 / 64]
    c = n(4, 5)
    calls = {
        "relu(x)": ("tf.nn.relu", tf.nn.relu),
        # TensorFlow keeps alpha in float32: its default, 0.2, would differ.
        "leaky_relu(x, alpha=0.25)": ("tf.nn.leaky_relu(alpha=0.25)", lambda v: tf.nn.leaky_relu(v, alpha=0.25)),
        "elu(x)": ("tf.nn.elu", tf.nn.elu),
        # tf.nn.gelu(approximate=False) rounds 1 / sqrt(2) to float32, in float64 too.
        "gelu(x)": ("0.5 * x * (1 + tf.math.erf(x / sqrt(2)))", lambda v: 0.5 * v * (1 + tf.math.erf(v / np.sqrt(2)))),
        "silu(x)": ("tf.nn.silu", tf.nn.silu),
        "softplus(x)": ("tf.nn.softplus", tf.nn.softplus),
        "softmax(x)": ("tf.nn.softmax", tf.nn.softmax),
        "log_softmax(x)": ("tf.nn.log_softmax", tf.nn.log_softmax),
    }
    before = {}
    xt = tf.constant(x)
    for name, (_, call) in calls.items():
        made = values_of(lambda call=call: {"y": call(xt), "l": tf.reduce_sum(call(xt) * c)}, {"x": xt})
        before[name] = made["y"]
        before[f"grad(sum({name} * c), x)"] = made["grad(l, x)"]
    write("activations", {name: text for name, (text, _) in calls.items()}, {"x": x, "c": c}, before=before)


def losses():
    n = Numbers(2)
    rows, classes = 8, 4                       # with 8 rows the share that a metric gives is exact in float32
    p, t = n(rows, classes, low=-3, high=3), n(rows, classes, low=-3, high=3)
    p[0, 0] = t[0, 0]
    sign = n.integers(2, rows, classes).astype(float)
    z = n(rows, classes, low=-8, high=8)
    label = n.integers(classes, rows)
    # Rows of probabilities with exact sums: counts of 64.
    q = np.array([[16, 16, 16, 16], [1, 2, 3, 58], [32, 8, 8, 16], [5, 7, 11, 41], [62, 0, 1, 1], [0, 64, 0, 0],
                  [3, 9, 27, 25], [40, 8, 8, 8]]) / 64
    q1 = np.array([[8, 8, 16, 32], [1, 1, 61, 1], [32, 8, 8, 16], [20, 20, 20, 4], [2, 60, 1, 1], [9, 9, 9, 37],
                   [1, 2, 4, 57], [16, 24, 8, 16]]) / 64
    q2 = np.array([[16, 16, 16, 16], [1, 2, 3, 58], [2, 28, 18, 16], [5, 7, 11, 41], [58, 4, 1, 1], [9, 7, 7, 41],
                   [57, 4, 2, 1], [16, 24, 8, 16]]) / 64
    calls = {
        "mse(p, t)": ("keras.losses.MeanSquaredError()", "p", lambda v: keras.losses.MeanSquaredError()(t, v), p),
        "mae(p, t)": ("keras.losses.MeanAbsoluteError()", "p", lambda v: keras.losses.MeanAbsoluteError()(t, v), p),
        "huber(p, t)": ("keras.losses.Huber()", "p", lambda v: keras.losses.Huber()(t, v), p),
        "huber(p, t, delta=2.5)": (
            "keras.losses.Huber(delta=2.5)", "p", lambda v: keras.losses.Huber(delta=2.5)(t, v), p),
        "hinge(p, sign)": ("keras.losses.Hinge()", "p", lambda v: keras.losses.Hinge()(sign, v), p),
        "cross_entropy(z, label)": (
            "keras.losses.SparseCategoricalCrossentropy(from_logits=True)", "z",
            lambda v: keras.losses.SparseCategoricalCrossentropy(from_logits=True)(label, v), z),
        "cross_entropy(z, q)": (
            "keras.losses.CategoricalCrossentropy(from_logits=True)", "z",
            lambda v: keras.losses.CategoricalCrossentropy(from_logits=True)(q, v), z),
        "binary_cross_entropy(z, sign)": (
            "keras.losses.BinaryCrossentropy(from_logits=True)", "z",
            lambda v: keras.losses.BinaryCrossentropy(from_logits=True)(sign, v), z),
        "cross_entropy_probs(q, t)": (
            "-tf.reduce_mean(y * tf.math.log(tf.clip_by_value(p, 1e-12, 1)))", "q",
            lambda v: -tf.reduce_mean(t * tf.math.log(tf.clip_by_value(v, 1e-12, 1.0))), q),
        "kl_divergence(q1, q2)": (
            "keras.losses.KLDivergence(): ours is the same where no probability is below 1e-7", "q2",
            lambda v: keras.losses.KLDivergence()(q1, v), q2),
        "l1(p)": ("keras.regularizers.L1(1)", "p", lambda v: keras.regularizers.L1(1.0)(v), p),
        "l2(p)": ("keras.regularizers.L2(1)", "p", lambda v: keras.regularizers.L2(1.0)(v), p),
    }
    before = {}
    for name, (_, source, call, at) in calls.items():
        at = tf.constant(at)
        made = values_of(lambda: {"l": call(at)}, {source: at})
        before[name] = made["l"]
        before[f"grad({name}, {source})"] = made[f"grad(l, {source})"]
    equals = {name: text for name, (text, *_) in calls.items()}
    accuracy = keras.metrics.SparseCategoricalAccuracy()
    before["accuracy(z, label)"] = np.float64(accuracy(label, z))
    equals["accuracy(z, label)"] = "keras.metrics.SparseCategoricalAccuracy()"
    for k in [1, 2, 3]:
        share = keras.metrics.SparseTopKCategoricalAccuracy(k=k)(label, z.astype("f4"))
        before[f"top_k_accuracy(z, label, k={k})"] = np.float64(share)
        equals[f"top_k_accuracy(z, label, k={k})"] = f"keras.metrics.SparseTopKCategoricalAccuracy(k={k})"
    data = {"p": p, "t": t, "sign": sign, "z": z, "label": label, "q": q, "q1": q1, "q2": q2}
    write("losses", equals, data, before=before)


def optimizers():
    """Twenty steps of a least-squares fit with two variables, one program for each optimizer."""
    v1 = tf.compat.v1.train
    cases = {
        "adamw": ("keras.optimizers.AdamW", lambda: keras.optimizers.AdamW(
            learning_rate=2**-4, weight_decay=2**-3, beta_1=0.75, beta_2=0.875, epsilon=2**-20)),
        "adadelta": ("tf.compat.v1.train.AdadeltaOptimizer", lambda: v1.AdadeltaOptimizer(
            1.0, rho=0.75, epsilon=2**-12)),
        "rmsprop_centered": ("tf.compat.v1.train.RMSPropOptimizer(centered=True)", lambda: v1.RMSPropOptimizer(
            2**-4, decay=0.75, momentum=0.5, epsilon=2**-20, centered=True)),
        "clip_norm": ("tf.clip_by_global_norm, then gradient descent", None),
        "clip_value": ("tf.clip_by_value, then gradient descent", None),
    }
    n = Numbers(3)
    x, y = n(8, 3), n(8, 2, low=-3, high=3)
    for name, (text, make) in cases.items():
        w, b = tf.Variable(np.zeros((3, 2))), tf.Variable(np.ones(2) * 0.5)
        rule = make() if make else None

        def update(pairs):
            if rule:
                rule.apply_gradients(pairs)
                return
            grads = [g for g, _ in pairs]
            if name == "clip_norm":
                grads, _ = tf.clip_by_global_norm(grads, 0.5)
            else:
                grads = [tf.clip_by_value(g, -0.5, 0.5) for g in grads]
            for grad, variable in zip(grads, [w, b]):
                variable.assign(variable - 0.125 * grad)

        steps = descend(lambda: tf.reduce_mean(tf.square(x @ w + b - y)), [w, b], update)
        write(f"optimizer_{name}", {name: text}, {"x": x, "y": y}, losses=steps, after={"w": w.numpy(), "b": b.numpy()})


# Layers


def layer(name, equals, call, data, weights, sources=("x",), coefficients=None, train=None, extra=None):
    """Compares `y`, `l = sum(y * c)` and the gradients of l; then, with `train = (rate, target)`, gradient descent of
    mean(square(y - t)). `weights` is {name in the program: variable}; `call(x, training)` uses them."""
    x = data["x"]
    trained = {key: w for key, w in weights.items() if w.trainable}
    start = {key: w.numpy() for key, w in weights.items()}
    with_x = {"x": tf.constant(x)} if "x" in sources else {}
    feed = with_x.get("x", x)
    y = np.asarray(call(feed, False))
    c = Numbers(sum(map(ord, name)))(*y.shape) if coefficients is None else coefficients
    before = values_of(
        lambda: {"y": call(feed, False), "l": tf.reduce_sum(call(feed, False) * c)}, {**with_x, **trained}
    )
    before.update(extra or {})
    data = {**data, "c": c}
    steps = after = None
    if train:
        rate, target = train
        data["t"] = target
        steps = descend(
            lambda: tf.reduce_mean(tf.square(call(x, True) - target)), list(trained.values()), sgd(rate)
        )
        assert steps[-1] < steps[0], (name, steps)
        after = {key: w.numpy() for key, w in weights.items()} | {"y": np.asarray(call(x, False))}
    write(name, equals, data, {key: start[key] for key in trained}, before, steps, after)


def built(module, x, *args, **kwargs):
    """A Keras layer whose weights exist."""
    module(x, *args, **kwargs)
    return module


def dense():
    n = Numbers(10)
    x = n(5, 4)
    module = built(keras.layers.Dense(3), x)
    module.set_weights([n(4, 3), n(3)])
    w, b = module.trainable_variables
    layer("dense", {"y": "keras.layers.Dense(3)"}, lambda v, _: module(v), {"x": x},
          {"y.w": w.value, "y.b": b.value}, train=(0.25, n(5, 3)))


def conv():
    n = Numbers(11)
    x = n(2, 5, 6, 2)
    for name, size, stride, padding in [
        ("same", 3, 1, "same"), ("valid", 3, 1, "valid"), ("same_stride_2", 3, 2, "same"),
        ("valid_stride_2", 2, 2, "valid"), ("even_same", 2, 1, "same"), ("wide_same", (1, 4), (2, 1), "same"),
    ]:
        module = built(keras.layers.Conv2D(3, size, strides=stride, padding=padding), x)
        module.set_weights([n(*module.kernel.shape), n(3)])
        w, b = module.trainable_variables
        y = module(x)
        text = f"keras.layers.Conv2D(3, {size}, strides={stride}, padding={padding!r})"
        # The two that a net has: one that keeps the size and one that halves it.
        train = (0.25, n(*y.shape)) if name in ("same", "same_stride_2") else None
        layer(f"conv_{name}", {"y": text}, lambda v, _, module=module: module(v), {"x": x},
              {"y.w": w.value, "y.b": b.value}, train=train)


def pools():
    n = Numbers(12)
    x = n(2, 5, 6, 2, low=-4, high=4)
    # A tie in the first channel: max_pool2d sends the gradient to the first of equal ones.
    x[:, :2, :3, 0] = 4.5
    before, equals = {}, {}
    xt = tf.constant(x)
    for kind, pool in [("max", tf.nn.max_pool2d), ("avg", tf.nn.avg_pool2d)]:
        for padding in ["valid", "same"]:
            for size, stride in [(2, 2), (3, 2), (2, 1)]:
                name = f"{kind}_{padding}_{size}_{stride}"
                equals[name] = f"tf.nn.{kind}_pool2d(x, {size}, {stride}, {padding.upper()!r})"

                def outputs():
                    y = pool(xt, size, stride, padding.upper())
                    return {"y": y, "l": tf.reduce_sum(tf.square(y))}

                made = values_of(outputs, {"x": xt})
                before |= {name: made["y"], f"grad(sum(square({name})), x)": made["grad(l, x)"]}
    write("pools", equals, {"x": x}, before=before)


def embedding():
    n = Numbers(13)
    x = n.integers(7, 4, 3)
    x[0] = [2, 2, 2]
    module = built(keras.layers.Embedding(7, 5), x)
    module.set_weights([n(7, 5)])
    (w,) = module.trainable_variables
    layer("embedding", {"y": "keras.layers.Embedding(7, 5)"}, lambda v, _: module(v), {"x": x},
          {"y.w": w.value}, sources=(), train=(1.0, n(4, 3, 5)))


def recurrent():
    n = Numbers(14)
    x = n(3, 5, 2)
    units = 4
    for name, module in [
        ("rnn", keras.layers.SimpleRNN(units, return_sequences=True)),
        ("lstm", keras.layers.LSTM(units, return_sequences=True)),
        ("gru", keras.layers.GRU(units, return_sequences=True, reset_after=True)),
    ]:
        wx, wh, b = built(module, x).trainable_variables
        weights = {"y.wx": tf.Variable(n(*wx.shape)), "y.wh": tf.Variable(n(*wh.shape))}
        # Keras keeps the two biases of a GRU as rows of one weight, our layer as two variables.
        biases = ["y.bx", "y.bh"] if name == "gru" else ["y.b"]
        weights |= {key: tf.Variable(n(wx.shape[-1])) for key in biases}

        def call(v, _, module=module, weights=weights, own=(wx, wh, b), biases=biases):
            bias = tf.stack([weights[key] for key in biases]) if len(biases) == 2 else weights["y.b"]
            with keras.StatelessScope(state_mapping=list(zip(own, [weights["y.wx"], weights["y.wh"], bias]))):
                return module(v)

        text = f"keras.layers.{type(module).__name__}({units}, return_sequences=True)"
        layer(name, {"y": text}, call, {"x": x}, weights, train=(0.5, n(3, 5, units)))


def attention():
    n = Numbers(15)
    t = 5
    for heads, causal in [(1, False), (1, True), (2, False), (2, True)]:
        # Keras rounds 1 / sqrt(d / heads) to float32; 1 / 2 it keeps.
        d = 4 * heads
        x = n(3, t, d)
        module = keras.layers.MultiHeadAttention(heads, d // heads, use_bias=False)
        built(module, x, x)
        weights = {f"y.{key}": tf.Variable(n(d, d)) for key in ["wq", "wk", "wv", "wo"]}

        def call(v, _, module=module, weights=weights, heads=heads, causal=causal, d=d):
            """The layer's own computation, with its four kernels put in as reshaped views of ours."""
            split = (d, heads, d // heads)
            kernels = [
                (module._query_dense, split, "wq"), (module._key_dense, split, "wk"),
                (module._value_dense, split, "wv"), (module._output_dense, (heads, d // heads, d), "wo"),
            ]
            with keras.StatelessScope(
                state_mapping=[(m._kernel, tf.reshape(weights[f"y.{key}"], shape)) for m, shape, key in kernels]
            ):
                return module(v, v, use_causal_mask=causal)

        name = f"attention_{heads}_heads" + ("_causal" if causal else "")
        text = f"keras.layers.MultiHeadAttention({heads}, {d // heads}, use_bias=False)(x, x, use_causal_mask={causal})"
        layer(name, {"y": text}, call, {"x": x}, weights, train=(0.5, n(3, t, d)) if heads == 2 else None)


def layer_norm():
    n = Numbers(16)
    x = n(4, 6, low=-3, high=3)
    module = built(keras.layers.LayerNormalization(epsilon=1e-5), x)
    module.set_weights([n(6, low=0.5, high=2), n(6)])
    gamma, beta = module.trainable_variables
    layer("layer_norm", {"y": "keras.layers.LayerNormalization(epsilon=1e-5)"}, lambda v, _: module(v), {"x": x},
          {"y.gamma": gamma.value, "y.beta": beta.value}, train=(0.5, n(4, 6)))


def batch_norm():
    n = Numbers(17)
    for name, shape in [("batch_norm", (6, 3)), ("batch_norm_images", (3, 2, 2, 3))]:
        x = n(*shape, low=-3, high=3)
        # A dense layer in front: its weights are trained through the batch's own mean and variance.
        front = built(keras.layers.Dense(3), x)
        front.set_weights([n(3, 3), n(3)])
        module = built(keras.layers.BatchNormalization(momentum=0.75), x)
        module.set_weights([n(3, low=0.5, high=2), n(3), np.zeros(3), np.ones(3)])
        gamma, beta, mean, var = module.weights
        w, b = front.trainable_variables
        weights = {"h.w": w.value, "h.b": b.value, "y.gamma": gamma.value, "y.beta": beta.value,
                   "y.mean": mean.value, "y.var": var.value}
        text = {"h": "keras.layers.Dense(3)", "y": "keras.layers.BatchNormalization(momentum=0.75)"}
        layer(name, text, lambda v, training: module(front(v), training=training), {"x": x}, weights,
              train=(0.25, n(*shape)))


def initializers():
    """Not the numbers, which are another generator's, but their limits and standard deviations."""
    from keras.src.initializers.random_initializers import compute_fans

    data = {}
    for shape in [(50, 30), (3, 3, 8, 20)]:
        fan_in, fan_out = compute_fans(shape)
        for name, module in [
            ("glorot_uniform", keras.initializers.GlorotUniform(seed=1)),
            ("glorot_normal", keras.initializers.GlorotNormal(seed=1)),
            ("he_uniform", keras.initializers.HeUniform(seed=1)),
            ("he_normal", keras.initializers.HeNormal(seed=1)),
            ("lecun_normal", keras.initializers.LecunNormal(seed=1)),
        ]:
            n = {"fan_in": fan_in, "fan_avg": (fan_in + fan_out) / 2}[module.mode]
            stddev = (module.scale / n) ** 0.5
            uniform = module.distribution == "uniform"
            limit = 3**0.5 * stddev if uniform else 2 * stddev / 0.87962566103423978
            # The framework's own draws keep to what is written down here.
            drawn = np.asarray(module(shape))
            assert abs(drawn.std() / stddev - 1) < 0.06 and 0.9 < abs(drawn).max() / limit <= 1, (name, shape)
            data[f"{name}() {list(shape)}"] = np.array([stddev, limit])
    write("initializers", {"": "keras.initializers: standard deviation and largest absolute value"}, data)


if __name__ == "__main__":
    for make in [activations, losses, optimizers, dense, conv, pools, embedding, recurrent, attention, layer_norm,
                 batch_norm, initializers]:
        make()
