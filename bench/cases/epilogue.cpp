// Rows for kernels/epilogue.h and column_sums.h: every activation, shuffled or not, with and
// without a bias, in one and two branches, in the host's form and the GPU's; and second stages
// that wait for each other.
#include "kernels/epilogue.h"

#include <cmath>

#include "bench/cases/op_cases.h"
#include "bench/cases/reference.h"

namespace bench::cases {
namespace {

using namespace kernels;

// The GPU's form on the host too.
struct Wide {
  bool before = wide_epilogues_on_host;
  explicit Wide(bool on) { wide_epilogues_on_host = before || on; }
  ~Wide() { wide_epilogues_on_host = before; }
};

struct Row {
  Activation f;
  EpilogueShape shape;
  bool bias = true;
  bool added = false;  // a skip, or a second gradient
  bool in_place = false;
  int branches = 1;
  bool wide = false, bench = false;

  bool leaky() const { return f == Activation::leaky_relu; }
  bool sigmoid() const { return f == Activation::sigmoid; }
  bool shuffled() const { return shape.r > 1; }
  Index columns() const { return shape.columns(); }
  Index values() const { return branches * shape.rows() * columns(); }
  std::string name(const char* addend) const {
    std::string name = leaky() ? "leaky_relu/" : sigmoid() ? "sigmoid/" : "identity/";
    name += shuffled() ? shape_name(shape.n, shape.h, shape.w, shape.c, shape.r)
                       : shape_name(shape.rows(), columns());
    if (!bias) name += "/no_bias";
    if (added) name += std::string("/") + addend;
    if (in_place) name += "/in_place";
    if (branches > 1) name += "/branches";
    return name + (wide ? "/wide" : "");
  }
  // One matrix in the order of the shuffled picture, or back.
  Values shuffle(const Values& x, bool back) const {
    return shuffled() ? reference::pixel_shuffle(x, branches * shape.n, shape.h, shape.w, shape.c,
                                                 shape.r, back)
                      : x;
  }
};

template <class T> void add_forward(std::vector<OpCase>& rows, const Row& row) {
  const Index columns = row.columns(), n = row.values();
  auto c = op_case<T>("epilogue_forward", row.name("skip"));
  const auto z = row.in_place ? c.inout("z", n) : c.in("z", n);
  Handle<T> bias, skip;
  if (row.bias) bias = c.in("bias", row.branches * columns);
  if (row.added) skip = c.in("skip", n);
  const auto y = row.in_place ? z : c.out("y", n);
  c.run([=]<class D>(Stream& stream, auto at) {
    const Wide form(row.wide);
    std::vector<const T*> biases;
    for (int k = 0; k < row.branches && row.bias; ++k) biases.push_back(at(bias) + k * columns);
    epilogue_forward<D, T>(stream, {row.f, 0.1f}, row.shape, at(z), biases, at(skip), at(y));
  });
  c.expect(y, [=](auto at) {
    Values v = at(z);
    for (Index i = 0; i < n; ++i) {
      const Index branch = i / (n / row.branches);
      if (row.bias) v[i] += at(bias)[branch * columns + i % columns];
      if (row.added) v[i] += at(skip)[i];
      if (row.leaky()) v[i] = reference::leaky(v[i], 0.1f);
      if (row.sigmoid()) v[i] = 1 / (1 + std::exp(-v[i]));
    }
    return row.shuffle(v, false);
  });
  c.flops = 3.0 * static_cast<double>(n);
  c.scale = 1;
  c.bench = row.bench;
  rows.push_back(c);
}

template <class T> void add_backward(std::vector<OpCase>& rows, const Row& row) {
  const bool leaky = row.leaky(), sigmoid = row.sigmoid();
  const bool moves = leaky || sigmoid || row.shuffled() || row.added;  // else dz is dy
  const Index columns = row.columns(), n = row.values();

  auto c = op_case<T>("epilogue_backward", row.name("more"));
  Handle<T> y, more, dz, dbias;
  if (leaky || sigmoid) y = c.in("y", n, uniform_values(sigmoid ? 0 : -1, 1));
  if (row.added) more = c.in("more", n);
  const auto dy = row.in_place ? c.inout("dy", n) : c.in("dy", n);
  dz = moves && !row.in_place ? c.out("dz", n) : dy;
  if (row.bias) dbias = c.out("dbias", row.branches * columns);
  c.run([=]<class D>(Stream& stream, auto at) {
    const Wide form(row.wide);
    std::vector<T*> dbiases;
    for (int k = 0; k < row.branches && row.bias; ++k) dbiases.push_back(at(dbias) + k * columns);
    epilogue_backward<D, T>(stream, {row.f, 0.1f}, row.shape, at(y), at(dy), at(more), at(dz),
                            dbiases);
  });

  const auto gradient = [=](auto at) {
    Values result = at(dy);
    for (std::size_t i = 0; i < result.size(); ++i) {
      if (row.added) result[i] += at(more)[i];
      if (leaky && at(y)[i] <= 0) result[i] *= static_cast<double>(0.1f);
      if (sigmoid) result[i] *= at(y)[i] * (1 - at(y)[i]);
    }
    return row.shuffle(result, true);
  };
  if (row.bias)
    c.expect(dbias, [=](auto at) {
      const Values all = gradient(at);
      Values sums;
      for (int k = 0; k < row.branches; ++k) {
        const auto begin = all.begin() + k * (n / row.branches);
        const Values one = reference::sum_columns({begin, begin + n / row.branches}, columns);
        sums.insert(sums.end(), one.begin(), one.end());
      }
      return sums;
    });
  if (moves) c.expect(dz, gradient);
  c.flops = (leaky ? 2.0 : sigmoid ? 4.0 : 1.0) * static_cast<double>(n);
  c.scale = std::sqrt(static_cast<double>(row.shape.rows()) + 1);
  c.reordered = row.wide && row.bias;
  c.bench = row.bench;
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
      T* const sum = at(sums) + first;
      epilogue_backward<D, T>(stream, {}, {height, 1, 1, static_cast<int>(width(i))}, nullptr,
                              matrix, nullptr, matrix, {&sum, 1}, &pending);
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
    for (const bool wide : {false, true}) {
      for (const EpilogueShape& shape : flat)
        add_backward<T>(rows, {.f = f, .shape = shape, .wide = wide});
      for (const EpilogueShape& shape : pictures)
        add_backward<T>(rows, {.f = f, .shape = shape, .wide = wide});
      for (const int i : {0, 2, 3, 5})
        add_backward<T>(rows, {.f = f, .shape = pictures[i], .bias = false, .wide = wide});
      for (const bool added : {false, true}) {
        for (const EpilogueShape& shape : {flat[3], flat[8], pictures[2], pictures[4]})
          add_backward<T>(rows,
                          {.f = f, .shape = shape, .added = added, .branches = 2, .wide = wide});
        if (added)
          add_backward<T>(rows,
                          {.f = f, .shape = flat[3], .bias = false, .added = true, .wide = wide});
      }
      for (const bool bias : {false, true}) {
        add_backward<T>(rows, {.f = f,
                               .shape = flat[8],
                               .bias = bias,
                               .added = true,
                               .in_place = true,
                               .wide = wide});
        if (f == Activation::none) continue;
        for (const int i : {3, 8})
          add_backward<T>(rows,
                          {.f = f, .shape = flat[i], .bias = bias, .in_place = true, .wide = wide});
      }
    }
    // A tile and a part of one; several pieces.
    for (const EpilogueShape& shape :
         {EpilogueShape{5, 1, 1, 2056}, EpilogueShape{150, 1, 1, 1024}})
      add_backward<T>(rows, {.f = f, .shape = shape, .wide = true});
    for (const bool wide : {false, true}) {
      for (const int i : {0, 2, 3, 5, 7, 8})
        add_forward<T>(rows, {.f = f, .shape = flat[i], .wide = wide});
      for (const EpilogueShape& shape : pictures)
        add_forward<T>(rows, {.f = f, .shape = shape, .wide = wide});
      for (const EpilogueShape& shape : {flat[3], flat[8], pictures[2], pictures[4]})
        add_forward<T>(rows, {.f = f, .shape = shape, .branches = 2, .wide = wide});
      add_forward<T>(rows, {.f = f, .shape = flat[8], .added = true, .branches = 2, .wide = wide});
      add_forward<T>(rows, {.f = f, .shape = flat[3], .bias = false, .added = true, .wide = wide});
      add_forward<T>(rows,
                     {.f = f, .shape = flat[8], .added = true, .in_place = true, .wide = wide});
    }
  }

  // A wide layer, one beyond every cache, and layers of `original`: the picture's last and the
  // decoder's last upscales. Forward is benchmarked in the GPU's form alone: the host's
  // convolutions do it on their way.
  const auto bench = [&](Activation f, const EpilogueShape& shape, bool added = false,
                         int branches = 1) {
    add_backward<T>(rows,
                    {.f = f, .shape = shape, .added = added, .branches = branches, .bench = true});
    add_forward<T>(rows, {.f = f,
                          .shape = shape,
                          .added = added && shape.r == 1,
                          .branches = branches,
                          .bench = true});
  };
  constexpr auto kLeaky = Activation::leaky_relu;
  bench(Activation::none, {16384, 1, 1, 128});
  bench(kLeaky, {16384, 1, 1, 128});
  bench(kLeaky, {131072, 1, 1, 128});
  bench(kLeaky, {131072, 1, 1, 128}, true);
  bench(Activation::sigmoid, {65536, 1, 1, 3});
  bench(kLeaky, {16, 16, 16, 128, 2});
  bench(kLeaky, {16, 32, 32, 64, 2});
  bench(kLeaky, {16, 32, 32, 64, 2}, false, 2);

  for (const int matrices : {1, 15, 40}) add_second_stages<T>(rows, matrices);
}
}  // namespace

std::vector<OpCase> epilogue_cases() {
  std::vector<OpCase> rows;
  for_types([&]<class T>() { epilogue_cases_of<T>(rows); });
  return rows;
}
}  // namespace bench::cases
