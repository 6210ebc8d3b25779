// A detector that follows faces by the face mesh. Another detector finds them; from then
// on the mesh of one frame says where to look in the next, which costs a tenth.
#pragma once
#include <memory>

#include "faceswap/faces/detector.h"
#include "faceswap/faces/mesh.h"

namespace faceswap {

// Confidence is the mesh's presence, 0 to 1. A face without a mesh is none: so the mesh
// also refuses what the other detector took for a face.
std::unique_ptr<FaceDetector> make_mesh_detector(std::unique_ptr<FaceDetector> finder,
                                                 MeshFinder mesh);
}  // namespace faceswap
