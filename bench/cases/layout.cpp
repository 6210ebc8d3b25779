// Rows for kernels/layout.h and depthwise.h.
#include "kernels/layout.h"

#include <algorithm>
#include <cmath>

#include "bench/cases/op_cases.h"
#include "bench/cases/reference.h"
#include "kernels/depthwise.h"

namespace bench::cases {
namespace {

using namespace kernels;

template <class T> void pixel_shuffle_cases(std::vector<OpCase>& rows) {
  struct Shape {
    Index n;
    int h, w, c, r;
    bool bench = false;
  };
  for (const Shape& s : {Shape{0, 4, 4, 8, 2}, Shape{1, 1, 1, 1, 2}, Shape{2, 3, 5, 7, 2},
                         Shape{1, 4, 2, 3, 3}, Shape{3, 8, 8, 32, 2}, Shape{1, 5, 7, 33, 1},
                         Shape{16, 32, 32, 64, 2, true}, Shape{16, 32, 32, 256, 2, true}})
    for (const bool inverse : {false, true}) {
      const Index n = s.n * s.h * s.w * s.c * s.r * s.r;
      auto c = op_case<T>(inverse ? "pixel_unshuffle" : "pixel_shuffle",
                          shape_name(s.n, s.h, s.w, s.c, s.r));
      const auto from = c.in("from", n), to = c.out("to", n);
      c.run([=]<class D>(Stream& stream, auto at) {
        if (inverse) pixel_unshuffle<D, T>(stream, at(from), at(to), s.n, s.h, s.w, s.c, s.r);
        else pixel_shuffle<D, T>(stream, at(from), at(to), s.n, s.h, s.w, s.c, s.r);
      });
      c.expect(to, [=](auto at) {
        return reference::pixel_shuffle(at(from), s.n, s.h, s.w, s.c, s.r, inverse);
      });
      c.bench = s.bench;
      rows.push_back(c);
    }
}

template <class T> void column_copies(std::vector<OpCase>& rows) {
  struct Columns {
    Index rows, columns, source_pitch, pitch;
    bool bench = false;
  };
  for (const Columns& s :
       {Columns{0, 3, 3, 3}, Columns{1, 1, 1, 1}, Columns{37, 5, 5, 9}, Columns{37, 5, 9, 5},
        Columns{129, 200, 333, 201}, Columns{37, 24, 40, 32}, Columns{301, 64, 64, 128},
        Columns{65536, 128, 128, 256, true}}) {
    auto c = op_case<T>("copy_columns", shape_name(s.rows, s.columns, s.source_pitch, s.pitch));
    const auto source = c.in("source", s.rows * s.source_pitch),
               destination = c.inout("destination", s.rows * s.pitch);  // other columns stay
    c.run([=]<class D>(Stream& stream, auto at) {
      copy_columns<D, T>(stream, at(source), s.source_pitch, at(destination), s.pitch, s.rows,
                         s.columns);
    });
    c.expect(destination, [=](auto at, Index i) {
      const Index row = i / s.pitch, column = i % s.pitch;
      return column < s.columns ? at(source)[row * s.source_pitch + column] : at(destination)[i];
    });
    c.bytes = 2.0 * sizeof(T) * s.rows * s.columns;
    c.bench = s.bench;
    rows.push_back(c);
  }

  struct Padding {
    Index rows, columns, padded;
    bool bench = false;
  };
  for (const Padding& s : {Padding{0, 3, 8}, Padding{1, 1, 1}, Padding{37, 3, 8},
                           Padding{129, 126, 128}, Padding{65536, 126, 128, true}}) {
    auto c = op_case<T>("pad_columns", shape_name(s.rows, s.columns, s.padded));
    const auto source = c.in("source", s.rows * s.columns),
               destination = c.out("destination", s.rows * s.padded);
    c.run([=]<class D>(Stream& stream, auto at) {
      pad_columns<D, T>(stream, at(source), at(destination), s.rows, s.columns, s.padded);
    });
    c.expect(destination, [=](auto at, Index i) {
      const Index row = i / s.padded, column = i % s.padded;
      return column < s.columns ? at(source)[row * s.columns + column] : 0;
    });
    c.bench = s.bench;
    rows.push_back(c);
  }
}

template <class T> void pad_picture_cases(std::vector<OpCase>& rows) {
  struct Padding : PadShape {
    bool bench = false;
  };
  // Nothing, one pixel in the middle, edges cut off, a margin at two sides, all outside, one
  // axis grown and the other cut with runs longer than 64.
  for (const Padding& s : {Padding{{0, 4, 4, 3, 1, 1, 6, 6}}, Padding{{1, 1, 1, 1, 1, 1, 3, 3}},
                           Padding{{2, 7, 6, 3, -1, -2, 5, 3}}, Padding{{2, 3, 3, 5, 0, 0, 4, 5}},
                           Padding{{1, 2, 3, 2, 2, -3, 2, 3}}, Padding{{2, 5, 9, 70, 2, -1, 9, 6}},
                           Padding{{16, 64, 64, 64, 1, 1, 66, 66}, true}}) {
    const Index source = s.n * s.h * s.w * s.c;
    auto c = op_case<T>("pad_picture", shape_name(s.n, s.h, s.w, s.c, s.out_h, s.out_w));
    const auto x = c.in("x", source), y = c.out("y", s.n * s.out_h * s.out_w * s.c);
    c.run([=]<class D>(Stream& stream, auto at) { pad_picture<D, T>(stream, s, at(x), at(y)); });
    c.expect(y, [=](auto at, Index i) {
      const Index column = i / s.c % s.out_w - s.left, row = i / s.c / s.out_w % s.out_h - s.top,
                  n = i / s.c / s.out_w / s.out_h;
      const bool inside = row >= 0 && row < s.h && column >= 0 && column < s.w;
      return inside ? at(x)[((n * s.h + row) * s.w + column) * s.c + i % s.c] : 0;
    });
    c.bench = s.bench;
    rows.push_back(c);
  }
}

std::string patch_name(const PatchShape& s) {
  return shape_name(s.n, s.h, s.w, s.c, s.kernel_h, s.kernel_w) + "s" + std::to_string(s.stride);
}
struct PatchCase : PatchShape {
  bool bench = false;
};

template <class T> void im2col_cases(std::vector<OpCase>& rows) {
  for (const PatchCase& s :
       {PatchCase{{0, 4, 4, 3, 3, 3, 1, 1, 1, 4, 4}}, PatchCase{{1, 1, 1, 1, 5, 5, 2, 2, 2, 1, 1}},
        PatchCase{{2, 7, 6, 3, 3, 3, 1, 1, 1, 7, 6}}, PatchCase{{2, 8, 8, 5, 5, 5, 2, 1, 1, 4, 4}},
        PatchCase{{1, 9, 5, 4, 1, 1, 1, 0, 0, 9, 5}}, PatchCase{{1, 6, 11, 2, 2, 3, 3, 0, 1, 2, 4}},
        PatchCase{{16, 32, 32, 128, 3, 3, 1, 1, 1, 32, 32}, true},
        PatchCase{{16, 32, 32, 128, 5, 5, 2, 1, 1, 16, 16}, true}}) {
    const Index image = s.n * s.h * s.w * s.c,
                patches = s.n * s.out_h * s.out_w * s.kernel_h * s.kernel_w * s.c;
    {
      auto c = op_case<T>("im2col", patch_name(s));
      const auto x = c.in("x", image), columns = c.out("columns", patches);
      c.run([=]<class D>(Stream& stream, auto at) { im2col<D, T>(stream, s, at(x), at(columns)); });
      c.expect(columns, [=](auto at) {
        Values v(patches);
        reference::for_patches(s, [&](Index patch, Index pixel) { v[patch] = at(x)[pixel]; });
        return v;
      });
      c.bench = s.bench;
      rows.push_back(c);
    }
    auto c = op_case<T>("col2im", patch_name(s));
    const auto columns = c.in("columns", patches), x = c.out("x", image);
    c.run([=]<class D>(Stream& stream, auto at) { col2im<D, T>(stream, s, at(columns), at(x)); });
    c.expect(x, [=](auto at) {
      Values v(image);
      reference::for_patches(s, [&](Index patch, Index pixel) { v[pixel] += at(columns)[patch]; });
      return v;
    });
    c.flops = patches;
    c.scale = 1;
    c.bench = s.bench;
    rows.push_back(c);
  }
}

template <class T> void depthwise_cases(std::vector<OpCase>& rows) {
  // Nothing, one pixel, stride 1, Keras 'same' at stride 2 (1 before, 2 after), odd sides,
  // runs longer than 64, more than 64 output rows.
  for (const PatchCase& s :
       {PatchCase{{0, 4, 4, 3, 3, 3, 1, 1, 1, 4, 4}}, PatchCase{{1, 1, 1, 2, 5, 5, 2, 2, 2, 1, 1}},
        PatchCase{{2, 7, 6, 3, 3, 3, 1, 1, 1, 7, 6}}, PatchCase{{2, 8, 8, 70, 5, 5, 2, 1, 1, 4, 4}},
        PatchCase{{1, 9, 5, 4, 1, 1, 1, 0, 0, 9, 5}},
        PatchCase{{1, 6, 11, 130, 2, 3, 3, 0, 1, 2, 4}},
        PatchCase{{5, 30, 6, 7, 5, 5, 2, 1, 1, 15, 3}},
        PatchCase{{32, 32, 32, 128, 5, 5, 2, 1, 1, 16, 16}, true}}) {
    const Index nx = s.n * s.h * s.w * s.c, ny = s.n * s.out_h * s.out_w * s.c,
                nw = Index{s.kernel_h} * s.kernel_w * s.c;
    // A row of the patch matrix has KH*KW*C values and belongs to one output position: a
    // place in it gives the tap and, channel by channel, the output.
    const auto sum_products = [=](Index size, const auto& f) {
      Values sums(size);
      reference::for_patches(s, [&](Index patch, Index pixel) {
        const Index w = patch % nw;
        f(sums, pixel, w, patch / nw * s.c + w % s.c);
      });
      return sums;
    };
    const auto append = [&](auto& c, double scale) {
      c.flops = 2.0 * ny * s.kernel_h * s.kernel_w;
      c.scale = std::max(scale, 1.0);
      c.bench = s.bench;
      rows.push_back(c);
    };
    {
      auto c = op_case<T>("depthwise_forward", patch_name(s));
      const auto x = c.in("x", nx), w = c.in("w", nw), y = c.out("y", ny);
      c.run([=]<class D>(Stream& stream, auto at) {
        depthwise_forward<D, T>(stream, s, at(x), at(w), at(y));
      });
      c.expect(y, [=](auto at) {
        return sum_products(ny, [&](Values& sums, Index xi, Index wi, Index yi) {
          sums[yi] += at(x)[xi] * at(w)[wi];
        });
      });
      append(c, 1);
    }
    {
      auto c = op_case<T>("depthwise_backward_data", patch_name(s));
      const auto dy = c.in("dy", ny), w = c.in("w", nw), dx = c.out("dx", nx);
      c.run([=]<class D>(Stream& stream, auto at) {
        depthwise_backward_data<D, T>(stream, s, at(dy), at(w), at(dx));
      });
      c.expect(dx, [=](auto at) {
        return sum_products(nx, [&](Values& sums, Index xi, Index wi, Index yi) {
          sums[xi] += at(dy)[yi] * at(w)[wi];
        });
      });
      append(c, 1);
    }
    auto c = op_case<T>("depthwise_backward_filter", patch_name(s));
    const auto x = c.in("x", nx), dy = c.in("dy", ny), dw = c.out("dw", nw);
    c.run([=]<class D>(Stream& stream, auto at) {
      depthwise_backward_filter<D, T>(stream, s, at(x), at(dy), at(dw));
    });
    c.expect(dw, [=](auto at) {
      return sum_products(nw, [&](Values& sums, Index xi, Index wi, Index yi) {
        sums[wi] += at(x)[xi] * at(dy)[yi];
      });
    });
    append(c, std::sqrt(s.n * s.out_h * s.out_w + 1.0) / 3);  // positions, of terms around 1/3
  }
}
}  // namespace

std::vector<OpCase> layout_cases() {
  std::vector<OpCase> rows;
  for_types([&]<class T>() {
    pixel_shuffle_cases<T>(rows);
    column_copies<T>(rows);
    pad_picture_cases<T>(rows);
    im2col_cases<T>(rows);
    depthwise_cases<T>(rows);
  });
  return rows;
}
}  // namespace bench::cases
