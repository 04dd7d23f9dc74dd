#!/usr/bin/env python3
"""Makes the golden numbers: what PyTorch computes in float64 for the networks, losses and optimisers that plexus has.

    python3 make_golden.py            writes the *.safetensors beside it

Weights, inputs and targets are not stored: they come from the generator below, which golden.hpp repeats in C++. Its
numbers are multiples of 2^-12, so float32 holds them exactly and both sides begin from the same values. Of a network
are stored the outputs and the loss before training, every gradient of the first step (float32), the losses of ten
steps (float64), and the parameters after them: all of a small network's; of a large one's tensors every 61st entry, and
the sums of each row and of each column with alternating signs (float64), in which no single wrong entry can hide."""
import copy
import json
import pathlib
import struct

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
    names = {torch.float32: "F32", torch.float64: "F64"}
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


def quadratic(a, y):
    """The lecture's cost: 1/(2n) sum of |y - a|^2 over the n samples."""
    return (y - a).square().sum() / (2 * len(a))


def make_net(widths, activations, scale):
    layers = []
    for i, activation in enumerate(activations):
        layer = nn.Linear(widths[i], widths[i + 1], dtype=torch.float64)
        with torch.no_grad():
            layer.weight.copy_(signed(10 + 2 * i, scale[i], widths[i + 1], widths[i]))
            layer.bias.copy_(signed(11 + 2 * i, scale[i], widths[i + 1]))
        layers.append(layer)
        if activation != "identity":
            layers.append(ACTIVATIONS[activation]())
    return nn.Sequential(*layers)


def nearest_kink(net, x):
    """The smallest |z| that a rectifier sees: too near 0 and float32 may fall on the other side of its kink."""
    nearest = float("inf")
    for module in net:
        if isinstance(module, (nn.ReLU, nn.LeakyReLU)):
            nearest = min(nearest, x.abs().min().item())
        x = module(x)
    return nearest


def alternating(size):
    return 1 - 2 * (torch.arange(size, dtype=torch.float64) % 2)


def store_final(tensors, name, tensor):
    if tensor.numel() < LARGE:
        tensors[name] = tensor.float()
        return
    rows, cols = tensor.shape
    tensors[name + "/entries"] = tensor.reshape(-1)[::SAMPLE_STRIDE].float().clone()
    tensors[name + "/row_sums"] = tensor @ alternating(cols)
    tensors[name + "/column_sums"] = alternating(rows) @ tensor


def train(tensors, name, net, x, y, loss_function, optimiser):
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
                tensors[f"{name}/gradient/{parameter}"] = value.grad.float()
        sgd.step()
    tensors[f"{name}/losses"] = torch.tensor(losses, dtype=torch.float64)
    for parameter, value in net.state_dict().items():
        store_final(tensors, f"{name}/final/{parameter}", value)
    return nearest


def networks():
    cases = {  # seed of the inputs, widths, activations, scale of each layer's weights, loss, optimisers
        "sigmoid_quadratic": (1, [784, 300, 10], ["sigmoid", "sigmoid"], [1 / 16, 1 / 8], "quadratic", ["plain"]),
        "relu_cross_entropy": (100, [784, 300, 10], ["relu", "identity"], [1 / 16, 1 / 8], "cross_entropy", ["plain"]),
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
        for optimiser in optimisers:
            name = f"{case}/{optimiser}"
            net = make_net(widths, activations, scale)
            nearest = train(tensors, name, net, x, y, loss_function, OPTIMISERS[optimiser])
            losses = tensors[f"{name}/losses"]
            print(f"{name}: loss {losses[0]:.6f} -> {losses[-1]:.6f}, nearest kink {nearest:.1e}")
            assert nearest > 1e-5, "a rectifier's input is too near its kink: change the seed of the inputs"
            assert losses[-1] < losses[0]
    return tensors


def activations():
    """Values and derivatives at points from deep saturation to the smallest steps around 0."""
    points = torch.cat([torch.linspace(-8, 8, 129), torch.tensor([-200.0, -104.0, -89.0, -50.0, -20.0, 20.0, 50.0, 89.0,
                        104.0, 200.0]), torch.tensor([s * 2.0**e for e in range(-30, -3, 3) for s in (-1, 1)])])
    tensors = {"points": points.float()}
    for name, module in ACTIVATIONS.items():
        z = points.float().double().requires_grad_()
        value = nn.Softplus(threshold=1000)(z) if name == "softplus" else module()(z)
        value.sum().backward()
        tensors[f"{name}/value"], tensors[f"{name}/derivative"] = value.detach(), z.grad
    return tensors


def make_sequential(seed):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(6, 9), nn.Tanh(), nn.Linear(9, 4, bias=False), nn.Sigmoid(), nn.Linear(4, 3))


def example_of(net):
    """An input of five samples, and what the network makes of it in float64."""
    x = torch.randn(5, 6)
    return {"x": x, "output": copy.deepcopy(net).double()(x.double()).detach()}


def main():
    metadata = {"made_by": "tests/golden/make_golden.py", "pytorch": torch.__version__.split("+")[0]}
    write_safetensors(FOLDER / "activations.safetensors", activations(), metadata)
    write_safetensors(FOLDER / "networks.safetensors", networks(), metadata)
    net = make_sequential(seed=7)
    write_safetensors(FOLDER / "sequential.safetensors", net.state_dict(), {"format": "pt"})
    write_safetensors(FOLDER / "sequential_example.safetensors", example_of(net), metadata)


if __name__ == "__main__":
    main()
