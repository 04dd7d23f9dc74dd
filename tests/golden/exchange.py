#!/usr/bin/env python3
"""PyTorch's half of the exchange of weights that sequential.cpp tests, with the nn.Sequential that make_golden.py has
under KIND.

    python3 exchange.py write FOLDER KIND

writes a network as FOLDER/pytorch.safetensors, an example of its outputs as pytorch_example, and the same network with
odd values as pytorch_odd.

    python3 exchange.py read FOLDER KIND

loads what plexus has saved, strictly by name and shape: plexus.safetensors, whose outputs are those in plexus_example;
plexus_odd, which it writes again as plexus_odd_again; and pytorch_odd_again, whose bits are those of pytorch_odd. Files
are read and written by the package safetensors where there is one."""
import json
import pathlib
import struct
import sys

import torch

from make_golden import SEQUENTIALS, bits_of, example_of, make_sequential, set_odd_values, write_safetensors

DTYPES = {"F32": torch.float32, "I64": torch.int64}


def read_safetensors(path):
    data = bytearray(path.read_bytes())
    (header_size,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + header_size])
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        blob = data[8 + header_size + begin : 8 + header_size + end]
        tensors[name] = torch.frombuffer(blob, dtype=DTYPES[entry["dtype"]]).view(entry["shape"])
    return tensors


try:
    from safetensors.torch import load_file as load, save_file as save
except ImportError:
    load = read_safetensors
    save = lambda tensors, path: write_safetensors(path, tensors, {"format": "pt"})


def write(folder, kind):
    net = make_sequential(kind, seed=2)
    save(net.state_dict(), folder / "pytorch.safetensors")
    save(example_of(kind, net), folder / "pytorch_example.safetensors")
    save(set_odd_values(net, seed=40).state_dict(), folder / "pytorch_odd.safetensors")


def loaded(kind, path):
    net = make_sequential(kind, seed=1)
    net.load_state_dict(load(path), strict=True)
    return net


def read(folder, kind):
    example = load(folder / "plexus_example.safetensors")
    net = loaded(kind, folder / "plexus.safetensors").double()
    output = net(example["x"].double().view(-1, *SEQUENTIALS[kind][0]))
    torch.testing.assert_close(example["output"].double(), output, rtol=1e-5, atol=1e-6)

    save(loaded(kind, folder / "plexus_odd.safetensors").state_dict(), folder / "plexus_odd_again.safetensors")

    again = loaded(kind, folder / "pytorch_odd_again.safetensors").state_dict()
    for name, expected in load(folder / "pytorch_odd.safetensors").items():
        if expected.is_floating_point():
            assert torch.equal(bits_of(again[name]), bits_of(expected)), name


if __name__ == "__main__":
    {"write": write, "read": read}[sys.argv[1]](pathlib.Path(sys.argv[2]), sys.argv[3])
