#!/usr/bin/env python3
"""PyTorch's half of the exchange of weights that sequential.cpp tests.

    python3 exchange.py FOLDER KIND

Loads FOLDER/plexus.safetensors into the nn.Sequential that make_golden.py has under KIND, strictly by name and shape,
and compares its outputs with those in FOLDER/plexus_example.safetensors; then writes a network of its own and an
example of its outputs as pytorch*."""
import json
import pathlib
import struct
import sys

import torch

from make_golden import SEQUENTIALS, example_of, make_sequential, write_safetensors


def read_safetensors(path):
    data = bytearray(path.read_bytes())
    (header_size,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + header_size])
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        assert entry["dtype"] == "F32", entry
        blob = data[8 + header_size + begin : 8 + header_size + end]
        tensors[name] = torch.frombuffer(blob, dtype=torch.float32).view(entry["shape"])
    return tensors


def main():
    folder, kind = pathlib.Path(sys.argv[1]), sys.argv[2]
    net = make_sequential(kind, seed=1)
    net.load_state_dict(read_safetensors(folder / "plexus.safetensors"), strict=True)
    example = read_safetensors(folder / "plexus_example.safetensors")
    output = net.double().eval()(example["x"].double().view(-1, *SEQUENTIALS[kind][0]))
    torch.testing.assert_close(example["output"].double(), output, rtol=1e-5, atol=1e-6)

    net = make_sequential(kind, seed=2)
    write_safetensors(folder / "pytorch.safetensors", net.state_dict(), {"format": "pt"})
    write_safetensors(folder / "pytorch_example.safetensors", example_of(kind, net), {})


if __name__ == "__main__":
    main()
