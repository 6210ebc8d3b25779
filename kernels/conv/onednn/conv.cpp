// Activations stay plain NHWC, which oneDNN reads as fast as its own blocked layouts.
// Weights are reordered at every call from OHWI into the primitive's layout: a cache
// keyed by address would miss that their values change with every training step.
#include "kernels/conv/onednn/conv.h"

#include <tuple>

#include "kernels/conv/onednn/runtime.h"
#include "kernels/core/memory.h"

namespace kernels::onednn {
namespace {

using Tag = dnnl::memory::format_tag;
using dnnl::algorithm;

// oneDNN lists dimensions as N,C,H,W and O,I,H,W; the tag names the layout in memory.
struct Operands {
  dnnl::memory::desc x, w, plain_w, bias, y;
  dnnl::memory::dims strides, pad_begin, pad_end;
};
template <class T> Operands operands(const ConvShape& s, bool bias) {
  using dnnl::memory;
  const memory::dims weights{s.out_channels, s.in_channels, s.kernel, s.kernel};
  return {memory::desc({s.n, s.in_channels, s.h, s.w}, data_type<T>, Tag::nhwc),
          memory::desc(weights, data_type<T>, Tag::any),
          memory::desc(weights, data_type<T>, Tag::ohwi),
          bias ? memory::desc({s.out_channels}, data_type<T>, Tag::x) : memory::desc(),
          memory::desc({s.n, s.out_channels, s.out_h(), s.out_w()}, data_type<T>, Tag::nhwc),
          {s.stride, s.stride},
          {s.pad_begin, s.pad_begin},
          {s.pad_end, s.pad_end}};
}

dnnl::primitive_attr attributes(const ConvEpilogue& epilogue = {}) {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  dnnl::post_ops post;
  if (epilogue.activation == Activation::leaky_relu)
    post.append_eltwise(1.f, algorithm::eltwise_relu, epilogue.slope, 0.f);
  if (epilogue.activation == Activation::sigmoid)
    post.append_eltwise(1.f, algorithm::eltwise_logistic, 0.f, 0.f);
  attr.set_post_ops(post);
  return attr;
}

dnnl::convolution_forward::primitive_desc forward_desc(const Operands& o,
                                                       const dnnl::primitive_attr& attr) {
  return {{dnnl::prop_kind::forward_training, algorithm::convolution_direct, o.x, o.w, o.bias, o.y,
           o.strides, o.pad_begin, o.pad_end},
          attr,
          engine()};
}

template <class Pass> typename Pass::primitive_desc backward_desc(const Operands& o) {
  return {{algorithm::convolution_direct, o.x, o.w, o.y, o.strides, o.pad_begin, o.pad_end},
          attributes(),
          engine(),
          forward_desc(o, {})};
}

Primitive make(Direction direction, const Operands& o, const ConvEpilogue& epilogue) {
  Primitive p;
  p.x = o.x, p.y = o.y, p.bias = o.bias, p.plain_w = o.plain_w;
  const auto take = [&](const dnnl::primitive& primitive, const auto& desc,
                        const dnnl::memory::desc& w) {
    p.primitive = primitive;
    p.w = w;
    p.scratchpad = desc.scratchpad_desc();
  };
  if (direction == Direction::forward) {
    const auto desc = forward_desc(o, attributes(epilogue));
    take(dnnl::convolution_forward(desc), desc, desc.weights_desc());
  } else if (direction == Direction::data) {
    const auto desc = backward_desc<dnnl::convolution_backward_data>(o);
    take(dnnl::convolution_backward_data(desc), desc, desc.weights_desc());
  } else {
    const auto desc = backward_desc<dnnl::convolution_backward_weights>(o);
    take(dnnl::convolution_backward_weights(desc), desc, desc.diff_weights_desc());
  }
  const auto& [from, to] =
      direction == Direction::filter ? std::tie(p.w, p.plain_w) : std::tie(p.plain_w, p.w);
  if (from != to) p.reorder = dnnl::reorder({engine(), from, engine(), to});
  return p;
}

template <class T>
const Primitive& primitive(Direction direction, const ConvShape& s, bool bias = false,
                           const ConvEpilogue& epilogue = {}) {
  static auto* const cache = new PrimitiveCache;
  const auto of = [](auto... values) -> PrimitiveCache::Key { return {values...}; };
  const PrimitiveCache::Key key =
      of(static_cast<int>(direction), set_threads(), s.n, s.h, s.w, s.in_channels, s.out_channels,
         s.kernel, s.stride, s.pad_begin, s.pad_end, bias, static_cast<int>(epilogue.activation),
         bits(epilogue.slope));
  return cache->find(key, [&] { return make(direction, operands<T>(s, bias), epilogue); });
}

// Scratch for one set of reordered weights, as large as the largest so far: the pool
// would keep one block of each layer's size.
void* weights_scratch(std::size_t bytes) {
  thread_local Buffer scratch;
  if (scratch.bytes() < bytes) {
    scratch = Buffer();
    scratch = Buffer(Device::host, bytes);
  }
  return scratch.data();
}

// The weights in the primitive's layout: the caller's own if that agrees, else
// reordered.
dnnl::memory ordered_weights(const Primitive& p, const void* w) {
  dnnl::memory plain = wrap(p.plain_w, w);
  if (!p.reorder) return plain;
  dnnl::memory ordered = wrap(p.w, weights_scratch(p.w.get_size()));
  execute_reorder(p, plain, ordered);
  return ordered;
}
}  // namespace

namespace {
bool offers(dnnl_cpu_isa_t isa) {  // an isa is the set of its bits
  static const auto effective = static_cast<int>(dnnl::get_effective_cpu_isa());
  return (effective & isa) == isa;
}
}  // namespace

bool native_bf16() { return offers(dnnl_cpu_isa_avx512_core_bf16); }
bool has_amx() { return offers(dnnl_cpu_isa_avx512_core_amx); }

template <class T>
bool conv_forward(const ConvShape& s, const T* x, const T* w, const T* bias, T* y,
                  const ConvEpilogue& epilogue) {
  const Primitive& p = primitive<T>(Direction::forward, s, bias != nullptr, epilogue);
  if (!p.usable) return false;
  Arguments arguments{{DNNL_ARG_SRC, wrap(p.x, x)},
                      {DNNL_ARG_WEIGHTS, ordered_weights(p, w)},
                      {DNNL_ARG_DST, wrap(p.y, y)}};
  if (bias) arguments[DNNL_ARG_BIAS] = wrap(p.bias, bias);
  execute(p, std::move(arguments));
  return true;
}

template <class T> bool conv_backward_data(const ConvShape& s, const T* dy, const T* w, T* dx) {
  const Primitive& p = primitive<T>(Direction::data, s);
  if (!p.usable) return false;
  execute(p, {{DNNL_ARG_DIFF_DST, wrap(p.y, dy)},
              {DNNL_ARG_WEIGHTS, ordered_weights(p, w)},
              {DNNL_ARG_DIFF_SRC, wrap(p.x, dx)}});
  return true;
}

template <class T> bool conv_backward_filter(const ConvShape& s, const T* x, const T* dy, T* dw) {
  const Primitive& p = primitive<T>(Direction::filter, s);
  if (!p.usable) return false;
  const dnnl::memory plain = wrap(p.plain_w, dw);
  const dnnl::memory gradient = p.reorder ? wrap(p.w, weights_scratch(p.w.get_size())) : plain;
  execute(p, {{DNNL_ARG_SRC, wrap(p.x, x)},
              {DNNL_ARG_DIFF_DST, wrap(p.y, dy)},
              {DNNL_ARG_DIFF_WEIGHTS, gradient}});
  if (p.reorder) execute_reorder(p, gradient, plain);
  return true;
}

#define INSTANTIATE(T)                                            \
  template decltype(conv_forward<T>) conv_forward<T>;             \
  template decltype(conv_backward_data<T>) conv_backward_data<T>; \
  template decltype(conv_backward_filter<T>) conv_backward_filter<T>;
INSTANTIATE(float)
INSTANTIATE(bf16)
#undef INSTANTIATE
}  // namespace kernels::onednn
