// Faces that other programs extracted, as faces of ours.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

namespace faceswap {

struct ImportReport {
  int faces = 0, faceswap = 0, deepfacelab = 0;
  std::vector<std::string> skipped;  // files that are no such faces, each with its reason
};

// Reads a folder's PNGs of Faceswap (text "faceswap") and JPEGs of DeepFaceLab (a pickle
// in segment APP15), and cuts faces of `size` pixels from their pictures. The eyes come
// from the face mesh where it is installed, as in extraction; else those of DeepFaceLab
// are the means of their 6 landmarks each. Faceswap's files say where the face was in the
// frame, but not where it is in the picture, so these need the mesh. Parts beyond the
// picture repeat its edge. Error(input), Error(usage): `out` holds files and not `force`;
// Error(nothing_found): no such face.
ImportReport import_faces(const std::filesystem::path& folder, const std::filesystem::path& out,
                          int size, bool force, bool quiet);
}  // namespace faceswap
