// The files of page/, as CMake put them into the program.
#pragma once
#include <span>
#include <string_view>

namespace faceswap {

struct PageFile {
  std::string_view path, type, text;  // "/review.js", "text/javascript; charset=utf-8"
};
std::span<const PageFile> page_files();
}  // namespace faceswap
