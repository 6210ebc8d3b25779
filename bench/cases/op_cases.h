// One table of cases for every launcher of kernels/. A row gives the operands, the call, the
// expected result from independent double-precision loops (reference*.h), a tolerance, and
// the cost in bytes and FLOPs. One table drives the tests (oracle, order and thread count,
// guard bands, host against GPU) and the benchmark, so neither covers a kernel alone.
//
//   auto c = op_case<T>("add_leaky_relu", n);
//   const auto a = c.in("a", n), b = c.in("b", n), y = c.out("y", n);
//   c.run([=]<class D>(Stream& s, auto at) {
//     add_leaky_relu<D, T>(s, at(a), at(b), at(y), n, 0.2f);
//   });
//   c.expect(y, [=](auto at, Index i) { return reference::leaky(at(a)[i] + at(b)[i], 0.2f); });
//   c.flops = n;
//
// docs/adding-an-op.md has the steps around it.
#pragma once
#include <array>
#include <functional>
#include <initializer_list>
#include <random>
#include <string>
#include <vector>

#include "kernels/core/dispatch.h"
#include "kernels/core/dtype.h"
#include "kernels/core/step_state.h"
#include "kernels/core/types.h"

namespace bench::cases {

using kernels::bf16;
using kernels::DType;
using kernels::dtype_of;
using kernels::f16;
using kernels::name;
using kernels::size_of;
using kernels::StepState;
using kernels::Stream;
using Index = std::int64_t;
using Values = std::vector<double>;

enum class Role { in, out, inout };

// The fields of a StepState, as references. A field added to the struct stops compiling here.
template <class State> auto fields_of(State& state) {
  auto& [step, seed, learning_rate, clip_factor, gradient_norm, skipped, finite, skipped_in_a_row,
         loss_scale, good_steps, scale_interval, correction1, root_correction2, reserved] = state;
  return std::tie(step, seed, learning_rate, clip_factor, gradient_norm, skipped, finite,
                  skipped_in_a_row, loss_scale, good_steps, scale_interval, correction1,
                  root_correction2);
}
constexpr std::size_t state_fields =
    std::tuple_size_v<decltype(fields_of(std::declval<StepState&>()))>;
Values values_of(const StepState&);  // state_fields numbers
StepState state_of(const Values&);

// Fills an operand with inputs. The values are rounded to the operand's type before kernel
// and reference see them.
using Generator = std::function<void(Values&, std::mt19937_64&)>;
Generator uniform_values(double low, double high);
Generator byte_values();
Generator fixed_values(Values values);

struct Operand {
  std::string name;
  DType dtype;
  Index count;  // elements; of a StepState, its bytes
  Role role;
  Generator generate;  // of in and inout
  bool is_state = false;

  std::size_t bytes() const { return static_cast<std::size_t>(count) * size_of(dtype); }
  std::size_t values() const { return is_state ? state_fields : static_cast<std::size_t>(count); }
};

// The operands' addresses, in the order of OpCase::operands.
struct Pointers {
  std::vector<void*> at;
  template <class T> T* get(std::size_t i) const { return static_cast<T*>(at[i]); }
};

// One row of the table. Case<T> below fills it.
struct OpCase {
  std::string launcher;  // as in kernels/
  std::string name;      // launcher, type and shape
  std::vector<Operand> operands;
  std::function<void(Stream&, const Pointers&)> run;
  std::function<void(std::vector<Values>&)> reference;  // assigns all outputs from the inputs
  // One element of the last operand, from the inputs. Rows with it have element_samples
  // elements compared instead of all.
  std::function<double(const std::vector<Values>&, Index)> element;
  double bytes = 0;  // every operand read once and written once, according to its role
  double flops = 0;
  // Allowed: |got - want| <= loosen * relative(dtype) * (|want| + scale). `scale` is the size
  // of the terms of a sum.
  double scale = 1e-3;
  double loosen = 1;
  bool reordered = false;  // the GPU's vectors add in another order, so give other bits
  bool host_only = false;  // double
  bool bench = false;      // of a model's size: for the benchmark, too slow for every test
  bool sweep = false;      // for the benchmark: one of a series of sizes
  // For the benchmark's peers: gemm m, n, k, transpose_a, transpose_b; conv_* the fields of
  // ConvShape.
  std::vector<Index> shape;
};

constexpr std::size_t no_operand = ~std::size_t{0};
struct AnyHandle {
  std::size_t index = no_operand;  // in OpCase::operands
};
template <class T> struct Handle : AnyHandle { Index count = 0; };

// `at` of Case::run: the address of an operand, null for one that is left out.
struct Addresses {
  void* const* operands;
  template <class T> T* operator()(Handle<T> h) const {
    return h.index == no_operand ? nullptr : static_cast<T*>(operands[h.index]);
  }
};
// `at` of Case::expect: the values of an operand before the call, empty for one
// that is left out.
struct Inputs {
  const std::vector<Values>& operands;
  const Values& operator()(AnyHandle h) const {
    static const Values none;
    return h.index == no_operand ? none : operands[h.index];
  }
  StepState operator()(Handle<StepState> h) const { return state_of(operands[h.index]); }
};

inline Values as_values(Values v) { return v; }
inline Values as_values(const StepState& s) { return values_of(s); }

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

// An operand of another type than the row's: c.in(of<float>, "factor", 1).
template <class T> struct Of {};
template <class T> inline constexpr Of<T> of{};

// A row in the making. T: the type that decides between host and GPU, and the operands' type
// unless of<> gives another.
template <class T> class Case : public OpCase {
 public:
  Case(const std::string& launcher_, const std::string& type, const std::string& shape_) {
    launcher = launcher_;
    OpCase::name = launcher + "/" + type + "/" + shape_;
    host_only = std::is_same_v<T, double>;
  }

  Handle<T> in(std::string label, Index count, Generator g = uniform_values(-1, 1)) {
    return in(of<T>, std::move(label), count, std::move(g));
  }
  Handle<T> out(std::string label, Index count) { return out(of<T>, std::move(label), count); }
  Handle<T> inout(std::string label, Index count, Generator g = uniform_values(-1, 1)) {
    return inout(of<T>, std::move(label), count, std::move(g));
  }
  template <class U>
  Handle<U> in(Of<U>, std::string label, Index count, Generator g = uniform_values(-1, 1)) {
    return add<U>({std::move(label), dtype_of<U>(), count, Role::in, std::move(g)});
  }
  template <class U> Handle<U> out(Of<U>, std::string label, Index count) {
    return add<U>({std::move(label), dtype_of<U>(), count, Role::out, {}});
  }
  template <class U>
  Handle<U> inout(Of<U>, std::string label, Index count, Generator g = uniform_values(-1, 1)) {
    return add<U>({std::move(label), dtype_of<U>(), count, Role::inout, std::move(g)});
  }
  Handle<StepState> in(std::string label, const StepState& s) {
    return add<StepState>(
        {std::move(label), DType::u8, sizeof s, Role::in, fixed_values(values_of(s)), true});
  }
  Handle<StepState> inout(std::string label, const StepState& s) {
    return add<StepState>(
        {std::move(label), DType::u8, sizeof s, Role::inout, fixed_values(values_of(s)), true});
  }
  // The operand, or null in its place: it then costs no bytes.
  Handle<T> optional(bool present, Handle<T> h) {
    if (present) return h;
    bytes -= static_cast<double>(operands[h.index].bytes());
    return {};
  }

  // f<D>(stream, at) calls the launcher.
  template <class F> void run(F f) {
    OpCase::run = [f](Stream& stream, const Pointers& p) {
      dispatch<T>(stream,
                  [&]<class D>() { f.template operator()<D>(stream, Addresses{p.at.data()}); });
    };
  }

  // f(at, i) gives element i of `result`, or f(at) the whole operand. In both, `at` holds the
  // inputs as they were before the call, also those that the launcher overwrites.
  template <class U, class F> void expect(Handle<U> result, F f) {
    reference = [=, before = reference](std::vector<Values>& v) {
      Values y;
      if constexpr (std::is_invocable_v<F, Inputs, Index>) {
        y.resize(static_cast<std::size_t>(result.count));
        for (Index i = 0; i < result.count; ++i) y[i] = f(Inputs{v}, i);
      } else {
        y = as_values(f(Inputs{v}));
      }
      if (before) before(v);
      v[result.index] = std::move(y);
    };
  }
  // f(at) gives an array of whole operands, in the order of `results`.
  template <std::size_t N, class F> void expect(const AnyHandle (&results)[N], F f) {
    reference = [f, before = reference, list = std::to_array(results)](std::vector<Values>& v) {
      std::array<Values, N> y = f(Inputs{v});
      if (before) before(v);
      for (std::size_t k = 0; k < N; ++k) v[list[k].index] = std::move(y[k]);
    };
  }
  // f(at, i) gives one element of the last operand: for shapes whose reference takes minutes.
  template <class F> void expect_sampled(F f) {
    element = [f](const std::vector<Values>& v, Index i) { return f(Inputs{v}, i); };
  }

 private:
  template <class U> Handle<U> add(Operand o) {
    bytes += static_cast<double>(o.bytes()) * (o.role == Role::inout ? 2 : 1);
    operands.push_back(std::move(o));
    return {{operands.size() - 1}, operands.back().count};
  }
};

template <class T> Case<T> op_case(const std::string& launcher, const std::string& shape) {
  return {launcher, name(dtype_of<T>()), shape};
}
template <class T> Case<T> op_case(const std::string& launcher, Index n) {
  return op_case<T>(launcher, std::to_string(n));
}

// Calls f.operator()<T>() for every type of the launchers.
template <class F> void for_types(F&& f) {
  f.template operator()<float>();
  f.template operator()<bf16>();
  f.template operator()<f16>();
  f.template operator()<double>();
}

std::string joined(std::initializer_list<Index> sizes);  // "3x5"
template <class... N> std::string shape_name(N... n) { return joined({Index{n}...}); }

struct Matrix {
  Index rows, columns;
  bool bench = false;
};
std::vector<Matrix> matrices();

constexpr Index bench_length = 1 << 24;
constexpr Index cache_length = 1 << 21;  // the longest of a sweep: a host's default
// A row of `n` elements for the benchmark, or of a sweep where it is short.
void set_bench(OpCase& c, bool bench, Index n);

// The rows of one family each.
std::vector<OpCase> elementwise_cases();
std::vector<OpCase> layout_cases();
std::vector<OpCase> reduce_cases();
std::vector<OpCase> epilogue_cases();
std::vector<OpCase> detection_cases();
std::vector<OpCase> training_cases();
std::vector<OpCase> image_cases();
std::vector<OpCase> augment_cases();
std::vector<OpCase> seam_cases();
std::vector<OpCase> op_cases();  // all of them
}  // namespace bench::cases
