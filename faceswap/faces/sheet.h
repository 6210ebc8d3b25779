// The contact sheet: one row of thumbnails per track, an overview of who was found.
#pragma once
#include <cstdint>
#include <map>
#include <vector>

#include "faceswap/image.h"

namespace faceswap {

class ContactSheet {
 public:
  void add(int track, const Image& crop);  // crop: square RGB
  bool empty() const { return rows_.empty(); }
  // Per row the track's number and count, then faces spread evenly over it. The longest
  // 150 tracks.
  Image picture() const;

 private:
  struct Row {
    std::int64_t count = 0, step = 1;  // every step-th face is kept
    std::vector<Image> thumbs;
  };
  std::map<int, Row> rows_;
};
}  // namespace faceswap
