// What a launcher says that it moves, counted on the meta device, against the operands of
// its rows in the op table.
#include <gtest/gtest.h>

#include <map>

#include "bench/cases/op_runner.h"

namespace {

using namespace bench::cases;

// Bytes of all launches of a row.
double counted(const OpCase& c) {
  std::vector<kernels::Buffer> memory;
  Pointers pointers;
  for (const Operand& o : c.operands) {
    memory.emplace_back(kernels::Device::meta, o.bytes());
    pointers.at.push_back(memory.back().data());
  }
  Stream& stream = Stream::of(kernels::Device::meta);
  stream.take_counted();
  c.run(stream, pointers);
  double bytes = 0;
  for (const kernels::CountedLaunch& launch : stream.take_counted()) bytes += launch.bytes;
  return bytes;
}

TEST(CountedBytes, X) {
  std::map<std::string, std::pair<double, double>> r;
  std::map<std::string, std::string> worst, least;
  for (const OpCase& c : op_cases()) {
    if (c.host_only) continue;
    double b;
    try {
      b = counted(c);
    } catch (const std::exception& e) {
      printf("%s threw %s\n", c.name.c_str(), e.what());
      continue;
    }
    if (c.bytes == 0) {
      if (b != 0) printf("%s: %f of 0\n", c.name.c_str(), b);
      continue;
    }
    if (!c.bench) continue;
    const double ratio = b / c.bytes;
    auto& v = r.try_emplace(c.launcher, 1e9, 0).first->second;
    if (ratio > v.second) worst[c.launcher] = c.name;
    if (ratio < v.first) least[c.launcher] = c.name;
    v = {std::min(v.first, ratio), std::max(v.second, ratio)};
  }
  for (auto& [k, v] : r)
    printf("%-30s %.3f %.3f %s %s\n", k.c_str(), v.first, v.second, least[k].c_str(),
           worst[k].c_str());
}
}  // namespace
