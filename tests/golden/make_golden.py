#!/usr/bin/env python3
"""Makes the golden numbers: what PyTorch computes in float64 for the layers, networks, losses and optimisers that
plexus has.

    python3 make_golden.py            writes the *.safetensors beside it
    python3 make_golden.py NAME...    of these the ones that are named: activations, networks ...

Weights, inputs and targets are not stored: they come from the generator below, which golden.hpp repeats in C++. Its
numbers are multiples of 2^-12, so float32 holds them exactly and both sides begin from the same values. Of a layer
that convolves, pools or normalises are stored the outputs and all gradients of the quadratic cost (float32). Of a network are
stored the outputs and the loss before training, every gradient of the first step (float32), the losses of ten
steps (float64), and the parameters after them: all of a small network's; of a large one's tensors every 61st entry, and
the sums of each row and of each column with alternating signs (float64), in which no single wrong entry can hide. Of a
loss are stored its value (float64) and its gradient with respect to the outputs (float32), of an optimiser the parameters
after some updates (float64)."""
import copy
import json
import pathlib
import struct
import sys

import torch
from torch import nn

FOLDER = pathlib.Path(__file__).resolve().parent
STEPS = 10
BATCH = 32
SAMPLE_STRIDE = 61
LARGE = 10000


def splitmix64(x):
    """One output of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014) for the state x."""
    mask = (1 << 64) - 1
    z = (x + 0x9E3779B97F4A7C15) & mask
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
    return z ^ (z >> 31)


def numbers(seed, *shape):
    """Integers in [0, 4096): number i of seed s is the upper 12 bits of splitmix64(s * 2^32 + i)."""
    size = 1
    for extent in shape:
        size *= extent
    return torch.tensor([splitmix64((seed << 32) + i) >> 52 for i in range(size)], dtype=torch.float64).view(shape)


def unit(seed, *shape):
    return numbers(seed, *shape) / 4096


def signed(seed, scale, *shape):
    return (numbers(seed, *shape) - 2048) / 2048 * scale


def write_safetensors(path, tensors, metadata):
    names = {torch.float32: "F32", torch.float64: "F64", torch.int64: "I64"}
    header, blobs, offset = {"__metadata__": metadata}, [], 0
    for name, tensor in tensors.items():
        blob = bytes(tensor.contiguous().view(-1).numpy().tobytes())
        header[name] = {"dtype": names[tensor.dtype], "shape": list(tensor.shape),
                        "data_offsets": [offset, offset + len(blob)]}
        blobs.append(blob)
        offset += len(blob)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(blobs))


ACTIVATIONS = {"sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "relu": nn.ReLU, "leaky_relu": nn.LeakyReLU,
               "softplus": nn.Softplus, "identity": nn.Identity}

OPTIMISERS = {
    "plain": dict(lr=0.125),
    "momentum": dict(lr=0.125, momentum=0.75),
    "nesterov": dict(lr=0.125, momentum=0.75, nesterov=True),
    "weight_decay": dict(lr=0.125, weight_decay=0.0625),
    "all": dict(lr=0.125, momentum=0.75, nesterov=True, weight_decay=0.0625),
}
PLAIN = {"plain": OPTIMISERS["plain"]}


def quadratic(a, y):
    """The lecture's cost: 1/(2n) sum of |y - a|^2 over the n samples."""
    return (y - a).square().sum() / (2 * len(a))


@torch.no_grad()
def with_golden_parameters(net, scale):
    """The network in float64, parameter i being numbers of the seed 10 + i; `scale` has one for each layer."""
    for i, parameter in enumerate(net.double().parameters()):
        parameter.copy_(signed(10 + i, scale[i // 2], *parameter.shape))
    return net


def dense_net(widths, activations):
    layers = []
    for i, activation in enumerate(activations):
        layers.append(nn.Linear(widths[i], widths[i + 1]))
        if activation != "identity":
            layers.append(ACTIVATIONS[activation]())
    return nn.Sequential(*layers)


def nearest_tie(pool, x):
    """By how much a window's maximum exceeds what comes second. A window of zeros is what ReLU leaves, and has no
    gradient."""
    padding = pool.padding
    windows = nn.functional.unfold(nn.functional.pad(x, [padding] * 4, value=-float("inf")), pool.kernel_size,
                                   stride=pool.stride)
    windows = windows.view(len(x), x.shape[1], -1, windows.shape[-1])
    first, second = windows.topk(2, dim=2).values.unbind(dim=2)
    return (first - second)[first != 0].min().item()


@torch.no_grad()
def nearest_kink(net, x):
    """The smallest |z| that a rectifier sees, or lead of a maximum over the second: too near 0 and float32 may fall on
    the other side of the kink."""
    nearest = float("inf")
    for module in net:
        if isinstance(module, (nn.ReLU, nn.LeakyReLU)):
            nearest = min(nearest, x.abs().min().item())
        if isinstance(module, nn.MaxPool2d):
            nearest = min(nearest, nearest_tie(module, x))
        x = module(x)
    return nearest


def alternating(size):
    return 1 - 2 * (torch.arange(size, dtype=torch.float64) % 2)


def store(tensors, name, tensor, large=LARGE):
    if tensor.numel() < large:
        tensors[name] = tensor.float()
        return
    tensor = tensor.flatten(1)
    rows, cols = tensor.shape
    tensors[name + "/entries"] = tensor.reshape(-1)[::SAMPLE_STRIDE].float().clone()
    tensors[name + "/row_sums"] = tensor @ alternating(cols)
    tensors[name + "/column_sums"] = alternating(rows) @ tensor


def train(tensors, name, net, x, y, loss_function, optimiser, large_gradient):
    """Ten steps on one batch; returns the smallest distance from a kink that was met."""
    sgd = torch.optim.SGD(net.parameters(), **optimiser)
    losses, nearest = [], float("inf")
    for step in range(STEPS):
        nearest = min(nearest, nearest_kink(net, x))
        sgd.zero_grad()
        output = net(x)
        loss = loss_function(output, y)
        loss.backward()
        losses.append(loss.item())
        if step == 0 and name.endswith("plain"):
            tensors[f"{name}/output"] = output.detach().float()
            for parameter, value in net.named_parameters():
                store(tensors, f"{name}/gradient/{parameter}", value.grad, large_gradient)
        sgd.step()
    tensors[f"{name}/losses"] = torch.tensor(losses, dtype=torch.float64)
    for parameter, value in net.state_dict().items():
        store(tensors, f"{name}/final/{parameter}", value)
    return nearest


def train_by_each(tensors, case, net, x, y, loss_function, optimisers, large_gradient=LARGE):
    for optimiser, options in optimisers.items():
        name = f"{case}/{optimiser}"
        nearest = train(tensors, name, copy.deepcopy(net), x, y, loss_function, options, large_gradient)
        losses = tensors[f"{name}/losses"]
        print(f"{name}: loss {losses[0]:.6f} -> {losses[-1]:.6f}, nearest kink {nearest:.1e}")
        assert nearest > 1e-5, "too near a kink: change the seed of the inputs"
        assert losses[-1] < losses[0]


def networks():
    cases = {  # seed of the inputs, widths, activations, scale of each layer's weights, loss, optimisers
        "sigmoid_quadratic": (1, [784, 300, 10], ["sigmoid", "sigmoid"], [1 / 16, 1 / 8], "quadratic", PLAIN),
        "relu_cross_entropy": (100, [784, 300, 10], ["relu", "identity"], [1 / 16, 1 / 8], "cross_entropy", PLAIN),
        "small_quadratic": (1, [5, 7, 6, 3], ["tanh", "leaky_relu", "identity"], [1, 1, 1], "quadratic", OPTIMISERS),
        "small_cross_entropy": (1, [5, 7, 6, 4], ["softplus", "relu", "identity"], [1, 1, 1], "cross_entropy", OPTIMISERS),
    }
    tensors = {}
    for case, (seed, widths, activations, scale, loss, optimisers) in cases.items():
        x = unit(seed, BATCH, widths[0])
        if loss == "quadratic":
            y, loss_function = unit(2, BATCH, widths[-1]), quadratic
        else:
            y, loss_function = (numbers(3, BATCH) % widths[-1]).long(), nn.functional.cross_entropy
        net = with_golden_parameters(dense_net(widths, activations), scale)
        train_by_each(tensors, case, net, x, y, loss_function, optimisers, large_gradient=float("inf"))
    return tensors


def image_networks():
    tensors = {}
    lenet = nn.Sequential(nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(),
                          nn.MaxPool2d(2), nn.Flatten(), nn.Linear(256, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(),
                          nn.Linear(84, 10))
    train_by_each(tensors, "lenet", with_golden_parameters(lenet, [1 / 2, 1 / 8, 1 / 8, 1 / 8, 1 / 8]),
                  signed(152, 1, 8, 1, 28, 28), (numbers(3, 8) % 10).long(), nn.functional.cross_entropy,
                  {"plain": dict(lr=1 / 32)})
    smooth = nn.Sequential(nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2), nn.Tanh(),
                           nn.AvgPool2d(2, stride=1, padding=1), nn.Conv2d(6, 8, (3, 2), padding="same"), nn.Sigmoid(),
                           nn.AvgPool2d(2), nn.Flatten(), nn.Linear(48, 3))
    train_by_each(tensors, "smooth", with_golden_parameters(smooth, [1 / 2, 1 / 2, 1 / 4]), signed(1, 1, 5, 4, 9, 8),
                  unit(2, 5, 3), quadratic, OPTIMISERS)
    return tensors


def few_values(seed, *shape):
    """-4 to -1: windows are full of ties, and a padding that counted as zero would be the maximum."""
    return numbers(seed, *shape) % 4 - 4


CONVOLUTIONS = {  # batch, height and width, layer
    "plain": (3, (8, 8), nn.Conv2d(3, 4, 3)),
    "no_bias": (3, (6, 6), nn.Conv2d(2, 3, 3, bias=False)),
    "one_channel_one_filter": (1, (5, 5), nn.Conv2d(1, 1, 3)),
    "one_channel": (3, (9, 9), nn.Conv2d(1, 6, 5)),
    "one_filter": (3, (7, 7), nn.Conv2d(6, 1, 3)),
    "many_channels": (1, (6, 6), nn.Conv2d(20, 20, 3, padding=1)),
    "larger_batch": (5, (10, 10), nn.Conv2d(2, 3, 3, padding=1)),
    "one_pixel_image": (3, (1, 1), nn.Conv2d(3, 4, 1)),
    "pointwise": (3, (6, 7), nn.Conv2d(5, 6, 1)),
    "pointwise_stride_2": (3, (7, 7), nn.Conv2d(4, 3, 1, stride=2)),
    "pointwise_padding": (1, (3, 4), nn.Conv2d(3, 4, 1, padding=1)),
    "stride_2": (3, (9, 9), nn.Conv2d(2, 4, 3, stride=2)),
    "stride_2_with_remainder": (3, (8, 8), nn.Conv2d(2, 4, 3, stride=2)),
    "stride_beyond_kernel": (1, (10, 11), nn.Conv2d(3, 4, 2, stride=3)),
    "stride_by_axis": (3, (7, 8), nn.Conv2d(2, 3, 3, stride=(2, 1))),
    "stride_1_3": (1, (6, 11), nn.Conv2d(2, 3, (2, 3), stride=(1, 3))),
    "padding": (3, (6, 6), nn.Conv2d(3, 4, 3, padding=1)),
    "padding_by_axis": (3, (5, 7), nn.Conv2d(2, 3, (4, 3), padding=(2, 0))),
    "padding_beyond_kernel": (1, (4, 4), nn.Conv2d(2, 3, 2, padding=3)),
    "padding_and_stride": (3, (7, 7), nn.Conv2d(3, 4, 3, stride=2, padding=1)),
    "same": (3, (6, 7), nn.Conv2d(2, 4, 3, padding="same")),
    "same_even": (3, (6, 6), nn.Conv2d(2, 3, 4, padding="same")),
    "same_dilated": (1, (7, 6), nn.Conv2d(2, 3, (2, 3), padding="same", dilation=(3, 2))),
    "dilation": (3, (8, 8), nn.Conv2d(2, 3, 3, dilation=2)),
    "dilation_by_axis": (1, (6, 9), nn.Conv2d(3, 3, 3, dilation=(1, 3))),
    "all_by_axis": (3, (9, 10), nn.Conv2d(2, 3, 3, stride=(2, 3), padding=(2, 3), dilation=(2, 1))),
    "groups": (3, (6, 6), nn.Conv2d(4, 6, 3, groups=2)),
    "groups_same": (3, (5, 6), nn.Conv2d(6, 9, (3, 2), padding="same", groups=3, bias=False)),
    "depthwise": (3, (6, 6), nn.Conv2d(5, 5, 3, padding=1, groups=5)),
    "depthwise_multiplied": (1, (6, 7), nn.Conv2d(3, 6, 3, stride=2, groups=3)),
    "kernel_beyond_image": (3, (3, 3), nn.Conv2d(2, 3, 5, padding=2)),
    "kernel_is_image": (3, (4, 5), nn.Conv2d(3, 6, (4, 5))),
    "one_row": (3, (1, 12), nn.Conv2d(2, 3, (1, 4), stride=(1, 2))),
}

MAX_POOLS = {
    "plain": (3, (6, 6), nn.MaxPool2d(2)),
    "remainder": (3, (7, 5), nn.MaxPool2d(2)),
    "overlapping": (3, (7, 7), nn.MaxPool2d(3, stride=2)),
    "padding": (3, (6, 7), nn.MaxPool2d(3, stride=2, padding=1)),
    "by_axis": (1, (5, 8), nn.MaxPool2d((2, 3), stride=(1, 2), padding=(1, 0))),
    "wide_window": (1, (5, 6), nn.MaxPool2d(5, stride=1, padding=2)),
    "gaps": (3, (8, 8), nn.MaxPool2d(2, stride=3)),
    "whole_image": (3, (4, 5), nn.MaxPool2d((4, 5))),
}

AVERAGE_POOLS = {
    "plain": (3, (6, 6), nn.AvgPool2d(2)),
    "remainder": (3, (7, 5), nn.AvgPool2d(2)),
    "overlapping": (3, (7, 7), nn.AvgPool2d(3, stride=2)),
    "padding": (3, (6, 7), nn.AvgPool2d(3, stride=2, padding=1)),
    "by_axis": (1, (5, 8), nn.AvgPool2d((2, 3), stride=(1, 2), padding=(1, 0))),
    "wide_window": (1, (5, 6), nn.AvgPool2d(5, stride=1, padding=2)),
    "gaps": (3, (8, 8), nn.AvgPool2d(2, stride=3)),
    "global": (3, (4, 7), nn.AdaptiveAvgPool2d(1)),
    "global_of_one_pixel": (1, (1, 1), nn.AdaptiveAvgPool2d(1)),
}


def store_layer(tensors, name, layer, x):
    net = with_golden_parameters(nn.Sequential(layer), [1])
    a = net(x.requires_grad_())
    quadratic(a, unit(2, *a.shape)).backward()
    tensors[f"{name}/output"], tensors[f"{name}/dx"] = a.detach().float(), x.grad.float()
    for parameter, value in net.named_parameters():
        tensors[f"{name}/gradient/{parameter}"] = value.grad.float()


def convolutions():
    """Single layers under the quadratic cost. Pools have three channels."""
    tensors = {}
    for name, (batch, extent, layer) in CONVOLUTIONS.items():
        store_layer(tensors, f"convolution/{name}", layer, signed(1, 1, batch, layer.in_channels, *extent))
    for name, (batch, extent, layer) in MAX_POOLS.items():
        store_layer(tensors, f"max_pool/{name}", layer, few_values(1, batch, 3, *extent))
    for name, (batch, extent, layer) in AVERAGE_POOLS.items():
        store_layer(tensors, f"average_pool/{name}", layer, unit(1, batch, 3, *extent))
    return tensors


LOCAL_RESPONSE_NORMS = {  # batch, channels, height and width, layer
    "pytorch": (2, 7, (3, 4), nn.LocalResponseNorm(5)),
    "alexnet": (3, 8, (4, 3), nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2)),
    "size_1": (2, 3, (2, 3), nn.LocalResponseNorm(1, alpha=1e-3, beta=0.5, k=1)),
    "size_2": (2, 6, (3, 3), nn.LocalResponseNorm(2, alpha=1e-2, beta=1.25, k=0.5)),
    "size_4": (1, 6, (5, 1), nn.LocalResponseNorm(4, alpha=1e-3, beta=0.75, k=1.5)),
    "size_3": (3, 5, (1, 1), nn.LocalResponseNorm(3, alpha=1e-3, beta=1, k=4)),
    "beyond_channels": (2, 3, (3, 4), nn.LocalResponseNorm(9, alpha=1e-3, beta=0.75, k=1)),
    "even_beyond_channels": (2, 3, (3, 2), nn.LocalResponseNorm(4, alpha=1e-3, beta=0.75, k=1)),
    "one_channel": (2, 1, (2, 2), nn.LocalResponseNorm(5, alpha=1e-3, beta=0.75, k=1)),
    "many_channels_and_pixels": (2, 67, (5, 7), nn.LocalResponseNorm(5, alpha=1e-3, beta=0.75, k=2)),
}


def normalizations():
    """Single layers under the quadratic cost, of inputs so large that an alpha of 1e-4 shows."""
    tensors = {}
    for name, (batch, channels, extent, layer) in LOCAL_RESPONSE_NORMS.items():
        store_layer(tensors, f"local_response_norm/{name}", layer, signed(1, 64, batch, channels, *extent))
    return tensors


NORMALIZED = {  # batch, a sample's shape, what is added to inputs in [-1, 1), layers
    "vectors": (7, (5,), 0, lambda: [nn.BatchNorm1d(5)]),
    "wide_vectors": (300, (37,), 0, lambda: [nn.BatchNorm1d(37), nn.Tanh()]),
    "vectors_far_from_zero": (16, (6,), 16, lambda: [nn.BatchNorm1d(6)]),
    "images": (3, (4, 3, 5), 0, lambda: [nn.BatchNorm2d(4)]),
    "images_by_other_constants": (2, (3, 9, 7), 1, lambda: [nn.BatchNorm2d(3, eps=0.25, momentum=0.5), nn.Softplus()]),
    "images_of_a_pixel": (6, (3, 1, 1), 0, lambda: [nn.BatchNorm2d(3)]),
    "images_far_from_zero": (2, (3, 4, 4), 16, lambda: [nn.BatchNorm2d(3)]),
    "layer_norm_of_vectors": (4, (6,), 0, lambda: [nn.LayerNorm(6)]),
    "layer_norm_of_images": (3, (3, 4, 5), 0.5, lambda: [nn.LayerNorm([3, 4, 5], eps=0.125), nn.Softplus()]),
    "layer_norm_of_many_values": (2, (1500,), 16, lambda: [nn.LayerNorm(1500), nn.Sigmoid()]),
    "layer_norm_of_many_samples": (300, (3,), 0, lambda: [nn.LayerNorm(3)]),
    "softmax": (5, (7,), 0, lambda: [nn.Softmax(1)]),
    "softmax_far_from_zero": (3, (40,), 4096, lambda: [nn.Softmax(1)]),
    "network": (8, (2, 8, 6), 0, lambda: [
        nn.Conv2d(2, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.AvgPool2d(2), nn.BatchNorm2d(4), nn.Tanh(),
        nn.Flatten(), nn.Linear(24, 6, bias=False), nn.BatchNorm1d(6), nn.Sigmoid(), nn.Linear(6, 5), nn.LayerNorm(5), nn.Tanh(),
        nn.Linear(5, 3), nn.Softmax(1)]),
}


def normalized():
    """Layers that differ in training and in use: gradients of a first step, parameters and statistics after it and a
    second one on other inputs, and then the outputs and the input's gradient as in use."""
    tensors = {}
    for name, (batch, shape, middle, layers) in NORMALIZED.items():
        net = with_golden_parameters(nn.Sequential(*layers()), [1] * 10)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.125) if list(net.parameters()) else None
        for step in (1, 2):
            x = (signed(step, 1, batch, *shape) + middle).requires_grad_()
            if optimizer:
                optimizer.zero_grad()
            a = net(x)
            cost = quadratic(a, unit(3, *a.shape))
            cost.backward()
            if step == 1:
                tensors[f"{name}/loss"], tensors[f"{name}/dx"] = cost.detach().view(1), x.grad.float()
                for parameter, value in net.named_parameters():
                    tensors[f"{name}/gradient/{parameter}"] = value.grad.float()
            if optimizer:
                optimizer.step()
        for tensor, value in net.state_dict().items():
            if not tensor.endswith("num_batches_tracked"):
                tensors[f"{name}/final/{tensor}"] = value.float()
        net.eval()
        x = (signed(1, 1, batch, *shape) + middle).requires_grad_()
        a = net(x)
        quadratic(a, unit(3, *a.shape)).backward()
        tensors[f"{name}/output_in_use"], tensors[f"{name}/dx_in_use"] = a.detach().float(), x.grad.float()
    return tensors


def mean_absolute_percentage(a, y, epsilon=1e-7):
    return 100 * ((a - y).abs() / y.abs().clamp(min=epsilon)).mean()


def relative_squared(a, y, epsilon=0.01):
    return ((a - y).square() / (a.detach().square() + epsilon)).mean()


def hinge(a, y, margin=1):
    return nn.functional.relu(margin - torch.where(y > 0, 1, -1) * a).mean()


def kl_divergence(a, y, reduction="batchmean"):
    return nn.KLDivLoss(reduction=reduction)(a.log_softmax(1), y)


def weighted_cross_entropy(label_smoothing):
    """Of labels it is the sum over n: PyTorch's mean divides by the sum of the labels' weights."""
    def loss(a, y):
        function = nn.CrossEntropyLoss(unit(6, a.shape[1]) + 0.25, label_smoothing=label_smoothing, reduction="sum")
        return function(a, y) / len(a)
    return loss


LOSSES = {  # what is summed or averaged, and the kinds of targets
    "mean_squared": (nn.MSELoss(), ["values"]),
    "mean_absolute": (nn.L1Loss(), ["values"]),
    "huber": (nn.HuberLoss(), ["values"]),
    "huber_delta": (nn.HuberLoss(delta=2.5), ["values"]),
    "smooth_l1": (nn.SmoothL1Loss(), ["values"]),
    "smooth_l1_beta": (nn.SmoothL1Loss(beta=2.5), ["values"]),
    "smooth_l1_without": (nn.SmoothL1Loss(beta=0), ["values"]),
    "mean_absolute_percentage": (mean_absolute_percentage, ["values"]),
    "mean_absolute_percentage_epsilon": (lambda a, y: mean_absolute_percentage(a, y, 1.5), ["values"]),
    "relative_squared": (relative_squared, ["values"]),
    "relative_squared_epsilon": (lambda a, y: relative_squared(a, y, 2), ["values"]),
    "hinge": (hinge, ["values", "masses", "labels"]),
    "hinge_margin": (lambda a, y: hinge(a, y, 2.5), ["values"]),
    "binary_cross_entropy": (nn.BCEWithLogitsLoss(), ["masses", "labels"]),
    "binary_cross_entropy_weight": (nn.BCEWithLogitsLoss(pos_weight=torch.tensor(3.5)), ["masses", "labels"]),
    "kl_divergence": (kl_divergence, ["masses", "labels"]),
    "cross_entropy": (nn.CrossEntropyLoss(), ["masses", "labels"]),
    "cross_entropy_smooth": (nn.CrossEntropyLoss(label_smoothing=0.125), ["masses", "labels"]),
    "cross_entropy_weights": (weighted_cross_entropy(0), ["masses", "labels"]),
    "cross_entropy_weights_smooth": (weighted_cross_entropy(0.125), ["masses", "labels"]),
    "summed_huber": (nn.HuberLoss(delta=2.5, reduction="sum"), ["values"]),
    "summed_kl_divergence": (lambda a, y: kl_divergence(a, y, "sum"), ["masses"]),
    "summed_cross_entropy": (nn.CrossEntropyLoss(label_smoothing=0.125, reduction="sum"), ["labels"]),
}


def losses():
    """Values have the range of the outputs; masses, a third of which are 0, add up to no particular sum."""
    batch, tensors = 6, {}
    for width in (1, 3, 10, 40):
        targets = {"values": signed(2, 4, batch, width),
                   "masses": unit(3, batch, width) * (numbers(4, batch, width) % 3 > 0),
                   "labels": numbers(5, batch).long() % width}
        for name, (loss, kinds) in LOSSES.items():
            for kind in kinds:
                a, y = signed(1, 4, batch, width).requires_grad_(), targets[kind]
                if kind == "labels" and not "cross_entropy" in name.removeprefix("binary_cross_entropy"):
                    y = nn.functional.one_hot(y, width).double()
                value = loss(a, y)
                value.backward()
                tensors[f"{name}/{kind}/{width}/loss"] = value.detach().view(1)
                tensors[f"{name}/{kind}/{width}/gradient"] = a.grad.float()
    return tensors


ACTIVATION_POINTS = [*torch.linspace(-8, 8, 129).tolist(), -200, -104, -89, -50, -20, 20, 50, 89, 104, 200,
                     *(s * 2.0**e for e in range(-30, -3, 3) for s in (-1, 1))]


def evaluate_activations(functions, points):
    tensors = {"points": torch.tensor(points).float()}
    for name, function in functions.items():
        z = tensors["points"].double().requires_grad_()
        value = function(z)
        value.sum().backward()
        tensors[f"{name}/value"], tensors[f"{name}/derivative"] = value.detach(), z.grad
    return tensors


UPDATES = 100
OPTIMIZERS = {
    "sgd": lambda w: torch.optim.SGD(w, lr=0.05, momentum=0.9, weight_decay=0.02, nesterov=True),
    "adam": lambda w: torch.optim.Adam(w, lr=0.02),
    "adam_decay": lambda w: torch.optim.Adam(w, lr=0.02, betas=(0.8, 0.99), eps=1e-3, weight_decay=0.1),
    "adamw": lambda w: torch.optim.AdamW(w, lr=0.02, betas=(0.85, 0.98), eps=1e-5, weight_decay=0.1),
    "rmsprop": lambda w: torch.optim.RMSprop(w, lr=0.02, weight_decay=0.1),
    "rmsprop_momentum": lambda w: torch.optim.RMSprop(w, lr=0.002, alpha=0.9, eps=1e-3, momentum=0.8),
    "adagrad": lambda w: torch.optim.Adagrad(w, lr=0.1),
    "adagrad_decay": lambda w: torch.optim.Adagrad(w, lr=0.1, lr_decay=0.05, eps=1e-2, weight_decay=0.1),
    "clip_norm": lambda w: torch.optim.Adam(w, lr=0.02),
    "clip_value": lambda w: torch.optim.SGD(w, lr=0.05, momentum=0.9),
    "cosine": lambda w: torch.optim.AdamW(w, lr=0.02),
    "averaged": lambda w: torch.optim.AdamW(w, lr=0.02),
}
CLIP = {"clip_norm": lambda w: nn.utils.clip_grad_norm_(w, 1.0), "clip_value": lambda w: nn.utils.clip_grad_value_(w, 0.25)}


def schedule_factors(make):
    """The rates of an optimiser of rate 1 in 120 updates."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    schedule, factors = make(optimizer), []
    for _ in range(120):
        factors.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return factors


PLATEAUS = {
    "default": dict(),
    "all": dict(factor=0.5, patience=2, threshold=0.05, cooldown=3, min_lr=0.01),
    "impatient": dict(factor=0.75, patience=0, threshold=0, cooldown=1, eps=0),
}


def plateau_rates(losses, rule):
    """The rates of an optimiser of rate 1 after each of the losses."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    schedule, rates = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **rule), []
    for loss in losses.tolist():
        optimizer.step()
        schedule.step(loss)
        rates.append(optimizer.param_groups[0]["lr"])
    return torch.tensor(rates, dtype=torch.float64)


def optimizers():
    """The 40 parameters of a dense layer, or their average, after the 1st, the 10th and the last update by given
    gradients, the factors of schedules, and the rates that losses on plateaus lead to."""
    schedules = torch.optim.lr_scheduler
    cosine = lambda steps, last: lambda o: schedules.CosineAnnealingLR(o, steps, eta_min=last)
    warm_up = lambda o: schedules.LinearLR(o, start_factor=1 / 15, total_iters=14)
    factors = {
        "step_decay": schedule_factors(lambda o: schedules.StepLR(o, step_size=30, gamma=0.3)),
        "exponential_decay": schedule_factors(lambda o: schedules.ExponentialLR(o, gamma=0.97)),
        "cosine": schedule_factors(cosine(119, 0.1)),
        "warm_up": schedule_factors(warm_up)[:15] + schedule_factors(cosine(105, 0.0))[:105],
        "one_cycle": schedule_factors(lambda o: schedules.OneCycleLR(o, 1.0, total_steps=121, cycle_momentum=False)),
    }
    tensors = {f"schedule/{name}": torch.tensor(values, dtype=torch.float64) for name, values in factors.items()}
    losses = tensors["plateau/losses"] = 1 / (1 + torch.arange(100, dtype=torch.float64) / 8) + unit(7, 100) / 4
    for name, rule in PLATEAUS.items():
        tensors[f"plateau/{name}"] = plateau_rates(losses, rule)
    for name, make in OPTIMIZERS.items():
        w = [signed(10, 1, 5, 7).requires_grad_(), signed(11, 1, 5).requires_grad_()]
        optimizer = make(w)
        average = torch.optim.swa_utils.AveragedModel(nn.ParameterList(w),
                                                      multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.9))
        for update in range(UPDATES):
            for number, tensor in enumerate(w):
                tensor.grad = signed(1000 + 2 * update + number, 1, *tensor.shape) / (1 + update % 7)
            if name in CLIP:
                CLIP[name](w)
            if name == "cosine":
                optimizer.param_groups[0]["lr"] = 0.02 * factors["warm_up"][update]
            optimizer.step()
            average.update_parameters(nn.ParameterList(w))
            if update + 1 in (1, 10, UPDATES):
                shown = average.module if name == "averaged" else w
                flat = torch.cat([tensor.detach().flatten() for tensor in shown])
                tensors[f"{name}/{update + 1}"] = flat.clone()
    return tensors


def activations():
    """Values and derivatives at points from deep saturation to the smallest steps around 0."""
    functions = {name: module() for name, module in ACTIVATIONS.items()}
    return evaluate_activations({**functions, "softplus": nn.Softplus(threshold=1000)}, ACTIVATION_POINTS)


def squareplus(z):
    """J. T. Barron, 2021. For z < 0 both sides of the fraction are multiplied by r - z, since z + r would cancel."""
    r = (z.square() + 4).sqrt()
    return torch.where(z < 0, 2 / (r - z.clamp(max=0)), (z + r) / 2)


MORE_ACTIVATIONS = {"elu": nn.ELU(), "selu": nn.SELU(), "gelu": nn.GELU(), "gelu_tanh": nn.GELU(approximate="tanh"),
                    "silu": nn.SiLU(), "mish": nn.Mish(), "hard_sigmoid": nn.Hardsigmoid(), "softsign": nn.Softsign(),
                    "sine": torch.sin, "exponential": torch.exp, "squareplus": squareplus}


def more_activations():
    """The same of the other activations, where squares and cubes overflow as well."""
    return evaluate_activations(MORE_ACTIVATIONS, ACTIVATION_POINTS + [s * z for z in (1e3, 1e4, 1e30) for s in (-1, 1)])


SEQUENTIALS = {  # shape of a sample, and what makes the layers
    "sequential": ([6], lambda: [nn.Linear(6, 9), nn.Tanh(), nn.Linear(9, 4, bias=False), nn.Sigmoid(),
                                 nn.Linear(4, 3)]),
    "normalized_sequential": ([2, 6, 5], lambda: [nn.Conv2d(2, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(),
                                                  nn.Dropout(0.25), nn.LayerNorm([4, 4, 3]), nn.Flatten(),
                                                  nn.Linear(48, 5), nn.BatchNorm1d(5), nn.Linear(5, 3), nn.Softmax(1)]),
    "image_sequential": ([2, 11, 9], lambda: [nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
                                              nn.Conv2d(4, 6, (2, 3), groups=2, bias=False), nn.Sigmoid(),
                                              nn.Flatten(), nn.Linear(48, 3)]),
    "every_layer": ([4, 12, 10], lambda: [
        nn.Conv2d(4, 6, 3, groups=2, bias=False), nn.ReLU(), nn.LocalResponseNorm(3), nn.MaxPool2d(2), nn.BatchNorm2d(6),
        nn.Tanh(), nn.Dropout(0.25), nn.Conv2d(6, 4, (2, 1)), nn.SiLU(), nn.AvgPool2d(2), nn.LayerNorm([4, 2, 2]),
        nn.Sigmoid(), nn.Conv2d(4, 5, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 6, bias=False),
        nn.BatchNorm1d(6), nn.Dropout(0.5), nn.LayerNorm(6), nn.Softplus(), nn.Linear(6, 4), nn.Softmax(1)]),
}


def make_sequential(kind, seed):
    torch.manual_seed(seed)
    net = nn.Sequential(*SEQUENTIALS[kind][1]())
    if list(net.buffers()):  # running means and variances that are not those of the beginning
        for _ in range(3):
            net(torch.randn(8, *SEQUENTIALS[kind][0]))
    return net.eval()


def example_of(kind, net):
    """An input of five samples, and what the network makes of it in float64."""
    x = torch.randn(5, *SEQUENTIALS[kind][0])
    return {"x": x, "output": copy.deepcopy(net).double()(x.double()).detach()}


# The bits of -0, the least and the largest denormal, the largest number, infinities, and NaNs of which one signals and
# all carry something; sequential.cpp has them too.
RARE_BITS = [0x80000000, 0x00000001, 0x807FFFFF, 0x7F7FFFFF, 0x7F800000, 0xFF800000, 0x7FC12345, 0xFF800001]


def bits_of(tensor):
    return tensor.contiguous().view(-1).view(torch.int32)


def set_odd_values(net, seed):
    """Half of them rare, and half of them any bits at all."""
    for tensor in net.state_dict().values():
        if tensor.is_floating_point():
            random = [splitmix64((seed << 32) + i) for i in range(tensor.numel())]
            bits = [number & 0xFFFFFFFF if number >> 63 else RARE_BITS[number % len(RARE_BITS)] for number in random]
            bits_of(tensor).copy_(torch.tensor(bits, dtype=torch.int64).to(torch.int32))
            seed += 1
    return net


def write_sequential(kind, metadata):
    net = make_sequential(kind, seed=7)
    write_safetensors(FOLDER / f"{kind}.safetensors", net.state_dict(), {"format": "pt"})
    write_safetensors(FOLDER / f"{kind}_example.safetensors", example_of(kind, net), metadata)
    write_safetensors(FOLDER / f"{kind}_odd.safetensors", set_odd_values(net, seed=30).state_dict(), {"format": "pt"})


def main():
    metadata = {"made_by": "tests/golden/make_golden.py", "pytorch": torch.__version__.split("+")[0]}
    makers = {make.__name__: make for make in (activations, more_activations, networks, convolutions, normalizations,
                                                 normalized, losses, image_networks, optimizers)}
    for name in sys.argv[1:] or [*makers, *SEQUENTIALS]:
        if name in makers:
            write_safetensors(FOLDER / f"{name}.safetensors", makers[name](), metadata)
        else:
            write_sequential(name, metadata)


if __name__ == "__main__":
    main()
