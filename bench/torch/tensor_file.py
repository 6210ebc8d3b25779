"""Reading and writing safetensors files with numpy alone.

The format: eight bytes (little-endian) that give the length of a JSON header, the header, then the raw numbers. The header maps each
tensor's name to its dtype, shape and byte range; "__metadata__" holds strings. A doppel checkpoint is such a file; its last tensor,
"__crc32c__", guards the bytes before it, and this independent reader does not need it.
"""
import json
import os

import numpy as np

DTYPES = {"F64": np.dtype("<f8"), "F32": np.dtype("<f4"), "I64": np.dtype("<i8"), "I32": np.dtype("<i4"), "U32": np.dtype("<u4"), "U8": np.dtype("u1")}
NAMES = {dtype: name for name, dtype in DTYPES.items()}


def read_header(path):
    """(header without metadata, metadata, offset of the first number). ValueError names what is wrong with the file."""
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(size - 8, 100 << 20):
            raise ValueError(f"{path}: not a safetensors file (its header would be {length} bytes long)")
        header = json.loads(file.read(length))
    return header, header.pop("__metadata__", {}), 8 + length


def read(path, names=None):
    """({name: array}, metadata). names: only these; the arrays are views of the mapped file, so unread tensors cost nothing."""
    header, metadata, start = read_header(path)
    data = np.memmap(path, dtype=np.uint8, mode="r")
    tensors = {}
    for name in header if names is None else names:
        if name not in header:
            raise ValueError(f"{path}: tensor '{name}' is missing")
        entry = header[name]
        if entry["dtype"] not in DTYPES:
            raise ValueError(f"{path}: tensor '{name}' has dtype {entry['dtype']}, which this reader does not know")
        begin, end = entry["data_offsets"]
        tensors[name] = data[start + begin:start + end].view(DTYPES[entry["dtype"]]).reshape(entry["shape"])
    return tensors, metadata


def write(path, tensors, metadata):
    """Writes {name: array}. Tensors are ordered by the size of their items, so that each begins on a multiple of it."""
    header, offset = {"__metadata__": {key: str(value) for key, value in metadata.items()}}, 0
    ordered = sorted(((name, np.ascontiguousarray(array)) for name, array in tensors.items()), key=lambda item: (-item[1].itemsize, item[0]))
    for name, array in ordered:
        header[name] = {"dtype": NAMES[array.dtype], "shape": list(array.shape), "data_offsets": [offset, offset + array.nbytes]}
        offset += array.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for _, array in ordered:
            file.write(array.tobytes())
