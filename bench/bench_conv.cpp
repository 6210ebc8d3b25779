// Every convolution and dense layer of the `original` model, in its three directions, through the seam and through each
// implementation behind it. Batch 16 a side; the encoder sees both sides at once. Beside the time: GFLOP/s.
// The host's answer is held against our own GEMM first, the GPU's against the host's.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "kernels/conv_host.h"
#include "kernels/dispatch.h"
#include "kernels/gemm.h"
#include "kernels/memory.h"

namespace {

using namespace kernels;

struct Layer { const char* name; ConvShape shape; };
std::vector<Layer> layers() {
  const int one = 16, both = 32;
  return {{"enc1", same_padding(both, 64, 64, 3, 128, 5, 2)},  {"enc2", same_padding(both, 32, 32, 128, 256, 5, 2)}, {"enc3", same_padding(both, 16, 16, 256, 512, 5, 2)},
          {"enc4", same_padding(both, 8, 8, 512, 1024, 5, 2)}, {"up0", same_padding(both, 4, 4, 1024, 2048, 3, 1)},  {"up1", same_padding(one, 8, 8, 512, 1024, 3, 1)},
          {"up2", same_padding(one, 16, 16, 256, 512, 3, 1)},  {"up3", same_padding(one, 32, 32, 128, 256, 3, 1)},   {"out", same_padding(one, 64, 64, 64, 3, 5, 1)}};
}

template <class T> std::vector<T> random_values(std::int64_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-1.f, 1.f);
  std::vector<T> values(static_cast<std::size_t>(n));
  for (T& v : values) v = T(uniform(random));
  return values;
}
template <class T> Buffer on(Device device, const std::vector<T>& values) {
  Buffer buffer(device, values.size() * sizeof(T));
  copy(buffer.data(), device, values.data(), Device::host, buffer.bytes());
  return buffer;
}
template <class T> std::vector<T> read(const Buffer& buffer) {
  std::vector<T> values(buffer.bytes() / sizeof(T));
  copy(values.data(), Device::host, buffer.data(), buffer.device(), buffer.bytes());
  return values;
}

// Operands of one layer in one direction: two inputs and a result, sized as the direction has them.
template <class T> struct Operands {
  Buffer a, b, out;
  Operands(Device device, std::int64_t size_a, std::int64_t size_b, std::int64_t size_out)
      : a(on(device, random_values<T>(size_a, 1))), b(on(device, random_values<T>(size_b, 2))), out(device, static_cast<std::size_t>(size_out) * sizeof(T)) {}
};

using Compute = std::function<bool(Stream&, const void* a, const void* b, void* out)>;  // false: not offered

// Largest difference, in shares of the largest value.
template <class T> double difference(const std::vector<T>& a, const std::vector<T>& b) {
  double worst = 0, largest = 1e-30;
  for (std::size_t i = 0; i < a.size(); ++i) {
    worst = std::max(worst, std::abs(static_cast<double>(static_cast<float>(a[i])) - static_cast<double>(static_cast<float>(b[i]))));
    largest = std::max(largest, std::abs(static_cast<double>(static_cast<float>(a[i]))));
  }
  return worst / largest;
}

template <class T>
void run(benchmark::State& state, Device device, std::int64_t size_a, std::int64_t size_b, std::int64_t size_out, double flops, const Compute& compute, const Compute& reference) {
  try {
    Stream& stream = Stream::of(device);
    const Operands<T> operands(device, size_a, size_b, size_out);
    if (!compute(stream, operands.a.data(), operands.b.data(), operands.out.data())) return state.SkipWithError("not offered for this shape");
    stream.synchronize();
    const Operands<T> expected(Device::host, size_a, size_b, size_out);
    reference(Stream::of(Device::host), expected.a.data(), expected.b.data(), expected.out.data());
    if (const double error = difference(read<T>(expected.out), read<T>(operands.out)); !(error <= (sizeof(T) == 2 ? 1e-2 : 1e-4))) {
      return state.SkipWithError(fmt::format("wrong result: differs by {:.2g} of the largest value", error).c_str());
    }
    const int launches = device == Device::host ? 1 : 20;  // a GPU's queue: enough that the wait does not count
    for (auto _ : state) {
      const auto begin = std::chrono::steady_clock::now();
      for (int i = 0; i < launches; ++i) compute(stream, operands.a.data(), operands.b.data(), operands.out.data());
      stream.synchronize();
      state.SetIterationTime(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() / launches);
    }
    state.counters["GFLOP/s"] = benchmark::Counter(flops / 1e9, benchmark::Counter::kIsIterationInvariantRate);
  } catch (const std::exception& error) {
    state.SkipWithError(error.what());
  }
}

template <class T> void add_row(const std::string& name, Device device, std::int64_t size_a, std::int64_t size_b, std::int64_t size_out, double flops, Compute compute, Compute reference) {
  benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) { run<T>(state, device, size_a, size_b, size_out, flops, compute, reference); })
      ->UseManualTime()
      ->Unit(benchmark::kMillisecond)
      ->MinTime(0.1);
}

template <class T> void add_conv(const Layer& layer, const char* type, bool gpu) {
  const ConvShape s = layer.shape;
  const std::int64_t x = s.n * s.h * s.w * s.in_channels, w = static_cast<std::int64_t>(s.out_channels) * s.kernel * s.kernel * s.in_channels,
                     y = s.n * s.out_h() * s.out_w() * s.out_channels;
  const double flops = 2.0 * static_cast<double>(y) * s.kernel * s.kernel * s.in_channels;
  const ConvEpilogue epilogue{s.out_channels == 3 ? Activation::sigmoid : Activation::leaky_relu, 0.1f};
  struct Direction { const char* name; std::int64_t a, b, out; Compute seam, im2col, onednn; };
  const auto in = [](const void* p) { return static_cast<const T*>(p); };
  const auto to = [](void* p) { return static_cast<T*>(p); };
  const auto unavailable = [](Stream&, const void*, const void*, void*) { return false; };
  Direction directions[] = {
      {"forward", x, w, y,
       [=](Stream& stream, const void* a, const void* b, void* out) { on_device(stream, [&]<class D>() { conv_forward<D, T>(stream, s, in(a), in(b), nullptr, to(out), epilogue); }); return true; },
       [=](Stream&, const void* a, const void* b, void* out) { im2col::conv_forward<T>(s, in(a), in(b), nullptr, to(out), epilogue); return true; }, unavailable},
      {"data", y, w, x,
       [=](Stream& stream, const void* a, const void* b, void* out) { on_device(stream, [&]<class D>() { conv_backward_data<D, T>(stream, s, in(a), in(b), to(out)); }); return true; },
       [=](Stream&, const void* a, const void* b, void* out) { im2col::conv_backward_data<T>(s, in(a), in(b), to(out)); return true; }, unavailable},
      {"filter", x, y, w,
       [=](Stream& stream, const void* a, const void* b, void* out) { on_device(stream, [&]<class D>() { conv_backward_filter<D, T>(stream, s, in(a), in(b), to(out)); }); return true; },
       [=](Stream&, const void* a, const void* b, void* out) { im2col::conv_backward_filter<T>(s, in(a), in(b), to(out)); return true; }, unavailable}};
#if DOPPEL_HAS_ONEDNN
  directions[0].onednn = [=](Stream&, const void* a, const void* b, void* out) { return onednn::conv_forward<T>(s, in(a), in(b), nullptr, to(out), epilogue); };
  directions[1].onednn = [=](Stream&, const void* a, const void* b, void* out) { return onednn::conv_backward_data<T>(s, in(a), in(b), to(out)); };
  directions[2].onednn = [=](Stream&, const void* a, const void* b, void* out) { return onednn::conv_backward_filter<T>(s, in(a), in(b), to(out)); };
#endif
  for (const Direction& d : directions) {
    const std::string name = fmt::format("conv/{}/{}/{}/", type, layer.name, d.name);
    add_row<T>(name + "host", Device::host, d.a, d.b, d.out, flops, d.seam, d.im2col);
    add_row<T>(name + "host:onednn", Device::host, d.a, d.b, d.out, flops, d.onednn, d.im2col);
    add_row<T>(name + "host:im2col", Device::host, d.a, d.b, d.out, flops, d.im2col, d.im2col);
    if (gpu) add_row<T>(name + "gpu", Device::cuda, d.a, d.b, d.out, flops, d.seam, d.im2col);
  }
}

template <class T> void add_dense(const char* name, std::int64_t rows, std::int64_t in, std::int64_t out, const char* type, bool gpu) {
  struct Product { const char* name; Transpose a, b; std::int64_t m, n, k; };
  for (const Product& p : {Product{"forward", Transpose::no, Transpose::yes, rows, out, in}, Product{"data", Transpose::no, Transpose::no, rows, in, out},
                           Product{"filter", Transpose::yes, Transpose::no, out, in, rows}}) {
    const auto seam = [p](Stream& stream, const void* a, const void* b, void* c) {
      on_device(stream, [&]<class D>() { gemm<D, T>(stream, p.a, p.b, p.m, p.n, p.k, 1.f, static_cast<const T*>(a), static_cast<const T*>(b), 0.f, static_cast<T*>(c)); });
      return true;
    };
    const auto ours = [p](Stream&, const void* a, const void* b, void* c) {
      blocked::gemm<T>(p.a == Transpose::yes, p.b == Transpose::yes, p.m, p.n, p.k, 1.f, static_cast<const T*>(a), static_cast<const T*>(b), 0.f, static_cast<T*>(c));
      return true;
    };
    const double flops = 2.0 * static_cast<double>(p.m) * static_cast<double>(p.n) * static_cast<double>(p.k);
    const std::string row = fmt::format("gemm/{}/{}/{}/", type, name, p.name);
    add_row<T>(row + "host", Device::host, p.m * p.k, p.k * p.n, p.m * p.n, flops, seam, ours);
    add_row<T>(row + "host:blocked", Device::host, p.m * p.k, p.k * p.n, p.m * p.n, flops, ours, ours);
    if (gpu) add_row<T>(row + "gpu", Device::cuda, p.m * p.k, p.k * p.n, p.m * p.n, flops, seam, ours);
  }
}

const int registered = [] {
  const bool gpu = probe_cuda().available;
  for (const Layer& layer : layers()) {
    add_conv<float>(layer, "f32", gpu);
    add_conv<bf16>(layer, "bf16", gpu);
  }
  for (const char* type : {"f32", "bf16"}) {
    const auto add = type[0] == 'f' ? add_dense<float> : add_dense<bf16>;
    add("fc1", 32, 16384, 1024, type, gpu);
    add("fc2", 32, 1024, 16384, type, gpu);
  }
  return 0;
}();

}  // namespace
