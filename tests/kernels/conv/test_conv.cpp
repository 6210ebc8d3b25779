// The three passes of a convolution, by every implementation, against plain loops.
#include "kernels/conv/conv.h"

#include <utility>

#include "kernels/conv/host/im2col.h"
#include "kernels/conv/host/three_channels.h"
#include "kernels/conv/onednn/conv.h"
#include "kernels/simt/config.h"
#include "tests/kernels/conv/seam_arrays.h"

using kernels::Activation;
using kernels::ConvEpilogue;
using kernels::ConvShape;
using kernels::same_padding;
using seam::Array;

namespace reference = bench::cases::reference;

namespace {

// One implementation of the passes. Each returns false if it does not offer the shape.
template <class D_, class T_> struct Seam {
  using D = D_;
  using T = T_;
  static kernels::Stream& stream() { return kernels::Stream::of(seam::device_of<D>); }
  static bool forward(const ConvShape& s, const T* x, const T* w, const T* bias, T* y,
                      const ConvEpilogue& e) {
    return kernels::conv_forward<D, T>(stream(), s, x, w, bias, y, e), true;
  }
  static bool data(const ConvShape& s, const T* dy, const T* w, T* dx) {
    return kernels::conv_backward_data<D, T>(stream(), s, dy, w, dx), true;
  }
  static bool filter(const ConvShape& s, const T* x, const T* dy, T* dw) {
    return kernels::conv_backward_filter<D, T>(stream(), s, x, dy, dw), true;
  }
};
struct ThreeChannels {
  using D = kernels::Host;
  using T = float;
  static bool forward(const ConvShape& s, const T* x, const T* w, const T* bias, T* y,
                      const ConvEpilogue& e) {
    return kernels::three_channels::offers(s) &&
           (kernels::three_channels::conv_forward(s, x, w, bias, y, e), true);
  }
  static bool data(const ConvShape&, const T*, const T*, T*) { return false; }
  static bool filter(const ConvShape& s, const T* x, const T* dy, T* dw) {
    return kernels::three_channels::offers(s) &&
           (kernels::three_channels::conv_backward_filter(s, x, dy, dw), true);
  }
};
template <class T_> struct Im2col {
  using D = kernels::Host;
  using T = T_;
  static bool forward(const ConvShape& s, const T* x, const T* w, const T* bias, T* y,
                      const ConvEpilogue& e) {
    return kernels::im2col_gemm::conv_forward(s, x, w, bias, y, e), true;
  }
  static bool data(const ConvShape& s, const T* dy, const T* w, T* dx) {
    return kernels::im2col_gemm::conv_backward_data(s, dy, w, dx), true;
  }
  static bool filter(const ConvShape& s, const T* x, const T* dy, T* dw) {
    return kernels::im2col_gemm::conv_backward_filter(s, x, dy, dw), true;
  }
};
#if DOPPEL_HAS_ONEDNN
template <class T_> struct OneDnn {
  using D = kernels::Host;
  using T = T_;
  static bool forward(const ConvShape& s, const T* x, const T* w, const T* bias, T* y,
                      const ConvEpilogue& e) {
    return kernels::onednn::conv_forward(s, x, w, bias, y, e);
  }
  static bool data(const ConvShape& s, const T* dy, const T* w, T* dx) {
    return kernels::onednn::conv_backward_data(s, dy, w, dx);
  }
  static bool filter(const ConvShape& s, const T* x, const T* dy, T* dw) {
    return kernels::onednn::conv_backward_filter(s, x, dy, dw);
  }
};
#endif

std::vector<ConvShape> shapes() {
  return {
      same_padding(2, 8, 8, 16, 32, 5, 2),     // the encoder's: padding 1 and 2
      same_padding(1, 16, 16, 3, 24, 5, 2),    // its first layer: three channels in
      same_padding(2, 7, 7, 5, 9, 5, 2),       // odd sizes: padding 2 and 2
      same_padding(3, 4, 4, 40, 48, 3, 1),     // the decoder's
      same_padding(1, 12, 10, 20, 3, 5, 1),    // its last layer: three channels out, a rectangle
      same_padding(2, 9, 9, 64, 3, 5, 1),      // the same at its own width
      ConvShape{2, 9, 7, 128, 3, 3, 2, 0, 1},  // three channels out, strided
      same_padding(1, 6, 9, 7, 11, 1, 1),      // 1x1
      same_padding(2, 5, 5, 1, 1, 3, 1),       // one channel
      same_padding(1, 1, 1, 8, 8, 3, 1),       // one pixel
      ConvShape{1, 9, 9, 4, 6, 1, 2, 0, 0},    // stride beyond the kernel: unused pixels
      ConvShape{2, 11, 11, 6, 5, 3, 3, 1, 1},  // stride 3
      ConvShape{1, 10, 8, 3, 4, 4, 2, 0, 3},   // an even kernel, padding at the end only
      same_padding(1, 20, 20, 18, 300, 3, 1),  // more than one tile of every side
  };
}

template <class Implementation> struct Conv : testing::Test {
  void SetUp() override {
    if (std::is_same_v<typename Implementation::D, kernels::Cuda> &&
        !kernels::probe_cuda().available)
      GTEST_SKIP() << kernels::probe_cuda().reason;
#if DOPPEL_HAS_ONEDNN
    if (std::is_same_v<Implementation, OneDnn<kernels::bf16>> && !kernels::onednn::native_bf16())
      GTEST_SKIP() << "this CPU has no bf16 arithmetic";
#endif
  }
};

using Implementations =
    testing::Types<Seam<kernels::Host, float>, Seam<kernels::Host, kernels::bf16>,
                   Seam<kernels::Host, kernels::f16>, Seam<kernels::Host, double>, Im2col<float>,
                   Im2col<kernels::bf16>, ThreeChannels
#if DOPPEL_HAS_ONEDNN
                   ,
                   OneDnn<float>, OneDnn<kernels::bf16>
#endif
#if DOPPEL_HAS_CUDA
                   ,
                   Seam<kernels::Cuda, float>, Seam<kernels::Cuda, kernels::bf16>,
                   Seam<kernels::Cuda, kernels::f16>
#endif
                   >;
TYPED_TEST_SUITE(Conv, Implementations);

TYPED_TEST(Conv, ForwardMatchesTheDefinition) {
  using D = typename TypeParam::D;
  using T = typename TypeParam::T;
  const ConvEpilogue epilogues[] = {{Activation::none, 0},
                                    {Activation::leaky_relu, 0.1f},
                                    {Activation::leaky_relu, 0.2f},
                                    {Activation::sigmoid, 0}};
  unsigned computed = 0, seed = 1;
  for (const ConvShape& s : shapes()) {
    const auto x = seam::random_values<T>(reference::x_size(s), seed++),
               w = seam::random_values<T>(reference::w_size(s), seed++);
    const auto bias = seam::random_values<T>(static_cast<std::size_t>(s.out_channels), seed++);
    const Array<D, T> device_x(x), device_w(w), device_bias(bias);
    for (const bool with_bias : {false, true}) {
      const reference::Sums linear = reference::conv_forward(s, x, w, with_bias ? &bias : nullptr);
      for (const ConvEpilogue& epilogue : epilogues) {
        const Array<D, T> y(reference::y_size(s));
        if (!TypeParam::forward(s, device_x.data(), device_w.data(),
                                with_bias ? device_bias.data() : nullptr, y.data(), epilogue))
          continue;
        ++computed;
        seam::expect_close(y, reference::activate(linear, epilogue), s.str());
      }
    }
  }
  EXPECT_GT(computed, 0u) << "no shape was computed at all";
}

TYPED_TEST(Conv, BackwardDataMatchesTheDefinition) {
  using D = typename TypeParam::D;
  using T = typename TypeParam::T;
  unsigned computed = 0, seed = 100;
  for (const ConvShape& s : shapes()) {
    const auto dy = seam::random_values<T>(reference::y_size(s), seed++),
               w = seam::random_values<T>(reference::w_size(s), seed++);
    const Array<D, T> device_dy(dy), device_w(w), dx(reference::x_size(s));
    if (!TypeParam::data(s, device_dy.data(), device_w.data(), dx.data())) continue;
    ++computed;
    seam::expect_close(dx, reference::conv_backward_data(s, dy, w), s.str());
  }
  if (!std::is_same_v<TypeParam, ThreeChannels>) {
    EXPECT_GT(computed, 0u) << "no shape was computed at all";
  }
}

TYPED_TEST(Conv, BackwardFilterMatchesTheDefinition) {
  using D = typename TypeParam::D;
  using T = typename TypeParam::T;
  unsigned computed = 0, seed = 200;
  for (const ConvShape& s : shapes()) {
    const auto x = seam::random_values<T>(reference::x_size(s), seed++),
               dy = seam::random_values<T>(reference::y_size(s), seed++);
    const Array<D, T> device_x(x), device_dy(dy), dw(reference::w_size(s));
    if (!TypeParam::filter(s, device_x.data(), device_dy.data(), dw.data())) continue;
    ++computed;
    seam::expect_close(dw, reference::conv_backward_filter(s, x, dy), s.str());
  }
  EXPECT_GT(computed, 0u) << "no shape was computed at all";
}

// Two runs with other work and memory in between give the same bits.
TYPED_TEST(Conv, SameBitsFromRunToRun) {
  using D = typename TypeParam::D;
  using T = typename TypeParam::T;
  const ConvShape s = std::is_same_v<TypeParam, ThreeChannels>
                          ? same_padding(4, 16, 16, 64, 3, 5, 1)
                          : same_padding(4, 16, 16, 32, 64, 5, 2);
  const Array<D, T> x(seam::random_values<T>(reference::x_size(s), 1)),
      w(seam::random_values<T>(reference::w_size(s), 2)),
      dy(seam::random_values<T>(reference::y_size(s), 3));
  const auto run = [&] {
    const Array<D, T> y(reference::y_size(s)), dx(reference::x_size(s)), dw(reference::w_size(s));
    TypeParam::forward(s, x.data(), w.data(), nullptr, y.data(), {});
    TypeParam::data(s, dy.data(), w.data(), dx.data());
    TypeParam::filter(s, x.data(), dy.data(), dw.data());
    return std::tuple{y.values(), dx.values(), dw.values()};
  };
  const auto same = [](const std::vector<T>& a, const std::vector<T>& b) {
    return std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
  };
  const auto first = run();
  for (int repeat = 0; repeat < 3; ++repeat) {
    const auto again = run();
    EXPECT_TRUE(same(std::get<0>(first), std::get<0>(again)));
    EXPECT_TRUE(same(std::get<1>(first), std::get<1>(again)));
    EXPECT_TRUE(same(std::get<2>(first), std::get<2>(again)));
  }
}

template <class T> void expect_empty_batch_is_fine() {
  using Host = Seam<kernels::Host, T>;
  ConvShape s = same_padding(1, 4, 4, 3, 5, 3, 1);
  s.n = 0;
  const Array<kernels::Host, T> x(0), w(seam::random_values<T>(reference::w_size(s), 1)), y(0),
      dw(reference::w_size(s));
  Host::forward(s, x.data(), w.data(), nullptr, y.data(), {});
  Host::data(s, y.data(), w.data(), x.data());
  Host::filter(s, x.data(), y.data(), dw.data());
  seam::expect_close(dw, reference::Sums(reference::w_size(s)), "the gradient of nothing is zero");
}
TEST(ConvHost, EmptyBatch) {
  expect_empty_batch_is_fine<float>();
  expect_empty_batch_is_fine<kernels::bf16>();
  expect_empty_batch_is_fine<double>();
}

// The bits may depend on the machine, never on the number of threads.
TEST(ConvHost, OursGiveTheSameBitsForAnyNumberOfThreads) {
  const auto run = [](unsigned workers) {
    const unsigned before = std::exchange(simt::config().workers, workers);
    std::vector<std::vector<float>> results;
    for (const ConvShape& s :
         {same_padding(3, 12, 12, 24, 70, 5, 2), same_padding(3, 12, 12, 64, 3, 5, 1)}) {
      const Array<kernels::Host, float> x(seam::random_values<float>(reference::x_size(s), 1)),
          w(seam::random_values<float>(reference::w_size(s), 2));
      const Array<kernels::Host, float> dy(seam::random_values<float>(reference::y_size(s), 3));
      const auto record = [&](auto&& compute, std::size_t n) {
        const Array<kernels::Host, float> out(n);
        if (compute(out.data())) results.push_back(out.values());
      };
      record(
          [&](float* y) { return Im2col<float>::forward(s, x.data(), w.data(), nullptr, y, {}); },
          reference::y_size(s));
      record([&](float* dx) { return Im2col<float>::data(s, dy.data(), w.data(), dx); },
             reference::x_size(s));
      record([&](float* dw) { return Im2col<float>::filter(s, x.data(), dy.data(), dw); },
             reference::w_size(s));
      record(
          [&](float* y) { return ThreeChannels::forward(s, x.data(), w.data(), nullptr, y, {}); },
          reference::y_size(s));
      record([&](float* dw) { return ThreeChannels::filter(s, x.data(), dy.data(), dw); },
             reference::w_size(s));
    }
    simt::config().workers = before;
    return results;
  };
  const auto one = run(1), two = run(2), seven = run(7);
  ASSERT_EQ(one.size(), 8u);
  EXPECT_EQ(one, two);
  EXPECT_EQ(one, seven);
}
}  // namespace
