// The kernel suite: one row per op case and device, against the ceilings of the same
// process. Its front ends are `doppel bench` (tools/bench.cpp) and doppel_bench
// (google_benchmark.cpp).
//
//   correctness       a row runs once on poisoned outputs; one that differs from its
//                     reference gets no number
//   cold              each launch takes the next of several sets of operands, together
//                     several times the size of the last cache
//   hot               always the same set, for rows that fit half of the cache
//   GPU               events behind a gate (gpu_side.h); launches under 20 us as a CUDA
//                     graph
//   a round           one sample per row, the shortest of a few timings; the rows
//                     alternate, so a busy moment costs many rows one sample each
//   ceilings          measured before the first row and after every round; the best
//                     counts
//   share of ceiling  the largest of bytes / time / bandwidth, FLOPs / time / speed of
//                     GEMM, and time of an empty launch / time; it names the row's
//                     bound
#pragma once
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <regex>
#include <string>
#include <vector>

#include "bench/cases/op_cases.h"
#include "bench/suite/ceilings.h"
#include "bench/suite/peers.h"

namespace bench {

struct Row {
  std::string name;  // device/launcher/type/shape/cold|hot[/peer]
  const cases::OpCase* op = nullptr;
  Device device = Device::host;
  bool cold = true;
  std::optional<Peer> peer;  // else our kernel
  std::string error;         // the reason for no number
  Bound bound = Bound::copy;
  std::vector<double> seconds;     // one per round
  int registers = 0, kernels = 0;  // of the launch; GPU only
  std::size_t shared_bytes = 0;
  double occupancy = 0;
};

struct SuiteOptions {
  std::string filter;           // regular expression, anywhere in the name
  std::string device = "auto";  // auto: GPU and host; cpu; cuda
  bool every_case = false;      // the tests' small shapes and the sweeps too
  bool peers = true;
  double seconds = 150;           // of the whole run, which limits the rounds
  int rounds = 20;                // at most
  double shortest_sample = 1e-3;  // seconds; shorter launches are timed in groups
  bool renew_ceilings = true;     // after every round
  std::vector<std::string> openblas = OpenBlas::default_names();
};

class Suite {
 public:
  explicit Suite(std::vector<cases::OpCase> table, SuiteOptions options = {});
  ~Suite();

  std::vector<Row>& rows() { return rows_; }
  const std::vector<PeerLibrary>& libraries() const { return peers_.libraries(); }
  const Ceilings& ceilings(Device device);  // measured on the first call

  // Compares the row, ours or a peer's, with its reference; false with row.error where
  // it differs.
  bool check(Row& row);
  // One timing of a checked row: seconds per launch.
  double time_row(Row& row);
  // One sample of every row, in the table's order; of peers in the first three rounds
  // only. `progress` gets the row's number; false ends the round.
  template <class Progress> void round(const Progress& progress) {
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      if (!rows_[i].peer || rows_[i].seconds.size() < 3) measure(rows_[i]);
      if (!progress(i)) return;
    }
    end_round();
  }
  void measure(Row& row);
  void end_round();  // frees the last case's memory and renews the ceilings
  double share_of_ceiling(const Row& row, double seconds, Bound* bound = nullptr);

 private:
  struct Workset;   // operands in memory, in as many sets as the row needs
  struct Sample;    // a piece of every operand, to fill a workset from
  struct Expected;  // the reference's results for the latest case
  const Sample& sample(const cases::OpCase& op);
  std::unique_ptr<Workset> make_workset(const cases::OpCase& op, Device device);
  Workset& workset(const Row& row);
  void add_rows(const cases::OpCase& op, Device device);

  std::vector<cases::OpCase> table_;
  SuiteOptions options_;
  std::regex filter_;
  Peers peers_;
  std::vector<Row> rows_;
  std::map<std::string, std::unique_ptr<Sample>> samples_;
  std::map<Device, Ceilings> ceilings_;
  std::unique_ptr<Workset> workset_;
  std::unique_ptr<Expected> expected_;
};

// The record of `doppel bench --json`: medians, shares and samples of all rows, and the
// machine.
nlohmann::ordered_json to_json(Suite& suite, const nlohmann::ordered_json& before,
                               const nlohmann::ordered_json& after);
}  // namespace bench
