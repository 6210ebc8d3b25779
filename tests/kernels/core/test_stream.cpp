// Streams, graphs, the probe and the dispatch on a device.
#include "kernels/core/stream.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <optional>
#include <string>

#include "kernels/core/dispatch.h"
#include "kernels/core/graph.h"
#include "kernels/core/memory.h"

using namespace kernels;

namespace {

constexpr Device host = Device::host;

TEST(Streams, TheHostRunsAtOnceAndCapturesNothing) {
  Stream& stream = Stream::of(host);
  EXPECT_EQ(&stream, &Stream::of(host));
  EXPECT_EQ(stream.device(), host);
  EXPECT_EQ(stream.raw(), nullptr);
  EXPECT_FALSE(stream.capturing());
  stream.synchronize();
  Graph graph;
  EXPECT_THROW(graph.begin(stream), Error);
  EXPECT_FALSE(graph.ready());
  EXPECT_THROW(graph.launch(stream), Error);
  graph.abandon(stream);
}

TEST(Streams, TheProbeGivesAReason) {
  const CudaReport report = probe_cuda();
  EXPECT_EQ(report.built, DOPPEL_HAS_CUDA != 0);
  EXPECT_FALSE(report.reason.empty());
  if (report.available) {
    EXPECT_GE(report.compute_capability, 75);
    EXPECT_GT(report.memory_bytes, 0u);
    EXPECT_EQ(choose_device("auto"), Device::cuda);
    return;
  }
  EXPECT_EQ(choose_device("auto"), host);
  try {
    choose_device("cuda");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::device);
    EXPECT_NE(std::string(error.what()).find(report.reason), std::string::npos);
  }
  EXPECT_THROW(Stream::of(Device::cuda), Error);
  EXPECT_THROW(Stream::of(Device::cuda), Error);  // and again
  EXPECT_THROW(allocate(Device::cuda, 100), Error);
}

TEST(Streams, DeviceNames) {
  EXPECT_STREQ(name(Device::host), "host");
  EXPECT_STREQ(name(Device::cuda), "cuda");
  EXPECT_EQ(choose_device("cpu"), host);
  try {
    choose_device("tpu");
    FAIL();
  } catch (const Error& error) { EXPECT_EQ(error.kind(), ErrorKind::usage); }
}

TEST(Streams, TheGpuIsChosenAmongTheVisible) {
  probe_cuda();  // later changes of the environment do not touch this process's GPU
  const char* const variables[] = {"CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"};
  std::optional<std::string> before[2];
  for (int i = 0; i < 2; ++i)
    if (const char* const value = std::getenv(variables[i])) before[i] = value;
  const auto chosen = [&](const char* visible, int number) -> std::string {
    if (visible) ::setenv(variables[0], visible, 1);
    else ::unsetenv(variables[0]);
    select_gpu(number);
    return std::getenv(variables[0]);
  };
  EXPECT_EQ(chosen(nullptr, 0), "0");
  EXPECT_EQ(chosen(nullptr, 3), "3");
  EXPECT_EQ(chosen("5,7", 1), "7");
  EXPECT_EQ(chosen("GPU-4c0ffee", 0), "GPU-4c0ffee");
  try {
    chosen("5,7", 2);
    ADD_FAILURE() << "there is no third one";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    EXPECT_NE(std::string(error.what()).find("5,7"), std::string::npos) << error.what();
  }
  for (int i = 0; i < 2; ++i)
    if (before[i]) ::setenv(variables[i], before[i]->c_str(), 1);
    else ::unsetenv(variables[i]);
}

TEST(Dispatch, CallsTheDeviceOfTheStream) {
  const bool on_host =
      on_device(Stream::of(host), []<class D>() { return std::is_same_v<D, Host>; });
  EXPECT_TRUE(on_host);
#if !DOPPEL_HAS_CUDA
  EXPECT_THROW(on_device(Device::cuda, []<class D>() { return 0; }), Error);
#endif
}
}  // namespace
