// Rows of bench/cases/op_cases.h for kernels/epilogue.h: every activation, shuffled or
// not, with and without a bias, and second stages that wait for each other.
#pragma once
#include <optional>

#include "bench/cases/op_cases_elementwise.h"
#include "kernels/epilogue.h"

namespace tests {

template <class T>
OpCase epilogue_case(kernels::Activation activation, const kernels::EpilogueShape& shape, bool bias,
                     bool in_place = false) {
  using kernels::Activation;
  const bool leaky = activation == Activation::leaky_relu,
             sigmoid = activation == Activation::sigmoid, shuffled = shape.r > 1;
  const std::int64_t rows = shape.rows(), columns = shape.columns(), n = rows * columns;
  OpCase c = new_case<T>("epilogue_backward",
                         std::string(leaky     ? "leaky_relu/"
                                     : sigmoid ? "sigmoid/"
                                               : "identity/") +
                             (shuffled ? shape_name(shape.n, shape.h, shape.w, shape.c, shape.r)
                                       : shape_name(rows, columns)) +
                             (bias ? "" : "/no_bias") + (in_place ? "/in_place" : ""));

  std::optional<std::size_t> y, dbias;  // absent without an activation; without a bias
  const auto add = [&](Operand operand) {
    c.operands.push_back(std::move(operand));
    return c.operands.size() - 1;
  };
  if (leaky || sigmoid) y = add(input<T>("y", n, uniform_values(sigmoid ? 0 : -1, 1)));
  const std::size_t dy = add(in_place ? in_and_out<T>("dy", n) : input<T>("dy", n));
  const bool moves = leaky || sigmoid || shuffled;  // else dz is dy
  const std::size_t dz = moves && !in_place ? add(output<T>("dz", n)) : dy;
  if (bias) dbias = add(output<T>("dbias", columns));

  c.run = [=](Stream& stream, const Pointers& p) {
    dispatch<T>(stream, [&]<class D>() {
      kernels::epilogue_backward<D, T>(stream, {activation, 0.1f}, shape,
                                       y ? p.get<T>(*y) : nullptr, p.get<T>(dy), p.get<T>(dz),
                                       dbias ? p.get<T>(*dbias) : nullptr);
    });
  };
  c.reference = [=](std::vector<Values>& v) {
    Values result = v[dy];
    for (std::size_t i = 0; i < result.size(); ++i) {
      if (leaky && v[*y][i] <= 0) result[i] *= static_cast<double>(0.1f);
      if (sigmoid) result[i] *= v[*y][i] * (1 - v[*y][i]);
    }
    if (shuffled)
      result = reference::pixel_shuffle(result, shape.n, shape.h, shape.w, shape.c, shape.r, true);
    if (dbias) v[*dbias] = reference::sum_columns(result, columns);
    if (moves) v[dz] = result;
  };
  const double element = size_of(dtype_of<T>());
  c.bytes = (y ? 3 : moves ? 2 : 1) * element * static_cast<double>(n);
  c.flops = (leaky ? 2 : sigmoid ? 4 : 1) * static_cast<double>(n);
  c.scale = std::sqrt(static_cast<double>(rows) + 1);
  return c;
}

template <class T> void column_cases_of(std::vector<OpCase>& rows) {
  using namespace kernels;
  const double element = size_of(dtype_of<T>());
  const std::vector<EpilogueShape> flat{{0, 1, 1, 5},    {1, 1, 1, 1},    {5, 1, 1, 3},
                                        {33, 1, 1, 17},  {64, 1, 1, 128}, {7, 1, 1, 257},
                                        {3, 1, 1, 1000}, {6007, 1, 1, 3}, {300, 1, 1, 128}};
  // Lines shorter and longer than a wide row has rows, channels under and over a
  // block's threads, r other than 2, no picture at all.
  const std::vector<EpilogueShape> pictures{{0, 2, 2, 3, 2},  {2, 3, 1, 3, 2},  {3, 5, 7, 2, 3},
                                            {2, 9, 33, 1, 2}, {3, 4, 6, 16, 2}, {2, 3, 5, 100, 2},
                                            {5, 16, 8, 64, 2}};
  for (const Activation activation :
       {Activation::none, Activation::leaky_relu, Activation::sigmoid}) {
    for (const EpilogueShape& shape : flat)
      rows.push_back(epilogue_case<T>(activation, shape, true));
    for (const EpilogueShape& shape : pictures)
      rows.push_back(epilogue_case<T>(activation, shape, true));
    for (const EpilogueShape& shape : {pictures[0], pictures[2], pictures[3], pictures[5]})
      rows.push_back(epilogue_case<T>(activation, shape, false));
    if (activation == Activation::none) continue;
    rows.push_back(epilogue_case<T>(activation, flat[3], true, true));
    rows.push_back(epilogue_case<T>(activation, flat[8], true, true));
    for (const bool in_place : {false, true})
      rows.push_back(epilogue_case<T>(activation, flat[3], false, in_place));
  }

  // A wide layer, one beyond every cache, and layers of `original`: the picture's last
  // and the decoder's last upscales.
  const auto bench = [&](Activation activation, const EpilogueShape& shape) {
    rows.push_back(epilogue_case<T>(activation, shape, true));
    rows.back().bench = true;
  };
  bench(Activation::none, {16384, 1, 1, 128});
  bench(Activation::leaky_relu, {16384, 1, 1, 128});
  bench(Activation::leaky_relu, {131072, 1, 1, 128});
  bench(Activation::sigmoid, {65536, 1, 1, 3});
  bench(Activation::leaky_relu, {16, 16, 16, 128, 2});
  bench(Activation::leaky_relu, {16, 32, 32, 64, 2});

  // Second stages of many matrices in one launch: as many as a step of `original` has,
  // and more than one launch takes.
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
          epilogue_backward<D, T>(stream, {}, {matrix_rows, 1, 1, static_cast<int>(columns_of(i))},
                                  nullptr, p.get<T>(0) + matrix_rows * at,
                                  p.get<T>(0) + matrix_rows * at, p.get<T>(1) + at, &pending);
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
