#!/usr/bin/python3
"""Nets as PyTorch and Keras write them, for `make parity`.  Usage: foreign.py FOLDER

Writes NAME.file (.onnx or .tflite), NAME.kind (its ending), NAME.shape (frames and channels of a window), NAME.in
(windows, frame after frame), NAME.x (the same as the file's input wants them) and NAME.dims (one sample of it).
Models come from torch.onnx.export, from onnx.helper in the manner of exporters, and from a flatbuffers builder in
the manner of the TFLite converter.  Needs python3-onnx, python3-flatbuffers, and python3-torch for its part."""
import os
import sys

import flatbuffers
import numpy as np
import onnx
from onnx import TensorProto as T, helper as h, numpy_helper as nh

out = sys.argv[1]
rng = np.random.RandomState(20261126)
SAMPLES = 8


def save(name, kind, data, length, ch, layout):
    """layout: how the file's input sees a window: 'NLC', 'NCL', 'LNC', 'NF', 'N1LC'."""
    x = rng.randn(SAMPLES, length, ch).astype(np.float32)
    dims = {'NLC': [1, length, ch], 'NCL': [1, ch, length], 'LNC': [length, 1, ch], 'NF': [1, length * ch],
            'N1LC': [1, 1, length, ch]}[layout]
    x.tofile(f'{out}/{name}.in')
    (x.transpose(0, 2, 1) if layout == 'NCL' else x).astype(np.float32).tofile(f'{out}/{name}.x')
    for end, text in (('kind', kind), ('shape', f'{length} {ch}'), ('dims', ' '.join(map(str, dims)))):
        with open(f'{out}/{name}.{end}', 'w') as f:
            f.write(text)
    with open(f'{out}/{name}.file', 'wb') as f:
        f.write(data)


def f32(*shape):
    return (rng.randn(*shape) * 0.3).astype(np.float32)


# --- onnx.helper -------------------------------------------------------------------------------------------

def onnx_net(name, nodes, consts, ishape, oshape, length, ch, layout, opset=13, typed=False):
    """typed: constants as float_data and int64_data instead of raw bytes."""
    init = []
    for k, v in consts.items():
        v = np.asarray(v)
        init.append(h.make_tensor(k, {'f': T.FLOAT, 'i': T.INT64}[v.dtype.kind], v.shape, v.flatten().tolist())
                    if typed else nh.from_array(v, k))
    g = h.make_graph(nodes, name, [h.make_tensor_value_info('x', T.FLOAT, ishape)],
                     [h.make_tensor_value_info('y', T.FLOAT, oshape)], init)
    m = h.make_model(g, opset_imports=[h.make_opsetid('', opset)])
    m.ir_version = 7
    onnx.checker.check_model(m)
    save(name, 'onnx', m.SerializeToString(), length, ch, layout)


n = h.make_node
onnx_net('matmul_add', [n('MatMul', ['x', 'w'], ['a']), n('Add', ['a', 'b'], ['c']), n('Relu', ['c'], ['d']),
                        n('MatMul', ['d', 'w2'], ['e']), n('Add', ['b2', 'e'], ['y'])],
         {'w': f32(12, 9), 'b': f32(9), 'w2': f32(9, 4), 'b2': f32(1, 4)}, ['N', 12], ['N', 4], 1, 12, 'NF')
onnx_net('gemm_window', [n('Flatten', ['x'], ['f']), n('Gemm', ['f', 'w', 'b'], ['y'], alpha=0.5, beta=2.0)],
         {'w': f32(30, 5), 'b': f32(5)}, ['N', 10, 3], ['N', 5], 10, 3, 'NLC', typed=True)
onnx_net('flat_window', [n('Gemm', ['x', 'w', 'b'], ['y'], transB=1)], {'w': f32(5, 30), 'b': f32(5)},
         ['N', 30], ['N', 5], 10, 3, 'NF')
onnx_net('conv_bn_ncl', [n('Conv', ['x', 'w', 'b'], ['a'], kernel_shape=[5], pads=[2, 2]),
                         n('BatchNormalization', ['a', 's', 't', 'm', 'v'], ['c']), n('Relu', ['c'], ['d']),
                         n('MaxPool', ['d'], ['e'], kernel_shape=[2], strides=[2]), n('Flatten', ['e'], ['f']),
                         n('Gemm', ['f', 'w2', 'b2'], ['y'], transB=1)],
         {'w': f32(6, 3, 5), 'b': f32(6), 's': f32(6), 't': f32(6), 'm': f32(6), 'v': f32(6) ** 2 + 0.5,
          'w2': f32(4, 48), 'b2': f32(4)}, [1, 3, 16], [1, 4], 16, 3, 'NCL')
onnx_net('bn_first_relu_bn', [n('BatchNormalization', ['x', 's', 't', 'm', 'v'], ['a']),
                              n('Conv', ['a', 'w'], ['c'], kernel_shape=[3], dilations=[2]),
                              n('LeakyRelu', ['c'], ['d'], alpha=0.1),
                              n('BatchNormalization', ['d', 's2', 't2', 'm2', 'v2'], ['e']),
                              n('GlobalAveragePool', ['e'], ['g']), n('Squeeze', ['g', 'axes'], ['y'])],
         {'s': np.abs(f32(3)) + 0.1, 't': f32(3), 'm': f32(3), 'v': f32(3) ** 2 + 0.5, 'w': f32(5, 3, 3), 's2': f32(5),
          't2': f32(5), 'm2': f32(5), 'v2': f32(5) ** 2 + 0.5, 'axes': np.array([2], np.int64)},
         ['N', 3, 20], ['N', 5], 20, 3, 'NCL')
onnx_net('nlc_transposed', [n('Transpose', ['x'], ['a'], perm=[0, 2, 1]),
                            n('Conv', ['a', 'w', 'b'], ['c'], kernel_shape=[4], strides=[3]),
                            n('Clip', ['c', 'lo', 'hi'], ['d']), n('Transpose', ['d'], ['e'], perm=[0, 2, 1]),
                            n('ReduceMean', ['e'], ['f'], axes=[1], keepdims=0),
                            n('Gemm', ['f', 'w2', 'b2'], ['y'])],
         {'w': f32(6, 2, 4), 'b': f32(6), 'lo': np.float32(0), 'hi': np.float32(6), 'w2': f32(6, 3), 'b2': f32(3)},
         ['N', 19, 2], ['N', 3], 19, 2, 'NLC')
onnx_net('residual', [n('Conv', ['x', 'w', 'b'], ['a'], kernel_shape=[3], pads=[1, 1]), n('Relu', ['a'], ['r']),
                      n('Conv', ['r', 'w2', 'b2'], ['c'], kernel_shape=[3], pads=[1, 1]),
                      n('Add', ['c', 'r'], ['s']), n('Relu', ['s'], ['t']),
                      n('AveragePool', ['t'], ['p'], kernel_shape=[3], strides=[2]), n('Flatten', ['p'], ['f']),
                      n('Gemm', ['f', 'w3', 'b3'], ['y'], transB=1)],
         {'w': f32(4, 2, 3), 'b': f32(4), 'w2': f32(4, 4, 3), 'b2': f32(4), 'w3': f32(3, 20), 'b3': f32(3)},
         [1, 2, 12], [1, 3], 12, 2, 'NCL')
onnx_net('depthwise', [n('Conv', ['x', 'w', 'b'], ['a'], kernel_shape=[5], pads=[2, 2], group=4),
                       n('Conv', ['a', 'w2', 'b2'], ['c'], kernel_shape=[1]), n('Tanh', ['c'], ['d']),
                       n('Reshape', ['d', 'shape'], ['f']), n('Gemm', ['f', 'w3', 'b3'], ['g'], transB=1),
                       n('Softmax', ['g'], ['y'], axis=-1)],
         {'w': f32(4, 1, 5), 'b': f32(4), 'w2': f32(6, 4, 1), 'b2': f32(6), 'shape': np.array([-1, 60], np.int64),
          'w3': f32(3, 60), 'b3': f32(3)}, ['N', 4, 10], ['N', 3], 10, 4, 'NCL')
H = 5
onnx_net('gru_lbr', [n('GRU', ['x', 'w', 'r', 'b'], ['', 'yh'], hidden_size=H, linear_before_reset=1),
                     n('Squeeze', ['yh', 'axes'], ['s']), n('Gemm', ['s', 'w2', 'b2'], ['y'], transB=1)],
         {'w': f32(1, 3 * H, 3), 'r': f32(1, 3 * H, H), 'b': f32(1, 6 * H), 'axes': np.array([0], np.int64),
          'w2': f32(2, H), 'b2': f32(2)}, [14, 1, 3], [1, 2], 14, 3, 'LNC')


# --- torch ---------------------------------------------------------------------------------------------------

def torch_nets():
    import io
    import torch
    from torch import nn

    class Last(nn.Module):
        def __init__(self, layers=1):
            super().__init__()
            self.gru, self.head = nn.GRU(3, 8, num_layers=layers, batch_first=True), nn.Linear(8, 4)

        def forward(self, x):
            y, _ = self.gru(x)
            return self.head(y[:, -1])

    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Conv1d(4, 4, 3, padding=1), nn.Conv1d(4, 4, 3, padding=1)
            self.bn, self.head = nn.BatchNorm1d(4), nn.Linear(4, 3)

        def forward(self, x):
            y = torch.relu(self.a(x))
            y = torch.relu(self.bn(self.b(y)) + y)
            return self.head(y.mean(dim=2))

    class Frames(nn.Module):
        """Windows with the frames first, turned inside."""
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(nn.Conv1d(3, 6, 5, padding=2), nn.ReLU6(), nn.AdaptiveAvgPool1d(1), nn.Flatten(),
                                     nn.Linear(6, 4))

        def forward(self, x):
            return self.net(x.permute(0, 2, 1))

    bn = nn.BatchNorm1d(16)
    nets = {
        'torch_mlp': (nn.Sequential(nn.Linear(12, 16), bn, nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 4)), 1, 12, 'NF'),
        'torch_cnn': (nn.Sequential(nn.Conv1d(3, 16, 5, padding=2), nn.BatchNorm1d(16), nn.ReLU(), nn.MaxPool1d(2),
                                    nn.Conv1d(16, 8, 5, stride=2), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(8 * 14, 16),
                                    nn.Tanh(), nn.Linear(16, 6)), 64, 3, 'NCL'),
        'torch_separable': (nn.Sequential(nn.Conv1d(4, 4, 3, groups=4, padding=2, dilation=2), nn.Conv1d(4, 8, 1),
                                          nn.Sigmoid(), nn.AvgPool1d(4), nn.Flatten(), nn.Linear(40, 3),
                                          nn.Softmax(dim=1)), 20, 4, 'NCL'),
        'torch_gru': (Last(), 20, 3, 'NLC'), 'torch_gru_2': (Last(2), 20, 3, 'NLC'),
        'torch_residual': (Residual(), 15, 4, 'NCL'), 'torch_frames': (Frames(), 24, 3, 'NLC'),
    }
    torch.manual_seed(1)
    for name, (net, length, ch, layout) in nets.items():
        for m in net.modules():
            if isinstance(m, nn.BatchNorm1d):
                m.running_mean.normal_()
                m.running_var.uniform_(0.5, 2)
        net.eval()
        dims = {'NLC': (1, length, ch), 'NCL': (1, ch, length), 'NF': (1, ch)}[layout]
        to = io.BytesIO()
        torch.onnx.export(net, torch.zeros(dims), to, opset_version=13)
        save(name, 'onnx', to.getvalue(), length, ch, layout)


# --- tflite ----------------------------------------------------------------------------------------------------

class Tfl:
    """A file as the converter writes it: tables by field number."""
    def __init__(self):
        self.b, self.tensors, self.buffers, self.ops, self.codes = flatbuffers.Builder(0), [], [None], [], []

    def tensor(self, shape, data=None, kind=0, grid=None):
        buf = 0
        if data is not None:
            self.buffers.append(np.ascontiguousarray(data).tobytes())
            buf = len(self.buffers) - 1
        self.tensors.append((list(shape), kind, buf, grid))
        return len(self.tensors) - 1

    def op(self, code, ins, outs, kind=0, fields=()):
        if code not in self.codes:
            self.codes.append(code)
        self.ops.append((self.codes.index(code), ins, outs, kind, fields))
        return outs[0]

    def ints(self, v):
        return self.b.CreateNumpyVector(np.array(v, np.int32))

    def table(self, fields):
        """fields: (id, type, value); offsets were made before."""
        self.b.StartObject(max([f[0] for f in fields], default=-1) + 1)
        put = {'o': self.b.PrependUOffsetTRelativeSlot, 'i': self.b.PrependInt32Slot, 'b': self.b.PrependInt8Slot,
               'f': self.b.PrependFloat32Slot}
        for i, t, v in fields:
            put[t](i, v, 0)
        return self.b.EndObject()

    def tables(self, offsets):
        self.b.StartVector(4, len(offsets), 4)
        for o in reversed(offsets):
            self.b.PrependUOffsetTRelative(o)
        return self.b.EndVector()

    def file(self, tin, tout):
        b, buffers, tensors, ops = self.b, [], [], []
        for data in self.buffers:
            buffers.append(self.table([(0, 'o', b.CreateByteVector(data))] if data else []))
        for k, (shape, kind, buf, grid) in enumerate(self.tensors):
            name, dims = b.CreateString(f'model/t{k}'), self.ints(shape)
            fields = [(0, 'o', dims), (1, 'b', kind), (2, 'i', buf), (3, 'o', name)]
            if grid:
                scale = b.CreateNumpyVector(np.array(grid[0], np.float32).reshape(-1))
                zero = b.CreateNumpyVector(np.array(grid[1], np.int64).reshape(-1))
                fields.append((4, 'o', self.table([(2, 'o', scale), (3, 'o', zero)])))
            tensors.append(self.table(fields))
        for code, ins, outs, kind, options in self.ops:
            i, o = self.ints(ins), self.ints(outs)
            fields = [(0, 'i', code), (1, 'o', i), (2, 'o', o)]
            if kind:
                options = [(f, 'o', self.ints(v)) if t == 'v' else (f, t, v) for f, t, v in options]
                fields += [(3, 'b', kind), (4, 'o', self.table(options))]
            ops.append(self.table(fields))
        codes = [self.table([(0, 'b', c), (2, 'i', 1 if c != 9 else 4), (3, 'i', c)]) for c in self.codes]
        tv, ov, cv, bv = self.tables(tensors), self.tables(ops), self.tables(codes), self.tables(buffers)
        iv, outv = self.ints([tin]), self.ints([tout])
        graph = self.tables([self.table([(0, 'o', tv), (1, 'o', iv), (2, 'o', outv), (3, 'o', ov)])])
        text = b.CreateString('MLIR Converted.')
        model = self.table([(0, 'i', 3), (1, 'o', cv), (2, 'o', graph), (3, 'o', text), (4, 'o', bv)])
        b.Finish(model, file_identifier=b'TFL3')
        return bytes(b.Output())


def i32(*v):
    return np.array(v, np.int32)


def keras_conv():
    t = Tfl()
    x = t.tensor([1, 24, 3])
    e = t.op(70, [x, t.tensor([], i32(1), 2)], [t.tensor([1, 1, 24, 3])])
    c = t.op(3, [e, t.tensor([8, 1, 5, 3], f32(8, 1, 5, 3)), t.tensor([8], f32(8))], [t.tensor([1, 1, 24, 8])], 1,
             [(1, 'i', 1), (2, 'i', 1), (3, 'b', 1), (4, 'i', 1), (5, 'i', 1)])
    s = t.op(22, [c, t.tensor([4], i32(1, 24, 1, 8), 2)], [t.tensor([1, 24, 1, 8])])
    p = t.op(17, [s], [t.tensor([1, 12, 1, 8])], 5, [(0, 'b', 1), (1, 'i', 1), (2, 'i', 2), (3, 'i', 1), (4, 'i', 2)])
    q = t.op(43, [p], [t.tensor([1, 12, 8])], 30, [(0, 'v', [2])])
    m = t.op(40, [q, t.tensor([1], i32(1), 2)], [t.tensor([1, 8])], 27, [])
    y = t.op(9, [m, t.tensor([6, 8], f32(6, 8)), t.tensor([6], f32(6))], [t.tensor([1, 6])], 8, [(0, 'b', 1)])
    z = t.op(9, [y, t.tensor([4, 6], f32(4, 6)), t.tensor([4], f32(4))], [t.tensor([1, 4])], 8, [])
    save('keras_conv', 'tflite', t.file(x, t.op(25, [z], [t.tensor([1, 4])], 9, [(0, 'f', 1.0)])), 24, 3, 'NLC')


def keras_normalised():
    t = Tfl()
    x = t.tensor([1, 10, 2])
    a = t.op(41, [x, t.tensor([1, 1, 2], f32(1, 1, 2))], [t.tensor([1, 10, 2])])
    b = t.op(18, [a, t.tensor([1, 1, 2], np.abs(f32(1, 1, 2)) + 0.3)], [t.tensor([1, 10, 2])])
    f = t.op(22, [b, t.tensor([2], i32(-1, 20), 2)], [t.tensor([1, 20])])
    d = t.op(9, [f, t.tensor([7, 20], f32(7, 20)), t.tensor([7], f32(7))], [t.tensor([1, 7])], 8, [(0, 'b', 1)])
    g = t.op(18, [d, t.tensor([7], f32(7))], [t.tensor([1, 7])])
    k = t.op(0, [g, t.tensor([7], f32(7))], [t.tensor([1, 7])])
    y = t.op(9, [k, t.tensor([3, 7], f32(3, 7)), -1], [t.tensor([1, 3])], 8, [])
    save('keras_normalised', 'tflite', t.file(x, t.op(28, [y], [t.tensor([1, 3])])), 10, 2, 'NLC')


def keras_separable():
    t = Tfl()
    x = t.tensor([1, 1, 16, 4])
    d = t.op(4, [x, t.tensor([1, 1, 3, 4], f32(1, 1, 3, 4)), t.tensor([4], f32(4))], [t.tensor([1, 1, 16, 4])], 2,
             [(1, 'i', 1), (2, 'i', 1), (3, 'i', 1), (4, 'b', 3), (5, 'i', 1), (6, 'i', 1)])
    c = t.op(3, [d, t.tensor([5, 1, 1, 4], f32(5, 1, 1, 4)), t.tensor([5], f32(5))], [t.tensor([1, 1, 16, 5])], 1,
             [(0, 'b', 1), (1, 'i', 1), (2, 'i', 1), (4, 'i', 1), (5, 'i', 1)])
    lk = t.op(98, [c], [t.tensor([1, 1, 16, 5])], 75, [(0, 'f', 0.3)])
    p = t.op(1, [lk], [t.tensor([1, 1, 4, 5])], 5, [(0, 'b', 1), (1, 'i', 4), (2, 'i', 1), (3, 'i', 4), (4, 'i', 1)])
    f = t.op(22, [p, t.tensor([2], i32(1, 20), 2)], [t.tensor([1, 20])])
    y = t.op(9, [f, t.tensor([3, 20], f32(3, 20)), t.tensor([3], f32(3))], [t.tensor([1, 3])], 8, [])
    save('keras_separable', 'tflite', t.file(x, t.op(14, [y], [t.tensor([1, 3])])), 16, 4, 'N1LC')


def keras_int8():
    """As post-training quantisation makes it, one scale for all weights of a layer."""
    t = Tfl()
    x = t.tensor([1, 12])

    def value(shape, scale, zero):
        return t.tensor(shape, None, 9, ([scale], [zero]))

    def weights(rows, cols, s_in, s_w):
        w = t.tensor([rows, cols], rng.randint(-127, 128, (rows, cols)).astype(np.int8), 9, ([s_w], [0]))
        return w, t.tensor([rows], rng.randint(-900, 900, rows).astype(np.int32), 2, ([s_in * s_w], [0]))

    q = t.op(114, [x], [value([1, 12], 0.03, -5)])
    a = t.op(9, [q, *weights(8, 12, 0.03, 0.004)], [value([1, 8], 0.02, -128)], 8, [(0, 'b', 1)])
    b = t.op(9, [a, *weights(4, 8, 0.02, 0.005)], [value([1, 4], 0.04, 10)], 8, [])
    save('keras_int8', 'tflite', t.file(x, t.op(6, [b], [t.tensor([1, 4])])), 1, 12, 'NF')
    with open(f'{out}/keras_int8.limit', 'w') as f:
        f.write('0.08')          # two steps of the output: the net that it becomes is float


for make in (keras_conv, keras_normalised, keras_separable, keras_int8):
    make()
try:
    torch_nets()
except ImportError:
    print('skip: PyTorch (python3-torch) is not installed')
print('foreign:', len([f for f in os.listdir(out) if f.endswith('.file')]), 'files')
