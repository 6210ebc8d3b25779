// Runs a row of the case table: makes its inputs, puts every operand between guard bands, fills outputs with poison, calls the
// launcher, and compares with the reference. Used by the tests and by the benchmark.
#pragma once
#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include "bench/cases/op_cases.h"
#include "kernels/core/memory.h"
#include "kernels/core/stream.h"
#include "kernels/simt/config.h"

namespace tests {

constexpr std::size_t guard_bytes = 128;
constexpr std::uint8_t guard_value = 0xa5,
                       poison_value = 0xff;  // 0xff.. is NaN in every float type

inline std::size_t element_bytes(DType d) {
  return d == DType::f64                       ? 8
         : d == DType::f32                     ? 4
         : d == DType::bf16 || d == DType::f16 ? 2
         : d == DType::u8                      ? 1
                                               : sizeof(kernels::StepState);
}

using Bytes = std::vector<std::uint8_t>;

inline Bytes encode(const Values& v, DType dtype) {
  if (dtype == DType::state) {
    Bytes bytes(sizeof(kernels::StepState));
    kernels::StepState s;
    s.step = static_cast<std::uint64_t>(v[0]), s.seed = static_cast<std::uint64_t>(v[1]);
    s.learning_rate = static_cast<float>(v[2]), s.clip_factor = static_cast<float>(v[3]),
    s.gradient_norm = static_cast<float>(v[4]);
    s.skipped = static_cast<std::uint32_t>(v[5]), s.finite = static_cast<std::uint32_t>(v[6]),
    s.skipped_in_a_row = static_cast<std::uint32_t>(v[7]);
    if (v.size() > 8)
      s.loss_scale = static_cast<float>(v[8]), s.good_steps = static_cast<std::uint32_t>(v[9]),
      s.scale_interval = static_cast<std::uint32_t>(v[10]);
    std::memcpy(bytes.data(), &s, sizeof s);
    return bytes;
  }
  Bytes bytes(v.size() * element_bytes(dtype));
  for (std::size_t i = 0; i < v.size(); ++i) {
    const auto put = [&](auto x) { std::memcpy(bytes.data() + i * sizeof x, &x, sizeof x); };
    switch (dtype) {
      case DType::f32: put(static_cast<float>(v[i])); break;
      case DType::f64: put(v[i]); break;
      case DType::bf16: put(bf16(static_cast<float>(v[i]))); break;
      case DType::f16: put(f16(static_cast<float>(v[i]))); break;
      default: put(static_cast<std::uint8_t>(v[i])); break;
    }
  }
  return bytes;
}

inline Values decode(const Bytes& bytes, DType dtype) {
  if (dtype == DType::state) {
    kernels::StepState s;
    std::memcpy(&s, bytes.data(), sizeof s);
    return {static_cast<double>(s.step),
            static_cast<double>(s.seed),
            double{s.learning_rate},
            double{s.clip_factor},
            double{s.gradient_norm},
            double(s.skipped),
            double(s.finite),
            double(s.skipped_in_a_row),
            double{s.loss_scale},
            double(s.good_steps),
            double(s.scale_interval)};
  }
  Values v(bytes.size() / element_bytes(dtype));
  for (std::size_t i = 0; i < v.size(); ++i) {
    const auto get = [&](auto x) {
      std::memcpy(&x, bytes.data() + i * sizeof x, sizeof x);
      return x;
    };
    switch (dtype) {
      case DType::f32: v[i] = double{get(0.f)}; break;
      case DType::f64: v[i] = get(0.0); break;
      case DType::bf16: v[i] = static_cast<double>(static_cast<float>(get(bf16(0.f)))); break;
      case DType::f16: v[i] = static_cast<double>(static_cast<float>(get(f16(0.f)))); break;
      default: v[i] = get(std::uint8_t{0}); break;
    }
  }
  return v;
}

// The inputs of a row, as bytes; the same for every run.
inline std::vector<Bytes> make_inputs(const OpCase& c) {
  std::vector<Bytes> all;
  std::mt19937_64 random(std::hash<std::string>{}(c.name));
  for (const Operand& o : c.operands) {
    if (o.role == Role::out) {
      all.emplace_back(static_cast<std::size_t>(o.count) * element_bytes(o.dtype), poison_value);
      continue;
    }
    Values v(o.dtype == DType::state ? 8 : static_cast<std::size_t>(o.count));
    o.generate(v, random);
    all.push_back(encode(v, o.dtype));
  }
  return all;
}

inline std::vector<Values> expected(const OpCase& c, const std::vector<Bytes>& inputs) {
  std::vector<Values> v;
  for (std::size_t i = 0; i < inputs.size(); ++i)
    v.push_back(c.operands[i].role == Role::out ? Values{}
                                                : decode(inputs[i], c.operands[i].dtype));
  c.reference(v);
  return v;
}

// Operands on a device, each with guard bands on both sides. An operand begins where a float or double may, but not on a round
// address, so that a kernel cannot count on more alignment than its types promise.
class Placed {
 public:
  Placed(const OpCase& c, const std::vector<Bytes>& inputs, kernels::Device device,
         bool round_addresses = false)
      : device_(device) {
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      const std::size_t offset =
          guard_bytes +
          (round_addresses ? 0 : std::lcm(element_bytes(c.operands[i].dtype), std::size_t{8}));
      Bytes image(offset + inputs[i].size() + guard_bytes, guard_value);
      std::copy(inputs[i].begin(), inputs[i].end(),
                image.begin() + static_cast<std::ptrdiff_t>(offset));
      buffers_.emplace_back(device, image.size());
      kernels::copy(buffers_.back().data(), device, image.data(), kernels::Device::host,
                    image.size());
      offsets_.push_back(offset);
      pointers_.at.push_back(buffers_.back().as<std::uint8_t>() + offset);
    }
  }
  const Pointers& pointers() const { return pointers_; }

  // What is there now; throws where a guard band was touched.
  std::vector<Bytes> read(const OpCase& c) const {
    std::vector<Bytes> out;
    for (std::size_t i = 0; i < buffers_.size(); ++i) {
      Bytes image(buffers_[i].bytes());
      kernels::copy(image.data(), kernels::Device::host, buffers_[i].data(), device_, image.size());
      for (std::size_t k = 0; k < image.size(); ++k)
        if ((k < offsets_[i] || k >= image.size() - guard_bytes) && image[k] != guard_value)
          throw std::runtime_error(
              fmt::format("{}: wrote {} byte(s) {} operand '{}'", c.name,
                          k < offsets_[i] ? offsets_[i] - k : k - (image.size() - guard_bytes) + 1,
                          k < offsets_[i] ? "before" : "past the end of", c.operands[i].name));
      out.emplace_back(image.begin() + static_cast<std::ptrdiff_t>(offsets_[i]),
                       image.end() - guard_bytes);
    }
    return out;
  }

 private:
  kernels::Device device_;
  std::vector<kernels::Buffer> buffers_;
  std::vector<std::size_t> offsets_;
  Pointers pointers_;
};

// One run from fresh copies of the inputs; returns all operands. Throws where an input was changed.
inline std::vector<Bytes> run_case(const OpCase& c, const std::vector<Bytes>& inputs,
                                   kernels::Device device) {
  kernels::Stream& stream = kernels::Stream::of(device);
  const Placed placed(c, inputs, device);
  c.run(stream, placed.pointers());
  stream.synchronize();
  std::vector<Bytes> out = placed.read(c);
  for (std::size_t i = 0; i < out.size(); ++i)
    if (c.operands[i].role == Role::in && out[i] != inputs[i])
      throw std::runtime_error(c.name + ": changed its input '" + c.operands[i].name + "'");
  return out;
}

// "" where every output is within the row's tolerance, else the worst place in words.
inline std::string compare(const OpCase& c, const std::vector<Bytes>& got,
                           const std::vector<Values>& want) {
  for (std::size_t i = 0; i < got.size(); ++i) {
    const Operand& o = c.operands[i];
    if (o.role == Role::in) continue;
    const Values values = decode(got[i], o.dtype);
    if (values.size() != want[i].size())
      return fmt::format("{}: '{}' has {} values, the reference {}", c.name, o.name, values.size(),
                         want[i].size());
    double worst = 0;
    std::size_t where = 0;
    for (std::size_t k = 0; k < values.size(); ++k) {
      // A byte is a rounded value: half a step, and a little for a value that lies on the boundary.
      const double allowed =
          o.dtype == DType::u8
              ? 0.5 + 255 * 8e-3 *
                          (c.operands[0].dtype == DType::bf16  ? 1
                           : c.operands[0].dtype == DType::f16 ? 0.125
                                                               : 1e-3)
              : c.loosen * relative_tolerance(o.dtype) * (std::fabs(want[i][k]) + c.scale) +
                    (o.dtype == DType::f16 ? 6e-8 : 0);  // the smallest f16
      const double error =
          values[k] == want[i][k] ? 0 : std::fabs(values[k] - want[i][k]) / allowed;
      if (!(error <= worst))
        worst = std::isnan(error) ? std::numeric_limits<double>::infinity() : error, where = k;
    }
    if (worst > 1)
      return fmt::format("{}: '{}'[{}] is {:.9g}, should be {:.9g}: {:.2f} times the tolerance",
                         c.name, o.name, where, values[where], want[i][where], worst);
  }
  return "";
}

// The same for a row that can give one element of its answer alone: element_samples of them, drawn anew each time, and not a NaN anywhere.
constexpr int element_samples = 200;
inline std::string compare_elements(const OpCase& c, const std::vector<Bytes>& got,
                                    const std::vector<Values>& inputs) {
  const std::size_t last = c.operands.size() - 1;  // the output
  const Values values = decode(got[last], c.operands[last].dtype);
  for (std::size_t k = 0; k < values.size(); ++k)
    if (std::isnan(values[k]))
      return fmt::format("{}: '{}'[{}] is not a number, or was never written", c.name,
                         c.operands[last].name, k);
  std::mt19937_64 random(std::random_device{}());
  for (int i = 0; i < element_samples && !values.empty(); ++i) {
    const auto at = static_cast<std::size_t>(random() % values.size());
    const double want = c.element(inputs, static_cast<std::int64_t>(at)),
                 error = std::fabs(values[at] - want),
                 allowed = c.loosen * relative_tolerance(c.operands[last].dtype) *
                           (std::fabs(want) + c.scale);
    if (!(error <= allowed))
      return fmt::format("{}: '{}'[{}] is {:.9g}, should be {:.9g}: {:.2f} times the tolerance",
                         c.name, c.operands[last].name, at, values[at], want, error / allowed);
  }
  return "";
}

// Sets the executor's knobs and puts them back.
class WithConfig {
 public:
  explicit WithConfig(unsigned workers, simt::Order order = simt::Order::forward,
                      simt::InstructionSet instructions = simt::InstructionSet::best,
                      bool fibers = false)
      : saved_(simt::config()), fibers_(simt::block_on_fibers) {
    simt::config().workers = workers;
    simt::config().order = order;
    simt::config().instructions = instructions;
    simt::config().poison = true;
    simt::block_on_fibers = fibers;
  }
  ~WithConfig() {
    simt::config() = saved_;
    simt::block_on_fibers = fibers_;
  }
  WithConfig(const WithConfig&) = delete;
  WithConfig& operator=(const WithConfig&) = delete;

 private:
  simt::Config saved_;
  bool fibers_;
};

}  // namespace tests
