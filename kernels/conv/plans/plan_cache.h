// The best plans on disk, so the next start needs neither cuDNN's heuristics nor
// measurements. One text file for all cards and versions: a line that names the format,
// then a line per plan:
//   key <tab> padded fused engine milliseconds knob:value knob:value ...
// Every line is checked, and a plan cuDNN no longer takes is searched again: a damaged
// or foreign file can only cost time.
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
  double ms = 0;  // measured, of the whole variant; for human readers of the file
  bool operator==(const CachedPlan&) const = default;
};

class PlanCache {
 public:
  using Notice = std::function<void(const std::string& message)>;

  // Reads the file. With an empty path, plans live as long as the process. Notices go
  // to standard error by default.
  explicit PlanCache(std::filesystem::path file, Notice notice = {});
  // $DOPPEL_CACHE_DIR, else $XDG_CACHE_HOME/doppel, else ~/.cache/doppel. Empty if none
  // is set or the first is "".
  static std::filesystem::path default_file();

  std::optional<CachedPlan> find(const std::string& key) const;
  // Adds the plan and rewrites the file, merged with plans other processes have stored
  // since. A failure to write is noticed once and otherwise harmless. The key (see
  // make_key) must hold no tabs or line ends.
  void store(const std::string& key, const CachedPlan& plan);

  // With the problem, everything a plan depends on.
  struct Machine {
    std::string card;
    int compute_capability, multiprocessors;
    std::size_t cudnn_version;
    std::string driver;
  };
  static std::string make_key(const cudnn::Problem& wanted, const Machine&);

 private:
  using Plans = std::map<std::string, CachedPlan>;
  Plans read(const Notice&) const;
  void write(const Plans&) const;
  std::filesystem::path file_;
  Notice notice_;
  Plans plans_;
  bool write_failed_ = false;
};
}  // namespace kernels
