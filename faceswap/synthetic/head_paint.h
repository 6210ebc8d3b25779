// The colours of a synthetic head, painted in the face plane (head_shape.h).
#pragma once
#include "faceswap/synthetic/head_identity.h"
#include "faceswap/synthetic/head_pose.h"

namespace faceswap::head {

struct Paint {
  Color color;
  float gloss = 1;   // factor of the highlight: high on wet eyes and lips, low on hair
  bool face = true;  // skin, eyes or mouth; not hair
};
Paint paint_at(const HeadIdentity&, const HeadPose&, float longitude, float face_x, float face_y);
}  // namespace faceswap::head
