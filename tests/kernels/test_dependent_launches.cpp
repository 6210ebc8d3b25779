// Block kernels are launched before their predecessor is done, and wait for it. A chain of
// short ones, with range kernels in between, gives the host's bits: eager, and as a graph.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "kernels/core/graph.h"
#include "kernels/core/memory.h"
#include "kernels/elementwise.h"
#include "kernels/epilogue.h"

namespace {

using namespace kernels;

constexpr std::int64_t kRows = 24, kColumns = 40;
constexpr EpilogueShape kShape{kRows, 1, 1, static_cast<int>(kColumns)};

// x = x + bias, sums = column sums of x, bias = sums / 32, and now and then x = x / 2. Each
// launch reads what the one before wrote.
template <class D> void run_chain(Stream& stream, float* x, float* bias, float* sums) {
  for (int round = 0; round < 50; ++round) {
    const float* const biases[] = {bias};
    float* const totals[] = {sums};
    epilogue_forward<D, float>(stream, {}, kShape, x, biases, nullptr, x);
    epilogue_backward<D, float>(stream, {}, kShape, nullptr, x, nullptr, x, totals);
    scale<D, float>(stream, sums, 1.f / 32, bias, kColumns);
    if (round % 3 == 0) scale<D, float>(stream, x, 0.5f, x, kRows * kColumns);
  }
}

template <class D> std::vector<float> chain(Device device, bool as_graph) {
  std::vector<float> start(kRows * kColumns + 2 * kColumns);
  for (std::size_t i = 0; i < start.size(); ++i) start[i] = static_cast<float>(i % 7) - 3;
  Stream& stream = Stream::of(device);
  const Buffer memory(device, start.size() * sizeof(float));
  float* const x = memory.as<float>();
  const auto run = [&] {
    run_chain<D>(stream, x, x + kRows * kColumns, x + (kRows + 1) * kColumns);
  };
  const auto begin = [&] { copy(x, device, start.data(), Device::host, memory.bytes()); };
  begin();
  run();  // fills the pool
  if (as_graph) {
    begin();
    GraphMemory graph_memory(device);
    Graph graph;
    graph.begin(stream);
    run();
    graph.end(stream);
    graph_memory.close();
    graph.launch(stream);
    stream.synchronize();
  }
  copy(start.data(), Device::host, x, device, memory.bytes());
  return start;
}

TEST(DependentLaunches, GiveTheHostsNumbers) {
  wide_epilogues_on_host = true;
  const std::vector<float> host = chain<Host>(Device::host, false);
  wide_epilogues_on_host = false;
  const std::vector<float> narrow = chain<Host>(Device::host, false);
  for (std::size_t i = 0; i < host.size(); ++i)
    ASSERT_NEAR(narrow[i], host[i], 1e-3 * (std::abs(host[i]) + 1)) << i;
#if DOPPEL_HAS_CUDA
  if (!probe_cuda().available) GTEST_SKIP() << probe_cuda().reason;
  for (const bool as_graph : {false, true}) {
    const std::vector<float> gpu = chain<Cuda>(Device::cuda, as_graph);
    EXPECT_EQ(gpu, chain<Cuda>(Device::cuda, as_graph));
    for (std::size_t i = 0; i < gpu.size(); ++i)
      ASSERT_NEAR(gpu[i], host[i], 1e-3 * (std::abs(host[i]) + 1)) << i;
  }
#endif
}
}  // namespace
