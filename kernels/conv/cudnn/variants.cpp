#include "kernels/conv/cudnn/variants.h"

#include "kernels/conv/plans/padded.h"
#include "kernels/elementwise.h"

namespace kernels::cudnn {
namespace {

void execute(cudnnHandle_t handle, Stream& stream, const Plan& plan, const ConvOperands& o) {
  const Buffer workspace(Device::cuda, static_cast<std::size_t>(plan.report.workspace));
  Descriptor pack(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
  const std::int64_t names[] = {operand_x, operand_w, operand_y, operand_bias};
  const void* const pointers[] = {o.x, o.w, o.y, o.bias};
  const void* const scratch = workspace.data();
  pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, names, o.bias ? 4 : 3);
  pack.set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, pointers, o.bias ? 4 : 3);
  pack.set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, scratch);
  pack.finalize("binding operands to a cuDNN plan");
  check(Api::open().set_stream(handle, static_cast<cudaStream_t>(stream.raw())), "cudnnSetStream");
  check(Api::open().execute(handle, plan.plan.raw(), pack.raw()), "running a cuDNN plan");
}

template <class T>
void run_padded(cudnnHandle_t handle, Stream& stream, const Problem& wanted, const Plan& plan,
                const ConvOperands& o) {
  const auto typed = [](const void* p) { return static_cast<const T*>(p); };
  conv_through_padded<Cuda, T>(wanted.direction, stream, wanted.shape,
                               padded_channels(wanted.shape, wanted.math_type), typed(o.x),
                               typed(o.w), typed(o.bias), typed(o.y),
                               [&](const T* x, const T* w, const T* bias, const T* y) {
                                 execute(handle, stream, plan, {x, w, bias, y});
                               });
}

template <class T> void run_epilogue(Stream& stream, const Problem& wanted, const ConvOperands& o) {
  const ConvShape& s = wanted.shape;
  T* const y = static_cast<T*>(const_cast<void*>(o.y));
  const T* const bias = static_cast<const T*>(o.bias);
  const std::int64_t rows = s.n * s.out_h() * s.out_w();
  const bool leaky = wanted.activation == Activation::leaky_relu;
  if (wanted.activation == Activation::sigmoid)
    bias_sigmoid_forward<Cuda, T>(stream, y, bias, y, rows, s.out_channels);
  else if (bias || leaky)
    bias_leaky_relu_forward<Cuda, T>(stream, y, bias, y, rows, s.out_channels,
                                     leaky ? wanted.slope : 1.f);
}
}  // namespace

void run_variant(cudnnHandle_t handle, Stream& stream, const Problem& wanted, Variant variant,
                 const Plan& plan, const ConvOperands& o) {
  const ConvOperands inner{o.x, o.w, variant.fused ? o.bias : nullptr, o.y};
  on_type(wanted.math_type, [&]<class T>() {
    if (variant.padded) run_padded<T>(handle, stream, wanted, plan, inner);
    else execute(handle, stream, plan, inner);
    if (wanted.direction == Direction::forward && !variant.fused)
      run_epilogue<T>(stream, wanted, o);
  });
}
}  // namespace kernels::cudnn
