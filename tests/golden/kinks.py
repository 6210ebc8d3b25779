#!/usr/bin/env python3
"""How much of float32's distance from a golden gradient is the kink of the leaky ReLU?

    python3 tests/golden/kinks.py lightweight

Runs step 1 of a model in PyTorch three times: in float64, in float32, and in float32 with every leaky ReLU taking the side that float64
took. Prints how many of its inputs changed sign between the first two, and how far both float32 gradients are from the float64 one, as a
share of its norm, at the worst parameter. What is left in the third run is rounding alone.
"""
import sys

import torch
import torch.nn.functional as F

import make_golden  # puts bench/peer on the path
import models
import formula

LEAKY_RELU = F.leaky_relu


def gradients(name, dtype, sides=None):
    """(the sign of every leaky ReLU's input in order of computation, the gradients). sides: signs to go by instead."""
    signs, given = [], iter(sides or [])

    def leaky_relu(x, slope):
        signs.append(x.detach() > 0)
        return LEAKY_RELU(x, slope) if sides is None else torch.where(next(given), x, slope * x)

    F.leaky_relu = leaky_relu
    model = models.build(name).to(dtype)
    models.assign(model, formula.parameter)
    for side in "ab":
        pictures, target, mask = make_golden.batch(side, 1, make_golden.RUNS[name].batch, model.plan.size, dtype)
        models.training_loss(model(pictures, side), target, mask).backward()
    F.leaky_relu = LEAKY_RELU
    return signs, {key: parameter.grad.double() for key, parameter, _ in models.named_parameters(model)}


def main():
    for name in sys.argv[1:] or ["tiny"]:
        true_signs, truth = gradients(name, torch.float64)

        def worst(other):
            return "{:.1e} at {}".format(*max(((other[key] - value).norm() / value.norm(), key) for key, value in truth.items()))

        signs, float32 = gradients(name, torch.float32)
        changed = sum(int((a != b).sum()) for a, b in zip(signs, true_signs))
        _, guided = gradients(name, torch.float32, true_signs)
        print(f"{name}: {changed} of {sum(a.numel() for a in signs):,} inputs of leaky ReLUs have another sign in float32")
        print(f"  gradient in float32: {worst(float32)}; on float64's side of every kink: {worst(guided)}", flush=True)


if __name__ == "__main__":
    main()
