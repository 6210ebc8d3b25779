// The positional form of a row, for op_cases_columns.h.
#pragma once
#include <cmath>

#include "bench/cases/op_cases.h"
#include "bench/cases/reference.h"

namespace tests {

using namespace bench::cases;
using kernels::dtype_of;
using kernels::size_of;

template <class T>
Operand input(std::string name, Index count, Generator g = uniform_values(-1, 1)) {
  return {std::move(name), dtype_of<T>(), count, Role::in, std::move(g)};
}
template <class T> Operand output(std::string name, Index count) {
  return {std::move(name), dtype_of<T>(), count, Role::out, {}};
}
template <class T>
Operand in_and_out(std::string name, Index count, Generator g = uniform_values(-1, 1)) {
  return {std::move(name), dtype_of<T>(), count, Role::inout, std::move(g)};
}
template <class T> OpCase new_case(const std::string& launcher, const std::string& shape) {
  return op_case<T>(launcher, shape);
}

}  // namespace tests
