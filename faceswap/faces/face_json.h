// A face's metadata as JSON, schema "doppel-face/2". Files of "doppel-face/1", which had
// neither landmarks nor measures, are read too.
#pragma once
#include <string>

#include "faceswap/faces/face.h"

namespace faceswap {

// Error(failure): a value is not finite.
std::string to_json(const Face&);
Face face_from_json(const std::string& text);  // Error(damaged) with the field's name
}  // namespace faceswap
