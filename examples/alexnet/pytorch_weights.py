#!/usr/bin/env python3
"""AlexNet as an nn.Sequential with random weights, for main.cpp to load.

    python3 pytorch_weights.py FOLDER

Writes FOLDER/weights.safetensors, the state_dict, and FOLDER/example.safetensors: an image x and the output that these
weights give for it in float64. Needs torch and safetensors."""
import pathlib
import sys

import torch
from safetensors.torch import save_file
from torch import nn


def normalization():
    # The paper does not divide alpha by the size, PyTorch does.
    return nn.LocalResponseNorm(5, alpha=5 * 1e-4, beta=0.75, k=2)


def alexnet():
    return nn.Sequential(
        nn.Conv2d(3, 96, 11, stride=4), nn.ReLU(), normalization(), nn.MaxPool2d(3, stride=2),
        nn.Conv2d(96, 256, 5, padding=2, groups=2), nn.ReLU(), normalization(), nn.MaxPool2d(3, stride=2),
        nn.Conv2d(256, 384, 3, padding=1), nn.ReLU(),
        nn.Conv2d(384, 384, 3, padding=1, groups=2), nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1, groups=2), nn.ReLU(), nn.MaxPool2d(3, stride=2),
        nn.Flatten(),
        nn.Linear(9216, 4096), nn.ReLU(),
        nn.Linear(4096, 4096), nn.ReLU(),
        nn.Linear(4096, 1000))


@torch.no_grad()
def initialize(net):
    """Weights that keep the signal's size through the rectifiers, so that every layer shows in the output."""
    for layer in net:
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.uniform_(layer.bias, -0.1, 0.1)
    return net


@torch.no_grad()
def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(1)
    net = initialize(alexnet())
    assert sum(parameter.numel() for parameter in net.parameters()) == 60965224
    save_file(net.state_dict(), folder / "weights.safetensors")
    x = 64 * torch.randn(1, 3, 227, 227)  # as large as pixels less their mean: normalisation shows
    save_file({"x": x, "output": net.double()(x.double()).float()}, folder / "example.safetensors")


if __name__ == "__main__":
    main()
