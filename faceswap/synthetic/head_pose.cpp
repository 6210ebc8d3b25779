#include "faceswap/synthetic/head_pose.h"

#include <numbers>

#include "faceswap/synthetic/head_math.h"

namespace faceswap {

HeadPose talking_pose(double seconds, std::uint32_t seed) {
  using head::smooth_step;
  using head::value_noise;
  const float t = static_cast<float>(seconds);
  const float offset = static_cast<float>(seed % 1000);  // of this clip's motion in the noise
  // Smooth motion in about [-1,1] with `rate` changes per second; independent channels.
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
  // 0 in the pauses between sentences.
  const float speaking = smooth_step(0.25f, 0.5f, value_noise(t * 0.7f, 4, seed + 10));
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
