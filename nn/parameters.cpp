#include "nn/parameters.h"

#include <algorithm>
#include <cmath>

#include "kernels/elementwise.h"
#include "kernels/random.h"
#include "nn/dispatch.h"
#include "nn/tensor_impl.h"

namespace nn {
namespace {

constexpr std::int64_t piece_alignment =
    64;  // elements: 128 bytes of bf16, so that every piece starts on a cache line

// Draws into the piece of the master arena, which is on the host here. Always drawn in f32, so that f64 tests begin with
// the same weights. Element i of parameter p is number (seed, p, i) of the Philox sequence, whatever the other parameters are.
void draw(const Parameter& parameter, std::size_t index, std::uint64_t seed, float* out) {
  const Shape& shape = parameter.shape;
  const std::int64_t n = shape.numel();
  // Keras: the last extent of OHWI and [O,I] is the input's, the first the output's, and what lies between counts for both.
  // A depthwise filter [K,K,C] counts as C inputs and one output.
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
  Parameter parameter{std::move(parameter_name), shape, init, size_, {}, {}, {}, {}, {}};
  size_ += (shape.numel() + piece_alignment - 1) / piece_alignment * piece_alignment;
  parameters_.push_back(std::move(parameter));
  return parameters_.size() - 1;
}

void ParameterArena::allocate(Device device, DType working, std::uint64_t seed, Use use) {
  check(!master_.defined(), "parameters: allocate() is called twice");
  check(working != DType::i32 && working != DType::u8,
        "parameters: the working dtype must be f32, bf16, f16 or f64, not {}", name(working));
  device_ = device;
  const DType wide = compute_dtype(working);
  const Shape whole{size_};

  // Each arena is one buffer; pieces are handles on parts of it.
  const auto allot = [&](DType dtype, Tensor& all, Tensor Parameter::*piece,
                         std::shared_ptr<kernels::Buffer> buffer = nullptr) {
    if (!buffer)
      buffer = std::make_shared<kernels::Buffer>(device,
                                                 static_cast<std::size_t>(size_) * size_of(dtype));
    all = Tensor::adopt(buffer, 0, whole, dtype);
    for (Parameter& p : parameters_)
      p.*piece = Tensor::adopt(buffer, static_cast<std::size_t>(p.offset) * size_of(dtype), p.shape,
                               dtype);
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

  // One parameter at a time: a second copy of all of them would stay in the pool for good.
  if (device != Device::meta) {
    kernels::fill_zero(master_.stream(), master_.raw(),
                       static_cast<std::size_t>(size_) * size_of(wide));
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
      const Parameter& p = parameters_[i];
      const bool in_place = device == Device::host && wide == DType::f32;
      const Tensor drawn = in_place ? p.master : Tensor::empty(p.shape, DType::f32, Device::host);
      draw(p, i, seed, drawn.data<float>());
      if (in_place) continue;
      const Tensor widened = drawn.to(wide);
      kernels::copy(p.master.raw(), device, widened.raw(), Device::host,
                    static_cast<std::size_t>(p.shape.numel()) * size_of(wide));
    }
    kernels::release_cached(Device::host);
  }
  refresh_working();
  if (use == Use::inference) return;
  zero_gradients();
  for (const Tensor& moment : {moment1_, moment2_})
    kernels::fill_zero(moment.stream(), moment.raw(),
                       static_cast<std::size_t>(size_) * size_of(wide));
}

const Parameter* ParameterArena::find(const std::string& wanted) const {
  const auto found = std::find_if(parameters_.begin(), parameters_.end(),
                                  [&](const Parameter& p) { return p.name == wanted; });
  return found == parameters_.end() ? nullptr : &*found;
}

std::int64_t ParameterArena::count() const {
  std::int64_t elements = 0;
  for (const Parameter& p : parameters_) elements += p.shape.numel();
  return elements;
}

void ParameterArena::zero_gradients() {
  kernels::fill_zero(gradients_.stream(), gradients_.raw(),
                     static_cast<std::size_t>(size_) * size_of(gradients_.dtype()));
  for (Parameter& p : parameters_)
    p.value.impl()->history->reached = p.value.impl()->history->stale =
        false;  // the next gradient is written, not added
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
    if (history.stale && !history.reached)
      kernels::fill_zero(
          p.gradient.stream(), p.gradient.raw(),
          static_cast<std::size_t>(p.gradient.numel()) * size_of(p.gradient.dtype()));
    history.stale = false;
  }
}

void ParameterArena::refresh_working() {
  if (working_.raw() == master_.raw()) return;
  dispatch(working_, "refresh_working", [&]<class D, class T>(Stream& stream) {
    if constexpr (sizeof(T) == 2)
      kernels::cast<D, float, T>(stream, master_.data<float>(), working_.data<T>(), size_);
  });
}

}  // namespace nn
