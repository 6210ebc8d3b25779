// The figures of a synthetic person: everything constant within one identity.
#pragma once
#include "faceswap/synthetic/head_math.h"

namespace faceswap {

// Lengths in head units, y measured from the head's centre.
struct HeadIdentity {
  head::Color skin{0.86f, 0.66f, 0.54f}, hair{0.16f, 0.10f, 0.06f}, brow{0.18f, 0.11f, 0.07f},
      iris{0.25f, 0.38f, 0.55f}, lip{0.72f, 0.36f, 0.34f}, shirt{0.2f, 0.25f, 0.4f};
  float half_width = 0.78f, half_height = 1.06f;
  float jaw = 0.28f;  // narrowing of the jaw against the temples, share of the width
  float eye_x = 0.335f, eye_y = 0.16f, eye_half_width = 0.165f, eye_half_height = 0.075f;
  float brow_y = 0.335f, brow_thickness = 0.042f, brow_tilt = 0.05f;
  float nose_length = 0.40f, nose_width = 0.115f, nose_height = 0.30f;
  float mouth_y = -0.50f, mouth_half_width = 0.25f, lip_thickness = 0.050f;
  float hairline = 0.60f;   // lowest y of the hair over the forehead
  float hair_side = 1.15f;  // longitude at which the hair at the sides begins, radians
  float hair_volume = 0.06f, cheek = 0.06f, skin_mottle = 0.02f, moustache = 0.f;

  float nose_root_y() const { return eye_y + 0.04f; }
  float nose_tip_y() const { return nose_root_y() - nose_length; }
};

const HeadIdentity& head_identity(char person);  // 'a' or 'b'; Error(usage) otherwise
}  // namespace faceswap
