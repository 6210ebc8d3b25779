// One table of cases for every launcher in kernels/*.h. A row says how to call the launcher, what the answer is (independent
// double-precision loops, tests/reference*.h), how close is close enough, and what it costs in bytes and FLOPs. The same rows drive
// the oracle test, the order and thread-count tests, guard bands and poison, host against GPU, the bitwise rerun, and the benchmark.
//
// To add an op: write a function that returns its rows beside the others (tests/op_cases_*.h) and add it to op_cases() below.
#pragma once
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "kernels/core/dispatch.h"
#include "kernels/core/step_state.h"
#include "kernels/core/types.h"

namespace tests {

using kernels::bf16;
using kernels::f16;
using kernels::Stream;
using Values = std::vector<double>;

enum class DType {
  f32,
  bf16,
  f16,
  f64,
  u8,
  state
};  // state: one StepState, seen as eleven numbers in the order of its fields
enum class Role { in, out, inout };

template <class T> constexpr DType dtype_of() {
  if constexpr (std::is_same_v<T, float>) return DType::f32;
  else if constexpr (std::is_same_v<T, bf16>) return DType::bf16;
  else if constexpr (std::is_same_v<T, f16>) return DType::f16;
  else if constexpr (std::is_same_v<T, double>) return DType::f64;
  else if constexpr (std::is_same_v<T, kernels::StepState>) return DType::state;
  else return DType::u8;
}
template <class T> std::string dtype_name() {
  return std::is_same_v<T, float>    ? "f32"
         : std::is_same_v<T, bf16>   ? "bf16"
         : std::is_same_v<T, f16>    ? "f16"
         : std::is_same_v<T, double> ? "f64"
                                     : "u8";
}

// Fills an operand with inputs. The values are rounded to the operand's type before kernel and reference see them.
using Generator = std::function<void(Values&, std::mt19937_64&)>;
inline Generator uniform_values(double low, double high) {
  return [=](Values& v, std::mt19937_64& random) {
    std::uniform_real_distribution<double> draw(low, high);
    for (double& x : v) x = draw(random);
  };
}
inline Generator byte_values() {
  return [](Values& v, std::mt19937_64& random) {
    for (double& x : v) x = static_cast<double>(random() & 255);
  };
}
inline Generator fixed_values(Values values) {
  return [values = std::move(values)](Values& v, std::mt19937_64&) { v = values; };
}

struct Operand {
  std::string name;
  DType dtype;
  std::int64_t count;  // elements (StepStates for DType::state)
  Role role;
  Generator generate = uniform_values(-1, 1);  // of in and inout
};
template <class T>
Operand input(std::string name, std::int64_t count, Generator g = uniform_values(-1, 1)) {
  return {std::move(name), dtype_of<T>(), count, Role::in, std::move(g)};
}
template <class T> Operand output(std::string name, std::int64_t count) {
  return {std::move(name), dtype_of<T>(), count, Role::out, {}};
}
template <class T>
Operand in_and_out(std::string name, std::int64_t count, Generator g = uniform_values(-1, 1)) {
  return {std::move(name), dtype_of<T>(), count, Role::inout, std::move(g)};
}

// The operands' addresses, in the order of OpCase::operands.
struct Pointers {
  std::vector<void*> at;
  template <class T> T* get(std::size_t i) const { return static_cast<T*>(at[i]); }
};

struct OpCase {
  std::string launcher;  // as in kernels/*.h
  std::string name;      // launcher, type and shape
  std::vector<Operand> operands;
  std::function<void(Stream&, const Pointers&)> run;
  std::function<void(std::vector<Values>&)>
      reference;  // gets all operands, assigns those that are out or inout
  // One element of the only output, from the inputs: for rows whose whole reference takes minutes. Where it is set, element_samples
  // elements are compared instead of all.
  std::function<double(const std::vector<Values>&, std::int64_t)> element;
  double bytes = 0;  // read once plus written once
  double flops = 0;
  // |got - want| <= loosen * relative(dtype of the operand) * (|want| + scale). scale is the size of the terms that a sum adds up.
  double scale = 1e-3;
  double loosen = 1;
  bool host_only = false;  // double
  bool bench =
      false;  // a shape of the models' own size: for the benchmark, too slow for the reference in every test
  bool sweep = false;  // for the benchmark: one of a series of sizes
  std::vector<std::int64_t>
      shape;  // what the benchmark's peers must know: gemm m, n, k, transpose_a, transpose_b; conv_* the fields of ConvShape
};

inline double relative_tolerance(DType dtype) {
  switch (dtype) {
    case DType::f64: return 1e-12;
    case DType::bf16: return 8e-3;  // one unit in the last of eight bits
    case DType::f16: return 1e-3;   // of eleven
    case DType::u8: return 0;  // bytes are compared as such; see Check in bench/cases/op_runner.h
    default: return 1e-5;
  }
}

// Calls f.operator()<Device>() for the stream's device; double exists on the host alone.
template <class T, class F> void dispatch(Stream& stream, F&& f) {
  if constexpr (std::is_same_v<T, double>) {
    if (stream.device() != kernels::Device::host)
      throw kernels::Error(kernels::ErrorKind::usage, "double kernels run on the host only");
    f.template operator()<kernels::Host>();
  } else {
    kernels::on_device(stream, std::forward<F>(f));
  }
}

// Calls f.operator()<T>() for every type that launchers are instantiated for.
template <class F> void for_types(F&& f) {
  f.template operator()<float>();
  f.template operator()<bf16>();
  f.template operator()<f16>();
  f.template operator()<double>();
}

template <class... N> std::string shape_name(N... n) {
  std::string s;
  ((s += (s.empty() ? "" : "x") + std::to_string(n)), ...);
  return s;
}
template <class T> OpCase new_case(const std::string& launcher, const std::string& shape) {
  OpCase c;
  c.launcher = launcher;
  c.name = launcher + "/" + dtype_name<T>() + "/" + shape;
  c.host_only = std::is_same_v<T, double>;
  return c;
}

}  // namespace tests

#include "bench/cases/op_cases_columns.h"
#include "bench/cases/op_cases_elementwise.h"
#include "bench/cases/op_cases_image.h"
#include "bench/cases/op_cases_seams.h"
#include "bench/cases/op_cases_training.h"

namespace tests {

inline std::vector<OpCase> op_cases() {
  std::vector<OpCase> all;
  const auto append = [&](std::vector<OpCase> rows) {
    for (OpCase& row : rows) all.push_back(std::move(row));
  };
  append(elementwise_cases());
  append(layout_cases());
  append(reduce_cases());
  append(column_cases());
  append(loss_cases());
  append(optimizer_cases());
  append(random_cases());
  append(color_cases());
  append(blend_cases());
  append(warp_cases());
  append(augment_cases());
  append(seam_cases());
  return all;
}

}  // namespace tests
