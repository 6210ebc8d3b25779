// The contact sheet: one row of thumbnails per track, so that a glance shows who was found and what is no face.
#pragma once
#include <map>

#include "faceswap/image.h"

namespace faceswap {

class ContactSheet {
 public:
  void add(int track, const Image& crop);  // crop: square RGB
  bool empty() const { return rows_.empty(); }
  // One row per track: its number and count on the left, then faces spread evenly over the track. The longest 150 tracks.
  Image picture() const;

 private:
  struct Row {
    std::int64_t count = 0, step = 1;  // every step-th face is kept
    std::vector<Image> thumbs;
  };
  std::map<int, Row> rows_;
};

}  // namespace faceswap
