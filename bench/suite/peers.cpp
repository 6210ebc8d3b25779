#include "bench/suite/peers.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "bench/suite/gpu_side.h"
#include "kernels/conv/host/parallel_tasks.h"
#include "kernels/simt/config.h"

namespace bench {
namespace {

using cases::OpCase;
using cases::Pointers;
using kernels::bf16;
using kernels::Stream;

// f(first, last) for every worker's range of [0, n).
template <class F> void split(std::int64_t n, const F& f) {
  const std::int64_t workers = simt::worker_count();
  kernels::parallel_tasks(workers,
                          [&](std::int64_t w) { f(n * w / workers, n * (w + 1) / workers); });
}

// The plain loop on all cores, vectorized by the compiler for this build's baseline.
Peer loop(const OpCase& c) {
  const std::string& l = c.launcher;
  const std::int64_t n = c.operands.empty() ? 0 : c.operands[0].count;
  const bool all_float =
      std::all_of(c.operands.begin(), c.operands.end(),
                  [](const cases::Operand& o) { return o.dtype == cases::DType::f32; });
  if (!all_float || n == 0) return {};
  const auto flat = [n](const char* name, auto body) {
    return Peer{name, [n, body](Stream&, const Pointers& p) {
                  split(n, [&](std::int64_t first, std::int64_t last) {
                    for (std::int64_t i = first; i < last; ++i) body(p, i);
                  });
                }};
  };
  if (l == "add" && c.operands.size() == 3)
    return flat("loop", [](const Pointers& p, std::int64_t i) {
      p.get<float>(2)[i] = p.get<float>(0)[i] + p.get<float>(1)[i];
    });
  if (l == "scale")
    return flat("loop", [](const Pointers& p, std::int64_t i) {
      p.get<float>(1)[i] = -1.75f * p.get<float>(0)[i];
    });
  if (l == "fill")
    return {"std::fill", [n](Stream&, const Pointers& p) {
              split(n, [&](std::int64_t first, std::int64_t last) {
                std::fill(p.get<float>(0) + first, p.get<float>(0) + last, 0.625f);
              });
            }};
  if (l == "leaky_relu_backward")
    return flat("loop", [](const Pointers& p, std::int64_t i) {
      p.get<float>(2)[i] = p.get<float>(1)[i] * (p.get<float>(0)[i] > 0 ? 1.f : 0.1f);
    });
  if (l == "sum")
    return {"loop", [n](Stream&, const Pointers& p) {
              std::vector<double> sums(simt::worker_count());
              const auto workers = static_cast<std::int64_t>(sums.size());
              kernels::parallel_tasks(workers, [&](std::int64_t w) {
                double sum = 0;
                for (std::int64_t i = n * w / workers; i < n * (w + 1) / workers; ++i)
                  sum += static_cast<double>(p.get<float>(0)[i]);
                sums[static_cast<std::size_t>(w)] = sum;
              });
              *p.get<float>(1) = static_cast<float>(std::accumulate(sums.begin(), sums.end(), 0.0));
            }};
  return {};
}

// The system's row copy.
Peer copy_of_columns(const OpCase& c, kernels::Device device) {
  if (c.launcher != "copy_columns") return {};
  const std::size_t element = c.operands[0].dtype == cases::DType::f32 ? 4 : 2;
  const std::size_t from = c.name.rfind('/') + 1;
  std::int64_t rows = 0, columns = 0, source_pitch = 0, pitch = 0;
  if (std::sscanf(c.name.c_str() + from, "%ldx%ldx%ldx%ld", &rows, &columns, &source_pitch,
                  &pitch) != 4 ||
      rows == 0)
    return {};
  const std::size_t bytes = static_cast<std::size_t>(columns) * element,
                    from_pitch = static_cast<std::size_t>(source_pitch) * element,
                    to_pitch = static_cast<std::size_t>(pitch) * element;
#if DOPPEL_HAS_CUDA
  if (device == kernels::Device::cuda)
    return {"cudaMemcpy2D", [=](Stream& s, const Pointers& p) {
              gpu::copy_rows(s, p.get<char>(0), from_pitch, p.get<char>(1), to_pitch, bytes,
                             static_cast<std::size_t>(rows));
            }};
#endif
  if (device == kernels::Device::cuda) return {};
  return {"memcpy", [=](Stream&, const Pointers& p) {
            split(rows, [&](std::int64_t first, std::int64_t last) {
              for (std::int64_t i = first; i < last; ++i)
                std::memcpy(p.get<char>(1) + static_cast<std::size_t>(i) * to_pitch,
                            p.get<char>(0) + static_cast<std::size_t>(i) * from_pitch, bytes);
            });
          }};
}

bool is_gemm(const OpCase& c) { return c.launcher == "gemm" && c.shape.size() == 5 && c.element; }

// A host library's convolution or product, with the operands of the launcher. T: float
// and bf16.
template <class T>
void add_library(std::vector<Peer>& peers, const OpCase& c, HostLibrary library) {
  const char* const name = library == HostLibrary::own ? "own" : "oneDNN";
  const std::vector<std::int64_t>& v = c.shape;
  if (is_gemm(c))
    peers.push_back({name, [=](Stream&, const Pointers& p) {
                       host_gemm<T>(library, v[3] != 0, v[4] != 0, v[0], v[1], v[2], p.get<T>(0),
                                    p.get<T>(1), p.get<T>(2));
                     }});
  if (v.size() != 9) return;
  const auto at = [&](std::size_t i) { return static_cast<int>(v[i]); };
  const kernels::ConvShape s{v[0], at(1), at(2), at(3), at(4), at(5), at(6), at(7), at(8)};
  const kernels::ConvEpilogue epilogue{c.name.ends_with("/sigmoid") ? kernels::Activation::sigmoid
                                       : c.name.ends_with("/leaky_relu")
                                           ? kernels::Activation::leaky_relu
                                           : kernels::Activation::none,
                                       0.2f};
  const Direction direction = c.launcher == "conv_forward"         ? Direction::forward
                              : c.launcher == "conv_backward_data" ? Direction::data
                                                                   : Direction::filter;
  const bool forward = direction == Direction::forward,
             bias = forward && !c.name.ends_with("/plain");
  peers.push_back({name, [=](Stream&, const Pointers& p) {
                     host_conv<T>(library, direction, s, p.get<T>(0), p.get<T>(1),
                                  bias ? p.get<T>(2) : nullptr, p.get<T>(forward ? 3 : 2),
                                  epilogue);
                   }});
}
}  // namespace

Peers::Peers(const std::vector<std::string>& openblas_names) : openblas_(openblas_names) {
  libraries_.push_back({"OpenBLAS", openblas_.found(), openblas_.version, openblas_.reason});
  PeerLibrary onednn{"oneDNN", has(HostLibrary::onednn), "", ""};
  struct Version {
    int major, minor, patch;
  };
  using GetVersion = const Version* (*)();
  if (!onednn.found) onednn.reason = "this build has no oneDNN";
  else if (const auto get = reinterpret_cast<GetVersion>(dlsym(RTLD_DEFAULT, "dnnl_version")))
    onednn.version = fmt::format("{}.{}.{}", get()->major, get()->minor, get()->patch);
  libraries_.push_back(onednn);
}

std::vector<Peer> Peers::of_host(const OpCase& c) const {
  std::vector<Peer> peers;
  if (Peer plain = loop(c); plain.run) peers.push_back(std::move(plain));
  const cases::DType dtype = c.operands.back().dtype;
  for (const HostLibrary library : {HostLibrary::own, HostLibrary::onednn}) {
    if (!has(library)) continue;
    if (dtype == cases::DType::bf16) add_library<bf16>(peers, c, library);
    else if (dtype == cases::DType::f32) add_library<float>(peers, c, library);
  }
  if (openblas_.found() && is_gemm(c) && dtype == cases::DType::f32)
    peers.push_back({"OpenBLAS", [v = c.shape, blas = openblas_](Stream&, const Pointers& p) {
                       blas.gemm(v[3] != 0, v[4] != 0, v[0], v[1], v[2], p.get<float>(0),
                                 p.get<float>(1), p.get<float>(2));
                     }});
  return peers;
}

std::vector<Peer> Peers::of(const OpCase& c, kernels::Device device) const {
  std::vector<Peer> peers;
  if (device == kernels::Device::host) peers = of_host(c);
  if (Peer copy = copy_of_columns(c, device); copy.run) peers.push_back(std::move(copy));
#if DOPPEL_HAS_CUDA
  if (device == kernels::Device::cuda && c.launcher == "sum" &&
      c.operands[0].dtype == cases::DType::f32 && c.operands[0].count > 0)
    peers.push_back({"CUB", [n = c.operands[0].count](Stream& s, const Pointers& p) {
                       gpu::cub_sum(s, p.get<float>(0), p.get<float>(1), n);
                     }});
#endif
  return peers;
}
}  // namespace bench
