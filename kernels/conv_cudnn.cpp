// Convolution on the GPU: cuDNN's graph interface. Plans are made once per problem and kept (making one may compile a kernel),
// so every layer must run once before a CUDA graph is captured. cudnn_plan.h says how plans are chosen.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <map>
#include <memory>
#include <mutex>

#include "kernels/cudnn_api.h"
#include "kernels/elementwise.h"
#include "kernels/math_mode.h"
#include "kernels/memory.h"

namespace kernels {
namespace {

using namespace cudnn;

using Key = std::array<std::int64_t, 15>;
Key key(const Problem& p) {
  const ConvShape& s = p.shape;
  return {s.n, s.h, s.w, s.in_channels, s.out_channels, s.kernel, s.stride, s.pad_begin, s.pad_end, static_cast<int>(p.direction), static_cast<int>(p.number),
          p.fused * 2 + p.bias, static_cast<int>(p.activation), std::bit_cast<std::int32_t>(p.slope), p.alignment};
}

// cuDNN's state for this process. A handle serves one thread at a time, hence the mutex.
class Engine {
 public:
  static Engine& get() {
    static auto* const engine = new Engine;  // never destroyed: at exit the driver may be gone before it
    return *engine;
  }

  // False where cuDNN has no plan for the problem. Binds the operands and queues the work on the stream.
  bool run(Stream& stream, const Problem& problem, const void* x, const void* w, const void* y, const void* bias, std::string* why_not) {
    const std::lock_guard lock(mutex_);
    std::unique_ptr<Plan>& slot = plans_[key(problem)];
    if (!slot) {
      if (stream.capturing()) throw Error(ErrorKind::failure, "cuDNN plan for " + problem.str() + " is first needed inside a graph capture: run the step once before capturing it");
      slot = std::make_unique<Plan>(make_plan(problem, handle_));
    }
    const Plan& plan = *slot;
    if (!plan.report.found) {
      if (why_not) *why_not = plan.report.why_not;
      return false;
    }
    const Buffer workspace(Device::cuda, static_cast<std::size_t>(plan.report.workspace));
    Descriptor pack(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    const std::int64_t names[] = {operand_x, operand_w, operand_y, operand_bias};
    const void* const pointers[] = {x, w, y, bias};
    const void* const scratch = workspace.data();
    const std::int64_t count = problem.fused && problem.bias ? 4 : 3;
    pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, names, count);
    pack.set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, pointers, count);
    pack.set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, scratch);
    pack.finalize("binding operands to a cuDNN plan");
    check(Api::open().set_stream(handle_, static_cast<cudaStream_t>(stream.raw())), "cudnnSetStream");
    check(Api::open().execute(handle_, plan.plan.raw(), pack.raw()), problem.str());
    return true;
  }

 private:
  Engine() {
    if (const CudaReport gpu = probe_cuda(); !gpu.available) throw Error(ErrorKind::device, "no GPU to run cuDNN on: " + gpu.reason);  // before 300 MB are loaded
    check(Api::open().create(&handle_), "cudnnCreate");
  }
  cudnnHandle_t handle_ = nullptr;
  std::mutex mutex_;
  std::map<Key, std::unique_ptr<Plan>> plans_;
};

template <class T> Problem problem(const ConvShape& s, Direction direction, std::initializer_list<const void*> operands) {
  Problem p{.shape = s, .direction = direction, .number = Number::bf16};
  if constexpr (std::is_same_v<T, float>) p.number = allow_tf32 ? Number::tf32 : Number::f32;
  std::uintptr_t bits = 16;  // cuDNN's vector loads want 16 bytes; a parameter may lie lower in its arena
  for (const void* operand : operands) bits |= reinterpret_cast<std::uintptr_t>(operand);
  p.alignment = static_cast<int>(bits & (~bits + 1));
  return p;
}

[[noreturn]] void no_plan(const Problem& p, const std::string& why_not) {
  throw Error(ErrorKind::failure, fmt::format("cuDNN {} has no engine for {}: {}; pad the channels to a multiple of 8, or run with --device cpu", Api::open().get_version(), p.str(), why_not));
}

// Whether to ask for bias and activation inside the convolution's kernel. Strict float has only slow engines for that. From
// Hopper on, the fused kernels are of the Ampere kind and lose more than the saved pass over y costs, except where the
// convolution itself is small work per value of y.
bool prefers_fused(const Problem& p) {
  static const int capability = probe_cuda().compute_capability;
  return p.number != Number::f32 && (capability < 90 || std::min(p.shape.in_channels, p.shape.out_channels) <= 8);
}

}  // namespace

template <class D, class T>
void conv_forward(Stream& stream, const ConvShape& s, const T* x, const T* w, const T* bias, T* y, const ConvEpilogue& epilogue) {
  if (s.n == 0) return;
  Engine& engine = Engine::get();
  Problem p = problem<T>(s, Direction::forward, {x, w, y, bias});
  if ((bias || epilogue.activation != Activation::none) && prefers_fused(p)) {
    p.fused = true;
    p.bias = bias != nullptr;
    p.activation = epilogue.activation;
    p.slope = epilogue.activation == Activation::leaky_relu ? epilogue.slope : 0.f;
    if (engine.run(stream, p, x, w, y, bias, nullptr)) return;
    p = problem<T>(s, Direction::forward, {x, w, y});
  }
  std::string why_not;
  if (!engine.run(stream, p, x, w, y, nullptr, &why_not)) no_plan(p, why_not);
  const std::int64_t rows = s.n * s.out_h() * s.out_w();
  if (epilogue.activation == Activation::sigmoid) bias_sigmoid_forward<D, T>(stream, y, bias, y, rows, s.out_channels);
  else if (bias || epilogue.activation == Activation::leaky_relu) {
    bias_leaky_relu_forward<D, T>(stream, y, bias, y, rows, s.out_channels, epilogue.activation == Activation::leaky_relu ? epilogue.slope : 1.f);
  }
}

template <class D, class T>
void conv_backward_data(Stream& stream, const ConvShape& s, const T* dy, const T* w, T* dx) {
  if (s.n == 0) return;
  const Problem p = problem<T>(s, Direction::data, {dx, w, dy});
  std::string why_not;
  if (!Engine::get().run(stream, p, dx, w, dy, nullptr, &why_not)) no_plan(p, why_not);
}

template <class D, class T>
void conv_backward_filter(Stream& stream, const ConvShape& s, const T* x, const T* dy, T* dw) {
  if (s.n == 0) return fill_zero(stream, dw, sizeof(T) * static_cast<std::size_t>(s.out_channels) * s.kernel * s.kernel * s.in_channels);
  const Problem p = problem<T>(s, Direction::filter, {x, dw, dy});
  std::string why_not;
  if (!Engine::get().run(stream, p, x, dw, dy, nullptr, &why_not)) no_plan(p, why_not);
}

#define INSTANTIATE(T)                                                                                                       \
  template void conv_forward<Cuda, T>(Stream&, const ConvShape&, const T*, const T*, const T*, T*, const ConvEpilogue&);     \
  template void conv_backward_data<Cuda, T>(Stream&, const ConvShape&, const T*, const T*, T*);                              \
  template void conv_backward_filter<Cuda, T>(Stream&, const ConvShape&, const T*, const T*, T*);
INSTANTIATE(float)
INSTANTIATE(bf16)
#undef INSTANTIATE

}  // namespace kernels
