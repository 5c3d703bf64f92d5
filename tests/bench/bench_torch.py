#!/usr/bin/python3
"""Training speed of PyTorch on the reference nets of bench_train.c: lines "W1 samples_per_s".

    tests/bench/bench_torch.py > build/report/torch.txt; bench_train -t build/report/torch.txt

Eager mode, one thread, Adam, batch 32, N = 4096, CPU time, median of the epochs.
"""
import statistics
import sys
import time
import torch

N, BATCH, EPOCHS = 4096, 32, 7
NETS = {
    "W1": ([16, 32, 16, 4], "rr"),
    "W2": ([64, 128, 64, 10], "rr"),
    "W3": ([128, 64, 16, 64, 128], "rtr"),
}


def build(width, acts):
    parts = []
    for i, (a, b) in enumerate(zip(width, width[1:])):
        parts.append(torch.nn.Linear(a, b))
        if i < len(acts):
            parts.append(torch.nn.ReLU() if acts[i] == "r" else torch.nn.Tanh())
    return torch.nn.Sequential(*parts)


def rate(width, acts):
    net = build(width, acts)
    auto = width[0] == width[-1]
    x = torch.rand(N, width[0]) * 2 - 1
    t = x if auto else torch.randint(0, width[-1], (N,))
    loss_of = torch.nn.MSELoss() if auto else torch.nn.CrossEntropyLoss()
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
for name, (width, acts) in NETS.items():
    print(name, round(rate(width, acts)))
    sys.stdout.flush()
