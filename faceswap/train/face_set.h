// The faces to train on of one folder in device memory: decoded once, kept as 8-bit RGBA.
// The fourth channel weighs the loss: 1 on the face, by the mask in its file (loss_mask.h)
// or an egg where it has none, and a tenth elsewhere.
#pragma once
#include <filesystem>
#include <string>

#include "faceswap/image.h"
#include "kernels/core/memory.h"

namespace faceswap {

class FaceSet {
 public:
  // Reads the folder's faces with all cores, but for those refused or dropped, with their
  // eyes where decisions put them (see faces/face_folder.h). stored_size: side of the
  // square kept per face. Error(nothing_found): no face is left; Error(damaged) names a
  // broken file. Unless quiet, warns of several people.
  FaceSet(const std::filesystem::path& folder, int stored_size, kernels::Device device, bool quiet);

  int count() const { return count_; }
  int stored_size() const { return stored_size_; }
  const std::uint8_t* data() const {  // [count,stored_size,stored_size,4]
    return static_cast<const std::uint8_t*>(pinned_.data() ? pinned_.data() : faces_.data());
  }
  std::size_t bytes() const { return faces_.bytes(); }  // of the device's memory
  // Count and checksum: shows whether a resumed run trains on the same set.
  const std::string& fingerprint() const { return fingerprint_; }

 private:
  int count_ = 0, stored_size_ = 0;
  kernels::Buffer faces_;
  kernels::PinnedBuffer pinned_;  // instead, where the set is too large for the GPU
  std::string fingerprint_;
};

// Side of the stored squares: about twice the pixels that the model sees, so that
// zooming in loses nothing.
int stored_size_for(int model_size);
// The same, but at most the side of the folder's first crop: enlarging adds no detail.
int stored_size_for(int model_size, const std::filesystem::path& folder);

// Bytes that a set of `bytes` takes of the device's memory, `available` bytes being
// free there: none where a GPU reads it in place from the computer's memory.
std::size_t resident_bytes(std::size_t bytes, kernels::Device device, std::size_t available);
}  // namespace faceswap
