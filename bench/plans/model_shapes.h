// The convolutions of a model, found by a run without data.
#pragma once
#include <string>
#include <vector>

#include "kernels/conv/shape.h"

namespace plans {

// Every distinct convolution for `batch` faces per person: the encoder's batch holds
// both persons, a decoder's one.
std::vector<kernels::ConvShape> conv_shapes(const std::string& model, int batch);
}  // namespace plans
