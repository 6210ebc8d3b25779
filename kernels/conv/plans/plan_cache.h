// The plans that were found best, on disk, so that the next start neither asks cuDNN's heuristics nor measures. One text file
// for all cards and versions: a first line that names the format, then a line per plan:
//   key <tab> padded fused engine milliseconds knob:value knob:value ...
// What is read is checked, and a plan that cuDNN no longer takes is searched for anew: the worst that a damaged or foreign file
// can do is to cost time.
#pragma once
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "kernels/conv/plans/problem.h"

namespace kernels {

struct CachedPlan {
  cudnn::Variant variant;
  cudnn::Engine engine;
  double ms = 0;  // as measured, of the whole variant; for people who read the file
  bool operator==(const CachedPlan&) const = default;
};

class PlanCache {
 public:
  using Notice = std::function<void(const std::string& message)>;

  // Reads the file. An empty path: nothing is kept beyond this process. Notices go to standard error unless told otherwise.
  explicit PlanCache(std::filesystem::path file, Notice notice = {});
  // $DOPPEL_CACHE_DIR, else $XDG_CACHE_HOME/doppel, else ~/.cache/doppel; empty where there is none of them or the first is "".
  static std::filesystem::path default_file();

  std::optional<CachedPlan> find(const std::string& key) const;
  // Adds the plan and rewrites the file, together with what other processes have put there since. A file that cannot be
  // written is noticed once and changes nothing else. The key must have no tabs or line ends (make_key sees to it).
  void store(const std::string& key, const CachedPlan& plan);

  // Everything that a plan depends on.
  struct Machine {
    std::string card;
    int compute_capability, multiprocessors;
    std::size_t cudnn_version;
    std::string driver;
  };
  static std::string make_key(const cudnn::Problem& wanted, const Machine&);

 private:
  using Plans = std::map<std::string, CachedPlan>;
  Plans read(const Notice&) const;  // what the file holds now
  void write(const Plans&) const;
  std::filesystem::path file_;
  Notice notice_;
  Plans plans_;
  bool write_failed_ = false;
};

}  // namespace kernels
