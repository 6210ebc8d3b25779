// The direction that a face looks in, from its mesh.
#pragma once
#include "faceswap/faces/mesh.h"

namespace faceswap {

// Degrees, signs as in FaceMeasures. The head turns by yaw, nods by pitch and tilts by
// roll, in this order, about the picture's axes.
struct FacePose {
  double yaw = 0, pitch = 0, roll = 0;
};

// The rotation that fits 38 points hardly moved by expression, in three dimensions
// (Horn, JOSA A 4, 1987). Mean error on rendered heads with pitch up to +-20: yaw 1.3
// degrees when frontal, 1.8 at 15, 2.7 at 30, 2.5 at 45; pitch 1.3 up to 30 and 5 at
// 45; roll 1 up to 15, 2 at 30 and 4 at 45. At 60 the mesh itself is lost on drawings:
// yaw 17. Always finite.
FacePose pose_of(const Mesh&);
}  // namespace faceswap
