// The surface of a synthetic head.
//
// Two coordinate systems. Head units: x to the image's right, y up, z to the viewer;
// the unit is about half a head's width. The face plane: the point's place on the bare
// ellipsoid in frontal view, before any feature displaces it. Eyes, brows, lips and
// hairline are placed and painted in the face plane, so paint sticks to the skin when
// the jaw drops.
#pragma once
#include "faceswap/synthetic/head_identity.h"
#include "faceswap/synthetic/head_pose.h"

namespace faceswap::head {

struct SurfacePoint {
  Vec3 position;                 // head units, head upright and facing the viewer
  float face_x = 0, face_y = 0;  // the same point in the face plane
};

// longitude: 0 nose, +-pi back of the head; latitude: -pi/2 chin, pi/2 crown.
SurfacePoint surface_point(const HeadIdentity&, const HeadPose&, float longitude, float latitude);

// From the face plane, for the front of the head.
SurfacePoint surface_at_face(const HeadIdentity&, const HeadPose&, float face_x, float face_y);

// In the face plane: a smile widens the mouth, opening narrows it.
float mouth_half_width(const HeadIdentity&, const HeadPose&);
}  // namespace faceswap::head
