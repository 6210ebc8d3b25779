// One line for a precondition: check(cond, "conv2d: weight {} ...", args...). Private
// to nn.
#pragma once
#include <fmt/format.h>

#include "nn/tensor.h"

namespace nn {

template <class... Args>
[[noreturn]] void fail(ErrorKind kind, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(kind, fmt::format(format, std::forward<Args>(args)...));
}

// The message is formatted only if the check fails.
template <class... Args>
void check(bool holds, fmt::format_string<Args...> format, Args&&... args) {
  if (!holds) fail(ErrorKind::usage, format, std::forward<Args>(args)...);
}
}  // namespace nn
