// The two people, and how they move.
#include <fmt/format.h>

#include <numbers>

#include "faceswap/synthetic/head_parts.h"

namespace faceswap {

// Both were tuned until the classic frontal-face cascades find them in every frame: light skin against dark brows, a high hairline, no
// beard, no glasses. That is a bias of those cascades.
namespace {

// Brown bob, blue eyes, blue shirt.
const HeadIdentity person_a{};

// Auburn, a wider jaw, brown eyes, a moustache, red shirt.
HeadIdentity make_person_b() {
  HeadIdentity person;
  person.skin = {0.843f, 0.589f, 0.495f};
  person.hair = {0.4f, 0.2f, 0.08f};
  person.brow = {0.05f, 0.04f, 0.04f};
  person.iris = {0.22f, 0.14f, 0.08f};
  person.lip = {0.52f, 0.27f, 0.26f};
  person.shirt = {0.45f, 0.12f, 0.12f};
  person.half_width = 0.808f;
  person.half_height = 1.061f;
  person.jaw = 0.151f;
  person.eye_x = 0.313f;
  person.eye_y = 0.125f;
  person.eye_half_width = 0.152f;
  person.eye_half_height = 0.067f;
  person.brow_y = 0.311f;
  person.brow_thickness = 0.048f;
  person.brow_tilt = 0.03f;
  person.nose_length = 0.414f;
  person.nose_width = 0.104f;
  person.nose_height = 0.255f;
  person.mouth_y = -0.467f;
  person.mouth_half_width = 0.305f;
  person.lip_thickness = 0.051f;
  person.hairline = 0.66f;
  person.hair_side = 1.083f;
  person.moustache = 0.9f;
  return person;
}

}  // namespace

const HeadIdentity& head_identity(char person) {
  static const HeadIdentity person_b = make_person_b();
  if (person == 'a') return person_a;
  if (person == 'b') return person_b;
  throw Error(ErrorKind::usage,
              fmt::format("synthetic head: no person '{}'; there are a and b", person));
}

HeadPose talking_pose(double seconds, std::uint32_t seed) {
  using head::smooth_step;
  using head::value_noise;
  const float t = static_cast<float>(seconds);
  const float offset =
      static_cast<float>(seed % 1000);  // where in the noise this clip's motion lies
  // Smooth motion in about [-1,1], `rate` changes a second; each channel has noise of its own.
  const auto sway = [&](float rate, int channel) {
    return 2 * value_noise(t * rate + 17.3f * channel, offset * 3.1f + channel, seed + channel) - 1;
  };
  HeadPose pose;
  pose.yaw = 0.42f * sway(0.45f, 1);
  pose.pitch = 0.168f * sway(0.5f, 2);
  pose.roll = 0.14f * sway(0.4f, 3);
  pose.center_x = 0.5f + 0.05f * sway(0.35f, 4);
  pose.center_y = 0.47f + 0.03f * sway(0.4f, 5);
  pose.scale = 0.24f * (1 + 0.10f * sway(0.25f, 6));

  const float syllable = value_noise(t * 5.5f, offset * 1.7f, seed + 9);
  const float speaking =
      smooth_step(0.25f, 0.5f, value_noise(t * 0.7f, 4, seed + 10));  // pauses between sentences
  pose.mouth_open = std::max(0.f, (syllable - 0.35f) * 1.5f) * speaking;
  pose.smile = std::max(0.f, sway(0.3f, 7));
  pose.brow_up = 0.8f * sway(0.5f, 8);
  pose.gaze_x = sway(0.8f, 11);
  pose.gaze_y = 0.5f * sway(0.8f, 12);

  const double blink_every = 3.1, blink_lasts = 0.20;
  const double since_blink = std::fmod(seconds + 0.37 * seed, blink_every);
  pose.blink = since_blink < blink_lasts
                   ? static_cast<float>(std::sin(since_blink / blink_lasts * std::numbers::pi))
                   : 0.f;
  return pose;
}

}  // namespace faceswap
