"""Numbers that the golden tests compute on both sides. formula.h is the same in C++.

All come from Philox 4x32-10 (Salmon et al., SC'11) with the key KEY and the counter
    (block, fnv1a(name), step, use),   use: 0 numbers, 1 projection signs
so a number depends on its name, step and place, never on an order of calls. Every operation has one
correctly rounded result (exact products, single sums), so the float32 values are the same on every
machine.
"""

import numpy as np

KEY = 20190917
PROJECTIONS = 8
SAMPLES = 16
CELL = 8  # pixels of one coarse cell of a picture
BLOCKS_AT_A_TIME = 1 << 18


def fnv1a(text):
    value = 2166136261
    for byte in text.encode():
        value = (value ^ byte) * 16777619 & 0xFFFFFFFF
    return value


def philox(c0, c1, c2, c3):
    """uint32 [len(c0), 4]: ten rounds on the counters (c0[i], c1, c2, c3)."""
    low = np.uint64(0xFFFFFFFF)
    half = np.uint64(32)
    c = [c0.astype(np.uint64)] + [np.full(len(c0), value, np.uint64) for value in (c1, c2, c3)]
    k0, k1 = KEY & 0xFFFFFFFF, KEY >> 32
    for _ in range(10):
        a, b = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        x, y = (b >> half) ^ c[1] ^ np.uint64(k0), (a >> half) ^ c[3] ^ np.uint64(k1)
        c = [x, b & low, y, a & low]
        k0, k1 = k0 + 0x9E3779B9 & 0xFFFFFFFF, k1 + 0xBB67AE85 & 0xFFFFFFFF
    return np.stack(c, 1).astype("<u4")


def words(name, count, step, use):
    """The first `count` 32-bit words of a stream."""
    blocks = -(-count // 4)
    chunks = []
    for begin in range(0, blocks, BLOCKS_AT_A_TIME):
        counters = np.arange(begin, min(begin + BLOCKS_AT_A_TIME, blocks))
        chunks.append(philox(counters, fnv1a(name), step, use).ravel())
    return np.concatenate(chunks)[:count]


def unit(name, shape, step=0):
    """float32 in [0, 1)."""
    bits = words(name, int(np.prod(shape)), step, 0) >> np.uint32(8)
    return (bits.astype(np.float32) * np.float32(2**-24)).reshape(shape)


def uniform(name, shape, limit, step=0):
    """float32 in [-limit, limit)."""
    return np.float32(limit) * (np.float32(2) * unit(name, shape, step) - np.float32(1))


def parameter(name, shape):
    """Initial value of a parameter in doppel's layout: weights by fan-in (He), small biases.
    The second conv of a residual block has a tenth of the variance: sixteen blocks in a row would
    otherwise saturate every sigmoid."""
    if name.endswith(".bias"):
        return uniform(name, shape, 0.05)
    second = ".residual" in name and name.endswith(".conv1.weight")
    return uniform(name, shape, np.sqrt((0.6 if second else 6.0) / np.prod(shape[1:])))


def picture(name, n, size, step=0):
    """[n,size,size,3] float32 in [0,1): half coarse cells, half noise, for windows of different
    mean and variance."""
    cells = unit(name + ".coarse", (n, size // CELL, size // CELL, 3), step)
    coarse = cells.repeat(CELL, 1).repeat(CELL, 2)
    fine = unit(name + ".fine", (n, size, size, 3), step)
    return np.float32(0.5) * coarse + np.float32(0.5) * fine


def mask(name, n, height, width, step=0):
    """[n,height,width] float32 in [0,1]: a quarter zeros, a quarter ones, the rest between."""
    values = np.float32(2) * unit(name, (n, height, width), step) - np.float32(0.5)
    return np.clip(values, np.float32(0), np.float32(1))


def summary(name, values):
    """float64 [1 + PROJECTIONS + SAMPLES] in place of a whole tensor: its norm, its products with
    random vectors of +-1, and some of its entries. The root mean square of a difference of
    projections estimates the norm of the difference of the tensors."""
    flat = np.ascontiguousarray(values, np.float64).ravel()
    projections = np.zeros(PROJECTIONS)
    chunk = 16 * BLOCKS_AT_A_TIME
    for begin in range(0, flat.size, chunk):
        piece = flat[begin : begin + chunk]
        blocks = np.arange(begin // 16, -(-(begin + piece.size) // 16))
        # Bit k of byte i of the stream is the sign of entry i in projection k.
        signs = philox(blocks, fnv1a(name), 0, 1).ravel().view(np.uint8)[: piece.size]
        for k in range(PROJECTIONS):
            projections[k] += np.where(signs >> k & 1, piece, -piece).sum()
    samples = [flat[(k + 1) * 2654435761 % flat.size] for k in range(SAMPLES)]
    return np.concatenate([[np.sqrt((flat * flat).sum())], projections, samples])
