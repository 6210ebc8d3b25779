// The convolutions of a model, found by running it without data.
#pragma once
#include <string>
#include <vector>

#include "kernels/conv/conv.h"

namespace plans {

// Every distinct convolution of the model for `batch` pictures a side: the encoder sees both sides at once, a decoder one.
std::vector<kernels::ConvShape> conv_shapes(const std::string& model, int batch);

}  // namespace plans
