// Switches in the environment.
#pragma once
#include <cstdlib>
#include <string_view>

namespace kernels {

// True if the variable is set to anything but "" and "0".
inline bool switched_on(const char* variable) {
  const char* const value = std::getenv(variable);
  return value && *value && std::string_view(value) != "0";
}
// True if the variable is "0": a switch that is on by default.
inline bool switched_off(const char* variable) {
  const char* const value = std::getenv(variable);
  return value && std::string_view(value) == "0";
}
}  // namespace kernels
