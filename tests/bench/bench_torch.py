#!/usr/bin/python3
"""Training speed of PyTorch on the reference nets of bench_train.c: lines "W1 samples_per_s".

    tests/bench/bench_torch.py > build/report/torch.txt; bench_train -t build/report/torch.txt

Eager mode, one thread, Adam, batch 32, N = 4096, CPU time, median of the epochs.  One thread means
OpenBLAS too, which torch.set_num_threads does not limit: its second thread would count as CPU time
and halve the figure of the convolutions.
"""
import os
import statistics
import sys
import time

os.environ["OPENBLAS_NUM_THREADS"] = "1"        # read when the library is loaded
import torch  # noqa: E402
from torch import nn  # noqa: E402

N, BATCH, EPOCHS = 4096, 32, 7


def mlp(width, acts):
    parts = []
    for i, (a, b) in enumerate(zip(width, width[1:])):
        parts.append(nn.Linear(a, b))
        if i < len(acts):
            parts.append(nn.ReLU() if acts[i] == "r" else nn.Tanh())
    return nn.Sequential(*parts)


def cnn():
    return nn.Sequential(
        nn.Conv1d(3, 16, 5, padding="same"), nn.ReLU(), nn.MaxPool1d(2),
        nn.Conv1d(16, 32, 5, padding="same"), nn.ReLU(), nn.MaxPool1d(2),
        nn.Flatten(), nn.Linear(1024, 64), nn.ReLU(), nn.Linear(64, 6))


class Gru(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru, self.out = nn.GRU(6, 32, batch_first=True), nn.Linear(32, 6)

    def forward(self, x):
        return self.out(self.gru(x)[0][:, -1])


# net, shape of one sample, classes (0: the input is the target)
NETS = {
    "W1": (mlp([16, 32, 16, 4], "rr"), (16,), 4),
    "W2": (mlp([64, 128, 64, 10], "rr"), (64,), 10),
    "W3": (mlp([128, 64, 16, 64, 128], "rtr"), (128,), 0),
    "W4": (cnn(), (3, 128), 6),
    "W5": (Gru(), (64, 6), 6),
}


def rate(net, shape, classes):
    x = torch.rand(N, *shape) * 2 - 1
    t = torch.randint(0, classes, (N,)) if classes else x
    loss_of = nn.CrossEntropyLoss() if classes else nn.MSELoss()
    opt = torch.optim.Adam(net.parameters(), lr=1e-3)
    took = []
    for epoch in range(EPOCHS + 1):
        start = time.process_time()
        for at in range(0, N, BATCH):
            opt.zero_grad()
            loss_of(net(x[at:at + BATCH]), t[at:at + BATCH]).backward()
            opt.step()
        if epoch:
            took.append(time.process_time() - start)
    return N / statistics.median(took)


torch.set_num_threads(1)
torch.manual_seed(1)
for name, (net, shape, classes) in NETS.items():
    print(name, round(rate(net, shape, classes)))
    sys.stdout.flush()
