// Colour spaces and colour transfer. RGB is sRGB in [0,1]; LAB is CIE L*a*b* under D65
// with L in [0,100].
#pragma once
#include "kernels/core/stream.h"

namespace kernels {

template <class D>
void rgb_to_lab(Stream&, const float* rgb /*[n,3]*/, float* lab /*[n,3]*/, std::int64_t n);
// Clamped to [0,1].
template <class D>
void lab_to_rgb(Stream&, const float* lab /*[n,3]*/, float* rgb /*[n,3]*/, std::int64_t n);

// Weighted means and standard deviations: stats = {mean x3, deviation x3, sum of
// weights}.
template <class D>
void channel_stats(Stream&, const float* image /*[n,3]*/, const float* weight /*[n] or null*/,
                   float* stats /*[7]*/, std::int64_t n);

// Reinhard et al. 2001: out = (x - from.mean) * (to.deviation / from.deviation) +
// to.mean, per channel, with the gain kept within [1/max_gain, max_gain]. Without
// match_deviation only the mean moves.
template <class D>
void transfer_stats(Stream&, const float* image /*[n,3]*/, float* out, std::int64_t n,
                    const float* from /*[7]*/, const float* to /*[7]*/, bool match_deviation,
                    float max_gain);
}  // namespace kernels
