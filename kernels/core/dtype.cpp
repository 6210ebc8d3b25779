#include "kernels/core/dtype.h"

#include "kernels/core/error.h"

namespace kernels {

std::size_t size_of(DType dtype) {
  switch (dtype) {
    case DType::f32:
    case DType::i32: return 4;
    case DType::bf16:
    case DType::f16: return 2;
    case DType::f64: return 8;
    case DType::u8: return 1;
  }
  throw Error(ErrorKind::failure, "size_of: not a dtype");
}

const char* name(DType dtype) {
  switch (dtype) {
    case DType::f32: return "f32";
    case DType::bf16: return "bf16";
    case DType::f16: return "f16";
    case DType::f64: return "f64";
    case DType::i32: return "i32";
    case DType::u8: return "u8";
  }
  return "?";
}
}  // namespace kernels
