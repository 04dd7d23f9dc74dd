#!/usr/bin/env python3
"""PyTorch on the workloads of benchmarks/, as somebody who knows it well would write them: data in memory as one
tensor, batches by index_select, the fused form of each operation where PyTorch has one.

Prints `seconds <workload> <value>` once per repetition (an epoch, or one call of a single-sample workload) and
`accuracy <workload> <value>` after training, as the C++ programs beside it do."""
import argparse
import gzip
import pathlib
import re
import time

import torch
from torch import nn


def mlp(widths):
    layers = []
    for inputs, outputs in zip(widths, widths[1:]):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def lenet():
    layers = [nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), *mlp([256, 120, 84, 10]))


TRAININGS = {  # network, shape of a sample, batch, rate
    "mlp-784-300-10": (lambda: mlp([784, 300, 10]), [784], 64, 0.1),
    "mlp-784-1024-1024-10": (lambda: mlp([784, 1024, 1024, 10]), [784], 256, 0.1),
    "lenet": (lenet, [1, 28, 28], 64, 0.1),
}
TRAININGS_IN_BF16 = ["mlp-784-1024-1024-10-bf16"]  # the same in mixed precision, by autocast
INFERENCES = [name + "-infer" for name in TRAININGS]
SINGLES = [
    "single-3-3-2-infer",
    "single-3-3-2-train",
    "single-3-3-2-function-infer",  # PyTorch has but one way
    "single-3-3-2-function-train",
    "single-784-300-10-infer",
]
WORKLOADS = [*TRAININGS, *TRAININGS_IN_BF16, *INFERENCES, *SINGLES]


def read_idx(path, header):
    path = path if path.exists() else path.with_suffix("")
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rb") as file:
        return torch.frombuffer(bytearray(file.read()[header:]), dtype=torch.uint8)


def load(folder, name, shape, device):
    images = read_idx(folder / f"{name}-images-idx3-ubyte.gz", 16)
    labels = read_idx(folder / f"{name}-labels-idx1-ubyte.gz", 8)
    return (images.view(-1, *shape).float() / 255).to(device), labels.long().to(device)


def placed(net, device):
    """On the device, and where that is a CPU in the layout in which convolutions are quicker there."""
    return net.to(device, memory_format=torch.channels_last if device == "cpu" else torch.preserve_format)


def wait(device):
    if device == "cuda":
        torch.cuda.synchronize()


def train_epoch(net, optimizer, images, labels, batch, in_bf16):
    order = torch.randperm(len(images), device=images.device)
    for chosen in order.split(batch):
        with torch.autocast(images.device.type, torch.bfloat16, enabled=in_bf16):
            loss = nn.functional.cross_entropy(net(images.index_select(0, chosen)), labels.index_select(0, chosen))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()


def run_training(name, folder, repetitions, device):
    make, shape, batch, rate = TRAININGS[name.removesuffix("-bf16")]
    images, labels = load(folder, "train", shape, device)
    torch.manual_seed(1)
    net = placed(make(), device)
    optimizer = torch.optim.SGD(net.parameters(), lr=rate, foreach=True)
    for repetition in range(repetitions + 1):
        wait(device)
        begin = time.perf_counter()
        train_epoch(net, optimizer, images, labels, batch, name in TRAININGS_IN_BF16)
        wait(device)
        if repetition > 0:  # the first one warms up
            print(f"seconds {name} {time.perf_counter() - begin:.6f}", flush=True)
    images, labels = load(folder, "t10k", shape, device)
    with torch.inference_mode(), torch.autocast(device, torch.bfloat16, enabled=name in TRAININGS_IN_BF16):
        accuracy = (net(images).argmax(1) == labels).float().mean().item()
    print(f"accuracy {name} {accuracy:.4f}", flush=True)


def time_calls(name, repetitions, calls, function):
    for _ in range(calls // 10 + 1):
        function()
    for _ in range(repetitions):
        begin = time.perf_counter()
        for _ in range(calls):
            function()
        print(f"seconds {name} {(time.perf_counter() - begin) / calls:.9f}", flush=True)


def run_inference(name, folder, repetitions, device):
    make, shape, *_ = TRAININGS[name.removesuffix("-infer")]
    images = load(folder, "train", shape, "cpu")[0]
    net = placed(make(), device)
    with torch.inference_mode():
        time_calls(name, repetitions, 1,
                   lambda: torch.cat([net(part.to(device)).cpu() for part in images.split(512)]))


def run_product(name, repetitions, device):
    layout, *sizes = re.fullmatch(r"gemm-(nt|nn|tn)-(\d+)x(\d+)x(\d+)", name).groups()
    m, n, k = map(int, sizes)
    a = torch.rand(k, m, device=device).t() if layout == "tn" else torch.rand(m, k, device=device)
    b = torch.rand(n, k, device=device).t() if layout == "nt" else torch.rand(k, n, device=device)
    c = torch.empty(m, n, device=device)
    calls = 1 + int(1e8 / (2 * m * n * k))

    def multiply():
        for _ in range(calls):
            torch.mm(a, b, out=c)
        wait(device)

    multiply()
    for _ in range(repetitions):
        begin = time.perf_counter()
        for _ in range(10):
            multiply()
        print(f"seconds {name} {(time.perf_counter() - begin) / 10 / calls:.9f}", flush=True)


def run_single(name, repetitions, device):
    torch.manual_seed(1)
    if name == "single-784-300-10-infer":
        net, x = mlp([784, 300, 10]), torch.rand(784)
    else:
        net = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Sigmoid(), nn.Linear(3, 2, bias=False), nn.Sigmoid())
        x = torch.tensor([0.5, 0.9, -0.3])
    net.to(device)
    if name.endswith("infer"):  # from host memory to host memory
        with torch.inference_mode():
            time_calls(name, repetitions, 5000, lambda: net(x.to(device)).cpu())
        return

    y = torch.tensor([0.9, 0.1])
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, foreach=True)

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss = 0.5 * (net(x.to(device)) - y.to(device)).square().sum()
        loss.backward()
        optimizer.step()
        return loss

    before = step().item()
    time_calls(name, repetitions, 2000, step)
    print(f"loss {name} {before:.6f} {step().item():.6f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=pathlib.Path, default="/usr/share/datasets/fashion-mnist")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("workloads", nargs="*", metavar="workload", help=" ".join([*WORKLOADS, "gemm-LAYOUT-MxNxK"]))
    arguments = parser.parse_args()
    for name in arguments.workloads or WORKLOADS:
        if name in [*TRAININGS, *TRAININGS_IN_BF16]:
            torch.set_num_threads(arguments.threads)
            run_training(name, arguments.data, arguments.repetitions, arguments.device)
        elif name in INFERENCES:
            torch.set_num_threads(arguments.threads)
            run_inference(name, arguments.data, arguments.repetitions, arguments.device)
        elif name.startswith("gemm-"):
            torch.set_num_threads(arguments.threads)
            run_product(name, arguments.repetitions, arguments.device)
        elif name in SINGLES:
            torch.set_num_threads(1)
            run_single(name, arguments.repetitions, arguments.device)
        else:
            parser.error(f"no workload {name}; there are {' '.join(WORKLOADS)} and products")


if __name__ == "__main__":
    main()
