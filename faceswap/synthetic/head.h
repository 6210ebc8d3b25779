// A procedural talking head: a displaced ellipsoid with a painted face, two identities,
// any pose and expression. The same pose drawn with the other identity is the perfect
// swap, so a swap can be measured.
#pragma once
#include <cstdint>

#include "faceswap/image.h"
#include "faceswap/synthetic/head_identity.h"
#include "faceswap/synthetic/head_pose.h"

namespace faceswap {

struct HeadPicture {
  Image rgb;
  Image mask;          // grey: 255 on the face (skin, eyes, mouth; no hair, no neck)
  Point landmarks[5];  // image-left eye, image-right eye, nose tip, mouth corners left and right
};
// background: 0 plain wall, 1 blotchy wall, 2 shelves, varied by background_seed.
HeadPicture draw_head(const HeadIdentity&, const HeadPose&, int width, int height, int background,
                      std::uint32_t background_seed);
}  // namespace faceswap
