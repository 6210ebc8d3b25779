// A detector that follows faces by the face mesh. Another detector finds them; from then
// on the mesh of one frame says where to look in the next, which costs a tenth.
#pragma once
#include <memory>

#include "faceswap/faces/blaze_face.h"
#include "faceswap/faces/detector.h"
#include "faceswap/faces/eye_finder.h"
#include "faceswap/faces/mesh.h"

namespace faceswap {

// Confidence is the mesh's presence, 0 to 1. Profiles and dark faces have no mesh: they
// are followed by the finder, with its score as confidence. The eyes come from `eyes`, if
// given, else from the mesh; `quick`, if given, does the quick scans.
std::unique_ptr<FaceDetector> make_mesh_detector(std::unique_ptr<FaceDetector> finder,
                                                 MeshFinder mesh,
                                                 std::optional<EyeFinder> eyes = {},
                                                 std::optional<BlazeFace> quick = {});
}  // namespace faceswap
