// Rows of bench/cases/op_cases.h for kernels/elementwise.h, layout.h, depthwise.h and reduce.h.
#pragma once
#include "bench/cases/op_cases.h"
#include "bench/cases/reference.h"
#include "kernels/depthwise.h"
#include "kernels/elementwise.h"
#include "kernels/epilogue.h"
#include "kernels/layout.h"
#include "kernels/reduce.h"

namespace tests {

struct Matrix {
  std::int64_t rows, columns;
  bool bench = false;
};

// Odd, tiny and empty shapes; more columns than a block has threads; enough elements for several pieces per worker; and the
// activation of `original` at its largest.
inline std::vector<Matrix> matrices() {
  return {{0, 5},    {1, 1},    {5, 3},     {33, 17},           {64, 128},          {7, 257},
          {3, 1000}, {6007, 3}, {300, 128}, {16384, 128, true}, {131072, 128, true}};
}
inline std::vector<std::int64_t> lengths() { return {0, 1, 7, 1000, 40001}; }
constexpr std::int64_t bench_length = 1 << 24;
constexpr std::int64_t cache_length =
    1 << 21;  // the longest of a sweep: what a host measures by default
inline std::vector<std::int64_t> sweep_lengths() {
  return {1 << 12, 1 << 15, 1 << 18, cache_length};
}
// Marks a row as of the models' size or of a sweep, by its number of elements; neither where `bench` is false.
inline void set_bench(OpCase& c, bool bench, std::int64_t n) {
  c.bench = bench;
  c.sweep = bench && n < bench_length;
}

inline double size_of(DType d) {
  return d == DType::f64 ? 8 : d == DType::bf16 ? 2 : d == DType::u8 ? 1 : 4;
}

// A row whose operands all have n elements of T.
template <class T>
OpCase flat_case(const std::string& launcher, std::int64_t n, std::vector<Operand> operands,
                 const std::string& note = "") {
  OpCase c = new_case<T>(launcher, std::to_string(n) + note);
  c.operands = std::move(operands);
  for (const Operand& o : c.operands)
    c.bytes += size_of(o.dtype) * static_cast<double>(o.count) * (o.role == Role::inout ? 2 : 1);
  c.flops = static_cast<double>(n);
  c.bench = n >= bench_length;
  return c;
}

template <class T> void bias_cases(std::vector<OpCase>& rows) {
  using namespace kernels;
  for (const Matrix& s : matrices())
    for (const bool with_bias : {true, false}) {
      if (s.bench && !with_bias) continue;
      const std::int64_t n = s.rows * s.columns, columns = s.columns;
      const std::string shape = shape_name(s.rows, s.columns) + (with_bias ? "" : "/no_bias");
      const double bytes = 2 * size_of(dtype_of<T>()) * static_cast<double>(n);
      const auto bias_of = [=](const std::vector<Values>& v) {
        return with_bias ? v[1] : Values{};
      };
      OpCase c = new_case<T>("bias_leaky_relu_forward", shape);
      c.operands = {input<T>("x", n), input<T>("bias", columns), output<T>("y", n)};
      c.run = [=](Stream& stream, const Pointers& p) {
        dispatch<T>(stream, [&]<class D>() {
          bias_leaky_relu_forward<D, T>(stream, p.get<T>(0), with_bias ? p.get<T>(1) : nullptr,
                                        p.get<T>(2), s.rows, s.columns, 0.1f);
        });
      };
      c.reference = [=](std::vector<Values>& v) {
        v[2] = reference::with_bias(v[0], bias_of(v), columns, [](double x) {
          return reference::leaky(x, static_cast<double>(0.1f));
        });
      };
      c.bytes = bytes;
      c.flops = 2 * static_cast<double>(n);
      set_bench(c, s.bench, n);
      rows.push_back(c);

      c.launcher = "bias_sigmoid_forward";
      c.name = "bias_sigmoid_forward/" + dtype_name<T>() + "/" + shape;
      c.run = [=](Stream& stream, const Pointers& p) {
        dispatch<T>(stream, [&]<class D>() {
          bias_sigmoid_forward<D, T>(stream, p.get<T>(0), with_bias ? p.get<T>(1) : nullptr,
                                     p.get<T>(2), s.rows, s.columns);
        });
      };
      c.reference = [=](std::vector<Values>& v) {
        v[2] = reference::with_bias(v[0], bias_of(v), columns, reference::sigmoid);
      };
      rows.push_back(c);
    }
  OpCase in_place = new_case<T>("bias_leaky_relu_forward", "40x50/in_place");
  in_place.operands = {in_and_out<T>("x", 2000), input<T>("bias", 50)};
  in_place.run = [](Stream& stream, const Pointers& p) {
    dispatch<T>(stream, [&]<class D>() {
      bias_leaky_relu_forward<D, T>(stream, p.get<T>(0), p.get<T>(1), p.get<T>(0), 40, 50, 0.2f);
    });
  };
  in_place.reference = [](std::vector<Values>& v) {
    v[0] = reference::with_bias(
        v[0], v[1], 50, [](double x) { return reference::leaky(x, static_cast<double>(0.2f)); });
  };
  rows.push_back(in_place);
}

template <class T> void flat_cases(std::vector<OpCase>& rows, std::int64_t n) {
  using namespace kernels;
  const auto each = [](const Values& a, auto f) {
    Values out(a.size());
    for (std::size_t i = 0; i < a.size(); ++i) out[i] = f(a[i], i);
    return out;
  };
  OpCase c = flat_case<T>("leaky_relu_backward", n,
                          {input<T>("y", n), input<T>("dy", n), output<T>("dx", n)});
  c.run = [=](Stream& s, const Pointers& p) {
    dispatch<T>(s, [&]<class D>() {
      leaky_relu_backward<D, T>(s, p.get<T>(0), p.get<T>(1), p.get<T>(2), n, 0.1f);
    });
  };
  c.reference = [=](std::vector<Values>& v) {
    v[2] = each(v[1], [&](double dy, std::size_t i) {
      return v[0][i] > 0 ? dy : static_cast<double>(0.1f) * dy;
    });
  };
  rows.push_back(c);

  c = flat_case<T>("sigmoid_backward", n,
                   {input<T>("y", n, uniform_values(0, 1)), input<T>("dy", n), output<T>("dx", n)});
  c.run = [=](Stream& s, const Pointers& p) {
    dispatch<T>(
        s, [&]<class D>() { sigmoid_backward<D, T>(s, p.get<T>(0), p.get<T>(1), p.get<T>(2), n); });
  };
  c.reference = [=](std::vector<Values>& v) {
    v[2] = each(v[1], [&](double dy, std::size_t i) { return dy * v[0][i] * (1 - v[0][i]); });
  };
  rows.push_back(c);

  c = flat_case<T>("add", n, {input<T>("a", n), input<T>("b", n), output<T>("out", n)});
  c.run = [=](Stream& s, const Pointers& p) {
    dispatch<T>(s, [&]<class D>() { add<D, T>(s, p.get<T>(0), p.get<T>(1), p.get<T>(2), n); });
  };
  c.reference = [=](std::vector<Values>& v) {
    v[2] = each(v[0], [&](double a, std::size_t i) { return a + v[1][i]; });
  };
  c.scale = 1;
  rows.push_back(c);

  c = flat_case<T>("add_leaky_relu", n, {input<T>("a", n), input<T>("b", n), output<T>("y", n)});
  c.run = [=](Stream& s, const Pointers& p) {
    dispatch<T>(s, [&]<class D>() {
      add_leaky_relu<D, T>(s, p.get<T>(0), p.get<T>(1), p.get<T>(2), n, 0.2f);
    });
  };
  c.reference = [=](std::vector<Values>& v) {
    v[2] = each(v[0], [&](double a, std::size_t i) {
      return reference::leaky(a + v[1][i], static_cast<double>(0.2f));
    });
  };
  c.scale = 1;
  rows.push_back(c);

  c = flat_case<T>("add", n, {in_and_out<T>("a", n), input<T>("b", n)}, "/in_place");
  c.run = [=](Stream& s, const Pointers& p) {
    dispatch<T>(s, [&]<class D>() { add<D, T>(s, p.get<T>(0), p.get<T>(1), p.get<T>(0), n); });
  };
  c.reference = [=](std::vector<Values>& v) {
    v[0] = each(v[0], [&](double a, std::size_t i) { return a + v[1][i]; });
  };
  c.scale = 1;
  c.bench = false;
  if (n < bench_length) rows.push_back(c);

  c = flat_case<T>("scale", n, {input<T>("x", n), output<T>("y", n)});
  c.run = [=](Stream& s, const Pointers& p) {
    dispatch<T>(s, [&]<class D>() { scale<D, T>(s, p.get<T>(0), -1.75f, p.get<T>(1), n); });
  };
  c.reference = [=](std::vector<Values>& v) {
    v[1] = each(v[0], [](double x, std::size_t) { return -1.75 * x; });
  };
  rows.push_back(c);

  c = flat_case<T>(
      "scale_by", n,
      {input<T>("x", n), input<kernels::compute_t<T>>("factor", 1), output<T>("y", n)});
  c.run = [=](Stream& s, const Pointers& p) {
    dispatch<T>(s, [&]<class D>() {
      scale_by<D, T>(s, p.get<T>(0), p.get<kernels::compute_t<T>>(1), p.get<T>(2), n);
    });
  };
  c.reference = [=](std::vector<Values>& v) {
    v[2] = each(v[0], [&](double x, std::size_t) { return v[1][0] * x; });
  };
  rows.push_back(c);

  c = flat_case<T>("fill", n, {output<T>("y", n)});
  c.run = [=](Stream& s, const Pointers& p) {
    dispatch<T>(s, [&]<class D>() { fill<D, T>(s, p.get<T>(0), 0.625f, n); });
  };
  c.reference = [=](std::vector<Values>& v) { v[0].assign(static_cast<std::size_t>(n), 0.625); };
  rows.push_back(c);
}

template <class From, class To> void cast_case(std::vector<OpCase>& rows, std::int64_t n) {
  OpCase c = flat_case<From>("cast", n, {input<From>("x", n), output<To>("y", n)},
                             "/to_" + dtype_name<To>());
  c.host_only = std::is_same_v<From, double> || std::is_same_v<To, double>;
  using Widest = std::conditional_t<std::is_same_v<To, double>, double,
                                    From>;  // double on either side: host only
  c.run = [=](Stream& s, const Pointers& p) {
    dispatch<Widest>(
        s, [&]<class D>() { kernels::cast<D, From, To>(s, p.get<From>(0), p.get<To>(1), n); });
  };
  c.reference = [](std::vector<Values>& v) { v[1] = v[0]; };
  set_bench(c, n >= cache_length, n);
  rows.push_back(c);
}

inline std::vector<OpCase> elementwise_cases() {
  std::vector<OpCase> rows;
  for_types([&]<class T>() {
    bias_cases<T>(rows);
    for (std::int64_t n : lengths()) flat_cases<T>(rows, n);
    if (!std::is_same_v<T, double>) flat_cases<T>(rows, bench_length);
    if (!std::is_same_v<T, double>)
      for (const std::int64_t n : sweep_lengths()) {
        std::vector<OpCase> series;
        flat_cases<T>(series, n);
        for (OpCase& c : series) {
          if (c.name.ends_with("/in_place")) continue;
          set_bench(c, true, n);
          rows.push_back(std::move(c));
        }
      }
    for (std::int64_t n : {std::int64_t{0}, std::int64_t{1}, std::int64_t{50001}}) {
      cast_case<T, float>(rows, n);
      cast_case<T, bf16>(rows, n);
      cast_case<T, f16>(rows, n);
      cast_case<T, double>(rows, n);
    }
  });
  for (const std::int64_t n : {cache_length, bench_length}) {
    cast_case<float, bf16>(rows, n);
    cast_case<bf16, float>(rows, n);
  }
  return rows;
}

// ---- layout

struct ShuffleShape {
  std::int64_t n;
  int h, w, c, r;
  bool bench = false;
};

template <class T> void layout_cases_of(std::vector<OpCase>& rows) {
  using namespace kernels;
  for (const ShuffleShape s : std::vector<ShuffleShape>{{0, 4, 4, 8, 2},
                                                        {1, 1, 1, 1, 2},
                                                        {2, 3, 5, 7, 2},
                                                        {1, 4, 2, 3, 3},
                                                        {3, 8, 8, 32, 2},
                                                        {1, 5, 7, 33, 1},
                                                        {16, 32, 32, 64, 2, true},
                                                        {16, 32, 32, 256, 2, true}})
    for (const bool inverse : {false, true}) {
      const std::int64_t count = s.n * s.h * s.w * s.c * s.r * s.r;
      OpCase c = new_case<T>(inverse ? "pixel_unshuffle" : "pixel_shuffle",
                             shape_name(s.n, s.h, s.w, s.c, s.r));
      c.operands = {input<T>("from", count), output<T>("to", count)};
      c.run = [=](Stream& stream, const Pointers& p) {
        dispatch<T>(stream, [&]<class D>() {
          if (inverse)
            pixel_unshuffle<D, T>(stream, p.get<T>(0), p.get<T>(1), s.n, s.h, s.w, s.c, s.r);
          else pixel_shuffle<D, T>(stream, p.get<T>(0), p.get<T>(1), s.n, s.h, s.w, s.c, s.r);
        });
      };
      c.reference = [=](std::vector<Values>& v) {
        v[1] = reference::pixel_shuffle(v[0], s.n, s.h, s.w, s.c, s.r, inverse);
      };
      c.bytes = 2 * size_of(dtype_of<T>()) * static_cast<double>(count);
      c.bench = s.bench;
      rows.push_back(c);
    }

  struct Columns {
    std::int64_t rows, columns, source_pitch, pitch;
    bool bench = false;
  };
  for (const Columns s : std::vector<Columns>{{0, 3, 3, 3},
                                              {1, 1, 1, 1},
                                              {37, 5, 5, 9},
                                              {37, 5, 9, 5},
                                              {129, 200, 333, 201},
                                              {65536, 128, 128, 256, true}}) {
    OpCase c = new_case<T>("copy_columns", shape_name(s.rows, s.columns, s.source_pitch, s.pitch));
    c.operands = {input<T>("source", s.rows * s.source_pitch),
                  in_and_out<T>("destination", s.rows * s.pitch)};  // the other columns stay
    c.run = [=](Stream& stream, const Pointers& p) {
      dispatch<T>(stream, [&]<class D>() {
        copy_columns<D, T>(stream, p.get<T>(0), s.source_pitch, p.get<T>(1), s.pitch, s.rows,
                           s.columns);
      });
    };
    c.reference = [=](std::vector<Values>& v) {
      for (std::int64_t i = 0; i < s.rows; ++i)
        for (std::int64_t j = 0; j < s.columns; ++j)
          v[1][static_cast<std::size_t>(i * s.pitch + j)] =
              v[0][static_cast<std::size_t>(i * s.source_pitch + j)];
    };
    c.bytes = 2 * size_of(dtype_of<T>()) * static_cast<double>(s.rows * s.columns);
    c.bench = s.bench;
    rows.push_back(c);
  }

  struct Padding {
    std::int64_t rows, columns, padded;
    bool bench = false;
  };
  for (const Padding s : std::vector<Padding>{
           {0, 3, 8}, {1, 1, 1}, {37, 3, 8}, {129, 126, 128}, {65536, 126, 128, true}}) {
    OpCase c = new_case<T>("pad_columns", shape_name(s.rows, s.columns, s.padded));
    c.operands = {input<T>("source", s.rows * s.columns),
                  output<T>("destination", s.rows * s.padded)};
    c.run = [=](Stream& stream, const Pointers& p) {
      dispatch<T>(stream, [&]<class D>() {
        pad_columns<D, T>(stream, p.get<T>(0), p.get<T>(1), s.rows, s.columns, s.padded);
      });
    };
    c.reference = [=](std::vector<Values>& v) {
      v[1].assign(static_cast<std::size_t>(s.rows * s.padded), 0.0);
      for (std::int64_t i = 0; i < s.rows; ++i)
        for (std::int64_t j = 0; j < s.columns; ++j)
          v[1][static_cast<std::size_t>(i * s.padded + j)] =
              v[0][static_cast<std::size_t>(i * s.columns + j)];
    };
    c.bytes = size_of(dtype_of<T>()) * static_cast<double>(s.rows * (s.columns + s.padded));
    c.bench = s.bench;
    rows.push_back(c);
  }

  struct Named {
    PatchShape s;
    bool bench;
  };
  for (const Named& named : std::vector<Named>{{{0, 4, 4, 3, 3, 3, 1, 1, 1, 4, 4}, false},
                                               {{1, 1, 1, 1, 5, 5, 2, 2, 2, 1, 1}, false},
                                               {{2, 7, 6, 3, 3, 3, 1, 1, 1, 7, 6}, false},
                                               {{2, 8, 8, 5, 5, 5, 2, 1, 1, 4, 4}, false},
                                               {{1, 9, 5, 4, 1, 1, 1, 0, 0, 9, 5}, false},
                                               {{1, 6, 11, 2, 2, 3, 3, 0, 1, 2, 4}, false},
                                               {{16, 32, 32, 128, 3, 3, 1, 1, 1, 32, 32}, true},
                                               {{16, 32, 32, 128, 5, 5, 2, 1, 1, 16, 16}, true}}) {
    const PatchShape s = named.s;
    const std::int64_t image = s.n * s.h * s.w * s.c,
                       patches = s.n * s.out_h * s.out_w * s.kernel_h * s.kernel_w * s.c;
    const reference::Patches shape{s.n,      s.h,       s.w,        s.c,     s.kernel_h, s.kernel_w,
                                   s.stride, s.pad_top, s.pad_left, s.out_h, s.out_w};
    const std::string name =
        shape_name(s.n, s.h, s.w, s.c, s.kernel_h, s.kernel_w) + "s" + std::to_string(s.stride);
    OpCase c = new_case<T>("im2col", name);
    c.operands = {input<T>("x", image), output<T>("columns", patches)};
    c.run = [=](Stream& stream, const Pointers& p) {
      dispatch<T>(stream, [&]<class D>() { im2col<D, T>(stream, s, p.get<T>(0), p.get<T>(1)); });
    };
    c.reference = [=](std::vector<Values>& v) {
      v[1].assign(static_cast<std::size_t>(patches), 0);
      reference::for_patches(
          shape, [&](std::size_t patch, std::size_t pixel) { v[1][patch] = v[0][pixel]; });
    };
    c.bytes = size_of(dtype_of<T>()) * static_cast<double>(image + patches);
    c.bench = named.bench;
    rows.push_back(c);

    c = new_case<T>("col2im", name);
    c.operands = {input<T>("columns", patches), output<T>("x", image)};
    c.run = [=](Stream& stream, const Pointers& p) {
      dispatch<T>(stream, [&]<class D>() { col2im<D, T>(stream, s, p.get<T>(0), p.get<T>(1)); });
    };
    c.reference = [=](std::vector<Values>& v) {
      v[1].assign(static_cast<std::size_t>(image), 0);
      reference::for_patches(
          shape, [&](std::size_t patch, std::size_t pixel) { v[1][pixel] += v[0][patch]; });
    };
    c.bytes = size_of(dtype_of<T>()) * static_cast<double>(image + patches);
    c.flops = static_cast<double>(patches);
    c.scale = 1;
    c.bench = named.bench;
    rows.push_back(c);
  }
}

template <class T> void depthwise_cases_of(std::vector<OpCase>& rows) {
  using namespace kernels;
  struct Named {
    PatchShape s;
    bool bench;
  };
  // Nothing, one pixel, stride 1, Keras 'same' at stride 2 (1 before, 2 after), odd sides, runs longer than 64, more than 64 output rows.
  for (const Named& named : std::vector<Named>{{{0, 4, 4, 3, 3, 3, 1, 1, 1, 4, 4}, false},
                                               {{1, 1, 1, 2, 5, 5, 2, 2, 2, 1, 1}, false},
                                               {{2, 7, 6, 3, 3, 3, 1, 1, 1, 7, 6}, false},
                                               {{2, 8, 8, 70, 5, 5, 2, 1, 1, 4, 4}, false},
                                               {{1, 9, 5, 4, 1, 1, 1, 0, 0, 9, 5}, false},
                                               {{1, 6, 11, 130, 2, 3, 3, 0, 1, 2, 4}, false},
                                               {{5, 30, 6, 7, 5, 5, 2, 1, 1, 15, 3}, false},
                                               {{32, 32, 32, 128, 5, 5, 2, 1, 1, 16, 16}, true}}) {
    const PatchShape s = named.s;
    const std::int64_t image = s.n * s.h * s.w * s.c, answer = s.n * s.out_h * s.out_w * s.c,
                       weights = static_cast<std::int64_t>(s.kernel_h) * s.kernel_w * s.c;
    const reference::Patches shape{s.n,      s.h,       s.w,        s.c,     s.kernel_h, s.kernel_w,
                                   s.stride, s.pad_top, s.pad_left, s.out_h, s.out_w};
    // The patch matrix has a row of KH*KW*C values per output position: its place gives the tap and, channel by channel, the output.
    const auto each_product = [=](const auto& f) {
      reference::for_patches(shape, [&](std::size_t patch, std::size_t pixel) {
        const auto w = patch % static_cast<std::size_t>(weights),
                   position = patch / static_cast<std::size_t>(weights),
                   channel = w % static_cast<std::size_t>(s.c);
        f(pixel, w, position * static_cast<std::size_t>(s.c) + channel);
      });
    };
    const std::string name =
        shape_name(s.n, s.h, s.w, s.c, s.kernel_h, s.kernel_w) + "s" + std::to_string(s.stride);
    const auto finish = [&](OpCase c) {
      c.bytes = size_of(dtype_of<T>()) * static_cast<double>(image + answer + weights);
      c.flops = 2.0 * static_cast<double>(answer) * s.kernel_h * s.kernel_w;
      c.scale = std::max(c.scale, 1.0);
      c.bench = named.bench;
      rows.push_back(std::move(c));
    };
    OpCase c = new_case<T>("depthwise_forward", name);
    c.operands = {input<T>("x", image), input<T>("w", weights), output<T>("y", answer)};
    c.run = [=](Stream& stream, const Pointers& p) {
      dispatch<T>(stream, [&]<class D>() {
        depthwise_forward<D, T>(stream, s, p.get<T>(0), p.get<T>(1), p.get<T>(2));
      });
    };
    c.reference = [=](std::vector<Values>& v) {
      v[2].assign(static_cast<std::size_t>(answer), 0);
      each_product(
          [&](std::size_t x, std::size_t w, std::size_t y) { v[2][y] += v[0][x] * v[1][w]; });
    };
    finish(c);

    c = new_case<T>("depthwise_backward_data", name);
    c.operands = {input<T>("dy", answer), input<T>("w", weights), output<T>("dx", image)};
    c.run = [=](Stream& stream, const Pointers& p) {
      dispatch<T>(stream, [&]<class D>() {
        depthwise_backward_data<D, T>(stream, s, p.get<T>(0), p.get<T>(1), p.get<T>(2));
      });
    };
    c.reference = [=](std::vector<Values>& v) {
      v[2].assign(static_cast<std::size_t>(image), 0);
      each_product(
          [&](std::size_t x, std::size_t w, std::size_t y) { v[2][x] += v[0][y] * v[1][w]; });
    };
    finish(c);

    c = new_case<T>("depthwise_backward_filter", name);
    c.operands = {input<T>("x", image), input<T>("dy", answer), output<T>("dw", weights)};
    c.run = [=](Stream& stream, const Pointers& p) {
      dispatch<T>(stream, [&]<class D>() {
        depthwise_backward_filter<D, T>(stream, s, p.get<T>(0), p.get<T>(1), p.get<T>(2));
      });
    };
    c.reference = [=](std::vector<Values>& v) {
      v[2].assign(static_cast<std::size_t>(weights), 0);
      each_product(
          [&](std::size_t x, std::size_t w, std::size_t y) { v[2][w] += v[0][x] * v[1][y]; });
    };
    c.scale = std::sqrt(static_cast<double>(s.n * s.out_h * s.out_w) + 1) /
              3;  // of a sum over all positions, of terms of the size 1/3
    finish(c);
  }
}

inline std::vector<OpCase> layout_cases() {
  std::vector<OpCase> rows;
  for_types([&]<class T>() {
    layout_cases_of<T>(rows);
    depthwise_cases_of<T>(rows);
  });
  return rows;
}

// ---- reductions

template <class T> void reduce_cases_of(std::vector<OpCase>& rows) {
  using namespace kernels;
  using C = compute_t<T>;
  const double element = size_of(dtype_of<T>());
  for (std::int64_t n : {std::int64_t{0}, std::int64_t{1}, std::int64_t{255}, std::int64_t{16384},
                         std::int64_t{16385}, std::int64_t{100003}, cache_length, bench_length}) {
    OpCase c = new_case<T>("sum", std::to_string(n));
    c.operands = {input<T>("x", n), output<C>("out", 1)};
    c.run = [=](Stream& s, const Pointers& p) {
      dispatch<T>(s, [&]<class D>() { kernels::sum<D, T>(s, p.get<T>(0), p.get<C>(1), n); });
    };
    c.reference = [](std::vector<Values>& v) { v[1] = {reference::sum(v[0])}; };
    c.bytes = element * static_cast<double>(n);
    c.flops = static_cast<double>(n);
    c.scale = std::sqrt(static_cast<double>(n) + 1);
    set_bench(c, n >= cache_length, n);
    rows.push_back(c);

    struct Clipping {
      float max_norm;
      double scale;
    };  // scale: of the loss
    for (const auto& [max_norm, scale] : {Clipping{0.f, 1}, Clipping{0.5f, 1}, Clipping{1e9f, 1},
                                          Clipping{0.5f, 64}, Clipping{0.f, 64}}) {
      if ((max_norm != 0.5f || scale != 1) && n != 16385) continue;
      c = new_case<T>("gradient_norm", std::to_string(n) +
                                           (max_norm == 0.f ? "/no_clipping"
                                            : max_norm > 1  ? "/below_limit"
                                                            : "") +
                                           (scale != 1 ? "/scaled" : ""));
      const Values state{41, 7, 1e-3, 0.25, 123, 2, 1, 0, scale, 5, 100};
      c.operands = {input<T>("gradients", n),
                    in_and_out<StepState>("state", 1, fixed_values(state))};
      c.run = [n, max_norm = max_norm](Stream& s, const Pointers& p) {
        dispatch<T>(s, [&]<class D>() {
          gradient_norm<D, T>(s, p.get<T>(0), n, max_norm, p.get<StepState>(1));
        });
      };
      c.reference = [max_norm = max_norm, scale = scale](std::vector<Values>& v) {
        double squares = 0;
        for (double g : v[0]) squares += g * g;
        const double norm = std::sqrt(squares) / scale;
        v[1][3] = (max_norm > 0 && norm > max_norm ? max_norm / norm : 1) / scale;
        v[1][4] = norm;
      };
      c.bytes = element * static_cast<double>(n);
      c.flops = 2 * static_cast<double>(n);
      set_bench(c, n >= cache_length, n);
      rows.push_back(c);
    }
  }
}

inline std::vector<OpCase> reduce_cases() {
  std::vector<OpCase> rows;
  for_types([&]<class T>() { reduce_cases_of<T>(rows); });
  return rows;
}

}  // namespace tests
