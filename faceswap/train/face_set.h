// The faces of one person in device memory: decoded once, kept as 8-bit RGBA, the fourth channel weighing the loss.
#pragma once
#include <filesystem>
#include <string>

#include "faceswap/faces/face_file.h"
#include "kernels/core/memory.h"
#include "kernels/image/augment.h"

namespace faceswap {

// The part of the canonical crop that models see: the face from hairline to chin with a margin for the warp.
inline constexpr kernels::Region kModelView{0.5f, 0.55f, 0.85f};

class FaceSet {
 public:
  // Reads every face PNG of the folder with all cores. stored_size: side of the square kept per face.
  // Error(nothing_found) for a folder without faces; Error(damaged) names a broken file.
  FaceSet(const std::filesystem::path& folder, int stored_size, kernels::Device device, bool quiet);

  int count() const { return count_; }
  int stored_size() const { return stored_size_; }
  const std::uint8_t* data() const {
    return static_cast<const std::uint8_t*>(pinned_.data() ? pinned_.data() : faces_.data());
  }                                                     // [count, stored, stored, 4]
  std::size_t bytes() const { return faces_.bytes(); }  // of the device's memory
  const std::string& fingerprint() const {
    return fingerprint_;
  }  // of names and sizes: tells whether a resumed run sees the same set

 private:
  int count_ = 0, stored_size_ = 0;
  kernels::Buffer faces_;
  kernels::PinnedBuffer pinned_;  // instead, where the set is too large for the GPU
  std::string fingerprint_;
};

// Stored squares hold about twice the pixels that the model sees, so that zooming in loses nothing.
int stored_size_for(int model_size);
// The same, but not more than the folder's first crop has: enlarging a crop adds memory and no detail.
int stored_size_for(int model_size, const std::filesystem::path& folder);

}  // namespace faceswap
