// A picture as the image kernels take it, and its number of channels as a constant.
#pragma once
#include <string>
#include <type_traits>

#include "kernels/core/error.h"

namespace kernels {

template <class T> struct Picture {
  T* data;      // [h,w,c]
  int h, w, c;  // channels side by side
};

// f(std::integral_constant<int, channels>): kernels unroll over the channels.
template <class F> void for_channels(const char* launcher, int channels, F&& f) {
  switch (channels) {
    case 1: return f(std::integral_constant<int, 1>{});
    case 2: return f(std::integral_constant<int, 2>{});
    case 3: return f(std::integral_constant<int, 3>{});
    case 4: return f(std::integral_constant<int, 4>{});
    default:
      throw Error(ErrorKind::usage, std::string(launcher) +
                                        ": a picture has 1 to 4 channels, got " +
                                        std::to_string(channels));
  }
}
}  // namespace kernels
