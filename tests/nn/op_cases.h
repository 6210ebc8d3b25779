// One table of op cases: inputs and shapes of each op. It drives the gradient check,
// the comparison of dtypes, the rerun in other thread orders and, with a GPU, host
// against GPU. A new op needs a row, or OpCases.EveryOpHasACase fails.
#pragma once
#include <cmath>
#include <functional>
#include <ostream>
#include <random>
#include <string>
#include <vector>

#include "nn/ops.h"

namespace nn_test {

struct OpInput {
  nn::Shape shape;
  std::vector<double> values;
  bool wants_gradient = true;
};

struct OpCase {
  std::string op, label;
  std::vector<OpInput> inputs;
  std::function<nn::Tensor(const std::vector<nn::Tensor>&)> forward;
  double step = 1e-6;           // of the central difference
  double f32_tolerance = 2e-5;  // of value and gradient against f64, relative to the largest entry
  double bf16_tolerance = 2e-2;
};

const std::vector<OpCase>& op_cases();
inline void PrintTo(const OpCase& c, std::ostream* out) {
  *out << c.op << " " << c.label;
}  // for GoogleTest's messages

// The case's inputs as leaves of a dtype, on a device.
std::vector<nn::Tensor> make_inputs(const OpCase&, nn::DType, nn::Device = nn::Device::host);

// Values as doubles, whatever the dtype.
std::vector<double> values_of(const nn::Tensor&);

// sum_i r_i y_i in the compute type, r fixed by the seed: any output as one number.
// Recorded as "test_dot".
nn::Tensor random_projection(const nn::Tensor& y, unsigned seed);

// Uniform in [low, high], on a grid that bf16 holds exactly, so every dtype starts from
// the same numbers.
std::vector<double> random_values(std::int64_t n, unsigned seed, double low = -1, double high = 1);
}  // namespace nn_test
