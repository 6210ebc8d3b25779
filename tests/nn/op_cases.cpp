#include "tests/nn/op_cases.h"

#include <fmt/format.h>

#include <algorithm>

#include "nn/tape.h"

namespace nn_test {

using namespace nn;

std::vector<double> random_values(std::int64_t n, unsigned seed, double low, double high) {
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<double> uniform(low, high);
  std::vector<double> values(static_cast<std::size_t>(n));
  for (double& v : values)
    v = static_cast<float>(kernels::bf16(static_cast<float>(uniform(random))));
  return values;
}

namespace {

template <class T> Tensor tensor_of(const std::vector<double>& values, Shape shape, Device device) {
  std::vector<T> converted;
  for (const double v : values) {
    if constexpr (std::is_same_v<T, double>) converted.push_back(v);
    else converted.push_back(T(static_cast<float>(v)));
  }
  return Tensor::from<T>(converted, shape, device);
}

Tensor tensor_of(const std::vector<double>& values, Shape shape, DType dtype,
                 Device device = Device::host) {
  switch (dtype) {
    case DType::f32: return tensor_of<float>(values, shape, device);
    case DType::bf16: return tensor_of<kernels::bf16>(values, shape, device);
    default: return tensor_of<double>(values, shape, device);
  }
}

OpInput random_input(Shape shape, unsigned seed, double low = -1, double high = 1) {
  return {shape, random_values(shape.numel(), seed, low, high)};
}
OpInput constant_input(Shape shape, unsigned seed, double low = 0, double high = 1) {
  return {shape, random_values(shape.numel(), seed, low, high), false};
}

// No two values closer than 1/128: the difference quotient stays clear of the kinks of a
// maximum.
OpInput distinct_input(Shape shape, unsigned seed) {
  OpInput input{shape, std::vector<double>(static_cast<std::size_t>(shape.numel()))};
  std::mt19937_64 random(seed);
  for (std::size_t i = 0; i < input.values.size(); ++i)
    input.values[i] = (static_cast<double>(i) - 108) / 128;
  std::ranges::shuffle(input.values, random);
  return input;
}

// Images that differ by at least 0.05 everywhere: the difference quotient stays clear
// of the kink of |pred - target|.
OpInput image_beside(const OpInput& image, unsigned seed) {
  OpInput other = constant_input(image.shape, seed, 0.05, 0.3);
  for (std::size_t i = 0; i < other.values.size(); ++i) {
    const double moved = image.values[i] + (i % 3 == 0 ? 1 : -1) * other.values[i];
    other.values[i] = static_cast<float>(kernels::bf16(static_cast<float>(moved)));
  }
  return other;
}

using Inputs = std::vector<Tensor>;

std::vector<OpCase> make_cases() {
  std::vector<OpCase> cases;

  struct ConvRow {
    int n, h, w, in, out, kernel, stride;
    Activation activation;
    bool bias;
    int shuffle = 1;
  };
  for (const ConvRow& r : {ConvRow{2, 8, 8, 3, 5, 5, 2, Activation::leaky_relu, true},
                           ConvRow{1, 6, 6, 4, 8, 3, 1, Activation::leaky_relu, true},
                           ConvRow{2, 5, 5, 3, 3, 5, 1, Activation::sigmoid, true},
                           ConvRow{2, 7, 5, 3, 4, 3, 2, Activation::none, true},
                           ConvRow{2, 4, 4, 6, 5, 1, 1, Activation::none, false},
                           ConvRow{1, 9, 9, 2, 3, 5, 2, Activation::leaky_relu, false},
                           ConvRow{1, 4, 4, 3, 2, 3, 1, Activation::sigmoid, false},
                           ConvRow{2, 3, 5, 3, 12, 3, 1, Activation::leaky_relu, true, 2},
                           ConvRow{1, 4, 4, 2, 9, 3, 2, Activation::leaky_relu, true, 3},
                           ConvRow{2, 3, 2, 3, 8, 3, 1, Activation::leaky_relu, false, 2},
                           ConvRow{1, 3, 3, 2, 4, 3, 1, Activation::sigmoid, true, 2},
                           ConvRow{1, 3, 4, 2, 8, 1, 1, Activation::none, true, 2}}) {
    std::vector<OpInput> inputs{random_input({r.n, r.h, r.w, r.in}, 1),
                                random_input({r.out, r.kernel, r.kernel, r.in}, 2, -0.3, 0.3)};
    if (r.bias) inputs.push_back(random_input({r.out}, 3));
    const Conv2dOptions options{r.stride, r.activation, 0.2f, r.shuffle};
    cases.push_back({"conv2d",
                     fmt::format("k{}s{}{}{}", r.kernel, r.stride, r.bias ? "" : " without bias",
                                 r.shuffle == 1 ? "" : fmt::format(" shuffled by {}", r.shuffle)),
                     inputs, [options](const Inputs& in) {
                       return conv2d(in[0], in[1], in.size() > 2 ? in[2] : Tensor(), options);
                     }});
  }
  // Only some operands need a gradient: the first layer, a frozen weight, a frozen
  // bias.
  for (int wanted = 0; wanted < 3; ++wanted) {
    std::vector<OpInput> inputs{random_input({2, 5, 5, 3}, 4),
                                random_input({4, 3, 3, 3}, 5, -0.3, 0.3), random_input({4}, 6)};
    for (int i = 0; i < 3; ++i) inputs[static_cast<std::size_t>(i)].wants_gradient = i == wanted;
    cases.push_back({"conv2d", fmt::format("gradient of operand {} only", wanted), inputs,
                     [](const Inputs& in) {
                       return conv2d(in[0], in[1], in[2], {1, Activation::leaky_relu, 0.1f});
                     }});
  }

  // ReLU: slope 0, with the sharpest kink and a dead half.
  cases.push_back({"conv2d",
                   "plain relu",
                   {random_input({2, 5, 5, 3}, 7), random_input({4, 3, 3, 3}, 8, -0.3, 0.3),
                    random_input({4}, 9)},
                   [](const Inputs& in) {
                     return conv2d(in[0], in[1], in[2], {1, Activation::leaky_relu, 0.f});
                   }});
  // A residual, of the input itself or of another tensor.
  for (const Activation activation : {Activation::leaky_relu, Activation::none})
    for (const bool itself : {false, true})
      cases.push_back({"conv2d",
                       fmt::format("with a residual{}{}", itself ? " that is the input" : "",
                                   activation == Activation::none ? ", linear" : ""),
                       {random_input({2, 4, 5, 4}, 1), random_input({4, 3, 3, 4}, 2, -0.3, 0.3),
                        random_input({4}, 3), random_input({2, 4, 5, 4}, 4)},
                       [=](const Inputs& in) {
                         const Tensor other = scale(in[3], 0.5f);
                         const Tensor y = conv2d(in[0], in[1], in[2], {1, activation, 0.2f},
                                                 itself ? in[0] : other);
                         return itself ? add(y, other) : y;
                       }});
  // A result of three uses: gradients that add up in a sweep, and before it.
  cases.push_back({"conv2d",
                   "used by two convs and a residual",
                   {random_input({1, 4, 4, 4}, 1), random_input({4, 3, 3, 4}, 2, -0.3, 0.3),
                    random_input({4}, 3)},
                   [](const Inputs& in) {
                     const Conv2dOptions leaky{1, Activation::leaky_relu, 0.2f};
                     const Tensor y = conv2d(in[0], in[1], in[2], leaky);
                     const Tensor z = conv2d(y, in[1], in[2], leaky, y);
                     return conv2d(y, in[1], {}, {}, z);
                   }});
  // Two branches: with and without a shuffle and a bias; a frozen bias.
  struct BranchRow {
    Activation activation;
    int shuffle;
    bool bias, residual, frozen;
  };
  for (const BranchRow& r : {BranchRow{Activation::leaky_relu, 2, true, false, false},
                             BranchRow{Activation::sigmoid, 1, true, false, false},
                             BranchRow{Activation::leaky_relu, 1, false, true, false},
                             BranchRow{Activation::leaky_relu, 1, true, true, true}}) {
    std::vector<OpInput> inputs{random_input({4, 3, 4, 4}, 1), random_input({4, 3, 4, 4}, 8),
                                random_input({4, 3, 3, 4}, 2, -0.3, 0.3),
                                random_input({4, 3, 3, 4}, 3, -0.3, 0.3)};
    inputs[1].wants_gradient = r.residual;
    if (r.bias) inputs.insert(inputs.end(), {random_input({4}, 4), random_input({4}, 5)});
    if (r.frozen) inputs[4].wants_gradient = false;
    const Conv2dOptions options{1, r.activation, 0.2f, r.shuffle};
    cases.push_back({"conv2d",
                     fmt::format("in two branches{}{}{}", r.shuffle > 1 ? " shuffled" : "",
                                 r.bias ? "" : " without bias", r.frozen ? ", one frozen" : ""),
                     inputs, [r, options](const Inputs& in) {
                       const ConvBranch branches[] = {{in[2], r.bias ? in[4] : Tensor()},
                                                      {in[3], r.bias ? in[5] : Tensor()}};
                       return conv2d(in[0], branches, options, r.residual ? in[1] : Tensor());
                     }});
  }
  struct DepthwiseRow {
    int n, h, w, c, kernel, stride;
  };
  for (const DepthwiseRow& r : {DepthwiseRow{2, 8, 8, 5, 5, 2}, DepthwiseRow{1, 7, 5, 3, 3, 2},
                                DepthwiseRow{2, 4, 6, 4, 3, 1}, DepthwiseRow{1, 5, 5, 70, 1, 1}})
    cases.push_back(
        {"depthwise_conv2d",
         fmt::format("k{}s{}", r.kernel, r.stride),
         {random_input({r.n, r.h, r.w, r.c}, 1),
          random_input({r.kernel, r.kernel, r.c}, 2, -0.5, 0.5)},
         [stride = r.stride](const Inputs& in) { return depthwise_conv2d(in[0], in[1], stride); }});
  for (int wanted = 0; wanted < 2; ++wanted) {
    std::vector<OpInput> inputs{random_input({2, 5, 5, 3}, 3), random_input({3, 3, 3}, 4)};
    for (int i = 0; i < 2; ++i) inputs[static_cast<std::size_t>(i)].wants_gradient = i == wanted;
    cases.push_back({"depthwise_conv2d", fmt::format("gradient of operand {} only", wanted), inputs,
                     [](const Inputs& in) { return depthwise_conv2d(in[0], in[1], 2); }});
  }

  cases.push_back(
      {"dense",
       "with bias",
       {random_input({3, 11}, 1), random_input({7, 11}, 2, -0.4, 0.4), random_input({7}, 3)},
       [](const Inputs& in) { return dense(in[0], in[1], in[2]); }});
  cases.push_back({"dense",
                   "without bias",
                   {random_input({1, 5}, 4), random_input({1, 5}, 5)},
                   [](const Inputs& in) { return dense(in[0], in[1], {}); }});

  cases.push_back({"leaky_relu", "", {random_input({2, 3, 5, 7}, 1)}, [](const Inputs& in) {
                     return leaky_relu(in[0], 0.1f);
                   }});
  cases.push_back({"sigmoid", "", {random_input({4, 33}, 1, -6, 6)}, [](const Inputs& in) {
                     return sigmoid(in[0]);
                   }});
  cases.push_back(
      {"add", "", {random_input({2, 9}, 1), random_input({2, 9}, 2)}, [](const Inputs& in) {
         return add(in[0], in[1]);
       }});
  cases.push_back({"add", "to itself", {random_input({13}, 3)}, [](const Inputs& in) {
                     return add(in[0], in[0]);
                   }});
  cases.push_back({"scale", "", {random_input({5, 5}, 1)}, [](const Inputs& in) {
                     return scale(in[0], -2.5f);
                   }});
  cases.push_back(
      {"sum", "", {random_input({3, 4, 5}, 1)}, [](const Inputs& in) { return sum(in[0]); }});
  // Values and step are multiples of 1/64, so rounding to the other dtype is exact.
  std::vector<double> grid(24);
  for (std::size_t i = 0; i < grid.size(); ++i)
    grid[i] = static_cast<double>(static_cast<int>(i * 7 % 24) - 12) / 64;
  cases.push_back({"cast",
                   "to f32",
                   {{Shape{24}, grid}},
                   [](const Inputs& in) { return cast(in[0], DType::f32); },
                   1.0 / 64});
  cases.push_back({"cast",
                   "to bf16",
                   {{Shape{24}, grid}},
                   [](const Inputs& in) { return cast(in[0], DType::bf16); },
                   1.0 / 64,
                   1e-2});

  cases.push_back({"pixel_shuffle", "r=2", {random_input({2, 3, 4, 12}, 1)}, [](const Inputs& in) {
                     return pixel_shuffle(in[0], 2);
                   }});
  cases.push_back({"pixel_shuffle", "r=3", {random_input({1, 2, 2, 18}, 2)}, [](const Inputs& in) {
                     return pixel_shuffle(in[0], 3);
                   }});
  cases.push_back({"concat_channels",
                   "",
                   {random_input({2, 3, 3, 4}, 1), random_input({2, 3, 3, 5}, 2)},
                   [](const Inputs& in) { return concat_channels(in[0], in[1]); }});
  cases.push_back({"prelu",
                   "",
                   {random_input({2, 3, 4, 5}, 1), random_input({5}, 2, -0.5, 0.5)},
                   [](const Inputs& in) { return prelu(in[0], in[1]); }});
  for (int wanted = 0; wanted < 2; ++wanted) {
    std::vector<OpInput> inputs{random_input({7, 6}, 3), random_input({6}, 4)};
    for (int i = 0; i < 2; ++i) inputs[static_cast<std::size_t>(i)].wants_gradient = i == wanted;
    cases.push_back({"prelu", fmt::format("gradient of operand {} only", wanted), inputs,
                     [](const Inputs& in) { return prelu(in[0], in[1]); }});
  }
  for (const auto& [kernel, stride] : {std::pair{2, 2}, {3, 1}, {3, 2}})
    cases.push_back({"max_pool2d",
                     fmt::format("k{}s{}", kernel, stride),
                     {distinct_input({2, 6, 6, 3}, 1)},
                     [kernel = kernel, stride = stride](const Inputs& in) {
                       return max_pool2d(in[0], kernel, stride);
                     }});
  cases.push_back({"pad_channels", "", {random_input({2, 3, 2, 5}, 1)}, [](const Inputs& in) {
                     return pad_channels(in[0], 8);
                   }});
  cases.push_back({"pad2d",
                   "a margin above, a column cut off",
                   {random_input({2, 3, 4, 2}, 1)},
                   [](const Inputs& in) { return pad2d(in[0], 2, -1, 6, 3); }});
  cases.push_back({"upsample", "", {random_input({2, 3, 2, 4}, 1)}, [](const Inputs& in) {
                     return upsample(in[0]);
                   }});
  cases.push_back({"reshape", "", {random_input({2, 3, 4}, 1)}, [](const Inputs& in) {
                     return in[0].reshape({6, 4});
                   }});
  cases.push_back({"rows", "middle", {random_input({5, 3, 2}, 1)}, [](const Inputs& in) {
                     return in[0].rows(1, 4);
                   }});
  cases.push_back(
      {"rows", "two overlapping parts", {random_input({5, 3}, 2)}, [](const Inputs& in) {
         return add(in[0].rows(0, 3), scale(in[0].rows(2, 5), 3.f));
       }});

  const OpInput image = random_input({2, 8, 11, 3}, 1, 0.35, 0.65), other = image_beside(image, 2),
                mask = constant_input({2, 8, 11}, 3);
  cases.push_back({"image_loss",
                   "of two shares",
                   {image, other},
                   [](const Inputs& in) {
                     return image_loss(in[0], in[1], {}, {0.5f, 2.f, 0.25f}, 2).sum;
                   },
                   1e-6,
                   2e-5,
                   6e-2});
  using Loss = Tensor (*)(const Tensor&, const Tensor&, const Tensor&);
  const Loss weighted = [](const Tensor& pred, const Tensor& target, const Tensor& m) {
    return image_loss(pred, target, m, {0.5f, 2.f, 0.25f});
  };
  for (const auto& [name, loss] : {std::pair<std::string, Loss>{"mae_loss", mae_loss},
                                   {"mse_loss", mse_loss},
                                   {"dssim_loss", dssim_loss},
                                   {"image_loss", weighted}}) {
    const double bf16_tolerance = name == "dssim_loss" || name == "image_loss" ? 6e-2 : 2e-2;
    cases.push_back({name,
                     "",
                     {image, other},
                     [loss = loss](const Inputs& in) { return loss(in[0], in[1], {}); },
                     1e-6,
                     1e-4,
                     bf16_tolerance});
    cases.push_back({name,
                     "with mask",
                     {image, other, mask},
                     [loss = loss](const Inputs& in) { return loss(in[0], in[1], in[2]); },
                     1e-6,
                     1e-4,
                     bf16_tolerance});
  }
  return cases;
}
}  // namespace

const std::vector<OpCase>& op_cases() {
  static const std::vector<OpCase> cases = make_cases();
  return cases;
}

std::vector<Tensor> make_inputs(const OpCase& op_case, DType dtype, Device device) {
  std::vector<Tensor> inputs;
  for (const OpInput& input : op_case.inputs) {
    inputs.push_back(tensor_of(input.values, input.shape, dtype, device));
    inputs.back().set_requires_grad(input.wants_gradient);
  }
  return inputs;
}

std::vector<double> values_of(const Tensor& x) {
  const Tensor host = x.to(Device::host);
  const auto v =
      host.dtype() == DType::f64 ? host.to_host<double>() : host.to(DType::f64).to_host<double>();
  return v;
}

Tensor random_projection(const Tensor& y, unsigned seed) {
  const std::vector<double> r = random_values(y.numel(), seed), v = values_of(y);
  double total = 0;
  for (std::size_t i = 0; i < v.size(); ++i) total += r[i] * v[i];
  const DType dtype = y.dtype() == DType::f64 ? DType::f64 : DType::f32;
  return record(tensor_of({total}, {1}, dtype, y.device()), "test_dot", {y},
                [=, shape = y.shape(), to = y.dtype()](Backward& ctx) {
                  std::vector<double> scaled = r;
                  for (double& s : scaled) s *= ctx.grad().item();
                  return ctx.gradients(tensor_of(scaled, shape, to, ctx.grad().device()));
                });
}
}  // namespace nn_test
