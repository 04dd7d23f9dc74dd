#!/usr/bin/env python3
"""Makes the files of npy/ by NumPy (2.4), which tests/io/npy.cpp reads and compares with what it writes.

Value i of an array is ((37 i + 11) mod 101 - 50) / 4, or where an integer is wanted without the quarter."""
import pathlib

import numpy

FOLDER = pathlib.Path(__file__).resolve().parent / "npy"


def integers(*shape):
    return ((37 * numpy.arange(numpy.prod(shape, dtype=int)) + 11) % 101 - 50).reshape(shape)


def quarters(*shape):
    return integers(*shape) / 4


def write(name, array, version=(1, 0)):
    with open(FOLDER / f"{name}.npy", "wb") as file:
        numpy.lib.format.write_array(file, array, version=version, allow_pickle=True)


FOLDER.mkdir(exist_ok=True)
write("float32", quarters(2, 3, 5).astype("<f4"))
write("float32_fortran", numpy.asfortranarray(quarters(2, 3, 5).astype("<f4")))
write("float32_vector", quarters(7).astype("<f4"))
write("float32_scalar", numpy.float32(-2.5).reshape(()))
write("float32_empty", quarters(0, 3).astype("<f4"))
write("float32_extremes", numpy.array([0, -0.0, 1e-45, 3.4028235e38, -88, numpy.inf, -numpy.inf, numpy.nan], "<f4"))
# Headers of 116, 117 and 118 bytes before they are padded to a multiple of 64 with the prefix of 10 and the line's end:
# where there is nothing to pad, NumPy adds 64.
for length, shape in ((116, [1] * 13 + [33]), (117, [1] * 13 + [333]), (118, [1] * 14 + [3])):
    write(f"float32_header_{length}", quarters(*shape).astype("<f4"))
write("float64", quarters(4, 3).astype("<f8"))
write("float64_rounded", numpy.array([0.1, -1e-60, 1 / 3, 3.4028235e38, numpy.inf], "<f8"))
write("float64_too_large", numpy.array([1, -3.5e38], "<f8"))
write("int32", integers(4, 3).astype("<i4"))
write("int32_inexact", numpy.array([16777216, -16777217], "<i4"))
write("int64_fortran", numpy.asfortranarray(integers(4, 3).astype("<i8")))
write("int64_large", numpy.array([2**62 + 2**39, -(2**63), 2**24 - 1, 0], "<i8"))
write("uint8", (integers(4, 3) % 256).astype("|u1"))
write("version2", quarters(4, 3).astype("<f4"), (2, 0))
write("version3", quarters(4, 3).astype("<f4"), (3, 0))
write("float32_big_endian", quarters(4, 3).astype(">f4"))
write("float16", quarters(4, 3).astype("<f2"))
write("structured", numpy.zeros(2, [("x", "<f4"), ("y", "<i4")]))
write("pickled", numpy.array([None, "text"], dtype=object))
