// Rows for kernels/epilogue.h: every activation, shuffled or not, with and without a bias, and
// second stages that wait for each other.
#include "kernels/epilogue.h"

#include <cmath>

#include "bench/cases/op_cases.h"
#include "bench/cases/reference.h"

namespace bench::cases {
namespace {

using namespace kernels;

template <class T>
void add_epilogue(std::vector<OpCase>& rows, Activation activation, const EpilogueShape& shape,
                  bool with_bias, bool in_place = false, bool bench = false) {
  const bool leaky = activation == Activation::leaky_relu;
  const bool sigmoid = activation == Activation::sigmoid;
  const bool shuffled = shape.r > 1, moves = leaky || sigmoid || shuffled;  // else dz is dy
  const Index columns = shape.columns(), n = shape.rows() * columns;
  const std::string kind = leaky ? "leaky_relu/" : sigmoid ? "sigmoid/" : "identity/";
  const std::string size = shuffled ? shape_name(shape.n, shape.h, shape.w, shape.c, shape.r)
                                    : shape_name(shape.rows(), columns);

  auto c = op_case<T>("epilogue_backward",
                      kind + size + (with_bias ? "" : "/no_bias") + (in_place ? "/in_place" : ""));
  Handle<T> y, dz, dbias;
  if (leaky || sigmoid) y = c.in("y", n, uniform_values(sigmoid ? 0 : -1, 1));
  const auto dy = in_place ? c.inout("dy", n) : c.in("dy", n);
  dz = moves && !in_place ? c.out("dz", n) : dy;
  if (with_bias) dbias = c.out("dbias", columns);
  c.run([=]<class D>(Stream& stream, auto at) {
    epilogue_backward<D, T>(stream, {activation, 0.1f}, shape, at(y), at(dy), at(dz), at(dbias));
  });

  const auto gradient = [=](auto at) {
    Values result = at(dy);
    for (std::size_t i = 0; i < result.size(); ++i) {
      if (leaky && at(y)[i] <= 0) result[i] *= static_cast<double>(0.1f);
      if (sigmoid) result[i] *= at(y)[i] * (1 - at(y)[i]);
    }
    return shuffled
               ? reference::pixel_shuffle(result, shape.n, shape.h, shape.w, shape.c, shape.r, true)
               : result;
  };
  if (with_bias)
    c.expect(dbias, [=](auto at) { return reference::sum_columns(gradient(at), columns); });
  if (moves) c.expect(dz, gradient);
  c.flops = (leaky ? 2.0 : sigmoid ? 4.0 : 1.0) * static_cast<double>(n);
  c.scale = std::sqrt(static_cast<double>(shape.rows()) + 1);
  c.bench = bench;
  rows.push_back(c);
}

// Second stages of many matrices in one launch: as many as a step of `original` has, and more
// than one launch takes.
template <class T> void add_second_stages(std::vector<OpCase>& rows, int matrices) {
  constexpr Index height = 40;
  const auto width = [](int i) { return Index{3} + 61 * (i % 7); };
  Index total = 0;
  for (int i = 0; i < matrices; ++i) total += width(i);

  auto c = op_case<T>("finish_column_sums", std::to_string(matrices) + "_matrices");
  const auto x = c.in("x", height * total), sums = c.out("sums", total);
  c.run([=]<class D>(Stream& stream, auto at) {
    PendingSums pending;
    Index first = 0;
    for (int i = 0; i < matrices; first += width(i++)) {
      T* const matrix = at(x) + height * first;
      epilogue_backward<D, T>(stream, {}, {height, 1, 1, static_cast<int>(width(i))}, nullptr,
                              matrix, matrix, at(sums) + first, &pending);
    }
    finish_column_sums<D>(stream, pending);
  });
  c.expect(sums, [=](auto at) {
    Values all;
    Index first = 0;
    for (int i = 0; i < matrices; first += width(i++)) {
      const auto begin = at(x).begin() + height * first;
      const Values one = reference::sum_columns({begin, begin + height * width(i)}, width(i));
      all.insert(all.end(), one.begin(), one.end());
    }
    return all;
  });
  c.flops = static_cast<double>(height * total);
  c.scale = std::sqrt(static_cast<double>(height) + 1);
  c.bench = matrices == 15;
  rows.push_back(c);
}

template <class T> void epilogue_cases_of(std::vector<OpCase>& rows) {
  const std::vector<EpilogueShape> flat{{0, 1, 1, 5},    {1, 1, 1, 1},    {5, 1, 1, 3},
                                        {33, 1, 1, 17},  {64, 1, 1, 128}, {7, 1, 1, 257},
                                        {3, 1, 1, 1000}, {6007, 1, 1, 3}, {300, 1, 1, 128}};
  // Lines shorter and longer than the rows of a wide row, channels under and over a block's
  // threads, r other than 2, no picture at all.
  const std::vector<EpilogueShape> pictures{{0, 2, 2, 3, 2},  {2, 3, 1, 3, 2},  {3, 5, 7, 2, 3},
                                            {2, 9, 33, 1, 2}, {3, 4, 6, 16, 2}, {2, 3, 5, 100, 2},
                                            {5, 16, 8, 64, 2}};
  for (const Activation f : {Activation::none, Activation::leaky_relu, Activation::sigmoid}) {
    for (const EpilogueShape& shape : flat) add_epilogue<T>(rows, f, shape, true);
    for (const EpilogueShape& shape : pictures) add_epilogue<T>(rows, f, shape, true);
    for (const int i : {0, 2, 3, 5}) add_epilogue<T>(rows, f, pictures[i], false);
    if (f == Activation::none) continue;
    for (const int i : {3, 8}) add_epilogue<T>(rows, f, flat[i], true, true);
    for (const bool in_place : {false, true}) add_epilogue<T>(rows, f, flat[3], false, in_place);
  }

  // A wide layer, one beyond every cache, and layers of `original`: the picture's last and the
  // decoder's last upscales.
  const auto bench = [&](Activation f, const EpilogueShape& shape) {
    add_epilogue<T>(rows, f, shape, true, false, true);
  };
  bench(Activation::none, {16384, 1, 1, 128});
  bench(Activation::leaky_relu, {16384, 1, 1, 128});
  bench(Activation::leaky_relu, {131072, 1, 1, 128});
  bench(Activation::sigmoid, {65536, 1, 1, 3});
  bench(Activation::leaky_relu, {16, 16, 16, 128, 2});
  bench(Activation::leaky_relu, {16, 32, 32, 64, 2});

  for (const int matrices : {1, 15, 40}) add_second_stages<T>(rows, matrices);
}
}  // namespace

std::vector<OpCase> epilogue_cases() {
  std::vector<OpCase> rows;
  for_types([&]<class T>() { epilogue_cases_of<T>(rows); });
  return rows;
}
}  // namespace bench::cases
