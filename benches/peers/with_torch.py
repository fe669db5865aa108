"""PyTorch: eager with its own optimizers, and `torch.compile` of the functional step."""
import os
import time

os.environ["TORCHINDUCTOR_FORCE_DISABLE_CACHES"] = "1"

import torch
import torch.nn.functional as F

import workloads

VERSION = f"torch {torch.__version__}"


def use_threads(n):
    torch.set_num_threads(n)


def mlp(w, x):
    layers = len(w) // 2
    for i in range(layers):
        x = torch.addmm(w[f"b{i}"], x, w[f"w{i}"])
        x = F.relu(x) if i < layers - 1 else x
    return x


def cnn(w, x):
    for i in range(2):
        x = F.relu(F.conv2d(x, w[f"k{i}"], w[f"b{i}"], padding=1))
    return torch.addmm(w["b"], F.max_pool2d(x, 2).flatten(1), w["w"])


def attention(w, x):
    normed = F.layer_norm(x, (64,), w["gamma"], w["beta"])
    heads = lambda z: (normed @ z).view(x.shape[0], 64, 4, 16).transpose(1, 2)
    seen = F.scaled_dot_product_attention(heads(w["wq"]), heads(w["wk"]), heads(w["wv"]))
    return x + seen.transpose(1, 2).reshape(x.shape) @ w["wo"]


LOSSES = {
    "linear": lambda w, x, y: F.mse_loss(x @ w["w1"] @ w["w2"], y),
    "mlp": lambda w, x, y: F.cross_entropy(mlp(w, x), y),
    "cnn": lambda w, x, y: F.cross_entropy(cnn(w, x), y),
    "attention": lambda w, x, y: F.mse_loss(attention(w, x), y),
}


def train(name):
    t = workloads.training(name)
    x, y, batch = torch.from_numpy(t["x"]), torch.from_numpy(t["y"]), t["batch"]
    y = y if y.is_floating_point() else y.long()
    w = {k: torch.from_numpy(v.copy()) for k, v in t["parameters"].items()}
    if t["model"] == "cnn":
        # PyTorch's own layout: channels before rows and columns.
        x = x.permute(0, 3, 1, 2).contiguous()
        w.update({k: v.permute(3, 2, 0, 1).contiguous() for k, v in w.items() if k.startswith("k")})
    batches = len(x) // batch
    parameters = list(w.values())
    if t["model"] == "lstm":
        layer, last = torch.nn.LSTM(64, 128, batch_first=True), torch.nn.Linear(128, 10)
        parameters = [*layer.parameters(), *last.parameters()]
        loss = lambda w, x, y: F.cross_entropy(last(layer(x)[0][:, -1]), y)
    else:
        loss = LOSSES[t["model"]]
    for p in parameters:
        p.requires_grad_(True)
    optimizer = (torch.optim.Adam if t["optimizer"] == "adam" else torch.optim.SGD)(parameters, lr=t["rate"])

    def run(loss):
        def steps(n):
            for i in range(n):
                at = i % batches * batch
                optimizer.zero_grad()
                loss(w, x[at : at + batch], y[at : at + batch]).backward()
                optimizer.step()

        return steps

    return {"torch": run(loss), "torch.compile": run(torch.compile(loss))}


def product(form, m, k, n):
    a, b = (torch.from_numpy(z) for z in workloads.factors(form, m, k, n))
    a, b = a.T if form == "atb" else a, b.T if form == "abt" else b
    out = torch.empty(m, n)
    return {"torch": lambda times: [torch.mm(a, b, out=out) for _ in range(times)]}


def function(name):
    x = torch.from_numpy(workloads.arguments(name))
    out, f = torch.empty_like(x), getattr(torch, name)
    return {"torch": lambda times: [f(x, out=out) for _ in range(times)]}


def compile_ms(layers):
    if layers > 8:
        return {}  # Minutes.
    w, x, y = workloads.deep(layers)
    w = {k: torch.from_numpy(v).requires_grad_(True) for k, v in w.items()}
    x, y = torch.from_numpy(x), torch.from_numpy(y).long()
    torch._dynamo.reset()
    start = time.perf_counter()
    torch.compile(LOSSES["mlp"])(w, x, y).backward()
    return {"torch.compile": (time.perf_counter() - start) * 1e3}
