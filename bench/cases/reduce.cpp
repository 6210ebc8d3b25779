// Rows for kernels/reduce.h.
#include "kernels/reduce.h"

#include <cmath>

#include "bench/cases/op_cases.h"
#include "bench/cases/reference.h"

namespace bench::cases {
namespace {

using namespace kernels;

template <class T> void sum_cases(std::vector<OpCase>& rows, Index n) {
  auto c = op_case<T>("sum", n);
  const auto x = c.in("x", n);
  const auto out = c.out(of<compute_t<T>>, "out", 1);
  c.run([=]<class D>(Stream& s, auto at) { kernels::sum<D, T>(s, at(x), at(out), n); });
  c.expect(out, [=](auto at, Index) { return reference::sum(at(x)); });
  c.flops = n;
  c.scale = std::sqrt(n + 1.0);
  c.reordered = true;
  set_bench(c, n >= cache_length, n);
  rows.push_back(c);
}

template <class T> void gradient_norm_cases(std::vector<OpCase>& rows, Index n) {
  struct Clipping {
    const char* name;
    float max_norm, loss_scale;
  };
  for (const Clipping& k : {Clipping{"/no_clipping", 0.f, 1.f}, Clipping{"", 0.5f, 1.f},
                            Clipping{"/below_limit", 1e9f, 1.f}, Clipping{"/scaled", 0.5f, 64.f},
                            Clipping{"/no_clipping/scaled", 0.f, 64.f}}) {
    if (*k.name && n != 16385) continue;
    auto c = op_case<T>("gradient_norm", std::to_string(n) + k.name);
    const auto gradients = c.in("gradients", n);
    const auto state = c.inout("state", StepState{.step = 41,
                                                  .seed = 7,
                                                  .learning_rate = 1e-3f,
                                                  .clip_factor = 0.25f,
                                                  .gradient_norm = 123,
                                                  .skipped = 2,
                                                  .loss_scale = k.loss_scale,
                                                  .good_steps = 5,
                                                  .scale_interval = 100});
    c.run([=]<class D>(Stream& s, auto at) {
      gradient_norm<D, T>(s, at(gradients), n, k.max_norm, at(state));
    });
    c.expect(state, [=](auto at) {
      double squares = 0;
      for (const double g : at(gradients)) squares += g * g;
      const double norm = std::sqrt(squares) / k.loss_scale;
      StepState after = at(state);
      after.clip_factor = static_cast<float>(
          (k.max_norm > 0 && norm > k.max_norm ? k.max_norm / norm : 1) / k.loss_scale);
      after.gradient_norm = static_cast<float>(norm);
      return after;
    });
    c.flops = 2 * n;
    c.reordered = true;
    set_bench(c, n >= cache_length, n);
    rows.push_back(c);
  }
}
}  // namespace

std::vector<OpCase> reduce_cases() {
  std::vector<OpCase> rows;
  for_types([&]<class T>() {
    for (const Index n : {Index{0}, Index{1}, Index{255}, Index{16384}, Index{16385}, Index{100003},
                          cache_length, bench_length}) {
      sum_cases<T>(rows, n);
      gradient_norm_cases<T>(rows, n);
    }
  });
  return rows;
}
}  // namespace bench::cases
