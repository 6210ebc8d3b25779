// The bytes that a launcher declares, counted on the meta device, against the operands of
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

// Counted bytes relative to the operands', where they differ for a reason.
struct Range {
  double least, most;
};
const std::map<std::string, Range> kReasons{
    {"augment", {0.5, 0.6}},                  // the row counts texels that come from cache
    {"conv_forward", {1, 3}},                 // on a GPU a pass over the result may follow
    {"depthwise_backward_filter", {1, 1.2}},  // partial sums
    {"epilogue_backward", {1, 1.1}},          // partial sums
    {"finish_column_sums", {1.8, 2.8}},       // partial sums, written and read
    {"image_loss", {1, 5.7}},                 // SSIM's derivatives go through memory, in float
};

constexpr double kSlack = 1e-3;  // results of a few values, biases inside a product

TEST(CountedBytes, AreThoseOfTheOperands) {
  int rows = 0;
  for (const OpCase& c : op_cases()) {
    if (c.host_only || !c.bench || c.bytes == 0) continue;  // small rows: scratch outweighs them
    const auto reason = kReasons.find(c.launcher);
    const Range allowed = reason == kReasons.end() ? Range{1, 1} : reason->second;
    const double ratio = counted(c) / c.bytes;
    EXPECT_GE(ratio, allowed.least - kSlack) << c.name;
    EXPECT_LE(ratio, allowed.most + kSlack) << c.name;
    ++rows;
  }
  EXPECT_GT(rows, 100);
}

// A cost without its launch would go to the next one.
TEST(CountedBytes, BelongToOneLaunch) {
  Stream& stream = Stream::of(kernels::Device::meta);
  stream.take_counted();
  stream.moves(8).computes(3, {1, 2, 3}).dry_run("first");
  stream.dry_run("second");
  const auto launches = stream.take_counted();
  ASSERT_EQ(launches.size(), 2u);
  EXPECT_EQ(launches[0].bytes, 8);
  EXPECT_EQ(launches[0].product.k, 3);
  EXPECT_EQ(launches[1].bytes + launches[1].flops + launches[1].product.m, 0);
  EXPECT_FALSE(Stream::of(kernels::Device::host).moves(8).dry_run("host"));
}
}  // namespace
