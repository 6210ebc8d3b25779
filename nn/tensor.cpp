#include "nn/tensor.h"

#include "kernels/elementwise.h"
#include "nn/dispatch.h"
#include "nn/tape.h"
#include "nn/tensor_impl.h"

namespace nn {

// --- Shape

Shape::Shape(std::initializer_list<std::int64_t> extents)
    : Shape(std::span(extents.begin(), extents.size())) {}

Shape::Shape(std::span<const std::int64_t> extents) : rank_(static_cast<int>(extents.size())) {
  check(extents.size() <= extents_.size(), "shape: {} extents given, at most {} are supported",
        extents.size(), extents_.size());
  std::copy(extents.begin(), extents.end(), extents_.begin());
  std::int64_t elements = 1;
  for (const std::int64_t extent : extents) {
    check(extent >= 0 && !__builtin_mul_overflow(elements, extent, &elements),
          "shape: {} is negative or too large", str());
  }
}

std::int64_t Shape::operator[](int i) const {
  const int index = i < 0 ? i + rank_ : i;
  check(index >= 0 && index < rank_, "shape: {} has no extent {}", str(), i);
  return extents_[index];
}

Shape Shape::with(int i, std::int64_t extent) const {
  (*this)[i];  // throws outside
  std::array<std::int64_t, 4> extents = extents_;
  extents[i < 0 ? i + rank_ : i] = extent;
  return Shape(std::span(extents.data(), rank_));
}

std::int64_t Shape::numel() const {
  std::int64_t elements = 1;
  for (int i = 0; i < rank_; ++i) elements *= extents_[i];
  return elements;
}

std::int64_t Shape::rows() const {
  std::int64_t rows = 1;
  for (int i = 0; i + 1 < rank_; ++i) rows *= extents_[i];
  return rows;
}

std::string Shape::str() const {
  return fmt::format("[{}]", fmt::join(extents_.begin(), extents_.begin() + rank_, ","));
}

// --- Tensor: making one

Tensor Tensor::empty(Shape shape, DType dtype, Device device) {
  check(device == Device::host || dtype != DType::f64, "tensor: f64 exists on the host only");
  auto storage = std::make_shared<kernels::Buffer>(
      device, static_cast<std::size_t>(shape.numel()) * size_of(dtype));
  return adopt(std::move(storage), 0, shape, dtype);
}

Tensor Tensor::zeros(Shape shape, DType dtype, Device device) {
  Tensor t = empty(shape, dtype, device);
  fill_zero(t);
  return t;
}

template <class T> Tensor Tensor::from(std::span<const T> values, Shape shape, Device device) {
  check(static_cast<std::int64_t>(values.size()) == shape.numel(),
        "tensor: {} values cannot fill {}", values.size(), shape.str());
  Tensor t = empty(shape, dtype_of<T>(), device);
  kernels::copy(t.raw(), device, values.data(), Device::host, values.size_bytes());
  return t;
}

Tensor Tensor::adopt(std::shared_ptr<kernels::Buffer> storage, std::size_t offset_bytes,
                     Shape shape, DType dtype) {
  const std::size_t end = offset_bytes + static_cast<std::size_t>(shape.numel()) * size_of(dtype);
  check(storage && end <= storage->bytes(), "tensor: {} of {} at byte {} does not fit its storage",
        shape.str(), nn::name(dtype), offset_bytes);
  return Tensor(std::make_shared<TensorImpl>(
      TensorImpl{std::move(storage), offset_bytes, shape, dtype, nullptr}));
}

// --- Tensor: reading one

namespace {

const TensorImpl& existing(const TensorImpl* impl, const char* what) {
  check(impl != nullptr, "tensor: {} of an undefined tensor", what);
  return *impl;
}
}  // namespace

const Shape& Tensor::shape() const { return existing(impl(), "shape").shape; }
DType Tensor::dtype() const { return existing(impl(), "dtype").dtype; }
Device Tensor::device() const { return existing(impl(), "device").storage->device(); }

void* Tensor::raw() const {
  const TensorImpl& self = existing(impl(), "data");
  return self.storage->as<std::byte>() + self.offset_bytes;
}

template <class T> T* Tensor::data() const {
  check(dtype() == dtype_of<T>(), "tensor: {} of {} read as {}", shape().str(), nn::name(dtype()),
        nn::name(dtype_of<T>()));
  return static_cast<T*>(raw());
}

template <class T> std::vector<T> Tensor::to_host() const {
  const T* source = data<T>();
  std::vector<T> values(static_cast<std::size_t>(numel()));
  kernels::copy(values.data(), Device::host, source, device(), values.size() * sizeof(T));
  return values;
}

double Tensor::item() const {
  check(numel() == 1, "tensor: item() needs one element, {} has {}", shape().str(), numel());
  switch (dtype()) {
    case DType::f32: return to_host<float>()[0];
    case DType::bf16: return static_cast<float>(to_host<kernels::bf16>()[0]);
    case DType::f16: return static_cast<float>(to_host<kernels::f16>()[0]);
    case DType::f64: return to_host<double>()[0];
    case DType::i32: return to_host<std::int32_t>()[0];
    case DType::u8: return to_host<std::uint8_t>()[0];
  }
  throw Error(ErrorKind::failure, "tensor: not a dtype");
}

Tensor Tensor::to(Device target) const {
  if (target == device()) return detach();
  Tensor copy = empty(shape(), dtype(), target);
  kernels::copy(copy.raw(), target, raw(), device(), bytes());
  return copy;
}

Tensor Tensor::to(DType target) const {
  if (target == dtype()) return detach();
  Tensor copy = empty(shape(), target, device());
  dispatch(*this, "tensor", [&]<class D, class From>(Stream& s) {
    dispatch(copy, "tensor", [&]<class D2, class To>(Stream&) {
      if constexpr (std::is_same_v<D, D2> && !std::is_same_v<From, To>)
        kernels::cast<D, From, To>(s, data<From>(), copy.data<To>(), numel());
    });
  });
  return copy;
}

// --- Tensor: views

Tensor Tensor::reshape(Shape target) const {
  check(target.numel() == numel(), "reshape: {} has {} elements, {} needs {}", shape().str(),
        numel(), target.str(), target.numel());
  Tensor view = adopt(impl_->storage, impl_->offset_bytes, target, dtype());
  return record(view, "reshape", {*this}, [from = shape()](Backward& ctx) {
    return ctx.gradients(ctx.grad().reshape(from));
  });
}

Tensor Tensor::rows(std::int64_t begin, std::int64_t end) const {
  check(shape().rank() >= 1 && 0 <= begin && begin <= end && end <= shape(0),
        "rows: [{}, {}) lies outside {}", begin, end, shape().str());
  const std::int64_t row = shape(0) == 0 ? 0 : numel() / shape(0), first = begin * row;
  Tensor view = adopt(impl_->storage,
                      impl_->offset_bytes + static_cast<std::size_t>(first) * size_of(dtype()),
                      shape().with(0, end - begin), dtype());

  // Ranges of one tensor add into one gradient of the whole. Capturing the input costs
  // nothing: the view shares its storage.
  return record(view, "rows", {*this}, [x = *this, first](Backward& ctx) {
    const Tensor& dy = ctx.grad();
    const Tensor dx = ctx.accumulated(x);
    dispatch(dy, "rows", [&]<class D, class T>(Stream& stream) {
      T* place = dx.data<T>() + first;
      kernels::add<D, T>(stream, place, dy.data<T>(), place, dy.numel());
    });
    return ctx.gradients(dx);
  });
}

Tensor Tensor::detach() const {
  existing(impl(), "detach");
  return adopt(impl_->storage, impl_->offset_bytes, impl_->shape, impl_->dtype);
}

// --- Tensor: differentiation

bool Tensor::requires_grad() const {
  return impl_ && impl_->history && impl_->history->requires_grad;
}

Tensor& Tensor::set_requires_grad(bool on) {
  existing(impl(), "set_requires_grad");
  check(!node(), "set_requires_grad: only a leaf can be marked, {} is the result of {}",
        shape().str(), node() ? node()->op : "");
  check(!on || (dtype() != DType::i32 && dtype() != DType::u8),
        "set_requires_grad: a tensor of {} has no gradient", nn::name(dtype()));
  if (!impl_->history) impl_->history = std::make_shared<History>();
  impl_->history->requires_grad = on;
  impl_->history->grad = Tensor();
  impl_->history->reached = false;
  return *this;
}

Tensor Tensor::grad() const {
  if (!impl_ || !impl_->history) return {};
  const History& history = *impl_->history;
  return history.sink.defined() ? (history.reached ? history.sink : Tensor()) : history.grad;
}

Tensor& Tensor::set_grad_sink(const Tensor& sink) {
  check(requires_grad() && !node(),
        "set_grad_sink: only a leaf that requires a gradient can have a sink");
  check(sink.shape() == shape() && sink.dtype() == dtype() && sink.device() == device(),
        "set_grad_sink: sink {} of {} does not match leaf {} of {}", sink.shape().str(),
        nn::name(sink.dtype()), shape().str(), nn::name(dtype()));
  impl_->history->sink = sink.detach();
  impl_->history->reached = false;
  return *this;
}

const std::shared_ptr<Node>& Tensor::node() const {
  static const std::shared_ptr<Node> none;
  return impl_ && impl_->history ? impl_->history->node : none;
}

bool Tensor::unshared() const { return impl_.use_count() == 1 && impl_->storage.use_count() == 1; }

#define INSTANTIATE(T)                                                \
  template Tensor Tensor::from<T>(std::span<const T>, Shape, Device); \
  template T* Tensor::data<T>() const;                                \
  template std::vector<T> Tensor::to_host<T>() const;
INSTANTIATE(float)
INSTANTIATE(kernels::bf16)
INSTANTIATE(kernels::f16)
INSTANTIATE(double)
INSTANTIATE(std::int32_t)
INSTANTIATE(std::uint8_t)
#undef INSTANTIATE
}  // namespace nn
