#include "bench/cases/op_runner.h"

#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

namespace bench::cases {
namespace {

constexpr std::size_t guard_bytes = 128;
constexpr std::uint8_t guard_value = 0xa5;
constexpr std::uint8_t poison_value = 0xff;  // 0xff.. is NaN in every float type

template <class T> Bytes encode_as(const Values& v) {
  Bytes bytes(v.size() * sizeof(T));
  for (std::size_t i = 0; i < v.size(); ++i) {
    T x;
    if constexpr (std::is_arithmetic_v<T>) x = static_cast<T>(v[i]);
    else x = T(static_cast<float>(v[i]));
    std::memcpy(bytes.data() + i * sizeof x, &x, sizeof x);
  }
  return bytes;
}
template <class T> Values decode_as(const Bytes& bytes) {
  Values v(bytes.size() / sizeof(T));
  for (std::size_t i = 0; i < v.size(); ++i) {
    T x;
    std::memcpy(&x, bytes.data() + i * sizeof x, sizeof x);
    if constexpr (std::is_arithmetic_v<T>) v[i] = x;
    else v[i] = static_cast<float>(x);
  }
  return v;
}

double relative_tolerance(const Operand& o) {
  if (o.is_state) return 1e-5;
  switch (o.dtype) {
    case DType::f64: return 1e-12;
    case DType::f32: return 1e-5;
    case DType::bf16: return 8e-3;  // one unit in the last of eight bits
    case DType::f16: return 1e-3;   // of eleven
    default: return 0;
  }
}
double allowed_error(const OpCase& c, const Operand& o, double want) {
  return c.loosen * relative_tolerance(o) * (std::fabs(want) + c.scale);
}

std::string outside(const OpCase& c, const Operand& o, std::size_t i, double got, double want,
                    double times) {
  return fmt::format("{}: '{}'[{}] is {:.9g}, should be {:.9g}: {:.2f} times the tolerance", c.name,
                     o.name, i, got, want, times);
}
}  // namespace

Bytes encode(const Values& v, const Operand& o) {
  if (o.is_state) {
    const StepState state = state_of(v);
    Bytes bytes(sizeof state);
    std::memcpy(bytes.data(), &state, sizeof state);
    return bytes;
  }
  switch (o.dtype) {
    case DType::f32: return encode_as<float>(v);
    case DType::f64: return encode_as<double>(v);
    case DType::bf16: return encode_as<bf16>(v);
    case DType::f16: return encode_as<f16>(v);
    default: return encode_as<std::uint8_t>(v);
  }
}

Values decode(const Bytes& bytes, const Operand& o) {
  if (o.is_state) {
    StepState state;
    std::memcpy(&state, bytes.data(), sizeof state);
    return values_of(state);
  }
  switch (o.dtype) {
    case DType::f32: return decode_as<float>(bytes);
    case DType::f64: return decode_as<double>(bytes);
    case DType::bf16: return decode_as<bf16>(bytes);
    case DType::f16: return decode_as<f16>(bytes);
    default: return decode_as<std::uint8_t>(bytes);
  }
}

std::vector<Bytes> make_inputs(const OpCase& c) {
  std::vector<Bytes> all;
  std::mt19937_64 random(std::hash<std::string>{}(c.name));
  for (const Operand& o : c.operands) {
    if (o.role == Role::out) {
      all.emplace_back(o.bytes(), poison_value);
      continue;
    }
    Values v(o.values());
    o.generate(v, random);
    all.push_back(encode(v, o));
  }
  return all;
}

std::vector<Values> decode_inputs(const OpCase& c, const std::vector<Bytes>& inputs) {
  std::vector<Values> v;
  for (std::size_t i = 0; i < inputs.size(); ++i)
    v.push_back(c.operands[i].role == Role::out ? Values{} : decode(inputs[i], c.operands[i]));
  return v;
}

std::vector<Values> expected(const OpCase& c, const std::vector<Bytes>& inputs) {
  std::vector<Values> v = decode_inputs(c, inputs);
  c.reference(v);
  return v;
}

Placed::Placed(const OpCase& c, const std::vector<Bytes>& inputs, kernels::Device device,
               bool round_addresses)
    : device_(device) {
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const std::size_t skew = round_addresses
                                 ? 0
                                 : std::lcm(size_of(c.operands[i].dtype), std::size_t{8}),
                      offset = guard_bytes + skew;
    Bytes image(offset + inputs[i].size() + guard_bytes, guard_value);
    std::copy(inputs[i].begin(), inputs[i].end(), image.begin() + offset);
    buffers_.emplace_back(device, image.size());
    kernels::copy(buffers_.back().data(), device, image.data(), kernels::Device::host,
                  image.size());
    offsets_.push_back(offset);
    pointers_.at.push_back(buffers_.back().as<std::uint8_t>() + offset);
  }
}

std::vector<Bytes> Placed::read(const OpCase& c) const {
  std::vector<Bytes> out;
  for (std::size_t i = 0; i < buffers_.size(); ++i) {
    Bytes image(buffers_[i].bytes());
    kernels::copy(image.data(), kernels::Device::host, buffers_[i].data(), device_, image.size());
    const std::size_t first = offsets_[i], end = image.size() - guard_bytes;
    for (std::size_t k = 0; k < image.size(); ++k)
      if ((k < first || k >= end) && image[k] != guard_value)
        throw std::runtime_error(fmt::format(
            "{}: wrote {} byte(s) {} operand '{}'", c.name, k < first ? first - k : k - end + 1,
            k < first ? "before" : "past the end of", c.operands[i].name));
    out.emplace_back(image.begin() + first, image.begin() + end);
  }
  return out;
}

std::vector<Bytes> run_case(const OpCase& c, const std::vector<Bytes>& inputs,
                            kernels::Device device, bool round_addresses) {
  Stream& stream = Stream::of(device);
  const Placed placed(c, inputs, device, round_addresses);
  c.run(stream, placed.pointers());
  stream.synchronize();
  std::vector<Bytes> out = placed.read(c);
  for (std::size_t i = 0; i < out.size(); ++i)
    if (c.operands[i].role == Role::in && out[i] != inputs[i])
      throw std::runtime_error(c.name + ": changed its input '" + c.operands[i].name + "'");
  return out;
}

std::string compare(const OpCase& c, const std::vector<Bytes>& got,
                    const std::vector<Values>& want) {
  for (std::size_t i = 0; i < got.size(); ++i) {
    const Operand& o = c.operands[i];
    if (o.role == Role::in) continue;
    const Values values = decode(got[i], o);
    if (values.size() != want[i].size())
      return fmt::format("{}: '{}' has {} values, the reference {}", c.name, o.name, values.size(),
                         want[i].size());
    const double smallest = o.dtype == DType::f16 ? 6e-8 : 0;
    double worst = 0;
    std::size_t where = 0;
    for (std::size_t k = 0; k < values.size(); ++k) {
      const double allowed = allowed_error(c, o, want[i][k]) + smallest,
                   error =
                       values[k] == want[i][k] ? 0 : std::fabs(values[k] - want[i][k]) / allowed;
      if (!(error <= worst))
        worst = std::isnan(error) ? std::numeric_limits<double>::infinity() : error, where = k;
    }
    if (worst > 1) return outside(c, o, where, values[where], want[i][where], worst);
  }
  return "";
}

std::string compare_elements(const OpCase& c, const std::vector<Bytes>& got,
                             const std::vector<Values>& inputs) {
  const Operand& o = c.operands.back();
  const Values values = decode(got.back(), o);
  for (std::size_t k = 0; k < values.size(); ++k)
    if (std::isnan(values[k]))
      return fmt::format("{}: '{}'[{}] is not a number, or was never written", c.name, o.name, k);
  std::mt19937_64 random(std::random_device{}());
  for (int i = 0; i < element_samples && !values.empty(); ++i) {
    const std::size_t k = random() % values.size();
    const double want = c.element(inputs, static_cast<Index>(k)),
                 error = std::fabs(values[k] - want), allowed = allowed_error(c, o, want);
    if (!(error <= allowed)) return outside(c, o, k, values[k], want, error / allowed);
  }
  return "";
}

WithConfig::WithConfig(unsigned workers, simt::Order order, simt::InstructionSet instructions,
                       bool fibers)
    : saved_(simt::config()), fibers_(simt::block_on_fibers) {
  simt::config().workers = workers;
  simt::config().order = order;
  simt::config().instructions = instructions;
  simt::config().poison = true;
  simt::block_on_fibers = fibers;
}
WithConfig::~WithConfig() {
  simt::config() = saved_;
  simt::block_on_fibers = fibers_;
}
}  // namespace bench::cases
