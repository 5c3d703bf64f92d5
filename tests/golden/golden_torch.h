/* golden_torch.h - made by gen_torch.py with PyTorch 1.13.0a0:
 * mean loss of the first two epochs. */
static const struct golden golden[] = {
	{ "W1",
	  "dense 32, relu, dense 16, relu, dense 4",
	  HN_CLASSIFY, 1, 16, 4096, 0.000f, 0.000f, { 1.39025639, 1.38437709 } },
	{ "W1 with decay and smoothing",
	  "dense 32, relu, dense 16, relu, dense 4",
	  HN_CLASSIFY, 1, 16, 4096, 0.010f, 0.100f, { 1.3900162, 1.38478111 } },
	{ "W2",
	  "dense 128, relu, dense 64, relu, dense 10",
	  HN_CLASSIFY, 1, 64, 4096, 0.000f, 0.000f, { 2.30956502, 2.2699306 } },
	{ "W3",
	  "dense 64, relu, dense 16, tanh, dense 64, relu, dense 128",
	  HN_AUTOENCODE, 1, 128, 4096, 0.000f, 0.000f, { 0.324378337, 0.303014333 } },
	{ "W4",
	  "conv1d 16x5 same, relu, maxpool 2, conv1d 32x5 same, relu, maxpool 2, flatten, dense 64, "
	  "relu, dense 6",
	  HN_CLASSIFY, 128, 3, 1024, 0.000f, 0.000f, { 1.80276526, 1.75230578 } },
	{ "strides, dilation and averages",
	  "conv1d 8x4 stride 2, leaky_relu 0.1, conv1d 6x3 dilation 2, sigmoid, avgpool 3 stride 2, "
	  "conv1d 12x2, relu6, globalavgpool, dense 5",
	  HN_CLASSIFY, 40, 4, 1024, 0.000f, 0.000f, { 1.62166876, 1.61210526 } },
	{ "W5",
	  "gru 32, dense 6",
	  HN_CLASSIFY, 64, 6, 4096, 0.000f, 0.000f, { 1.80290662, 1.79069498 } },
	{ "states of all frames, twice",
	  "gru 12 seq, conv1d 6x3, relu, gru 9 seq, globalavgpool, dense 5",
	  HN_CLASSIFY, 20, 4, 1024, 0.000f, 0.000f, { 1.61346036, 1.60932331 } },
};
