// doppel_networks NETWORK INPUTS OUTPUTS RUNS [cuda]
// Runs a converted network on every picture of INPUTS, raw f32 values, and writes its
// outputs one behind the other to OUTPUTS. Then runs the first picture RUNS times and
// prints the median in milliseconds. DOPPEL_THREADS sets the threads.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>

#include "faceswap/faces/layer_list.h"

namespace {

std::vector<float> read_floats(const char* path) {
  std::ifstream file(path, std::ios::binary);
  const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
  return values;
}

double median_ms(const faceswap::LayerList& network, const nn::Tensor& x, int runs) {
  std::vector<double> times;
  for (int i = 0; i < runs + 3; ++i) {  // three to warm up
    const auto begin = std::chrono::steady_clock::now();
    network(x);
    x.stream().synchronize();
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
    if (i >= 3) times.push_back(took.count());
  }
  std::ranges::sort(times);
  return times[times.size() / 2];
}

int compare(int argc, char** argv) {
  if (argc < 5) {
    fmt::print(stderr, "usage: doppel_networks NETWORK INPUTS OUTPUTS RUNS [cuda]\n");
    return 2;
  }
  const nn::Device device =
      argc > 5 && std::string_view(argv[5]) == "cuda" ? nn::Device::cuda : nn::Device::host;
  const faceswap::LayerList network(argv[1], device);
  const std::vector<float> values = read_floats(argv[2]);
  const auto size = static_cast<std::size_t>(network.input().numel());
  if (values.size() < size || values.size() % size != 0)
    throw nn::Error(nn::ErrorKind::input, fmt::format("{}: {} numbers, expected a multiple of {}",
                                                      argv[2], values.size(), size));
  std::ofstream out(argv[3], std::ios::binary);
  const nn::Shape& s = network.input();
  const auto picture = [&](std::size_t i) {
    return nn::Tensor::from<float>(std::span(values).subspan(i * size, size), {1, s[0], s[1], s[2]},
                                   device);
  };
  for (std::size_t i = 0; i < values.size() / size; ++i)
    for (const nn::Tensor& output : network(picture(i))) {
      const std::vector<float> numbers = output.to(nn::Device::host).to_host<float>();
      out.write(reinterpret_cast<const char*>(numbers.data()),
                static_cast<std::streamsize>(numbers.size() * sizeof(float)));
    }
  fmt::print("{:.4f}\n", median_ms(network, picture(0), std::max(1, std::atoi(argv[4]))));
  return 0;
}
}  // namespace

int main(int argc, char** argv) {
  try {
    return compare(argc, argv);
  } catch (const nn::Error& error) {
    fmt::print(stderr, "doppel_networks: {}\n", error.what());
    return static_cast<int>(error.kind());
  }
}
