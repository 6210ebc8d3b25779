"""Numbers that both sides compute, so that golden files need not carry them. formula.h is the same in C++.

Everything comes from Philox 4x32-10 (Salmon et al., SC'11) with the key KEY and the counter
    (block, fnv1a(name), step, use),   use: 0 numbers, 1 projection signs
so that a number depends on its name, its step and its place, never on an order of calls. Only operations with one correctly rounded
result are used (exact products, single sums), so the float32 values are the same on every machine.
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
        c = [(b >> half) ^ c[1] ^ np.uint64(k0), b & low, (a >> half) ^ c[3] ^ np.uint64(k1), a & low]
        k0, k1 = k0 + 0x9E3779B9 & 0xFFFFFFFF, k1 + 0xBB67AE85 & 0xFFFFFFFF
    return np.stack(c, 1).astype("<u4")


def words(name, count, step, use):
    """The first `count` 32-bit words of a stream."""
    blocks = -(-count // 4)
    parts = [philox(np.arange(begin, min(begin + BLOCKS_AT_A_TIME, blocks)), fnv1a(name), step, use).ravel() for begin in range(0, blocks, BLOCKS_AT_A_TIME)]
    return np.concatenate(parts)[:count]


def unit(name, shape, step=0):
    """float32 in [0, 1)."""
    return ((words(name, int(np.prod(shape)), step, 0) >> np.uint32(8)).astype(np.float32) * np.float32(2 ** -24)).reshape(shape)


def uniform(name, shape, limit, step=0):
    """float32 in [-limit, limit)."""
    return np.float32(limit) * (np.float32(2) * unit(name, shape, step) - np.float32(1))


def parameter(name, shape):
    """Initial value of a model's parameter, doppel's layout: weights by fan-in (He), biases small but not zero. The second conv of a
    residual block has a tenth of the variance, or sixteen blocks in a row would drive every sigmoid to its end."""
    if name.endswith(".bias"):
        return uniform(name, shape, 0.05)
    return uniform(name, shape, np.sqrt((0.6 if ".residual" in name and name.endswith(".conv1.weight") else 6.0) / np.prod(shape[1:])))


def picture(name, n, size, step=0):
    """[n,size,size,3] float32 in [0,1): half coarse cells, half noise, so that windows differ in mean and variance."""
    coarse = unit(name + ".coarse", (n, size // CELL, size // CELL, 3), step).repeat(CELL, 1).repeat(CELL, 2)
    return np.float32(0.5) * coarse + np.float32(0.5) * unit(name + ".fine", (n, size, size, 3), step)


def mask(name, n, height, width, step=0):
    """[n,height,width] float32 in [0,1]: a quarter zeros, a quarter ones, the rest between."""
    return np.clip(np.float32(2) * unit(name, (n, height, width), step) - np.float32(0.5), np.float32(0), np.float32(1))


def summary(name, values):
    """float64 [1 + PROJECTIONS + SAMPLES] that stands for a whole tensor: its norm, its products with random vectors of +-1, and some of
    its entries. The root mean square of a difference of projections estimates the norm of the difference of the tensors."""
    flat = np.ascontiguousarray(values, np.float64).ravel()
    projections = np.zeros(PROJECTIONS)
    chunk = 16 * BLOCKS_AT_A_TIME
    for begin in range(0, flat.size, chunk):
        part = flat[begin:begin + chunk]
        blocks = np.arange(begin // 16, -(-(begin + part.size) // 16))
        signs = philox(blocks, fnv1a(name), 0, 1).ravel().view(np.uint8)[:part.size]  # byte i of the stream; its bit k is the sign of projection k
        for k in range(PROJECTIONS):
            projections[k] += np.where(signs >> k & 1, part, -part).sum()
    samples = [flat[(k + 1) * 2654435761 % flat.size] for k in range(SAMPLES)]
    return np.concatenate([[np.sqrt((flat * flat).sum())], projections, samples])
