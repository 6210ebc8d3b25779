// The matrix product, by every implementation, against plain loops in double.
#include "kernels/conv/gemm.h"

#include "kernels/conv/host/blocked_gemm.h"
#include "kernels/conv/onednn/conv.h"
#include "kernels/conv/onednn/gemm.h"
#include "tests/kernels/conv/seam_arrays.h"

using kernels::Transpose;
using seam::Array;

namespace reference = bench::cases::reference;

namespace {

template <class D_, class T_> struct Seam {
  using D = D_;
  using T = T_;
  static bool gemm(Transpose ta, Transpose tb, std::int64_t m, std::int64_t n, std::int64_t k,
                   float alpha, const T* a, const T* b, float beta, T* c) {
    kernels::gemm<D, T>(kernels::Stream::of(seam::device_of<D>), ta, tb, m, n, k, alpha, a, b, beta,
                        c);
    return true;
  }
};
template <class T_> struct Blocked {
  using D = kernels::Host;
  using T = T_;
  static bool gemm(Transpose ta, Transpose tb, std::int64_t m, std::int64_t n, std::int64_t k,
                   float alpha, const T* a, const T* b, float beta, T* c) {
    kernels::blocked::gemm(ta, tb, m, n, k, alpha, a, b, beta, c);
    return true;
  }
};
#if DOPPEL_HAS_ONEDNN
template <class T_> struct OneDnn {
  using D = kernels::Host;
  using T = T_;
  static bool gemm(Transpose ta, Transpose tb, std::int64_t m, std::int64_t n, std::int64_t k,
                   float alpha, const T* a, const T* b, float beta, T* c) {
    return k > 0 && kernels::onednn::gemm(ta, tb, m, n, k, alpha, a, b, beta, c);
  }
};
#endif

template <class Implementation> struct Gemm : testing::Test {
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
                   Seam<kernels::Host, kernels::f16>, Seam<kernels::Host, double>, Blocked<float>,
                   Blocked<kernels::bf16>
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
TYPED_TEST_SUITE(Gemm, Implementations);

TYPED_TEST(Gemm, MatchesTheDefinition) {
  using D = typename TypeParam::D;
  using T = typename TypeParam::T;
  struct Size {
    std::int64_t m, n, k;
  };
  const Size sizes[] = {
      {1, 1, 1},      {1, 33, 7},   {5, 1, 64}, {17, 19, 23}, {32, 48, 16},
      {130, 70, 300}, {3, 520, 90}, {4, 6, 0},  {30, 50, 801}};  // more than one block of k, odd
  struct Scale {
    float alpha, beta;
  };
  const Scale scales[] = {{1.f, 0.f}, {1.f, 1.f}, {0.5f, -2.f}};
  unsigned computed = 0, seed = 1;
  for (const auto [m, n, k] : sizes) {
    const auto a = seam::random_values<T>(static_cast<std::size_t>(m * k), seed++),
               b = seam::random_values<T>(static_cast<std::size_t>(k * n), seed++);
    const auto c = seam::random_values<T>(static_cast<std::size_t>(m * n), seed++);
    const Array<D, T> device_a(a), device_b(b);
    for (const Transpose ta : {Transpose::no, Transpose::yes}) {
      for (const Transpose tb : {Transpose::no, Transpose::yes}) {
        for (const auto [alpha, beta] : scales) {
          // With beta 0, C starts as NaN and must not be read.
          const Array<D, T> out = beta == 0.f ? Array<D, T>(c.size()) : Array<D, T>(c);
          if (!TypeParam::gemm(ta, tb, m, n, k, alpha, device_a.data(), device_b.data(), beta,
                               out.data()))
            continue;
          ++computed;
          seam::expect_close(out, reference::gemm(ta, tb, m, n, k, alpha, a, b, beta, c),
                             testing::PrintToString(std::tuple{m, n, k, ta == Transpose::yes,
                                                               tb == Transpose::yes, alpha, beta}));
        }
      }
    }
  }
  EXPECT_GT(computed, 0u) << "no size was computed at all";
}

TYPED_TEST(Gemm, SameBitsFromRunToRun) {
  using D = typename TypeParam::D;
  using T = typename TypeParam::T;
  const std::int64_t m = 96, n = 200, k = 1000;
  const Array<D, T> a(seam::random_values<T>(static_cast<std::size_t>(m * k), 1)),
      b(seam::random_values<T>(static_cast<std::size_t>(k * n), 2));
  const auto run = [&] {
    const Array<D, T> c(static_cast<std::size_t>(m * n));
    TypeParam::gemm(Transpose::no, Transpose::yes, m, n, k, 1.f, a.data(), b.data(), 0.f, c.data());
    return c.values();
  };
  const auto first = run();
  for (int repeat = 0; repeat < 3; ++repeat) {
    const auto again = run();
    EXPECT_EQ(std::memcmp(first.data(), again.data(), first.size() * sizeof(T)), 0);
  }
}
}  // namespace
