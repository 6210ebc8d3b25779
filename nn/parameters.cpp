#include "nn/parameters.h"

#include <algorithm>
#include <cmath>

#include "kernels/elementwise.h"
#include "kernels/random.h"
#include "nn/dispatch.h"
#include "nn/tensor_impl.h"

namespace nn {
namespace {

constexpr std::int64_t piece_alignment = 64;  // elements: 128 bytes of bf16, a cache line

// Draws initial values on the host, in f32 even for f64, so tests in f64 begin with the
// same weights. Element i of parameter p is number (seed, p, i) of the Philox sequence,
// independent of the other parameters.
void draw(const Parameter& parameter, std::size_t index, std::uint64_t seed, float* out) {
  const Shape& shape = parameter.shape;
  const std::int64_t n = shape.numel();
  // Keras: the last extent of OHWI and [O,I] is the input's, the first the output's,
  // and those between count for both. A depthwise filter [K,K,C] counts as C inputs and
  // one output.
  const double inputs = static_cast<double>(shape[-1]),
               outputs = shape.rank() == 3 ? 1 : static_cast<double>(shape[0]);
  const double receptive = shape.rank() < 2 ? 1 : static_cast<double>(n) / (inputs * outputs),
               fan_in = receptive * inputs, fan_out = receptive * outputs;
  kernels::Stream& stream = kernels::Stream::of(Device::host);
  const auto uniform = [&](double limit) {
    kernels::uniform<kernels::Host, float>(stream, out, n, static_cast<float>(-limit),
                                           static_cast<float>(limit), seed, index);
  };
  switch (parameter.init.kind) {
    case Init::zeros: std::fill_n(out, n, 0.f); return;
    case Init::he_uniform: uniform(std::sqrt(6.0 / fan_in)); return;
    case Init::glorot_uniform: uniform(std::sqrt(6.0 / (fan_in + fan_out))); return;
    case Init::fan_in_uniform:
      uniform(std::sqrt(3.0 * static_cast<double>(parameter.init.value) / fan_in));
      return;
    case Init::normal:
      kernels::normal<kernels::Host, float>(stream, out, n, 0.f, parameter.init.value, seed, index);
      return;
  }
}
}  // namespace

std::size_t ParameterArena::add(std::string parameter_name, Shape shape, Init init) {
  check(!master_.defined(), "parameters: {} is declared after allocate()", parameter_name);
  check(shape.rank() >= 1 && shape.numel() > 0, "parameters: {} has no elements: {}",
        parameter_name, shape.str());
  check(find(parameter_name) == nullptr, "parameters: {} is declared twice", parameter_name);
  parameters_.push_back({std::move(parameter_name), shape, init, size_, {}, {}, {}, {}, {}});
  size_ += (shape.numel() + piece_alignment - 1) / piece_alignment * piece_alignment;
  return parameters_.size() - 1;
}

void ParameterArena::allocate(Device device, DType working, std::uint64_t seed, Use use) {
  check(!master_.defined(), "parameters: allocate() is called twice");
  check(working != DType::i32 && working != DType::u8,
        "parameters: the working dtype must be f32, bf16, f16 or f64, not {}", name(working));
  device_ = device;
  const DType wide = compute_dtype(working);

  // Each arena is one buffer; pieces are handles on ranges of it.
  const auto allot = [&](DType dtype, Tensor& all, Tensor Parameter::*piece,
                         std::shared_ptr<kernels::Buffer> buffer = nullptr) {
    const auto bytes = [&](std::int64_t n) { return static_cast<std::size_t>(n) * size_of(dtype); };
    if (!buffer) buffer = std::make_shared<kernels::Buffer>(device, bytes(size_));
    all = Tensor::adopt(buffer, 0, {size_}, dtype);
    for (Parameter& p : parameters_)
      p.*piece = Tensor::adopt(buffer, bytes(p.offset), p.shape, dtype);
    return buffer;
  };
  const auto masters = allot(wide, master_, &Parameter::master);
  allot(working, working_, &Parameter::value, working == wide ? masters : nullptr);
  if (use == Use::training) {
    allot(working, gradients_, &Parameter::gradient);
    allot(wide, moment1_, &Parameter::moment1);
    allot(wide, moment2_, &Parameter::moment2);
    for (Parameter& p : parameters_) p.value.set_requires_grad(true).set_grad_sink(p.gradient);
  }

  // One parameter at a time: memory for a second copy of all would stay in the pool.
  if (device != Device::meta) {
    fill_zero(master_);
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
      const Parameter& p = parameters_[i];
      const bool in_place = device == Device::host && wide == DType::f32;
      const Tensor drawn = in_place ? p.master : Tensor::empty(p.shape, DType::f32, Device::host);
      draw(p, i, seed, drawn.data<float>());
      if (in_place) continue;
      const Tensor widened = drawn.to(wide);
      kernels::copy(p.master.raw(), device, widened.raw(), Device::host, widened.bytes());
    }
    kernels::release_cached(Device::host);
  }
  refresh_working();
  if (use == Use::inference) return;
  zero_gradients();
  for (const Tensor& moment : {moment1_, moment2_}) fill_zero(moment);
}

const Parameter* ParameterArena::find(const std::string& wanted) const {
  const auto found = std::ranges::find(parameters_, wanted, &Parameter::name);
  return found == parameters_.end() ? nullptr : &*found;
}

std::int64_t ParameterArena::count() const {
  std::int64_t elements = 0;
  for (const Parameter& p : parameters_) elements += p.shape.numel();
  return elements;
}

void ParameterArena::zero_gradients() {
  fill_zero(gradients_);
  // The next gradient is written, not added.
  for (Parameter& p : parameters_) {
    History& history = *p.value.impl()->history;
    history.reached = history.stale = false;
  }
}

void ParameterArena::begin_gradients() {
  for (Parameter& p : parameters_) {
    History& history = *p.value.impl()->history;
    history.stale = history.stale || history.reached;
    history.reached = false;
  }
}

void ParameterArena::finish_gradients() {
  for (Parameter& p : parameters_) {
    History& history = *p.value.impl()->history;
    if (history.stale && !history.reached) fill_zero(p.gradient);
    history.stale = false;
  }
}

// In pieces, so that the scratch memory of the widened gradients stays small and in a
// GPU's cache.
void ParameterArena::add_gradients_to(const Tensor& sum, bool first) {
  finish_gradients();
  dispatch(gradients_, "add_gradients_to", [&]<class D, class T>(Stream& stream) {
    if constexpr (sizeof(T) == 2) {
      const T* const from = gradients_.data<T>();
      float* const to = sum.data<float>();
      if (first) return kernels::cast<D, T, float>(stream, from, to, size_);
      constexpr std::int64_t piece = 8 << 20;
      const Tensor wide = Tensor::empty({std::min(piece, size_)}, DType::f32, device_);
      for (std::int64_t i = 0; i < size_; i += piece) {
        const std::int64_t n = std::min(piece, size_ - i);
        kernels::cast<D, T, float>(stream, from + i, wide.data<float>(), n);
        kernels::add<D, float>(stream, to + i, wide.data<float>(), to + i, n);
      }
    }
  });
}

void ParameterArena::take_gradients_from(const Tensor& sum) {
  dispatch(gradients_, "take_gradients_from", [&]<class D, class T>(Stream& stream) {
    if constexpr (sizeof(T) == 2)
      kernels::cast<D, float, T>(stream, sum.data<float>(), gradients_.data<T>(), size_);
  });
  // All hold a gradient of this step, which the next one must not add to.
  for (Parameter& p : parameters_) p.value.impl()->history->reached = true;
}

void ParameterArena::refresh_working() {
  if (working_.raw() == master_.raw()) return;
  dispatch(working_, "refresh_working", [&]<class D, class T>(Stream& stream) {
    if constexpr (sizeof(T) == 2)
      kernels::cast<D, float, T>(stream, master_.data<float>(), working_.data<T>(), size_);
  });
}
}  // namespace nn
