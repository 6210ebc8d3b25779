// The last step of an extraction, over its whole folder: people are told apart, strangers
// and near-duplicates leave for `refused`, and of many faces the most different stay.
#pragma once
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "faceswap/faces/detector.h"
#include "faceswap/faces/selection.h"

namespace faceswap {

struct CleaningOptions {
  std::vector<std::filesystem::path> keep, drop;  // pictures of people
  double least_difference = 0.25;                 // of two faces of one person; 0: all stay
  int diverse = 0;                                // faces per person at most; 0: all
  DetectorOptions detection;                      // for these pictures
};

// Writes Face::person into every picture of the folder and moves faces. looks: of the faces
// at hand, by file name; the pictures of others are read. Doing it twice changes nothing.
// Error(input): a picture of a person cannot be used; Error(damaged), Error(disk).
void clean_faces(const std::filesystem::path& folder, const CleaningOptions& options,
                 std::map<std::string, FaceLook> looks);
}  // namespace faceswap
