// A kernel for tests of the suite itself.
#pragma once
#include <string>

#include "bench/cases/op_cases.h"

namespace bench {

// out = 2a, with an error at one place if asked for.
inline cases::OpCase twice(const std::string& name, bool wrong) {
  auto c = cases::op_case<float>("twice", name);
  const auto a = c.in("a", 1000), out = c.out("out", 1000);
  c.run([=]<class D>(kernels::Stream&, auto at) {
    for (int i = 0; i < 1000; ++i) at(out)[i] = 2 * at(a)[i];
    if (wrong) at(out)[700] *= 1.01f;
  });
  c.expect(out, [=](auto at, cases::Index i) { return 2 * at(a)[i]; });
  c.flops = 1000;
  c.bench = true;
  return c;
}
}  // namespace bench
