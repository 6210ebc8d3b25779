// A detector whose eyes come from the face mesh: it finds faces by another detector and
// places their eyes by FaceMesh.
#pragma once
#include <memory>

#include "faceswap/faces/detector.h"
#include "faceswap/faces/mesh.h"

namespace faceswap {

// Eyes of 16 points each in every frame, also closed and turned ones. Where the mesh finds
// no face, the detector's own eyes remain.
std::unique_ptr<FaceDetector> make_mesh_detector(std::unique_ptr<FaceDetector> faces,
                                                 MeshFinder mesh);
}  // namespace faceswap
