"""Reads and writes safetensors files with numpy alone.

The format: eight bytes (little-endian) with the length of a JSON header, the header, then the raw
numbers. The header has each tensor's dtype, shape and byte range; "__metadata__" holds strings. A
doppel checkpoint is such a file; this reader skips its last tensor, the checksum "__crc32c__".
"""

import json
import os

import numpy as np

DTYPES = {"F64": "<f8", "F32": "<f4", "I64": "<i8", "I32": "<i4", "U32": "<u4", "U8": "u1"}
NAMES = {np.dtype(dtype): name for name, dtype in DTYPES.items()}


def read_header(path):
    """(header without metadata, metadata, offset of the numbers). ValueError for other files."""
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(size - 8, 100 << 20):
            raise ValueError(f"{path}: not a safetensors file (header of {length} bytes)")
        header = json.loads(file.read(length))
    return header, header.pop("__metadata__", {}), 8 + length


def read(path, names=None):
    """({name: array}, metadata). The arrays are views of the mapped file, so tensors that are not
    in `names` cost nothing."""
    header, metadata, start = read_header(path)
    data = np.memmap(path, dtype=np.uint8, mode="r")
    tensors = {}
    for name in header if names is None else names:
        if name not in header:
            raise ValueError(f"{path}: tensor '{name}' is missing")
        dtype, (begin, end) = header[name]["dtype"], header[name]["data_offsets"]
        if dtype not in DTYPES:
            raise ValueError(f"{path}: tensor '{name}' is {dtype}, not of {', '.join(DTYPES)}")
        array = data[start + begin : start + end].view(DTYPES[dtype])
        tensors[name] = array.reshape(header[name]["shape"])
    return tensors, metadata


def write(path, tensors, metadata):
    """Writes {name: array}, the largest items first, which aligns each tensor to its items."""
    header, offset = {"__metadata__": {key: str(value) for key, value in metadata.items()}}, 0
    arrays = [(name, np.ascontiguousarray(array)) for name, array in tensors.items()]
    arrays.sort(key=lambda item: (-item[1].itemsize, item[0]))
    for name, array in arrays:
        offsets = [offset, offset + array.nbytes]
        shape = list(array.shape)
        header[name] = {"dtype": NAMES[array.dtype], "shape": shape, "data_offsets": offsets}
        offset = offsets[1]
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for _, array in arrays:
            file.write(array.tobytes())
