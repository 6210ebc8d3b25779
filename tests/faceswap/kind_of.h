// Runs an action expected to throw an Error, and returns the error's kind.
#pragma once
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "kernels/core/error.h"

inline kernels::ErrorKind kind_of(const std::function<void()>& action,
                                  std::string* message = nullptr) {
  try {
    action();
  } catch (const kernels::Error& e) {
    if (message) *message = e.what();
    return e.kind();
  }
  ADD_FAILURE() << "no Error was thrown";
  return kernels::ErrorKind::failure;
}
