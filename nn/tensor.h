// Tensor: a handle on a dense, contiguous array on one device. Images are NHWC. There
// are no strides; the views, reshape and rows (a range of the first dimension), share
// storage. Copying a Tensor copies the handle.
#pragma once
#include <array>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/core/dtype.h"
#include "kernels/core/memory.h"
#include "kernels/core/stream.h"

namespace nn {

using kernels::Device;
using kernels::DType;
using kernels::dtype_of;
using kernels::Error;
using kernels::ErrorKind;
using kernels::name;
using kernels::size_of;

class Shape {  // up to four extents, kept inline
 public:
  Shape() = default;
  Shape(std::initializer_list<std::int64_t> extents);
  explicit Shape(std::span<const std::int64_t> extents);
  int rank() const { return rank_; }
  std::int64_t operator[](int i) const;          // negative i counts from the end; throws outside
  std::int64_t numel() const;                    // 1 for rank 0
  std::int64_t rows() const;                     // product of all but the last extent
  Shape with(int i, std::int64_t extent) const;  // the same but for one extent
  std::string str() const;                       // "[8,64,64,3]"
  bool operator==(const Shape&) const = default;

 private:
  std::array<std::int64_t, 4> extents_{};
  int rank_ = 0;
};

struct Node;        // the op that recorded a tensor (tape.h)
struct TensorImpl;  // tensor_impl.h

class Tensor {
 public:
  Tensor() = default;  // undefined
  static Tensor empty(Shape, DType, Device);
  static Tensor zeros(Shape, DType, Device);
  template <class T>
  static Tensor from(std::span<const T> values, Shape, Device = Device::host);  // dtype is T's
  // Shares a buffer, as arenas do.
  static Tensor adopt(std::shared_ptr<kernels::Buffer>, std::size_t offset_bytes, Shape, DType);

  bool defined() const { return impl_ != nullptr; }
  const Shape& shape() const;
  std::int64_t shape(int i) const { return shape()[i]; }
  std::int64_t numel() const { return shape().numel(); }
  std::size_t bytes() const { return static_cast<std::size_t>(numel()) * size_of(dtype()); }
  DType dtype() const;
  Device device() const;
  kernels::Stream& stream() const { return kernels::Stream::of(device()); }

  template <class T> T* data() const;  // throws if T is not the dtype
  void* raw() const;

  // Views: same storage, differentiable. rows: [begin, end) of the first dimension.
  Tensor reshape(Shape) const;
  Tensor rows(std::int64_t begin, std::int64_t end) const;
  // Copies if needed; not differentiable.
  Tensor to(Device) const;
  Tensor to(DType) const;
  template <class T> std::vector<T> to_host() const;  // T must be the dtype
  double item() const;  // of a one-element tensor; waits for the device

  // --- differentiation (tape.h)
  bool requires_grad() const;
  Tensor& set_requires_grad(bool);  // marks a leaf, and drops the gradient collected so far
  Tensor grad() const;              // of a leaf, after backward; undefined if nothing reached it
  // Memory that backward writes this leaf's gradient to (parameter arenas).
  Tensor& set_grad_sink(const Tensor& sink);
  Tensor detach() const;                      // same storage, no history
  const std::shared_ptr<Node>& node() const;  // null for a leaf
  bool unshared() const;                      // no other handle on the storage: safe to overwrite
  TensorImpl* impl() const { return impl_.get(); }

 private:
  explicit Tensor(std::shared_ptr<TensorImpl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<TensorImpl> impl_;
};
}  // namespace nn
