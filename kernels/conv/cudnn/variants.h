// Runs one convolution by a cuDNN plan in one of its variants (cudnn_plan.h): plain, fused, through padded copies. The seam
// (conv_cudnn.cpp) and the autotuner of all engines (bench/plans) share it.
#pragma once
#include "kernels/conv/cudnn/api.h"
#include "kernels/conv/plans/padded.h"
#include "kernels/conv/plans/problem.h"
#include "kernels/core/memory.h"
#include "kernels/elementwise.h"

namespace kernels::cudnn {

template <class T> struct ConvOperands {
  const T *x, *w, *bias, *y;
};  // one of x, w, y is the result; bias may be null

inline void execute(cudnnHandle_t handle, Stream& stream, const Plan& plan, const void* x,
                    const void* w, const void* bias, const void* y) {
  const Buffer workspace(Device::cuda, static_cast<std::size_t>(plan.report.workspace));
  Descriptor pack(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
  const std::int64_t names[] = {operand_x, operand_w, operand_y, operand_bias};
  const void* const pointers[] = {x, w, y, bias};
  const void* const scratch = workspace.data();
  pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, names, bias ? 4 : 3);
  pack.set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, pointers, bias ? 4 : 3);
  pack.set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, scratch);
  pack.finalize("binding operands to a cuDNN plan");
  check(Api::open().set_stream(handle, static_cast<cudaStream_t>(stream.raw())), "cudnnSetStream");
  check(Api::open().execute(handle, plan.plan.raw(), pack.raw()), "running a cuDNN plan");
}

// What cuDNN's graph computes: without bias and activation, unless they are fused into it.
template <class T>
void run_graph(cudnnHandle_t handle, Stream& stream, const Problem& wanted, Variant variant,
               const Plan& plan, const ConvOperands<T>& o) {
  const T* const bias = variant.fused ? o.bias : nullptr;
  const auto inner = [&](const T* x, const T* w, const T* b, const T* y) {
    execute(handle, stream, plan, x, w, b, y);
  };
  if (variant.padded)
    conv_through_padded<Cuda, T>(wanted.direction, stream, wanted.shape,
                                 padded_channels(wanted.shape, wanted.math_type), o.x, o.w, bias,
                                 o.y, inner);
  else inner(o.x, o.w, bias, o.y);
}

// All of it: where the graph has no bias and activation inside, they follow on y in place.
template <class T>
void run_variant(cudnnHandle_t handle, Stream& stream, const Problem& wanted, Variant variant,
                 const Plan& plan, const ConvOperands<T>& o) {
  run_graph<T>(handle, stream, wanted, variant, plan, o);
  if (wanted.direction != Direction::forward || variant.fused) return;
  T* const y = const_cast<T*>(o.y);
  const std::int64_t rows = wanted.shape.n * wanted.shape.out_h() * wanted.shape.out_w(),
                     columns = wanted.shape.out_channels;
  if (wanted.activation == Activation::sigmoid)
    bias_sigmoid_forward<Cuda, T>(stream, y, o.bias, y, rows, columns);
  else if (o.bias || wanted.activation == Activation::leaky_relu)
    bias_leaky_relu_forward<Cuda, T>(
        stream, y, o.bias, y, rows, columns,
        wanted.activation == Activation::leaky_relu ? wanted.slope : 1.f);
}

}  // namespace kernels::cudnn
