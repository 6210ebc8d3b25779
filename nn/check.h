// One line for a precondition: check(cond, "conv2d: weight {} ...", args...). Private to nn (callers do not see fmt).
#pragma once
#include <fmt/format.h>

#include "nn/tensor.h"

namespace nn {

// The message is only formatted where the check fails.
template <class... Args>
void check(bool holds, fmt::format_string<Args...> format, Args&&... args) {
  if (!holds) throw Error(ErrorKind::usage, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace nn
