// The kernel suite: a row for every op case on every device, measured against ceilings of the same process. Both front ends use it:
// `doppel bench` (tools/bench.cpp) and, for those who know Google Benchmark, doppel_bench (google_benchmark.cpp).
//
//   right before fast   a row runs once on poisoned outputs and is held against its reference; where it differs it gets no number
//   cold                each launch takes the next of several sets of operands, which together are several times the last cache
//   hot                 always the same set, for rows that fit half of the cache
//   GPU                 events behind a gate (gpu_side.h); launches shorter than 20 us as a CUDA graph of many
//   a sample            the shortest of a few timings, one a round; rows take turns, so that a bad moment of the machine hits many
//                       rows once and not one row always
//   ceilings            measured before the first row and after every round; the best counts
//   share of ceiling    the largest of  bytes / time / bandwidth,  flops / time / speed of GEMM,  time of an empty launch / time;
//                       which one it is says what the row is bound by. Bytes and FLOPs are the op case's
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
  std::string error;         // why there is no number
  Bound bound = Bound::copy;
  std::vector<double> seconds;     // one per round
  int registers = 0, kernels = 0;  // of the launch; GPU only
  std::size_t shared_bytes = 0;
  double occupancy = 0;
};

struct SuiteOptions {
  std::string filter;           // regular expression, anywhere in the name
  std::string device = "auto";  // auto: GPU and host; cpu; cuda
  bool every_case = false;      // the small shapes of the tests and the sweeps too
  bool peers = true;
  double seconds = 150;  // of the whole run; the number of rounds follows
  int rounds = 20;       // at most
  double shortest_sample =
      1e-3;                    // seconds; more launches are timed together until they take so long
  bool renew_ceilings = true;  // after every round
  std::vector<std::string> openblas = openblas_names();
};

class Suite {
 public:
  explicit Suite(std::vector<cases::OpCase> table, SuiteOptions options = {});
  ~Suite();

  std::vector<Row>& rows() { return rows_; }
  const std::vector<PeerLibrary>& libraries() const { return peers_.libraries(); }
  const Ceilings& ceilings(Device device);  // measured on the first call

  // Holds the row against its reference; false and row.error where it fails. Peers are checked the same way.
  bool check(Row& row);
  // One timing of a checked row: seconds per launch.
  double sample(Row& row);
  // A round: every row once, in the table's order; peers in the first three only, nobody compares their runs.
  // `progress` is told the row's number, and stops it all by returning false.
  template <class Progress> void round(const Progress& progress) {
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      if (!rows_[i].peer || rows_[i].seconds.size() < 3) measure(rows_[i]);
      if (!progress(i)) return;
    }
    end_round();
  }
  void measure(Row& row);
  void
  end_round();  // forgets the last case's answer, a gigabyte, and looks whether the ceilings are higher
  double share_of_ceiling(const Row& row, double seconds, Bound* bound = nullptr);

 private:
  struct Bed;     // operands in memory, in as many sets as the row needs
  struct Kept;    // a piece of every operand, to fill a bed from
  struct Answer;  // of the case in hand
  const Kept& prepare(const cases::OpCase& op);
  std::unique_ptr<Bed> make_bed(const cases::OpCase& op, Device device);
  Bed& bed(const Row& row);
  void add_rows(const cases::OpCase& op, Device device);

  std::vector<cases::OpCase> table_;
  SuiteOptions options_;
  std::regex filter_;
  Peers peers_;
  std::vector<Row> rows_;
  std::map<std::string, std::unique_ptr<Kept>> kept_;
  std::map<Device, Ceilings> ceilings_;
  std::unique_ptr<Bed> bed_;
  std::unique_ptr<Answer> answer_;
};

// Medians, shares and samples of all rows, the machine before and after, as `doppel bench --json` writes it.
nlohmann::ordered_json to_json(Suite& suite, const nlohmann::ordered_json& before,
                               const nlohmann::ordered_json& after);

}  // namespace bench
