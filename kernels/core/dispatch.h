// From a device known at run time to a launcher known at compile time, in one line:
//   on_device(stream, [&]<class D>() { add<D, float>(stream, a, b, out, n); });
// The meta device runs the host's launchers: they take scratch memory, launch nothing.
#pragma once
#include <utility>

#include "kernels/core/stream.h"

namespace kernels {

template <class F> decltype(auto) on_device(Device device, F&& f) {
#if DOPPEL_HAS_CUDA
  if (device == Device::cuda) return f.template operator()<Cuda>();
#endif
  if (device == Device::cuda)
    throw Error(ErrorKind::device, "this build of doppel has no GPU code; use --device cpu");
  return f.template operator()<Host>();
}
template <class F> decltype(auto) on_device(const Stream& stream, F&& f) {
  return on_device(stream.device(), std::forward<F>(f));
}
}  // namespace kernels
