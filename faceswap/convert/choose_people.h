// The people that a conversion is to change, by pictures of them.
#pragma once
#include <cstdint>
#include <map>
#include <vector>

#include "faceswap/convert/converter.h"
#include "faceswap/faces/face.h"
#include "faceswap/faces/people.h"

namespace faceswap {

// Removes the faces of all who are not wanted. Reads some frames of options.input again to
// identify them. faces: whole tracks, by frame. Error(nothing_found): nobody is left; the
// message has everybody's distance.
void choose_people(const ConvertOptions& options, const ReferencePeople& references,
                   std::map<std::int64_t, std::vector<Face>>& faces);
}  // namespace faceswap
