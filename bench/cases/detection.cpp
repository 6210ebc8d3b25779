// Rows for kernels/prelu.h, pool.h and upsample.h: the layers of small detection networks.
#include <algorithm>
#include <array>
#include <cmath>

#include "bench/cases/op_cases.h"
#include "bench/cases/reference.h"
#include "kernels/pool.h"
#include "kernels/prelu.h"
#include "kernels/upsample.h"

namespace bench::cases {
namespace {

using namespace kernels;

template <class T> void prelu_cases(std::vector<OpCase>& rows, const Matrix& s) {
  const Index n = s.rows * s.columns, columns = s.columns;
  const auto append = [&](auto& c) {
    c.flops = n;
    set_bench(c, s.bench, n);
    rows.push_back(c);
  };
  {
    auto c = op_case<T>("prelu_forward", shape_name(s.rows, columns));
    const auto x = c.in("x", n), slope = c.in("slope", columns), y = c.out("y", n);
    c.run([=]<class D>(Stream& stream, auto at) {
      prelu_forward<D, T>(stream, at(x), at(slope), at(y), s.rows, columns);
    });
    c.expect(y,
             [=](auto at, Index i) { return reference::leaky(at(x)[i], at(slope)[i % columns]); });
    append(c);
  }
  {
    auto c = op_case<T>("prelu_backward", shape_name(s.rows, columns));
    const auto x = c.in("x", n), slope = c.in("slope", columns), dy = c.in("dy", n),
               dx = c.out("dx", n);
    c.run([=]<class D>(Stream& stream, auto at) {
      prelu_backward<D, T>(stream, at(x), at(slope), at(dy), at(dx), s.rows, columns);
    });
    c.expect(dx, [=](auto at, Index i) {
      return at(dy)[i] * (at(x)[i] > 0 ? 1 : at(slope)[i % columns]);
    });
    append(c);
  }
  auto c = op_case<T>("prelu_slope_terms", shape_name(s.rows, columns));
  const auto x = c.in("x", n), dy = c.in("dy", n), terms = c.out("terms", n);
  c.run([=]<class D>(Stream& stream, auto at) {
    prelu_slope_terms<D, T>(stream, at(x), at(dy), at(terms), n);
  });
  c.expect(terms, [=](auto at, Index i) { return at(dy)[i] * std::min(at(x)[i], 0.0); });
  append(c);
}

template <class T> void prelu_in_place_cases(std::vector<OpCase>& rows) {
  {
    auto c = op_case<T>("prelu_forward", "40x50/in_place");
    const auto x = c.inout("x", 2000), slope = c.in("slope", 50);
    c.run([=]<class D>(Stream& s, auto at) {
      prelu_forward<D, T>(s, at(x), at(slope), at(x), 40, 50);
    });
    c.expect(x, [=](auto at, Index i) { return reference::leaky(at(x)[i], at(slope)[i % 50]); });
    rows.push_back(c);
  }
  auto c = op_case<T>("prelu_backward", "40x50/in_place");
  const auto x = c.in("x", 2000), slope = c.in("slope", 50), dx = c.inout("dx", 2000);
  c.run([=]<class D>(Stream& s, auto at) {
    prelu_backward<D, T>(s, at(x), at(slope), at(dx), at(dx), 40, 50);
  });
  c.expect(dx,
           [=](auto at, Index i) { return at(dx)[i] * (at(x)[i] > 0 ? 1 : at(slope)[i % 50]); });
  rows.push_back(c);
}

// Eighths: several equal values in most windows, exact in every type.
double eighth(Index i) { return (static_cast<double>((i * 2654435761 >> 9) % 9) - 4) / 8; }
Values eighths(Index count) {
  Values v(static_cast<std::size_t>(count));
  for (Index i = 0; i < count; ++i) v[i] = eighth(i);
  return v;
}

struct PoolCase : PatchShape {
  bool bench = false;
};

// For every window (as an index of y) the place of its first maximum in x.
std::vector<Index> first_maxima(const PatchShape& s, const Values& x) {
  std::vector<Index> at(static_cast<std::size_t>(s.n * s.out_h * s.out_w * s.c), -1);
  const Index taps = Index{s.kernel_h} * s.kernel_w;
  // The patch matrix has the taps of a window in order, channel by channel.
  reference::for_patches(s, [&](Index patch, Index pixel) {
    Index& largest = at[patch / (taps * s.c) * s.c + patch % s.c];
    if (largest < 0 || x[pixel] > x[largest]) largest = pixel;
  });
  return at;
}

template <class T> void max_pool_cases(std::vector<OpCase>& rows) {
  // Nothing, one pixel, windows side by side, overlapping ones with padding, gaps between
  // windows, runs longer than 64.
  for (const PoolCase& s :
       {PoolCase{{0, 4, 4, 3, 2, 2, 2, 0, 0, 2, 2}}, PoolCase{{1, 1, 1, 2, 3, 3, 1, 1, 1, 1, 1}},
        PoolCase{{2, 6, 8, 5, 2, 2, 2, 0, 0, 3, 4}}, PoolCase{{2, 7, 6, 3, 3, 3, 1, 1, 1, 7, 6}},
        PoolCase{{1, 7, 5, 70, 3, 3, 2, 1, 1, 4, 3}},
        PoolCase{{1, 8, 11, 130, 2, 3, 4, 0, 1, 2, 3}},
        PoolCase{{32, 96, 96, 16, 2, 2, 2, 0, 0, 48, 48}, true}}) {
    const Index nx = s.n * s.h * s.w * s.c, ny = s.n * s.out_h * s.out_w * s.c;
    const std::string shape =
        shape_name(s.n, s.h, s.w, s.c, s.kernel_h, s.kernel_w) + "s" + std::to_string(s.stride);
    {
      auto c = op_case<T>("max_pool_forward", shape);
      const auto x = c.in("x", nx), y = c.out("y", ny);
      c.run([=]<class D>(Stream& stream, auto at) {
        max_pool_forward<D, T>(stream, s, at(x), at(y));
      });
      c.expect(y, [=](auto at) {
        Values v;
        for (const Index i : first_maxima(s, at(x))) v.push_back(at(x)[i]);
        return v;
      });
      c.flops = static_cast<double>(ny) * s.kernel_h * s.kernel_w;
      c.bench = s.bench;
      rows.push_back(c);
    }
    auto c = op_case<T>("max_pool_backward", shape);
    const auto x = c.in("x", nx, [](Values&v, auto&) { v = eighths(v.size()); }),
               y = c.in("y", ny,
                        [s = PatchShape(s), nx](Values&v, auto&) {
                          const Values from = eighths(nx);
                          v.clear();
                          for (const Index i : first_maxima(s, from)) v.push_back(from[i]);
                        }),
               dy = c.in("dy", ny), dx = c.out("dx", nx);
    c.run([=]<class D>(Stream& stream, auto at) {
      max_pool_backward<D, T>(stream, s, at(x), at(y), at(dy), at(dx));
    });
    c.expect(dx, [=](auto at) {
      Values v(nx);
      const std::vector<Index> maxima = first_maxima(s, at(x));
      for (Index i = 0; i < ny; ++i) v[maxima[i]] += at(dy)[i];
      return v;
    });
    c.flops = nx;
    c.scale = 1;
    c.bench = s.bench;
    rows.push_back(c);
  }
}

template <class T> void upsample_cases(std::vector<OpCase>& rows) {
  struct Shape {
    Index n;
    int h, w, c;
    bool bench = false;
  };
  for (const Shape& s : {Shape{0, 2, 2, 3}, Shape{1, 1, 1, 1}, Shape{2, 1, 3, 5},
                         Shape{2, 4, 3, 70}, Shape{32, 48, 48, 48, true}}) {
    const Index nx = s.n * s.h * s.w * s.c, ny = 4 * nx;
    // visit(place in x, place in y, weight): the tent of width 2 round each source pixel.
    const auto for_pairs = [=](auto&& visit) {
      const auto taps = [](Index out, Index size) {
        const double place = (static_cast<double>(out) + 0.5) / 2 - 0.5, low = std::floor(place);
        const auto inside = [=](double i) {
          return static_cast<Index>(std::clamp(i, 0.0, static_cast<double>(size - 1)));
        };
        return std::array{std::pair(inside(low), 1 - (place - low)),
                          std::pair(inside(low + 1), place - low)};
      };
      for (Index i = 0; i < ny; ++i) {
        const Index c = i % s.c, ox = i / s.c % (2 * s.w), oy = i / s.c / (2 * s.w) % (2 * s.h),
                    n = i / s.c / (2 * s.w) / (2 * s.h);
        for (const auto& [iy, wy] : taps(oy, s.h))
          for (const auto& [ix, wx] : taps(ox, s.w))
            visit(((n * s.h + iy) * s.w + ix) * s.c + c, i, wy * wx);
      }
    };
    const auto append = [&](auto& c) {
      c.flops = 2.0 * 4 * ny;
      c.scale = 1;
      c.bench = s.bench;
      rows.push_back(c);
    };
    {
      auto c = op_case<T>("upsample_forward", shape_name(s.n, s.h, s.w, s.c));
      const auto x = c.in("x", nx), y = c.out("y", ny);
      c.run([=]<class D>(Stream& stream, auto at) {
        upsample_forward<D, T>(stream, at(x), at(y), s.n, s.h, s.w, s.c);
      });
      c.expect(y, [=](auto at) {
        Values v(ny);
        for_pairs([&](Index from, Index to, double weight) { v[to] += weight * at(x)[from]; });
        return v;
      });
      append(c);
    }
    auto c = op_case<T>("upsample_backward", shape_name(s.n, s.h, s.w, s.c));
    const auto dy = c.in("dy", ny), dx = c.out("dx", nx);
    c.run([=]<class D>(Stream& stream, auto at) {
      upsample_backward<D, T>(stream, at(dy), at(dx), s.n, s.h, s.w, s.c);
    });
    c.expect(dx, [=](auto at) {
      Values v(nx);
      for_pairs([&](Index to, Index from, double weight) { v[to] += weight * at(dy)[from]; });
      return v;
    });
    append(c);
  }
}
}  // namespace

std::vector<OpCase> detection_cases() {
  std::vector<OpCase> rows;
  for_types([&]<class T>() {
    for (const Matrix& s : matrices()) prelu_cases<T>(rows, s);
    prelu_in_place_cases<T>(rows);
    max_pool_cases<T>(rows);
    upsample_cases<T>(rows);
  });
  return rows;
}
}  // namespace bench::cases
