// Every op's gradient against central differences in double precision, and f32, bf16
// and f16 against f64.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include "kernels/epilogue.h"
#include "kernels/simt/config.h"
#include "nn/tape.h"
#include "tests/nn/op_cases.h"

namespace nn_test {
namespace {

using namespace nn;

// Fresh memory is NaN, so an unassigned output or gradient shows. One thread: the
// tensors are too small to share.
struct Surroundings {
  Surroundings() { simt::config().poison = true, simt::config().workers = 1; }
  ~Surroundings() { simt::config().poison = false, simt::config().workers = 0; }
};

double largest(const std::vector<double>& v) {
  double m = 0;
  for (const double x : v) m = std::max(m, std::abs(x));
  return m;
}

class OpGradients : public testing::TestWithParam<OpCase> {
  Surroundings surroundings_;
};

std::string test_name(const testing::TestParamInfo<OpCase>& info) {
  std::string name = info.param.op + "_" + info.param.label + "_" + std::to_string(info.index);
  for (char& c : name)
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  return name;
}
INSTANTIATE_TEST_SUITE_P(Cases, OpGradients, testing::ValuesIn(op_cases()), test_name);

double projected(const OpCase& op_case, const std::vector<OpInput>& inputs) {
  OpCase moved = op_case;
  moved.inputs = inputs;
  const NoGrad no_grad;
  return random_projection(op_case.forward(make_inputs(moved, DType::f64)), 99).item();
}

TEST_P(OpGradients, MatchCentralDifferencesInDouble) {
  const OpCase& op_case = GetParam();
  const std::vector<Tensor> inputs = make_inputs(op_case, DType::f64);
  backward(random_projection(op_case.forward(inputs), 99));

  for (std::size_t k = 0; k < inputs.size(); ++k) {
    if (!op_case.inputs[k].wants_gradient) {
      EXPECT_FALSE(inputs[k].grad().defined())
          << "input " << k << " wants no gradient, but got one";
      continue;
    }
    ASSERT_TRUE(inputs[k].grad().defined()) << "input " << k << " got no gradient";
    const std::vector<double> gradient = inputs[k].grad().to_host<double>();
    const double scale = largest(gradient), h = op_case.step;
    ASSERT_GT(scale, 0) << "input " << k;
    ASSERT_TRUE(std::isfinite(scale)) << "input " << k;
    const auto difference = [&](const std::vector<double>& direction) {
      std::vector<OpInput> forth = op_case.inputs, back = op_case.inputs;
      for (std::size_t i = 0; i < direction.size(); ++i) {
        forth[k].values[i] += h * direction[i];
        back[k].values[i] -= h * direction[i];
      }
      return (projected(op_case, forth) - projected(op_case, back)) / (2 * h);
    };

    // Along one random direction of ones and minus ones ...
    std::mt19937 random(7);
    std::vector<double> direction(gradient.size());
    double expected = 0, sizes = 0;
    for (std::size_t i = 0; i < direction.size(); ++i) {
      direction[i] = random() % 2 == 0 ? 1 : -1;
      expected += direction[i] * gradient[i];
      sizes += gradient[i] * gradient[i];
    }
    EXPECT_NEAR(difference(direction), expected,
                1e-6 * std::max(std::abs(expected), std::sqrt(sizes)))
        << "input " << k << " along a random direction";
    // ... and for 32 coordinates
    for (int sample = 0; sample < 32; ++sample) {
      const std::size_t i = gradient.size() <= 32
                                ? static_cast<std::size_t>(sample) % gradient.size()
                                : random() % gradient.size();
      std::vector<double> axis(gradient.size());
      axis[i] = 1;
      EXPECT_NEAR(difference(axis), gradient[i], 1e-6 * scale)
          << "input " << k << ", element " << i;
    }
  }
}

struct OpRun {
  std::vector<double> value;
  std::vector<std::vector<double>> gradients;
};
OpRun run(const OpCase& op_case, DType dtype, Device device = Device::host) {
  const std::vector<Tensor> inputs = make_inputs(op_case, dtype, device);
  const Tensor y = op_case.forward(inputs);
  backward(random_projection(y, 99));
  OpRun out{values_of(y), {}};
  for (const Tensor& input : inputs)
    out.gradients.push_back(input.grad().defined() ? values_of(input.grad())
                                                   : std::vector<double>{});
  return out;
}

void expect_close(const OpRun& run, const OpRun& reference, double tolerance,
                  const std::string& what) {
  const auto compare = [&](const std::vector<double>& a, const std::vector<double>& b,
                           const std::string& part) {
    ASSERT_EQ(a.size(), b.size()) << what << ", " << part;
    for (std::size_t i = 0; i < a.size(); ++i)
      ASSERT_NEAR(a[i], b[i], tolerance * largest(b)) << what << ", " << part << ", element " << i;
  };
  compare(run.value, reference.value, "value");
  for (std::size_t k = 0; k < run.gradients.size(); ++k)
    compare(run.gradients[k], reference.gradients[k], "gradient " + std::to_string(k));
}

TEST_P(OpGradients, AgreeBetweenDtypes) {
  const OpCase& op_case = GetParam();
  const OpRun reference = run(op_case, DType::f64);
  expect_close(run(op_case, DType::f32), reference, op_case.f32_tolerance, "f32");
  expect_close(run(op_case, DType::bf16), reference, op_case.bf16_tolerance, "bf16");
  if (op_case.op != "cast")
    expect_close(run(op_case, DType::f16), reference, op_case.bf16_tolerance / 4, "f16");
}

TEST_P(OpGradients, AreBitwiseTheSameInReverseThreadOrder) {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const OpRun forward = run(GetParam(), dtype);
    simt::config().order = simt::Order::reverse;
    const OpRun reverse = run(GetParam(), dtype);
    simt::config().order = simt::Order::forward;
    EXPECT_EQ(forward.value, reverse.value) << name(dtype);
    EXPECT_EQ(forward.gradients, reverse.gradients) << name(dtype);
  }
}

// In the GPU's form bias, residual, activation and shuffle follow the convolution in one
// pass, 16 bytes a thread.
TEST_P(OpGradients, AgreeWithTheGpusForm) {
  const OpRun reference = run(GetParam(), DType::f64);
  kernels::wide_epilogues_on_host = true;
  const OpRun wide = run(GetParam(), DType::f64);
  kernels::wide_epilogues_on_host = false;
  expect_close(wide, reference, 1e-12, "in the GPU's form");
}

TEST(OpCases, AgreeBetweenHostAndGpu) {
  if (!kernels::probe_cuda().available) GTEST_SKIP() << "no GPU: " << kernels::probe_cuda().reason;
  for (const OpCase& op_case : op_cases()) {
    SCOPED_TRACE(op_case.op + " " + op_case.label);
    expect_close(run(op_case, DType::f32, Device::cuda), run(op_case, DType::f32), 5e-3,
                 "f32");  // tensor cores may read f32 as TF32
    expect_close(run(op_case, DType::bf16, Device::cuda), run(op_case, DType::bf16),
                 op_case.bf16_tolerance, "bf16");
  }
}

// --- completeness

std::set<std::string> found_in(const std::filesystem::path& file, const std::regex& pattern) {
  std::ifstream stream(file);
  std::stringstream text;
  text << stream.rdbuf();
  const std::string source = text.str();
  std::set<std::string> names;
  for (std::sregex_iterator it(source.begin(), source.end(), pattern), end; it != end; ++it)
    names.insert((*it)[1]);
  return names;
}

TEST(OpCases, EveryOpHasACase) {
  std::set<std::string> covered;
  for (const OpCase& op_case : op_cases()) {
    covered.insert(op_case.op);
    op_case.forward(make_inputs(op_case, DType::f64));
  }
  // All that the sources declare and record ...
  const std::filesystem::path folder = std::filesystem::path(DOPPEL_SOURCE_DIR) / "nn";
  if (!exists(folder)) GTEST_SKIP() << "no sources here";
  std::set<std::string> written = found_in(folder / "ops.h", std::regex(R"(\nTensor (\w+)\()"));
  ASSERT_GE(written.size(), 13u) << "the pattern no longer finds the ops of ops.h";
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".cpp")
      written.merge(found_in(entry.path(), std::regex(R"re(\brecord\(\w+, "(\w+)")re")));
  }
  EXPECT_TRUE(written.contains("rows")) << "the pattern no longer finds calls of record()";
  for (const std::string& op : written)
    EXPECT_TRUE(covered.contains(op)) << "op " << op << " has no row in tests/nn/op_cases.cpp";
  // ... and all that running them recorded.
  for (const std::string& op : recorded_ops()) {
    EXPECT_TRUE(covered.contains(op) || op.starts_with("test_"))
        << "op " << op << " is recorded, but has no row in tests/nn/op_cases.cpp";
  }
  const std::vector<std::string> recorded = recorded_ops();
  for (const std::string& op : covered)
    EXPECT_NE(std::find(recorded.begin(), recorded.end(), op), recorded.end())
        << op << " is never recorded";
}
}  // namespace
}  // namespace nn_test
