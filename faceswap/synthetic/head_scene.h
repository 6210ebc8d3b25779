// Everything behind a synthetic face: the room, the neck, the shirt.
#pragma once
#include "faceswap/synthetic/head_identity.h"

namespace faceswap::head {

// x, y: shares of the picture's height. kind: as in draw_head().
Color background_color(int kind, std::uint32_t seed, float x, float y);

// Neck and shirt, flat behind the head, at head units (x, y) from its centre. False:
// the background is visible here.
bool body_color(const HeadIdentity&, Vec3 neck_base, float light_x, float x, float y, Color& color);
}  // namespace faceswap::head
