// Rows of bench/cases/op_cases.h for what kernels/epilogue.h does beside plain column sums (op_cases_elementwise.h): other activations,
// shuffled pictures, and second stages that wait for each other.
#pragma once
#include "bench/cases/op_cases_elementwise.h"
#include "kernels/epilogue.h"

namespace tests {

template <class T> void column_cases_of(std::vector<OpCase>& rows) {
  using namespace kernels;
  const double element = size_of(dtype_of<T>());
  // The shape of a picture's last layer among them.
  for (const Matrix& s : {Matrix{0, 5}, Matrix{1, 1}, Matrix{5, 3}, Matrix{33, 17}, Matrix{64, 128},
                          Matrix{7, 257}, Matrix{300, 128}, Matrix{65536, 3, true}}) {
    const std::int64_t n = s.rows * s.columns;
    for (const bool in_place : {false, true}) {
      if (in_place && s.rows != 33) continue;
      OpCase c = new_case<T>("bias_sigmoid_backward",
                             shape_name(s.rows, s.columns) + (in_place ? "/in_place" : ""));
      c.operands = {input<T>("y", n, uniform_values(0, 1)), input<T>("dy", n), output<T>("dx", n),
                    output<T>("dbias", s.columns)};
      if (in_place)
        c.operands = {input<T>("y", n, uniform_values(0, 1)), in_and_out<T>("dy", n),
                      output<T>("dbias", s.columns)};
      c.run = [=](Stream& stream, const Pointers& p) {
        dispatch<T>(stream, [&]<class D>() {
          bias_sigmoid_backward<D, T>(stream, p.get<T>(0), p.get<T>(1), p.get<T>(in_place ? 1 : 2),
                                      p.get<T>(in_place ? 2 : 3), s.rows, s.columns);
        });
      };
      c.reference = [=](std::vector<Values>& v) {
        Values dx(v[1].size());
        for (std::size_t i = 0; i < dx.size(); ++i) dx[i] = v[1][i] * v[0][i] * (1 - v[0][i]);
        v[in_place ? 2 : 3] = reference::sum_columns(dx, s.columns);
        v[in_place ? 1 : 2] = dx;
      };
      c.bytes = 3 * element * static_cast<double>(n);
      c.flops = 4 * static_cast<double>(n);
      c.scale = std::sqrt(static_cast<double>(s.rows) + 1);
      c.bench = s.bench;
      rows.push_back(c);
    }
  }

  // Lines shorter and longer than a wide row has rows, channels under and over a block's threads, r other than 2, no picture at all; and
  // the last upscales of `original`'s decoder.
  struct Picture {
    std::int64_t n;
    int h, w, c, r;
    bool bench = false;
  };
  for (const Picture& s : {Picture{0, 2, 2, 3, 2}, Picture{1, 1, 1, 1, 1}, Picture{2, 3, 1, 3, 2},
                           Picture{3, 5, 7, 2, 3}, Picture{2, 9, 33, 1, 2}, Picture{3, 4, 6, 16, 2},
                           Picture{2, 3, 5, 100, 2}, Picture{5, 16, 8, 64, 2},
                           Picture{16, 16, 16, 128, 2, true}, Picture{16, 32, 32, 64, 2, true}}) {
    const std::int64_t n = s.n * s.h * s.w * s.r * s.r * s.c,
                       columns = std::int64_t{s.r} * s.r * s.c;
    OpCase c = new_case<T>("bias_leaky_relu_shuffle_backward", shape_name(s.n, s.h, s.w, s.c, s.r));
    c.operands = {input<T>("y", n), input<T>("dy", n), output<T>("dx", n),
                  output<T>("dbias", columns)};
    c.run = [=](Stream& stream, const Pointers& p) {
      dispatch<T>(stream, [&]<class D>() {
        bias_leaky_relu_shuffle_backward<D, T>(stream, p.get<T>(0), p.get<T>(1), p.get<T>(2),
                                               p.get<T>(3), s.n, s.h, s.w, s.c, s.r, 0.1f);
      });
    };
    c.reference = [=](std::vector<Values>& v) {
      Values shuffled(v[1].size());
      for (std::size_t i = 0; i < shuffled.size(); ++i)
        shuffled[i] = v[0][i] > 0 ? v[1][i] : static_cast<double>(0.1f) * v[1][i];
      v[2] = reference::pixel_shuffle(shuffled, s.n, s.h, s.w, s.c, s.r, true);
      v[3] = reference::sum_columns(v[2], columns);
    };
    c.bytes = 3 * element * static_cast<double>(n);
    c.flops = 2 * static_cast<double>(n);
    c.scale = std::sqrt(static_cast<double>(s.n * s.h * s.w) + 1);
    c.bench = s.bench;
    rows.push_back(c);
  }

  // Second stages of many matrices in one launch: as many as a step of `original` has, and more than one launch takes.
  for (const int matrices : {1, 15, 40}) {
    constexpr std::int64_t matrix_rows = 40;
    const auto columns_of = [](int i) { return std::int64_t{3} + 61 * (i % 7); };
    std::int64_t total = 0;
    for (int i = 0; i < matrices; ++i) total += columns_of(i);
    OpCase c = new_case<T>("finish_column_sums", std::to_string(matrices) + "_matrices");
    c.operands = {input<T>("x", matrix_rows * total), output<T>("sums", total)};
    c.run = [=](Stream& stream, const Pointers& p) {
      dispatch<T>(stream, [&]<class D>() {
        PendingSums pending;
        std::int64_t at = 0;
        for (int i = 0; i < matrices; at += columns_of(i++))
          sum_columns<D, T>(stream, p.get<T>(0) + matrix_rows * at, p.get<T>(1) + at, matrix_rows,
                            columns_of(i), &pending);
        finish_column_sums<D>(stream, pending);
      });
    };
    c.reference = [=](std::vector<Values>& v) {
      Values sums;
      std::int64_t at = 0;
      for (int i = 0; i < matrices; at += columns_of(i++)) {
        const Values matrix(v[0].begin() + matrix_rows * at,
                            v[0].begin() + matrix_rows * (at + columns_of(i)));
        const Values of_matrix = reference::sum_columns(matrix, columns_of(i));
        sums.insert(sums.end(), of_matrix.begin(), of_matrix.end());
      }
      v[1] = sums;
    };
    c.bytes = element * static_cast<double>(matrix_rows * total);
    c.flops = static_cast<double>(matrix_rows * total);
    c.scale = std::sqrt(static_cast<double>(matrix_rows) + 1);
    c.bench = matrices == 15;
    rows.push_back(c);
  }
}

inline std::vector<OpCase> column_cases() {
  std::vector<OpCase> rows;
  for_types([&]<class T>() { column_cases_of<T>(rows); });
  return rows;
}

}  // namespace tests
