#include "bench/suite/peers.h"

#include <dlfcn.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "bench/suite/gpu_side.h"
#include "bench/suite/host_variants.h"
#include "kernels/conv/host/parallel_tasks.h"
#include "kernels/simt/config.h"

namespace bench {
namespace {

using cases::OpCase;
using cases::Pointers;
using kernels::bf16;
using kernels::Stream;

// f(first, last) on every worker's share of [0, n).
template <class F> void share(std::int64_t n, const F& f) {
  const std::int64_t workers = simt::worker_count();
  kernels::parallel_tasks(workers,
                          [&](std::int64_t w) { f(n * w / workers, n * (w + 1) / workers); });
}

// The loop that anybody would write, as fast as the compiler makes it for this build's baseline, on all cores.
Peer loop(const OpCase& c) {
  const std::string& l = c.launcher;
  const std::int64_t n = c.operands.empty() ? 0 : c.operands[0].count;
  const bool all_float =
      std::all_of(c.operands.begin(), c.operands.end(),
                  [](const cases::Operand& o) { return o.dtype == cases::DType::f32; });
  if (!all_float || n == 0) return {};
  const auto flat = [n](auto body) {
    return [n, body](Stream&, const Pointers& p) {
      share(n, [&](std::int64_t first, std::int64_t last) {
        for (std::int64_t i = first; i < last; ++i) body(p, i);
      });
    };
  };
  if (l == "add" && c.operands.size() == 3)
    return {"loop", flat([](const Pointers& p, std::int64_t i) {
              p.get<float>(2)[i] = p.get<float>(0)[i] + p.get<float>(1)[i];
            })};
  if (l == "scale")
    return {"loop", flat([](const Pointers& p, std::int64_t i) {
              p.get<float>(1)[i] = -1.75f * p.get<float>(0)[i];
            })};
  if (l == "fill")
    return {"std::fill", [n](Stream&, const Pointers& p) {
              share(n, [&](std::int64_t a, std::int64_t b) {
                std::fill(p.get<float>(0) + a, p.get<float>(0) + b, 0.625f);
              });
            }};
  if (l == "leaky_relu_backward")
    return {"loop", flat([](const Pointers& p, std::int64_t i) {
              p.get<float>(2)[i] = p.get<float>(1)[i] * (p.get<float>(0)[i] > 0 ? 1.f : 0.1f);
            })};
  if (l == "sum")
    return {"loop", [n](Stream&, const Pointers& p) {
              std::vector<double> parts(simt::worker_count());
              const auto workers = static_cast<std::int64_t>(parts.size());
              kernels::parallel_tasks(workers, [&](std::int64_t w) {
                double sum = 0;
                for (std::int64_t i = n * w / workers; i < n * (w + 1) / workers; ++i)
                  sum += static_cast<double>(p.get<float>(0)[i]);
                parts[static_cast<std::size_t>(w)] = sum;
              });
              double total = 0;
              for (double part : parts) total += part;
              *p.get<float>(1) = static_cast<float>(total);
            }};
  return {};
}

// What moves bytes and computes nothing.
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
            share(rows, [&](std::int64_t first, std::int64_t last) {
              for (std::int64_t i = first; i < last; ++i)
                std::memcpy(p.get<char>(1) + static_cast<std::size_t>(i) * to_pitch,
                            p.get<char>(0) + static_cast<std::size_t>(i) * from_pitch, bytes);
            });
          }};
}

template <class T> void add_seam_peers(std::vector<Peer>& peers, const OpCase& c) {
  const std::vector<std::int64_t>& v = c.shape;
  if (c.launcher == "gemm" && v.size() == 5 && c.element) {
    const bool ta = v[3] != 0, tb = v[4] != 0;
    peers.push_back({"own", [=](Stream&, const Pointers& p) {
                       own_gemm<T>(ta, tb, v[0], v[1], v[2], p.get<T>(0), p.get<T>(1), p.get<T>(2));
                     }});
    if (has_onednn())
      peers.push_back({"oneDNN", [=](Stream&, const Pointers& p) {
                         onednn_gemm<T>(ta, tb, v[0], v[1], v[2], p.get<T>(0), p.get<T>(1),
                                        p.get<T>(2));
                       }});
  }
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
  const auto add = [&](const char* peer, auto conv) {
    peers.push_back({peer, [=, bias = !c.name.ends_with("/plain")](Stream&, const Pointers& p) {
                       const bool forward = direction == Direction::forward;
                       conv(direction, s, p.get<T>(0), p.get<T>(1),
                            forward && bias ? p.get<T>(2) : nullptr, p.get<T>(forward ? 3 : 2),
                            epilogue);
                     }});
  };
  add("own", own_conv<T>);
  if (has_onednn()) add("oneDNN", onednn_conv<T>);
}

}  // namespace

std::vector<std::string> openblas_names() { return {"libopenblas.so.0", "libopenblas.so"}; }

Peers::Peers(const std::vector<std::string>& openblas) {
  PeerLibrary library{"OpenBLAS", false, "", ""};
  for (const std::string& name : openblas) {
    void* const handle =
        dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);  // never closed: its threads live on
    if (!handle) {
      if (library.reason.empty()) library.reason = dlerror();
      continue;
    }
    sgemm_ = reinterpret_cast<Sgemm>(dlsym(handle, "cblas_sgemm"));
    library.found = sgemm_ != nullptr;
    library.reason = library.found ? "" : name + " has no cblas_sgemm";
    if (const auto config =
            reinterpret_cast<const char* (*)()>(dlsym(handle, "openblas_get_config")))
      library.version = config();
    if (const auto set_threads =
            reinterpret_cast<void (*)(int)>(dlsym(handle, "openblas_set_num_threads")))
      set_threads(static_cast<int>(simt::worker_count()));
    break;
  }
  libraries_.push_back(library);

  PeerLibrary onednn{"oneDNN", has_onednn(), "", has_onednn() ? "" : "this build has no oneDNN"};
  struct Version {
    int major, minor, patch;
  };
  if (const auto version =
          reinterpret_cast<const Version* (*)()>(dlsym(RTLD_DEFAULT, "dnnl_version"));
      onednn.found && version)
    onednn.version = std::to_string(version()->major) + "." + std::to_string(version()->minor) +
                     "." + std::to_string(version()->patch);
  libraries_.push_back(onednn);
}

std::vector<Peer> Peers::of_host(const OpCase& c) const {
  std::vector<Peer> peers;
  if (Peer plain = loop(c); plain.run) peers.push_back(std::move(plain));
  if (c.operands.back().dtype == cases::DType::bf16) add_seam_peers<bf16>(peers, c);
  else if (c.operands.back().dtype == cases::DType::f32) add_seam_peers<float>(peers, c);
  if (sgemm_ && c.launcher == "gemm" && c.shape.size() == 5 &&
      c.operands.back().dtype == cases::DType::f32 && c.element) {
    const auto at = [&](std::size_t i) { return static_cast<int>(c.shape[i]); };
    const int m = at(0), n = at(1), k = at(2), ta = at(3), tb = at(4);
    constexpr int row_major = 101, plain = 111, transposed = 112;  // cblas.h
    peers.push_back({"OpenBLAS", [=, sgemm = sgemm_](Stream&, const Pointers& p) {
                       sgemm(row_major, ta ? transposed : plain, tb ? transposed : plain, m, n, k,
                             1.f, p.get<float>(0), ta ? m : k, p.get<float>(1), tb ? k : n, 0.f,
                             p.get<float>(2), n);
                     }});
  }
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
