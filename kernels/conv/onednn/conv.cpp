// Convolution on the host through oneDNN's primitives. Activations stay plain NHWC, which oneDNN reads as fast as its own
// blocked layouts. Weights are reordered at every call from OHWI into the layout that the primitive asks for: their values
// change with every training step, and a cache keyed by address could not know that.
#include <bit>

#include "kernels/conv/host/host_variants.h"
#include "kernels/conv/onednn/runtime.h"
#include "kernels/core/memory.h"

namespace kernels::onednn {
namespace {

using Tag = dnnl::memory::format_tag;
using dnnl::algorithm;
using dnnl::prop_kind;

enum class Direction { forward, data, filter };

template <class T>
PlanCache::Key key(Direction direction, const ConvShape& s, bool bias,
                   const ConvEpilogue& epilogue) {
  return {static_cast<int>(direction),
          static_cast<int>(data_type<T>),
          set_threads(),
          s.n,
          s.h,
          s.w,
          s.in_channels,
          s.out_channels,
          s.kernel,
          s.stride,
          s.pad_begin,
          s.pad_end,
          bias,
          static_cast<int>(epilogue.activation),
          std::bit_cast<std::int32_t>(epilogue.slope)};
}

// oneDNN names dimensions N,C,H,W and O,I,H,W whatever the layout; the tag says the layout.
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
  return {{prop_kind::forward_training, algorithm::convolution_direct, o.x, o.w, o.bias, o.y,
           o.strides, o.pad_begin, o.pad_end},
          attr,
          engine()};
}

PlanCache& cache() {
  static auto* const plans = new PlanCache;
  return *plans;
}

// Room for one set of reordered weights, as large as the largest so far: layers take turns, and the pool would keep one of each size.
void* room_for(std::size_t bytes) {
  thread_local Buffer room;
  if (room.bytes() < bytes) {
    room = Buffer();
    room = Buffer(Device::host, bytes);
  }
  return room.data();
}

// The weights as the primitive wants them: the caller's own where the layouts agree, else reordered into the room.
dnnl::memory ordered_weights(const Plan& plan, const void* w) {
  dnnl::memory plain = wrap(plan.plain_w, w);
  if (!plan.reorder) return plain;
  dnnl::memory ordered = wrap(plan.w, room_for(plan.w.get_size()));
  execute_reorder(plan, plain, ordered);
  return ordered;
}

}  // namespace

template <class T>
bool conv_forward(const ConvShape& s, const T* x, const T* w, const T* bias, T* y,
                  const ConvEpilogue& epilogue) {
  const Plan& plan =
      cache().find(key<T>(Direction::forward, s, bias != nullptr, epilogue), [&](Plan& p) {
        const Operands o = operands<T>(s, bias != nullptr);
        const auto desc = forward_desc(o, attributes(epilogue));
        p = {.primitive = dnnl::convolution_forward(desc),
             .x = o.x,
             .w = desc.weights_desc(),
             .bias = o.bias,
             .y = o.y,
             .plain_w = o.plain_w,
             .scratchpad = desc.scratchpad_desc(),
             .reorder = {}};
        if (p.w != p.plain_w) p.reorder = dnnl::reorder({engine(), p.plain_w, engine(), p.w});
      });
  if (!plan.usable) return false;
  Arguments arguments{{DNNL_ARG_SRC, wrap(plan.x, x)},
                      {DNNL_ARG_WEIGHTS, ordered_weights(plan, w)},
                      {DNNL_ARG_DST, wrap(plan.y, y)}};
  if (bias) arguments[DNNL_ARG_BIAS] = wrap(plan.bias, bias);
  execute(plan, std::move(arguments));
  return true;
}

template <class T> bool conv_backward_data(const ConvShape& s, const T* dy, const T* w, T* dx) {
  const Plan& plan = cache().find(key<T>(Direction::data, s, false, {}), [&](Plan& p) {
    const Operands o = operands<T>(s, false);
    const dnnl::convolution_backward_data::primitive_desc desc(
        {algorithm::convolution_direct, o.x, o.w, o.y, o.strides, o.pad_begin, o.pad_end},
        attributes(), engine(), forward_desc(o, {}));
    p = {.primitive = dnnl::convolution_backward_data(desc),
         .x = o.x,
         .w = desc.weights_desc(),
         .bias = {},
         .y = o.y,
         .plain_w = o.plain_w,
         .scratchpad = desc.scratchpad_desc(),
         .reorder = {}};
    if (p.w != p.plain_w) p.reorder = dnnl::reorder({engine(), p.plain_w, engine(), p.w});
  });
  if (!plan.usable) return false;
  execute(plan, {{DNNL_ARG_DIFF_DST, wrap(plan.y, dy)},
                 {DNNL_ARG_WEIGHTS, ordered_weights(plan, w)},
                 {DNNL_ARG_DIFF_SRC, wrap(plan.x, dx)}});
  return true;
}

template <class T> bool conv_backward_filter(const ConvShape& s, const T* x, const T* dy, T* dw) {
  const Plan& plan = cache().find(key<T>(Direction::filter, s, false, {}), [&](Plan& p) {
    const Operands o = operands<T>(s, false);
    const dnnl::convolution_backward_weights::primitive_desc desc(
        {algorithm::convolution_direct, o.x, o.w, o.y, o.strides, o.pad_begin, o.pad_end},
        attributes(), engine(), forward_desc(o, {}));
    p = {.primitive = dnnl::convolution_backward_weights(desc),
         .x = o.x,
         .w = desc.diff_weights_desc(),
         .bias = {},
         .y = o.y,
         .plain_w = o.plain_w,
         .scratchpad = desc.scratchpad_desc(),
         .reorder = {}};
    if (p.w != p.plain_w) p.reorder = dnnl::reorder({engine(), p.w, engine(), p.plain_w});
  });
  if (!plan.usable) return false;
  const dnnl::memory plain = wrap(plan.plain_w, dw),
                     gradient = plan.reorder ? wrap(plan.w, room_for(plan.w.get_size())) : plain;
  execute(plan, {{DNNL_ARG_SRC, wrap(plan.x, x)},
                 {DNNL_ARG_DIFF_DST, wrap(plan.y, dy)},
                 {DNNL_ARG_DIFF_WEIGHTS, gradient}});
  if (plan.reorder) execute_reorder(plan, gradient, plain);
  return true;
}

#define INSTANTIATE(T)                                                           \
  template bool conv_forward(const ConvShape&, const T*, const T*, const T*, T*, \
                             const ConvEpilogue&);                               \
  template bool conv_backward_data(const ConvShape&, const T*, const T*, T*);    \
  template bool conv_backward_filter(const ConvShape&, const T*, const T*, T*);
INSTANTIATE(float)
INSTANTIATE(bf16)
#undef INSTANTIATE

}  // namespace kernels::onednn
