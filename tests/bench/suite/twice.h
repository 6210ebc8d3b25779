// A kernel for tests of the suite itself.
#pragma once
#include <string>

#include "bench/cases/op_cases.h"

namespace bench {

// out = 2a, with an error at one place if asked for.
inline tests::OpCase twice(const std::string& name, bool wrong) {
  tests::OpCase c = tests::new_case<float>("twice", name);
  c.operands = {tests::input<float>("a", 1000), tests::output<float>("out", 1000)};
  c.run = [wrong](kernels::Stream&, const tests::Pointers& p) {
    for (int i = 0; i < 1000; ++i) p.get<float>(1)[i] = 2 * p.get<float>(0)[i];
    if (wrong) p.get<float>(1)[700] *= 1.01f;
  };
  c.reference = [](std::vector<tests::Values>& v) {
    v[1] = v[0];
    for (double& x : v[1]) x *= 2;
  };
  c.bytes = 8000;
  c.flops = 1000;
  c.bench = true;
  return c;
}

}  // namespace bench
