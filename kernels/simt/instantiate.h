// Explicit instantiation of launchers for the device of this compilation. The types
// come from the launcher's declaration, so no signature is written twice:
//   SIMT_INSTANTIATE(add)         add<ThisDevice, T> for every storage type T
//   SIMT_INSTANTIATE_FOR(blend)   blend<ThisDevice>; further arguments may follow
#pragma once
#include "kernels/core/types.h"
#include "kernels/simt/simt.h"

#define SIMT_INSTANTIATE_FOR(launcher, ...)                                \
  template decltype(launcher<simt::ThisDevice __VA_OPT__(, ) __VA_ARGS__>) \
      launcher<simt::ThisDevice __VA_OPT__(, ) __VA_ARGS__>;

// f64 exists on the host only, for gradient checks.
#if SIMT_CUDA
#define SIMT_INSTANTIATE(launcher)      \
  SIMT_INSTANTIATE_FOR(launcher, float) \
  SIMT_INSTANTIATE_FOR(launcher, bf16)  \
  SIMT_INSTANTIATE_FOR(launcher, f16)
#else
#define SIMT_INSTANTIATE(launcher)      \
  SIMT_INSTANTIATE_FOR(launcher, float) \
  SIMT_INSTANTIATE_FOR(launcher, bf16)  \
  SIMT_INSTANTIATE_FOR(launcher, f16)   \
  SIMT_INSTANTIATE_FOR(launcher, double)
#endif
