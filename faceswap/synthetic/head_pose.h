// Pose and expression of a synthetic head: everything that moves.
#pragma once
#include <cstdint>

namespace faceswap {

struct HeadPose {
  float yaw = 0, pitch = 0, roll = 0;      // radians
  float center_x = 0.5f, center_y = 0.5f;  // head centre, shares of the picture's width and height
  float scale = 0.24f;                     // the head unit, share of the picture's height
  float mouth_open = 0, smile = 0, blink = 0, gaze_x = 0, gaze_y = 0, brow_up = 0;
};

// Smooth motion with blinks and speech; the seed decides the motion.
HeadPose talking_pose(double seconds, std::uint32_t seed);
}  // namespace faceswap
