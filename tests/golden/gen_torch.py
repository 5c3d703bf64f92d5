#!/usr/bin/python3
"""Record what PyTorch computes from the weights and data of check_golden_train.c.

    tests/golden/gen_torch.py > tests/golden/golden_torch.h

Needs python3-torch.  Weights and data come from one integer generator, so that the C test makes
the very same floats:
    s = s * 1664525 + 1013904223 mod 2^32;  unit = (s >> 8) / 2^23 - 1, exact in float
    weight = unit * 2^-k, k the whole number nearest to log2(sqrt((in + out) / 6)), where in and out
    are the taps of one output and of one input (dense: the widths); bias = 0
    gru: the same with in = out = units for every matrix and bias, and the biases are drawn too
    label = (s >> 16) mod classes
Order of the draws, from s = 12345: weights layer after layer (dense [out][in], conv1d
[filters][kernel][ch], gru as torch holds them), inputs (n, len, ch), labels.
"""
import math
import textwrap
import torch
from torch import nn

BATCH, LR = 32, 1e-3
CNN = "conv1d 16x5 same, relu, maxpool 2, conv1d 32x5 same, relu, maxpool 2, flatten, " \
      "dense 64, relu, dense 6"
# name, net, task, len, ch, samples, decoupled decay, label smoothing
NETS = [
    ("W1", "dense 32, relu, dense 16, relu, dense 4", "CLASSIFY", 1, 16, 4096, 0.0, 0.0),
    ("W1 with decay and smoothing", "dense 32, relu, dense 16, relu, dense 4", "CLASSIFY", 1, 16,
     4096, 0.01, 0.1),
    ("W2", "dense 128, relu, dense 64, relu, dense 10", "CLASSIFY", 1, 64, 4096, 0.0, 0.0),
    ("W3", "dense 64, relu, dense 16, tanh, dense 64, relu, dense 128", "AUTOENCODE", 1, 128, 4096,
     0.0, 0.0),
    ("W4", CNN, "CLASSIFY", 128, 3, 1024, 0.0, 0.0),
    ("strides, dilation and averages", "conv1d 8x4 stride 2, leaky_relu 0.1, conv1d 6x3 dilation 2, "
     "sigmoid, avgpool 3 stride 2, conv1d 12x2, relu6, globalavgpool, dense 5", "CLASSIFY", 40, 4,
     1024, 0.0, 0.0),
    ("W5", "gru 32, dense 6", "CLASSIFY", 64, 6, 4096, 0.0, 0.0),
    ("states of all frames, twice", "gru 12 seq, conv1d 6x3, relu, gru 9 seq, globalavgpool, dense 5",
     "CLASSIFY", 20, 4, 1024, 0.0, 0.0),
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


def fill(layer, fan_in, fan_out, w):
    k = math.floor(math.log2(math.sqrt((fan_in + fan_out) / 6)) + 0.5)
    with torch.no_grad():
        layer.weight.copy_(w * 2.0**-k)
        layer.bias.zero_()
    return layer


def option(words, name, normal):
    return int(words[words.index(name) + 1]) if name in words else normal


def conv(words, ch, draw):
    out, k = (int(v) for v in words[1].split("x"))
    layer = nn.Conv1d(ch, out, k, stride=option(words, "stride", 1),
                      dilation=option(words, "dilation", 1),
                      padding="same" if "same" in words else 0)
    w = draw.units(out, k, ch).permute(0, 2, 1)
    return fill(layer, k * ch, k * out, w), out


def build(text, length, ch, draw):
    parts, shape, width = [], (1, ch, length), 0
    for words in (item.split() for item in text.split(",")):
        name = words[0]
        if name == "dense":
            if not width:
                parts.append(Flatten())
                width = nn.Sequential(*parts)(torch.zeros(shape)).shape[1]
            out = int(words[1])
            parts.append(fill(nn.Linear(width, out), width, out, draw.units(out, width)))
            width = out
        elif name == "conv1d":
            layer, ch = conv(words, ch, draw)
            parts.append(layer)
        elif name == "gru":
            parts.append(Gru(words, ch, draw))
            ch = parts[-1].units
        elif name in ("maxpool", "avgpool"):
            pool = nn.MaxPool1d if name == "maxpool" else nn.AvgPool1d
            parts.append(pool(int(words[1]), stride=option(words, "stride", int(words[1]))))
        else:
            parts.append({"relu": nn.ReLU, "relu6": nn.ReLU6, "tanh": nn.Tanh,
                          "sigmoid": nn.Sigmoid, "flatten": nn.Identity,
                          "leaky_relu": lambda: nn.LeakyReLU(float(words[1])),
                          "globalavgpool": lambda: nn.AdaptiveAvgPool1d(1)}[name]())
    return nn.Sequential(*parts)


def epoch(net, loss_of, opt, x, t):
    total = 0.0
    for at in range(0, len(x), BATCH):
        loss = loss_of(net(x[at:at + BATCH]), t[at:at + BATCH])
        opt.zero_grad()
        loss.backward()
        opt.step()
        total += loss.item()
    return total / (len(x) / BATCH)


def record(name, text, task, length, ch, n, decay, smooth):
    draw = Draw()
    net = build(text, length, ch, draw)
    x = draw.units(n, length, ch)
    classes = int(text.split()[-1])
    label = torch.tensor([(draw.next() >> 16) % classes for _ in range(n)])
    auto = task == "AUTOENCODE"
    target = x.reshape(n, -1) if auto else label
    loss_of = nn.MSELoss() if auto else nn.CrossEntropyLoss(label_smoothing=smooth)
    if decay:
        opt = torch.optim.AdamW(net.parameters(), lr=LR, weight_decay=decay)
    else:
        opt = torch.optim.Adam(net.parameters(), lr=LR)
    losses = [epoch(net, loss_of, opt, x.permute(0, 2, 1).contiguous(), target) for _ in range(2)]
    lines = '"\n\t  "'.join(textwrap.wrap(text, 90, drop_whitespace=False))
    print('\t{ "%s",\n\t  "%s",\n\t  HN_%s, %d, %d, %d, %.3ff, %.3ff, { %.9g, %.9g } },'
          % (name, lines, task, length, ch, n, decay, smooth, *losses))


def main():
    torch.set_num_threads(1)
    print("/* golden_torch.h - made by gen_torch.py with PyTorch %s:\n"
          " * mean loss of the first two epochs. */" % torch.__version__)
    print("static const struct golden golden[] = {")
    for row in NETS:
        record(*row)
    print("};")


main()
