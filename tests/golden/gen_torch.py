#!/usr/bin/python3
"""Record what PyTorch computes from the weights and data of check_golden_train.c.

    tests/golden/gen_torch.py > tests/golden/golden_torch.h

Needs python3-torch.  Weights and data come from one integer generator, so that the C test makes
the very same floats:
    s = s * 1664525 + 1013904223 mod 2^32;  unit = (s >> 8) / 2^23 - 1, exact in float
    weight = unit * 2^-k, k the whole number nearest to log2(sqrt((in + out) / 6)), where in and out
    are the taps of one output and of one input (dense: the widths); bias = 0
    gru: the same with in = out = units for every matrix and bias, and the biases are drawn too
    batch_norm: nothing is drawn; gamma = 1, beta = 0, mean = 0, variance = 1
    label = (s >> 16) mod classes; target = unit, for binary_cross_entropy (unit + 1) / 2
    weight of class c = 0.5 + c, where classes have weights
Order of the draws, from s = 12345: weights layer after layer (dense [out][in], conv1d
[filters][kernel][ch], dwconv1d [ch][kernel], gru as torch holds them), inputs (n, len, ch), then
labels or targets (n, outputs).  What dropout drops is computed here once more: lib/nn/layer_dropout.c.
"""
import math
import textwrap
import torch
from torch import nn

BATCH = 32
CNN = "conv1d 16x5 same, relu, maxpool 2, conv1d 32x5 same, relu, maxpool 2, flatten, " \
      "dense 64, relu, dense 6"
W1 = "dense 32, relu, dense 16, relu, dense 4"
# Whatever a row does not name.
NORMAL = {"task": "CLASSIFY", "n": 1024, "loss": "cross_entropy", "optim": "adamw", "lr": 1e-3,
          "decay": 0.0, "momentum": 0.9, "nesterov": False, "smoothing": 0.0, "delta": 1.0,
          "weighted": False}
# name, net, len, ch, the rest
NETS = [
    ("W1", W1, 1, 16, {"n": 4096}),
    ("W1 with decay and smoothing", W1, 1, 16, {"n": 4096, "decay": 0.01, "smoothing": 0.1}),
    ("W2", "dense 128, relu, dense 64, relu, dense 10", 1, 64, {"n": 4096}),
    ("W3", "dense 64, relu, dense 16, tanh, dense 64, relu, dense 128", 1, 128,
     {"n": 4096, "task": "AUTOENCODE", "loss": "mse"}),
    ("W4", CNN, 128, 3, {}),
    ("strides, dilation and averages", "conv1d 8x4 stride 2, leaky_relu 0.1, conv1d 6x3 dilation 2, "
     "sigmoid, avgpool 3 stride 2, conv1d 12x2, relu6, globalavgpool, dense 5", 40, 4, {}),
    ("W5", "gru 32, dense 6", 64, 6, {"n": 4096}),
    ("states of all frames, twice", "gru 12 seq, conv1d 6x3, relu, gru 9 seq, globalavgpool, dense 5",
     20, 4, {}),
    ("residual, depthwise and separable", "conv1d 8x3 same, relu, conv1d 8x3 same, add 2, relu, "
     "separable 12x5 stride 2, tanh, dwconv1d 3 dilation 2, dwconv1d 4 stride 2, "
     "globalavgpool, dense 5", 40, 4, {}),
    ("residual over residual", "dwconv1d 3 same, add 1, tanh, separable 4x3 same, add 2, gru 4 seq, "
     "add 3, flatten, dense 5", 16, 4, {}),
    ("batch norm", "conv1d 8x5, batch_norm, relu, maxpool 2, separable 12x3 same, batch_norm, relu, "
     "flatten, dense 16, batch_norm, tanh, dense 5", 24, 4, {}),
    ("dropout", "dropout 0.1, dense 32, relu, dropout 0.5, dense 16, tanh, dropout 0.25, dense 4", 1, 16,
     {}),
    ("softmax of every frame", "conv1d 6x3, softmax, conv1d 5x3, flatten, dense 8, softmax, dense 4",
     12, 4, {}),
    ("sgd", W1, 1, 16, {"optim": "sgd", "lr": 0.05, "momentum": 0.0}),
    ("sgd with momentum and decay", W1, 1, 16, {"optim": "sgd", "lr": 0.02, "decay": 0.01}),
    ("sgd with nesterov's momentum", W1, 1, 16, {"optim": "sgd", "lr": 0.02, "nesterov": True}),
    ("adam with decay", W1, 1, 16, {"optim": "adam", "decay": 0.1}),
    ("weights of classes", W1, 1, 16, {"weighted": True}),
    ("weights of classes and smoothing", W1, 1, 16, {"weighted": True, "smoothing": 0.2}),
    ("mean squared error", W1, 1, 16, {"task": "REGRESS", "loss": "mse"}),
    ("huber", W1, 1, 16, {"task": "REGRESS", "loss": "huber", "delta": 0.5}),
    ("binary cross-entropy", W1, 1, 16, {"task": "REGRESS", "loss": "binary_cross_entropy"}),
    ("binary cross-entropy, one output", "dense 16, relu, dense 1", 1, 16,
     {"task": "REGRESS", "loss": "binary_cross_entropy"}),
    ("binary cross-entropy of labels", W1, 1, 16, {"loss": "binary_cross_entropy"}),
]


class Draw:
    def __init__(self):
        self.s = 12345

    def next(self):
        self.s = (self.s * 1664525 + 1013904223) & 0xFFFFFFFF
        return self.s

    def units(self, *shape):
        n = math.prod(shape)
        v = [(self.next() >> 8) / 2**23 - 1 for _ in range(n)]
        return torch.tensor(v, dtype=torch.float32).reshape(shape)


class Flatten(nn.Module):
    """(n, ch, len) to (n, len * ch), frame after frame as in the C code."""

    def forward(self, x):
        return x.permute(0, 2, 1).reshape(x.shape[0], -1)


class Gru(nn.Module):
    """(n, ch, len) to (n, units, len), or (n, units) of the last frame."""

    def __init__(self, words, ch, draw):
        super().__init__()
        self.units, self.seq = int(words[1]), "seq" in words
        self.gru = nn.GRU(ch, self.units, batch_first=True)
        k = math.floor(math.log2(math.sqrt(2 * self.units / 6)) + 0.5)
        with torch.no_grad():
            for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"):
                w = getattr(self.gru, name)
                w.copy_(draw.units(*w.shape) * 2.0**-k)

    def forward(self, x):
        y = self.gru(x.permute(0, 2, 1))[0].permute(0, 2, 1)
        return y if self.seq else y[:, :, -1:]


MASK64 = 2**64 - 1


def first_random(seed):
    """The first 64 bits of xoshiro256** seeded by splitmix64: only its second word matters."""
    z = (seed + 2 * 0x9E3779B97F4A7C15) & MASK64
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK64
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK64
    z ^= z >> 31
    v = (z * 5) & MASK64
    return (((v << 7) | (v >> 57)) & MASK64) * 9 & MASK64


def hashed(v):
    v = ((v ^ (v >> 16)) * 0x7FEB352D) & 0xFFFFFFFF
    v = ((v ^ (v >> 15)) * 0x846CA68B) & 0xFFFFFFFF
    return v ^ (v >> 16)


class Dropout(nn.Module):
    """As dropout of the C code, of a net with one frame."""

    def __init__(self, share, index):
        super().__init__()
        self.share, self.index, self.step = share, index, 0

    def forward(self, x):
        x = x.reshape(x.shape[0], -1)
        key = first_random(1 + self.step * 24 + self.index)
        at = torch.arange(x.shape[1])[None, :] * 1024 + torch.arange(x.shape[0])[:, None]
        bits = hashed((hashed(at ^ (key & 0xFFFFFFFF)) + (key >> 32)) & 0xFFFFFFFF)
        self.step += 1
        return x * (bits >= int(self.share * 2**32)).float() / (1 - self.share)


class Net(nn.Module):
    """A list of layers, each named by its item; add looks back by items."""

    def __init__(self, items):
        super().__init__()
        self.words = [words for words, _ in items]
        self.layers = nn.ModuleList([layer for _, layer in items])

    def forward(self, x):
        out = [x]
        for words, layer in zip(self.words, self.layers):
            x = layer(x)
            if words[0] == "add":
                x = x + out[-1 - int(words[1])]
            out.append(x)
        return x


def fill(layer, fan_in, fan_out, w):
    k = math.floor(math.log2(math.sqrt((fan_in + fan_out) / 6)) + 0.5)
    with torch.no_grad():
        layer.weight.copy_(w * 2.0**-k)
        layer.bias.zero_()
    return layer


def option(words, name, normal):
    return int(words[words.index(name) + 1]) if name in words else normal


def options(words):
    return {"stride": option(words, "stride", 1), "dilation": option(words, "dilation", 1),
            "padding": "same" if "same" in words else 0}


def conv(words, ch, draw):
    out, k = (int(v) for v in words[1].split("x"))
    layer = nn.Conv1d(ch, out, k, **options(words))
    w = draw.units(out, k, ch).permute(0, 2, 1)
    return fill(layer, k * ch, k * out, w)


def depthwise(k, words, ch, draw):
    layer = nn.Conv1d(ch, ch, k, groups=ch, **options(words))
    return fill(layer, k, k, draw.units(ch, k)[:, None, :])


def separable(words, ch, draw):
    out, k = words[1].split("x")
    first = depthwise(int(k), words, ch, draw)
    return nn.Sequential(first, conv([0, out + "x1"], ch, draw))


def dense(words, shape, draw):
    width, out = math.prod(shape), int(words[1])
    linear = fill(nn.Linear(width, out), width, out, draw.units(out, width))
    return nn.Sequential(Flatten(), linear, nn.Unflatten(1, (out, 1)))


def pool(words):
    kind = nn.MaxPool1d if words[0] == "maxpool" else nn.AvgPool1d
    return kind(int(words[1]), stride=option(words, "stride", int(words[1])))


def layer_of(words, shape, index, draw):
    """One layer behind an output of `shape` (ch, len); every output keeps three axes."""
    simple = {"relu": nn.ReLU, "relu6": nn.ReLU6, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid,
              "add": nn.Identity, "leaky_relu": lambda: nn.LeakyReLU(float(words[1])),
              "globalavgpool": lambda: nn.AdaptiveAvgPool1d(1),
              "softmax": lambda: nn.Softmax(dim=1),
              "flatten": lambda: nn.Sequential(Flatten(), nn.Unflatten(1, (math.prod(shape), 1))),
              "batch_norm": lambda: nn.BatchNorm1d(shape[0]),
              "dropout": lambda: nn.Sequential(Dropout(float(words[1]), index),
                                               nn.Unflatten(1, (shape[0], 1))),
              "dense": lambda: dense(words, shape, draw), "gru": lambda: Gru(words, shape[0], draw),
              "conv1d": lambda: conv(words, shape[0], draw),
              "dwconv1d": lambda: depthwise(int(words[1]), words, shape[0], draw),
              "separable": lambda: separable(words, shape[0], draw),
              "maxpool": lambda: pool(words), "avgpool": lambda: pool(words)}
    return simple[words[0]]()


def build(text, length, ch, draw):
    items, index, x = [], 0, torch.zeros(2, ch, length)
    for words in (item.split() for item in text.split(",")):
        items.append((words, layer_of(words, tuple(x.shape[1:]), index, draw)))
        x = items[-1][1](x)
        index += 2 if words[0] == "separable" else 1
    for module in (m for _, layer in items for m in layer.modules()):
        if isinstance(module, nn.BatchNorm1d):
            module.reset_running_stats()
        if isinstance(module, Dropout):
            module.step = 0
    return Net(items), math.prod(x.shape[1:])


def loss_and_weight(row, outputs):
    """(loss of outputs and targets, weight of a batch in the mean of the epoch)"""
    weight = torch.arange(outputs) + 0.5 if row["weighted"] else None
    loss = {"cross_entropy": lambda: nn.CrossEntropyLoss(weight, label_smoothing=row["smoothing"]),
            "mse": nn.MSELoss, "huber": lambda: nn.HuberLoss(delta=row["delta"]),
            "binary_cross_entropy": nn.BCEWithLogitsLoss}[row["loss"]]()
    return loss, lambda t: weight[t].sum().item() if row["weighted"] else len(t)


def optimiser(row, net):
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
    more = {"momentum": row["momentum"], "nesterov": row["nesterov"]} if row["optim"] == "sgd" else {}
    return kind[row["optim"]](net.parameters(), lr=row["lr"], weight_decay=row["decay"], **more)


def epoch(net, loss_of, opt, x, t):
    total = weights = 0.0
    for at in range(0, len(x), BATCH):
        part = t[at:at + BATCH]
        loss = loss_of[0](net(x[at:at + BATCH]).reshape(len(part), -1), part)
        opt.zero_grad()
        loss.backward()
        opt.step()
        total += loss.item() * loss_of[1](part)
        weights += loss_of[1](part)
    return total / weights


def targets(row, n, outputs, x, draw):
    if row["task"] == "AUTOENCODE":
        return x.reshape(n, -1)
    if row["task"] == "REGRESS":
        t = draw.units(n, outputs)
        return (t + 1) / 2 if row["loss"] == "binary_cross_entropy" else t
    label = torch.tensor([(draw.next() >> 16) % outputs for _ in range(n)])
    one_hot = row["loss"] == "binary_cross_entropy"
    return nn.functional.one_hot(label, outputs).float() if one_hot else label


def record(name, text, length, ch, more):
    row = {**NORMAL, **more}
    draw, n = Draw(), row["n"]
    net, outputs = build(text, length, ch, draw)
    x = draw.units(n, length, ch)
    t = targets(row, n, outputs, x, draw)
    loss_of = loss_and_weight(row, outputs)
    opt = optimiser(row, net)
    losses = [epoch(net, loss_of, opt, x.permute(0, 2, 1).contiguous(), t) for _ in range(2)]
    lines = '"\n\t  "'.join(textwrap.wrap(text, 90, drop_whitespace=False))
    print('\t{ "%s",\n\t  "%s",\n\t  HN_%s, %d, %d, %d, "%s", "%s",'
          % (name, lines, row["task"], length, ch, n, row["loss"], row["optim"]))
    print("\t  { %#.4gf, %#.4gf, %#.4gf, %#.4gf, %#.4gf }, %s, %s, { %.9g, %.9g } },"
          % (row["lr"], row["decay"], row["momentum"], row["smoothing"], row["delta"],
             str(row["nesterov"]).lower(), str(row["weighted"]).lower(), *losses))


def main():
    torch.set_num_threads(1)
    print("/* golden_torch.h - made by gen_torch.py with PyTorch %s:\n"
          " * mean loss of the first two epochs. */" % torch.__version__)
    print("static const struct golden golden[] = {")
    for row in NETS:
        record(*row)
    print("};")


main()
