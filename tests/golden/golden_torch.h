/* golden_torch.h - made by gen_torch.py with PyTorch 1.13.0a0: mean loss of the first two epochs. */
static const struct golden golden[] = {
	{ "W1", { 16, 32, 16, 4 }, "rr", 0.000f, 0.000f, { 1.39025639, 1.38437709 } },
	{ "W1_decay_smoothing", { 16, 32, 16, 4 }, "rr", 0.010f, 0.100f, { 1.3900162, 1.38478111 } },
	{ "W2", { 64, 128, 64, 10 }, "rr", 0.000f, 0.000f, { 2.30956503, 2.26993059 } },
	{ "W3", { 128, 64, 16, 64, 128 }, "rtr", 0.000f, 0.000f, { 0.324378338, 0.303014332 } },
};
