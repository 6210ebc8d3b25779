#include "faceswap/synthetic/head_identity.h"

#include <fmt/format.h>

#include "kernels/core/error.h"

namespace faceswap {
namespace {

// Both are tuned until the frontal-face cascades find them in every frame: light skin
// against dark brows, a high hairline, no beard, no glasses: a bias of the cascades.

// Brown bob, blue eyes, blue shirt.
constexpr HeadIdentity kPersonA{};

// Auburn, a wider jaw, brown eyes, a moustache, red shirt.
constexpr HeadIdentity kPersonB{
    .skin = {0.843f, 0.589f, 0.495f},
    .hair = {0.4f, 0.2f, 0.08f},
    .brow = {0.05f, 0.04f, 0.04f},
    .iris = {0.22f, 0.14f, 0.08f},
    .lip = {0.52f, 0.27f, 0.26f},
    .shirt = {0.45f, 0.12f, 0.12f},
    .half_width = 0.808f,
    .half_height = 1.061f,
    .jaw = 0.151f,
    .eye_x = 0.313f,
    .eye_y = 0.125f,
    .eye_half_width = 0.152f,
    .eye_half_height = 0.067f,
    .brow_y = 0.311f,
    .brow_thickness = 0.048f,
    .brow_tilt = 0.03f,
    .nose_length = 0.414f,
    .nose_width = 0.104f,
    .nose_height = 0.255f,
    .mouth_y = -0.467f,
    .mouth_half_width = 0.305f,
    .lip_thickness = 0.051f,
    .hairline = 0.66f,
    .hair_side = 1.083f,
    .moustache = 0.9f,
};
}  // namespace

const HeadIdentity& head_identity(char person) {
  if (person == 'a') return kPersonA;
  if (person == 'b') return kPersonB;
  throw kernels::Error(kernels::ErrorKind::usage,
                       fmt::format("synthetic head: no person '{}'; use a or b", person));
}
}  // namespace faceswap
