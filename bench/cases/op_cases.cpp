#include "bench/cases/op_cases.h"

namespace bench::cases {

Values values_of(const StepState& s) {
  return std::apply([](const auto&... x) { return Values{static_cast<double>(x)...}; },
                    fields_of(s));
}
StepState state_of(const Values& v) {
  StepState s;
  std::apply(
      [&, i = std::size_t{0}](auto&... x) mutable {
        ((x = static_cast<std::remove_reference_t<decltype(x)>>(v.at(i++))), ...);
      },
      fields_of(s));
  return s;
}

Generator uniform_values(double low, double high) {
  return [=](Values& v, std::mt19937_64& random) {
    std::uniform_real_distribution<double> draw(low, high);
    for (double& x : v) x = draw(random);
  };
}
Generator byte_values() {
  return [](Values& v, std::mt19937_64& random) {
    for (double& x : v) x = static_cast<double>(random() & 255);
  };
}
Generator fixed_values(Values values) {
  return [values = std::move(values)](Values& v, std::mt19937_64&) { v = values; };
}

std::string joined(std::initializer_list<Index> sizes) {
  std::string s;
  for (const Index n : sizes) {
    if (!s.empty()) s += 'x';
    s += std::to_string(n);
  }
  return s;
}

// Odd, tiny and empty shapes; more columns than a block has threads; enough elements for
// several pieces per worker; and the largest activation of `original`.
std::vector<Matrix> matrices() {
  return {{0, 5},    {1, 1},    {5, 3},     {33, 17},           {64, 128},          {7, 257},
          {3, 1000}, {6007, 3}, {300, 128}, {16384, 128, true}, {131072, 128, true}};
}

void set_bench(OpCase& c, bool bench, Index n) {
  c.bench = bench;
  c.sweep = bench && n < bench_length;
}

std::vector<OpCase> op_cases() {
  std::vector<OpCase> all;
  for (const auto family :
       {elementwise_cases, layout_cases, reduce_cases, epilogue_cases, detection_cases,
        training_cases, image_cases, augment_cases, seam_cases})
    for (OpCase& row : family()) all.push_back(std::move(row));
  return all;
}
}  // namespace bench::cases
