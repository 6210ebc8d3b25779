// Rows for kernels/elementwise.h, and for the bias forms of its activations.
#include "kernels/elementwise.h"

#include "bench/cases/op_cases.h"
#include "bench/cases/reference.h"

namespace bench::cases {
namespace {

using namespace kernels;

template <class T> void bias_cases(std::vector<OpCase>& rows) {
  for (const Matrix& s : matrices())
    for (const bool with_bias : {true, false})
      for (const bool sigmoid : {false, true}) {
        if (s.bench && !with_bias) continue;
        const Index n = s.rows * s.columns;
        auto c = op_case<T>(sigmoid ? "bias_sigmoid_forward" : "bias_leaky_relu_forward",
                            shape_name(s.rows, s.columns) + (with_bias ? "" : "/no_bias"));
        const auto x = c.in("x", n), bias = c.optional(with_bias, c.in("bias", s.columns)),
                   y = c.out("y", n);
        c.run([=]<class D>(Stream& stream, auto at) {
          if (sigmoid)
            bias_sigmoid_forward<D, T>(stream, at(x), at(bias), at(y), s.rows, s.columns);
          else
            bias_leaky_relu_forward<D, T>(stream, at(x), at(bias), at(y), s.rows, s.columns, 0.1f);
        });
        c.expect(y, [=](auto at, Index i) {
          const double v = at(x)[i] + (with_bias ? at(bias)[i % s.columns] : 0);
          return sigmoid ? reference::sigmoid(v) : reference::leaky(v, 0.1f);
        });
        c.flops = 2 * n;
        set_bench(c, s.bench, n);
        rows.push_back(c);
      }
  auto c = op_case<T>("bias_leaky_relu_forward", "40x50/in_place");
  const auto x = c.inout("x", 2000), bias = c.in("bias", 50);
  c.run([=]<class D>(Stream& s, auto at) {
    bias_leaky_relu_forward<D, T>(s, at(x), at(bias), at(x), 40, 50, 0.2f);
  });
  c.expect(x,
           [=](auto at, Index i) { return reference::leaky(at(x)[i] + at(bias)[i % 50], 0.2f); });
  rows.push_back(c);
}

template <class T> void flat_cases(std::vector<OpCase>& rows, Index n, bool bench) {
  const auto append = [&](auto& c) {
    c.flops = n;
    set_bench(c, bench, n);
    rows.push_back(c);
  };
  {
    auto c = op_case<T>("leaky_relu_backward", n);
    const auto y = c.in("y", n), dy = c.in("dy", n), dx = c.out("dx", n);
    c.run([=]<class D>(Stream& s, auto at) {
      leaky_relu_backward<D, T>(s, at(y), at(dy), at(dx), n, 0.1f);
    });
    c.expect(dx, [=](auto at, Index i) { return at(dy)[i] * (at(y)[i] > 0 ? 1 : 0.1f); });
    append(c);
  }
  {
    auto c = op_case<T>("sigmoid_backward", n);
    const auto y = c.in("y", n, uniform_values(0, 1)), dy = c.in("dy", n), dx = c.out("dx", n);
    c.run(
        [=]<class D>(Stream& s, auto at) { sigmoid_backward<D, T>(s, at(y), at(dy), at(dx), n); });
    c.expect(dx, [=](auto at, Index i) { return at(dy)[i] * at(y)[i] * (1 - at(y)[i]); });
    append(c);
  }
  {
    auto c = op_case<T>("add", n);
    const auto a = c.in("a", n), b = c.in("b", n), out = c.out("out", n);
    c.run([=]<class D>(Stream& s, auto at) { add<D, T>(s, at(a), at(b), at(out), n); });
    c.expect(out, [=](auto at, Index i) { return at(a)[i] + at(b)[i]; });
    c.scale = 1;
    append(c);
  }
  {
    auto c = op_case<T>("add_leaky_relu", n);
    const auto a = c.in("a", n), b = c.in("b", n), y = c.out("y", n);
    c.run([=]<class D>(Stream& s, auto at) {
      add_leaky_relu<D, T>(s, at(a), at(b), at(y), n, 0.2f);
    });
    c.expect(y, [=](auto at, Index i) { return reference::leaky(at(a)[i] + at(b)[i], 0.2f); });
    c.scale = 1;
    append(c);
  }
  if (!bench) {
    auto c = op_case<T>("add", std::to_string(n) + "/in_place");
    const auto a = c.inout("a", n), b = c.in("b", n);
    c.run([=]<class D>(Stream& s, auto at) { add<D, T>(s, at(a), at(b), at(a), n); });
    c.expect(a, [=](auto at, Index i) { return at(a)[i] + at(b)[i]; });
    c.scale = 1;
    append(c);
  }
  {
    auto c = op_case<T>("scale", n);
    const auto x = c.in("x", n), y = c.out("y", n);
    c.run([=]<class D>(Stream& s, auto at) { scale<D, T>(s, at(x), -1.75f, at(y), n); });
    c.expect(y, [=](auto at, Index i) { return -1.75 * at(x)[i]; });
    append(c);
  }
  {
    auto c = op_case<T>("scale_by", n);
    const auto x = c.in("x", n);
    const auto factor = c.in(of<compute_t<T>>, "factor", 1);
    const auto y = c.out("y", n);
    c.run([=]<class D>(Stream& s, auto at) { scale_by<D, T>(s, at(x), at(factor), at(y), n); });
    c.expect(y, [=](auto at, Index i) { return at(factor)[0] * at(x)[i]; });
    append(c);
  }
  {
    auto c = op_case<T>("fill", n);
    const auto y = c.out("y", n);
    c.run([=]<class D>(Stream& s, auto at) { fill<D, T>(s, at(y), 0.625f, n); });
    c.expect(y, [](auto, Index) { return 0.625; });
    append(c);
  }
}

template <class From, class To> void cast_case(std::vector<OpCase>& rows, Index n) {
  // Double on either side: on the host alone.
  using Widest = std::conditional_t<std::is_same_v<To, double>, double, From>;
  Case<Widest> c("cast", name(dtype_of<From>()), std::to_string(n) + "/to_" + name(dtype_of<To>()));
  const auto x = c.in(of<From>, "x", n);
  const auto y = c.out(of<To>, "y", n);
  c.run([=]<class D>(Stream& s, auto at) { cast<D, From, To>(s, at(x), at(y), n); });
  c.expect(y, [=](auto at) { return at(x); });
  c.flops = n;
  set_bench(c, n >= cache_length, n);
  rows.push_back(c);
}
}  // namespace

std::vector<OpCase> elementwise_cases() {
  std::vector<OpCase> rows;
  for_types([&]<class T>() {
    bias_cases<T>(rows);
    for (const Index n : {0, 1, 7, 1000, 40001}) flat_cases<T>(rows, n, false);
    if (!std::is_same_v<T, double>)
      for (const Index n :
           {bench_length, Index{1 << 12}, Index{1 << 15}, Index{1 << 18}, cache_length})
        flat_cases<T>(rows, n, true);
    for (const Index n : {0, 1, 50001}) {
      cast_case<T, float>(rows, n);
      cast_case<T, bf16>(rows, n);
      cast_case<T, f16>(rows, n);
      cast_case<T, double>(rows, n);
    }
  });
  for (const Index n : {cache_length, bench_length}) {
    cast_case<float, bf16>(rows, n);
    cast_case<bf16, float>(rows, n);
  }
  return rows;
}
}  // namespace bench::cases
