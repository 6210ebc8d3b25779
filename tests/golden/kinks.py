#!/usr/bin/env python3
"""Measures how much of float32's distance from a golden gradient is the kink of the leaky ReLU.

    python3 tests/golden/kinks.py lightweight

Runs step 1 of a model in PyTorch three times: in float64, in float32, and in float32 with every
leaky ReLU on float64's side of its kink. Prints the number of its inputs with another sign in
float32, and the distance of both float32 gradients from the float64 one, as a share of its norm, at
the worst parameter. The distance of the third run is rounding alone.
"""

import sys

import torch
import torch.nn.functional as F

import make_golden  # puts tools/torch on the path
import models
import formula

LEAKY_RELU = F.leaky_relu


def gradients(name, dtype, sides=None):
    """(the sign of every leaky ReLU's input in order of computation, the gradients). sides: signs
    to use instead."""
    signs, given = [], iter(sides or [])

    def leaky_relu(x, slope):
        signs.append(x.detach() > 0)
        return LEAKY_RELU(x, slope) if sides is None else torch.where(next(given), x, slope * x)

    F.leaky_relu = leaky_relu
    model = models.build(name).to(dtype)
    models.assign(model, formula.parameter)
    for side in "ab":
        count = make_golden.RUNS[name].batch
        pictures, target, mask = make_golden.batch(side, 1, count, model.plan.size, dtype)
        models.training_loss(model(pictures, side), target, mask).backward()
    F.leaky_relu = LEAKY_RELU
    parameters = models.named_parameters(model)
    return signs, {key: parameter.grad.double() for key, parameter, _ in parameters}


def main():
    for name in sys.argv[1:] or ["tiny"]:
        true_signs, truth = gradients(name, torch.float64)

        def worst(other):
            distances = ((other[key] - value).norm() / value.norm() for key, value in truth.items())
            return "{:.1e} at {}".format(*max(zip(distances, truth)))

        signs, float32 = gradients(name, torch.float32)
        changed = sum(int((a != b).sum()) for a, b in zip(signs, true_signs))
        _, guided = gradients(name, torch.float32, true_signs)
        total = sum(a.numel() for a in signs)
        print(f"{name}: {changed} of {total:,} inputs of leaky ReLUs have another sign in float32")
        print(f"  gradient in float32: {worst(float32)}")
        print(f"  on float64's side of every kink: {worst(guided)}", flush=True)


if __name__ == "__main__":
    main()
