// A procedural talking head: a displaced ellipsoid with a painted face, two identities, any pose and expression. The same
// pose drawn with the other identity is the perfect swap, so a swap can be measured and not only looked at.
#pragma once
#include <cstdint>
#include <string>

#include "faceswap/image.h"

namespace faceswap {

struct HeadIdentity;  // everything that never changes within one person (head_parts.h)
const HeadIdentity& head_identity(char person);  // 'a' or 'b'; Error(usage) otherwise

struct HeadPose {                          // everything that moves
  float yaw = 0, pitch = 0, roll = 0;      // radians
  float center_x = 0.5f, center_y = 0.5f;  // head centre, shares of the picture's width and height
  float scale = 0.24f;                     // head's half-width unit, share of the height
  float mouth_open = 0, smile = 0, blink = 0, gaze_x = 0, gaze_y = 0, brow_up = 0;
};
HeadPose talking_pose(double seconds, std::uint32_t seed);  // smooth motion, blinks, speech

struct HeadPicture {
  Image rgb;
  Image mask;          // grey: 255 where the face is (skin, eyes, mouth; no hair, no neck)
  Point landmarks[5];  // image-left eye, image-right eye, nose tip, mouth corners left and right
};
// background: 0 plain wall, 1 blotchy wall, 2 shelves; its look depends on background_seed.
HeadPicture draw_head(const HeadIdentity&, const HeadPose&, int width, int height, int background,
                      std::uint32_t background_seed);

}  // namespace faceswap
