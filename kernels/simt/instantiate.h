// Explicit instantiation of launchers for the device this compilation is for.
// The types come from the launcher's declaration, so no signature is written twice:
//   SIMT_INSTANTIATE(add)   ->   template decltype(add<ThisDevice, float>) add<ThisDevice, float>; ...
#pragma once
#include "kernels/core/types.h"
#include "kernels/simt/simt.h"

#define SIMT_INSTANTIATE_FOR(launcher, ...)                  \
  template decltype(launcher<simt::ThisDevice, __VA_ARGS__>) \
      launcher<simt::ThisDevice, __VA_ARGS__>;

// For every storage type: f64 only on the host, where gradient checks run.
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
