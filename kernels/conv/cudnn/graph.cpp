#include "kernels/conv/cudnn/graph.h"

namespace kernels::cudnn {
namespace {

cudnnDataType_t data_type(MathType math_type) {
  return math_type == MathType::bf16  ? CUDNN_DATA_BFLOAT16
         : math_type == MathType::f16 ? CUDNN_DATA_HALF
                                      : CUDNN_DATA_FLOAT;
}

// cuDNN lists dimensions as N,C,H,W or O,I,H,W; the strides put channels innermost.
Descriptor tensor(std::int64_t id, cudnnDataType_t type, std::int64_t n, std::int64_t c,
                  std::int64_t h, std::int64_t w, int alignment, bool is_virtual) {
  Descriptor d(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  const std::int64_t dims[] = {n, c, h, w}, strides[] = {c * h * w, 1, c * w, c};
  d.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, id);
  d.set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, type);
  d.set(CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, dims, 4);
  d.set(CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, strides, 4);
  d.set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, std::int64_t{alignment});
  d.set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, is_virtual);
  d.finalize("describing a tensor to cuDNN");
  return d;
}

Descriptor convolution(const ConvShape& s) {
  Descriptor d(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
  const std::int64_t dilations[] = {1, 1}, strides[] = {s.stride, s.stride},
                     before[] = {s.pad_begin, s.pad_begin}, after[] = {s.pad_end, s.pad_end};
  d.set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, std::int64_t{2});
  d.set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT);
  d.set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, CUDNN_CROSS_CORRELATION);
  d.set(CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, dilations, 2);
  d.set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, strides, 2);
  d.set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, before, 2);
  d.set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, after, 2);
  d.finalize("describing a convolution to cuDNN");
  return d;
}

// The operations of a problem, in order; `owned` keeps every descriptor alive.
struct Operations {
  std::vector<Descriptor>& owned;
  std::vector<cudnnBackendDescriptor_t> operations;

  const Descriptor& keep(Descriptor d) {
    owned.push_back(std::move(d));
    return owned.back();
  }

  void add_convolution(const Problem& p, const Descriptor& x, const Descriptor& w,
                       const Descriptor& y) {
    struct Names {
      cudnnBackendDescriptorType_t type;
      cudnnBackendAttributeName_t conv, x, w, y, alpha, beta;
    };
#define NAMES(type, pass, x, w, y)                           \
  {                                                          \
    CUDNN_BACKEND_OPERATION_CONVOLUTION_##type##_DESCRIPTOR, \
        CUDNN_ATTR_OPERATION_CONVOLUTION_##pass##_CONV_DESC, \
        CUDNN_ATTR_OPERATION_CONVOLUTION_##pass##_##x,       \
        CUDNN_ATTR_OPERATION_CONVOLUTION_##pass##_##w,       \
        CUDNN_ATTR_OPERATION_CONVOLUTION_##pass##_##y,       \
        CUDNN_ATTR_OPERATION_CONVOLUTION_##pass##_ALPHA,     \
        CUDNN_ATTR_OPERATION_CONVOLUTION_##pass##_BETA       \
  }
    static constexpr Names names[] = {NAMES(FORWARD, FORWARD, X, W, Y),
                                      NAMES(BACKWARD_DATA, BWD_DATA, DX, W, DY),
                                      NAMES(BACKWARD_FILTER, BWD_FILTER, X, DW, DY)};
#undef NAMES
    const Names& n = names[static_cast<int>(p.direction)];
    Descriptor d(n.type);
    d.set(n.conv, keep(convolution(p.shape)));
    d.set(n.x, x);
    d.set(n.w, w);
    d.set(n.y, y);
    d.set(n.alpha, CUDNN_TYPE_FLOAT, 1.f);
    d.set(n.beta, CUDNN_TYPE_FLOAT, 0.f);
    d.finalize(p.str());
    operations.push_back(keep(std::move(d)).raw());
  }

  // out = in + operand, or out = f(in) if operand is null.
  void add_pointwise(cudnnPointwiseMode_t mode, float slope, const Descriptor& in,
                     const Descriptor* operand, const Descriptor& out) {
    Descriptor f(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
    f.set(CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, mode);
    f.set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT);
    if (mode == CUDNN_POINTWISE_RELU_FWD)
      f.set(CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP_SLOPE, CUDNN_TYPE_DOUBLE,
            static_cast<double>(slope));
    f.finalize("describing an activation to cuDNN");
    Descriptor d(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    d.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, keep(std::move(f)));
    d.set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, in);
    if (operand) d.set(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, *operand);
    d.set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, out);
    d.finalize("describing bias or activation to cuDNN");
    operations.push_back(keep(std::move(d)).raw());
  }
};

Operations operations(const Problem& p, std::vector<Descriptor>& owned) {
  owned.reserve(16);  // keep() returns references
  Operations ops{owned, {}};
  const ConvShape& s = p.shape;
  const cudnnDataType_t type = data_type(p.math_type);
  const bool bias = p.fused && p.bias, activation = p.fused && p.activation != Activation::none;
  // Values between fused operations are virtual: floats that never reach memory.
  const auto output = [&](std::int64_t id, bool last) -> const Descriptor& {
    return ops.keep(tensor(id, last ? type : CUDNN_DATA_FLOAT, s.n, s.out_channels, s.out_h(),
                           s.out_w(), p.alignment, !last));
  };
  const Descriptor& x =
      ops.keep(tensor(operand_x, type, s.n, s.in_channels, s.h, s.w, p.alignment, false));
  const Descriptor& w = ops.keep(tensor(operand_w, type, s.out_channels, s.in_channels, s.kernel,
                                        s.kernel, p.alignment, false));
  const Descriptor* y = &output(bias || activation ? 10 : +operand_y, !bias && !activation);
  ops.add_convolution(p, x, w, *y);
  if (bias) {
    const Descriptor& values =
        ops.keep(tensor(operand_bias, type, 1, s.out_channels, 1, 1, p.alignment, false));
    const Descriptor& sum = output(activation ? 11 : +operand_y, !activation);
    ops.add_pointwise(CUDNN_POINTWISE_ADD, 0.f, *y, &values, sum);
    y = &sum;
  }
  if (activation) {
    ops.add_pointwise(p.activation == Activation::sigmoid ? CUDNN_POINTWISE_SIGMOID_FWD
                                                          : CUDNN_POINTWISE_RELU_FWD,
                      p.slope, *y, nullptr, output(operand_y, true));
  }
  return ops;
}
}  // namespace

Graph make_graph(const Problem& p, cudnnHandle_t handle) {
  Graph made;
  const Operations ops = operations(p, made.operands);
  made.graph = Descriptor(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  made.graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                 ops.operations.data(), static_cast<std::int64_t>(ops.operations.size()));
  if (handle) made.graph.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, handle);
  made.status = made.graph.try_finalize();
  return made;
}
}  // namespace kernels::cudnn
