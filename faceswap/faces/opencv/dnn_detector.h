// Detectors that are one network: OpenCV's dnn module runs it over a whole picture and
// each cell of its output is a candidate. yunet.h and centerface.h say how to read one.
#pragma once
#include <array>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <opencv2/dnn.hpp>

#include "faceswap/faces/detector.h"

namespace faceswap {

struct Candidate {  // in pixels of the network's input
  double x, y, width, height, score;
  std::array<Point, 5> points;  // image-left and -right eye, nose, mouth corners
};

// A network's input and output format.
class DnnFormat {
 public:
  virtual ~DnnFormat() = default;
  virtual const char* file_name() const = 0;  // of the usual file, for messages
  virtual std::vector<std::string> outputs() const = 0;
  // Pixels of the input's long side for a picture's.
  virtual int long_side(int picture) const = 0;
  virtual bool rgb_order() const = 0;  // false: BGR
  // Candidates from the outputs for a width x height input. Throws std::runtime_error
  // if their sizes are not this network's.
  virtual std::vector<Candidate> decode(const std::vector<cv::Mat>& outputs, int width,
                                        int height) const = 0;
  virtual DetectorTraits traits() const = 0;
};

// Error(input): the file is missing or is another network.
std::unique_ptr<FaceDetector> make_dnn_detector(const DetectorOptions&,
                                                const std::filesystem::path& file,
                                                std::unique_ptr<DnnFormat> format);

// Throws unless the output holds `values` floats.
const float* output_values(const cv::Mat& output, const std::string& name, std::size_t values);
}  // namespace faceswap
