#!/usr/bin/python3
"""Record what PyTorch computes from the weights and data of check_golden_train.c.

    tests/golden/gen_torch.py > tests/golden/golden_torch.h

Needs python3-torch.  Weights and data come from one integer generator, so that the C test makes
the very same floats:
    s = s * 1664525 + 1013904223 mod 2^32;  unit = (s >> 8) / 2^23 - 1, exact in float
    weight = unit * 2^-k, k the whole number nearest to log2(sqrt((in + out) / 6)); bias = 0
    label = (s >> 16) mod classes
Order of the draws, from s = 12345: weights layer after layer [out][in], inputs, labels.
"""
import math
import torch

N, BATCH, LR = 4096, 32, 1e-3
# name, widths, activations, decoupled decay, label smoothing
NETS = [
    ("W1", [16, 32, 16, 4], "rr", 0.0, 0.0),
    ("W1_decay_smoothing", [16, 32, 16, 4], "rr", 0.01, 0.1),
    ("W2", [64, 128, 64, 10], "rr", 0.0, 0.0),
    ("W3", [128, 64, 16, 64, 128], "rtr", 0.0, 0.0),
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


def build(width, acts, draw):
    parts = []
    for i, (a, b) in enumerate(zip(width, width[1:])):
        lin = torch.nn.Linear(a, b)
        k = math.floor(math.log2(math.sqrt((a + b) / 6)) + 0.5)
        with torch.no_grad():
            lin.weight.copy_(draw.units(b, a) * 2.0**-k)
            lin.bias.zero_()
        parts.append(lin)
        if i < len(acts):
            parts.append(torch.nn.ReLU() if acts[i] == "r" else torch.nn.Tanh())
    return torch.nn.Sequential(*parts)


def epoch(net, loss_of, opt, x, t):
    total = 0.0
    for at in range(0, N, BATCH):
        loss = loss_of(net(x[at:at + BATCH]), t[at:at + BATCH])
        opt.zero_grad()
        loss.backward()
        opt.step()
        total += loss.item()
    return total / (N / BATCH)


def main():
    torch.set_num_threads(1)
    print("/* golden_torch.h - made by gen_torch.py with PyTorch %s: mean loss of the first two "
          "epochs. */" % torch.__version__)
    print("static const struct golden golden[] = {")
    for name, width, acts, decay, smooth in NETS:
        draw = Draw()
        net = build(width, acts, draw)
        x = draw.units(N, width[0])
        label = torch.tensor([(draw.next() >> 16) % width[-1] for _ in range(N)])
        auto = width[0] == width[-1]
        loss_of = torch.nn.MSELoss() if auto else torch.nn.CrossEntropyLoss(label_smoothing=smooth)
        if decay:
            opt = torch.optim.AdamW(net.parameters(), lr=LR, weight_decay=decay)
        else:
            opt = torch.optim.Adam(net.parameters(), lr=LR)
        losses = [epoch(net, loss_of, opt, x, x if auto else label) for _ in range(2)]
        text = ", ".join(str(w) for w in width)
        print('\t{ "%s", { %s }, "%s", %.3ff, %.3ff, { %.9g, %.9g } },'
              % (name, text, acts, decay or 0.0, smooth, *losses))
    print("};")


main()
