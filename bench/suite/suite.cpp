#include "bench/suite/suite.h"

#include <fmt/format.h>

#include <algorithm>

#include "bench/ab/statistics.h"
#include "bench/cases/op_runner.h"
#include "bench/suite/gpu_side.h"
#include "bench/suite/machine.h"
#include "kernels/conv/plans/tuning.h"
#include "kernels/core/device.h"
#include "kernels/core/graph.h"

namespace bench {

using cases::Bytes;
using cases::OpCase;
using cases::Role;
using cases::Values;
using kernels::Stream;

namespace {

// The size of a cold row's sets together, in last caches. A host's cache is shared with
// others.
std::size_t cold_caches(Device device) { return device == Device::cuda ? 4 : 3; }

bool is_product(const OpCase& op) {
  return op.launcher == "gemm" || op.launcher.starts_with("conv_");
}
}  // namespace

// Whole operands of every case would take gigabytes; a piece has values of the right
// kind.
struct Suite::Sample {
  // A multiple of an RGB triple of floats, and of every other element.
  static constexpr std::size_t piece = 3 << 18;
  std::vector<Bytes> operands;
};

// Shared by our row, the peers' and both devices': the reference takes longer than the
// kernels.
struct Suite::Expected {
  const OpCase* op = nullptr;
  std::vector<Bytes> inputs;
  std::vector<Values> values;
};

struct Suite::Workset {
  const OpCase* op = nullptr;  // consecutive rows of one case share the operands
  Device device = Device::host;
  std::size_t stride = 0;  // bytes per set
  std::size_t sets = 1;    // of a cold row
  std::vector<std::size_t> offsets;
  char* base = nullptr;

  std::string row;                             // the rest belongs to this row
  std::size_t walked = 1, next = 0, step = 1;  // sets in use, and their order
  int launches = 1;                            // timed together
  // GPU: many copies of a short launch. The memory outlives the graph.
  std::unique_ptr<kernels::GraphMemory> graph_memory;
  std::unique_ptr<kernels::Graph> graph;
  int copies = 1;

  cases::Pointers pointers() {  // of the next set
    cases::Pointers p;
    for (std::size_t offset : offsets) p.at.push_back(base + next * stride + offset);
    next = (next + step) % walked;
    return p;
  }
  void drop_graph() {
    graph.reset();
    graph_memory.reset();
    copies = 1;
  }
  ~Workset() { drop_graph(); }
};

Suite::Suite(std::vector<OpCase> table, SuiteOptions options)
    : table_(std::move(table)),
      options_(std::move(options)),
      filter_(options_.filter, std::regex::ECMAScript | std::regex::optimize),
      peers_(options_.openblas) {
  const bool gpu = options_.device != "cpu" && kernels::probe_cuda().available;
  if (options_.device == "cuda")
    kernels::choose_device("cuda");  // throws with the reason where there is none

  // By default: the models' shapes, or the last of the tests' for a launcher without
  // one. A host, which has less memory, takes the longest row of a sweep, no f16, and
  // products of floats only, as its training steps do.
  std::map<std::string, bool> has_model_shape;                  // by launcher
  std::map<std::string, const OpCase*> longest_of_sweep, last;  // by launcher and type
  const auto kind = [](const OpCase& op) {
    return op.name.substr(0, op.name.find('/', op.launcher.size() + 1));
  };
  for (const OpCase& op : table_) {
    if (op.host_only) continue;
    has_model_shape[op.launcher] |= op.bench && !op.sweep;
    if (op.sweep && !is_product(op)) {
      const OpCase*& longest = longest_of_sweep[kind(op)];
      if (!longest || op.bytes >= longest->bytes) longest = &op;
    }
    last[kind(op)] = &op;
  }
  const auto by_default = [&](const OpCase& op, Device device) {
    const bool host = device == Device::host;
    if (host && (op.name.starts_with(op.launcher + "/f16/") ||
                 (is_product(op) && !op.name.starts_with(op.launcher + "/f32/"))))
      return false;
    if (!has_model_shape[op.launcher]) return last[kind(op)] == &op;
    if (!op.bench) return false;
    const auto sweep = longest_of_sweep.find(kind(op));
    if (!host || sweep == longest_of_sweep.end()) return !op.sweep;
    return op.sweep ? op.bytes >= sweep->second->bytes : op.bytes < 2 * sweep->second->bytes;
  };
  for (const OpCase& op : table_) {
    if (op.host_only) continue;
    if (gpu && (options_.every_case || by_default(op, Device::cuda))) add_rows(op, Device::cuda);
    if (options_.device != "cuda" && (options_.every_case || by_default(op, Device::host)))
      add_rows(op, Device::host);
  }
}

Suite::~Suite() = default;

const Ceilings& Suite::ceilings(Device device) {
  const auto found = ceilings_.find(device);
  if (found != ceilings_.end()) return found->second;
  workset_.reset();  // the arena is needed
  return ceilings_[device] = measure_ceilings(device, peers_.openblas());
}

void Suite::end_round() {
  expected_.reset();
  workset_.reset();
  if (!options_.renew_ceilings) return;
  for (auto& [device, reached] : ceilings_)
    reached = best_of(reached, measure_ceilings(device, peers_.openblas()));
}

void Suite::add_rows(const OpCase& op, Device device) {
  std::size_t footprint = 0;
  for (const cases::Operand& o : op.operands) footprint += o.bytes();
  const bool fits_cache = 2 * footprint < cache_bytes(device);
  const auto add = [&](bool cold, std::optional<Peer> peer) {
    Row row;
    row.name = fmt::format("{}/{}/{}{}{}", kernels::name(device), op.name, cold ? "cold" : "hot",
                           peer ? "/" : "", peer ? peer->name : "");
    row.op = &op;
    row.device = device;
    row.cold = cold;
    row.peer = std::move(peer);
    if (std::regex_search(row.name, filter_)) rows_.push_back(std::move(row));
  };
  add(true, {});
  if (fits_cache && !is_product(op)) add(false, {});
  if (options_.peers && (op.bench || options_.every_case))
    for (Peer& peer : peers_.of(op, device)) add(true, std::move(peer));
}

const Suite::Sample& Suite::sample(const OpCase& op) {
  std::unique_ptr<Sample>& sample = samples_[op.name];
  if (!sample) {
    sample = std::make_unique<Sample>();
    std::vector<Bytes> fresh;
    const bool known = expected_ && expected_->op == &op;
    if (!known) fresh = cases::make_inputs(op);
    for (const Bytes& bytes : known ? expected_->inputs : fresh) {
      const auto size = static_cast<std::ptrdiff_t>(std::min(bytes.size(), Sample::piece));
      sample->operands.emplace_back(bytes.begin(), bytes.begin() + size);
    }
  }
  return *sample;
}

bool Suite::check(Row& row) {
  const OpCase& op = *row.op;
  try {
    if (!expected_ || expected_->op != &op) {
      expected_.reset();  // the memory of the latest case first
      auto fresh = std::make_unique<Expected>();
      fresh->inputs = cases::make_inputs(op);
      fresh->values =
          op.element ? cases::decode_inputs(op, fresh->inputs) : cases::expected(op, fresh->inputs);
      fresh->op = &op;
      expected_ = std::move(fresh);
      sample(op);
    }
    const Expected& last = *expected_;
    Stream& stream = Stream::of(row.device);
    const cases::Placed placed(op, last.inputs, row.device, true);
    (row.peer ? row.peer->run : op.run)(stream, placed.pointers());
    stream.synchronize();
    const std::vector<Bytes> got = placed.read(op);
    row.error = op.element ? cases::compare_elements(op, got, last.values)
                           : cases::compare(op, got, last.values);
  } catch (const std::exception& error) { row.error = error.what(); }
  if (!row.error.empty()) row.seconds.clear();
  return row.error.empty();
}

// The first set is filled with repetitions of the sample, the others with copies of the
// first.
std::unique_ptr<Suite::Workset> Suite::make_workset(const OpCase& op, Device device) {
  const std::vector<Bytes>& pieces = sample(op).operands;
  auto made = std::make_unique<Workset>();
  made->op = &op;
  made->device = device;
  // 256 bytes between operands, each at another place of a page, like separate
  // allocations.
  for (std::size_t i = 0; i < op.operands.size(); ++i) {
    made->offsets.push_back(made->stride + 768 * i);
    made->stride += (op.operands[i].bytes() + 768 * i + 511) / 256 * 256;
  }
  made->stride = std::max<std::size_t>(made->stride + 768 * op.operands.size(), 256);
  const std::size_t walk = cold_caches(device) * cache_bytes(device);
  made->sets =
      std::clamp<std::size_t>((walk + made->stride - 1) / made->stride, 1, std::size_t{1} << 20);
  made->base = arena(device, made->stride * made->sets).as<char>();
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const std::size_t bytes = op.operands[i].bytes();
    for (std::size_t at = 0; at < bytes; at += pieces[i].size())
      kernels::copy(made->base + made->offsets[i] + at, device, pieces[i].data(), Device::host,
                    std::min(pieces[i].size(), bytes - at));
  }
  for (std::size_t filled = 1; filled < made->sets; filled *= 2)
    kernels::copy(made->base + filled * made->stride, device, made->base, device,
                  std::min(filled, made->sets - filled) * made->stride);
  Stream::of(device).synchronize();
  return made;
}

Suite::Workset& Suite::workset(const Row& row) {
  if (workset_ && workset_->row == row.name) return *workset_;
  if (!workset_ || workset_->op != row.op || workset_->device != row.device) {
    workset_.reset();  // before another graph may be captured
    workset_ = make_workset(*row.op, row.device);
  }
  Workset& w = *workset_;
  w.drop_graph();
  w.row = row.name;
  w.next = 0;
  w.walked = row.cold ? w.sets : 1;
  // A golden-ratio step, coprime to the count: an order that no prefetcher predicts.
  const auto golden = static_cast<std::size_t>(0.618 * static_cast<double>(w.walked)) | 1;
  w.step = w.walked < 3 ? 1 : golden;
  while (std::gcd(w.step, w.walked) != 1) w.step += 2;

  // The time of one launch decides how many are timed together, and on a GPU whether as
  // a graph.
  Stream& stream = Stream::of(row.device);
  const auto& run = row.peer ? row.peer->run : row.op->run;
  // The fastest plans of cuDNN's.
  if (row.device == Device::cuda && is_product(*row.op) && row.seconds.empty())
    kernels::run_until_tuned([&] { run(stream, w.pointers()); }, {.per_conv = 3000});
  // Earlier rounds have timed the row already; a long one needs no warm-up.
  double once = row.seconds.empty() ? 0 : row.seconds.back();
  if (once < 3e-2) run(stream, w.pointers());
  if (once == 0) once = time_of(stream, [&] { run(stream, w.pointers()); });
  if (row.device == Device::cuda && once < 20e-6) {
    w.copies = static_cast<int>(std::clamp(2e-4 / std::max(once, 1e-6), 20.0, 200.0));
    try {
      w.graph_memory = std::make_unique<kernels::GraphMemory>(row.device);
      w.graph = std::make_unique<kernels::Graph>();
      w.graph->begin(stream);
      for (int i = 0; i < w.copies; ++i) run(stream, w.pointers());
      w.graph->end(stream);
      w.graph_memory->close();
      w.graph->launch(stream);
      stream.synchronize();
    } catch (const std::exception&) {  // not capturable: timed in the stream
      if (w.graph) w.graph->abandon(stream);
      w.drop_graph();
    }
  }
  // A GPU's queue holds about a thousand launches; the next one would wait for the
  // closed gate.
  w.launches =
      static_cast<int>(std::clamp(options_.shortest_sample / std::max(once * w.copies, 1e-7), 1.0,
                                  row.device == Device::cuda ? 32.0 : 20000.0));
  return w;
}

double Suite::time_row(Row& row) {
  Workset& w = workset(row);
  Stream& stream = Stream::of(row.device);
  const auto& run = row.peer ? row.peer->run : row.op->run;
  const double seconds = time_of(stream, [&] {
    for (int i = 0; i < w.launches; ++i) {
      if (w.graph) w.graph->launch(stream);
      else run(stream, w.pointers());
    }
  });
  return seconds / w.launches / w.copies;
}

void Suite::measure(Row& row) {
  if (!row.error.empty() || (row.seconds.empty() && !check(row))) return;
  try {
    ceilings(row.device);  // uses the workset's memory the first time
    Workset& w = workset(row);
    if (row.seconds.empty()) {
      share_of_ceiling(row, time_row(row), &row.bound);
#if DOPPEL_HAS_CUDA
      if (row.device == Device::cuda) {
        Stream& stream = Stream::of(row.device);
        const auto& run = row.peer ? row.peer->run : row.op->run;
        const gpu::Launches launches = gpu::inspect(stream, [&] { run(stream, w.pointers()); });
        row.kernels = launches.kernels, row.registers = launches.registers,
        row.shared_bytes = launches.shared_bytes, row.occupancy = launches.occupancy;
      }
#endif
    }
    const double first = time_row(row);
    const double once = first * w.launches * w.copies;
    double best = first;
    for (int i = once < 3e-3 ? 4 : once < 3e-2 ? 1 : 0; i > 0; --i)
      best = std::min(best, time_row(row));
    row.seconds.push_back(best);
  } catch (const std::exception& error) {
    row.error = error.what();
    row.seconds.clear();
  }
}

double Suite::share_of_ceiling(const Row& row, double seconds, Bound* bound) {
  const Ceilings& c = ceilings(row.device);
  const OpCase& op = *row.op;
  std::size_t in = 0, out = 0;
  for (const cases::Operand& o : op.operands) {
    if (o.role != Role::out) in += o.bytes();
    if (o.role != Role::in) out += o.bytes();
  }
  const auto [traffic, bandwidth] = 19 * out < in   ? std::pair{Bound::read, c.read}
                                    : 19 * in < out ? std::pair{Bound::write, c.write}
                                                    : std::pair{Bound::copy, c.copy};
  std::pair unit{Bound::f32, c.f32};
  if (is_product(op) && !op.operands.empty()) {
    if (op.operands[0].dtype == cases::DType::bf16) unit = {Bound::bf16, c.bf16};
    else if (row.device == Device::cuda && op.operands[0].dtype == cases::DType::f16)
      unit = {Bound::f16, c.f16};
    else if (row.device == Device::cuda && kernels::allow_tf32) unit = {Bound::tf32, c.tf32};
  }
  const double speed = unit.second;
  const double by_bytes = op.bytes / seconds / bandwidth,
               by_flops = speed > 0 ? op.flops / seconds / speed : 0,
               by_launch = c.launch / seconds;
  const double share = std::max({by_bytes, by_flops, by_launch});
  if (bound) *bound = share == by_bytes ? traffic : share == by_flops ? unit.first : Bound::launch;
  return share;
}

nlohmann::ordered_json to_json(Suite& suite, const nlohmann::ordered_json& before,
                               const nlohmann::ordered_json& after) {
  nlohmann::ordered_json json;
  json["format"] = "doppel-bench-1";
  json["machine"] = describe_machine();
  json["before"] = before;
  json["after"] = after;
  for (const PeerLibrary& library : suite.libraries())
    json["peers"].push_back({{"name", library.name},
                             {"found", library.found},
                             {"version", library.version},
                             {"reason", library.reason}});
  json["ceilings"] = nlohmann::ordered_json::object();
  json["rows"] = nlohmann::ordered_json::array();
  for (const Row& row : suite.rows()) {
    const char* const device = kernels::name(row.device);
    nlohmann::ordered_json r{{"name", row.name},
                             {"device", device},
                             {"launcher", row.op->launcher},
                             {"case", row.op->name},
                             {"state", row.cold ? "cold" : "hot"},
                             {"peer", row.peer ? row.peer->name : ""}};
    if (!row.error.empty() || row.seconds.empty()) {
      r["error"] = row.error.empty() ? "not measured: out of time" : row.error;
      json["rows"].push_back(r);
      continue;
    }
    if (!json["ceilings"].contains(device)) {
      const Ceilings& c = suite.ceilings(row.device);
      json["ceilings"][device] = {{"copy_bytes_per_s", c.copy},   {"read_bytes_per_s", c.read},
                                  {"write_bytes_per_s", c.write}, {"f32_flop_per_s", c.f32},
                                  {"tf32_flop_per_s", c.tf32},    {"bf16_flop_per_s", c.bf16},
                                  {"f16_flop_per_s", c.f16},      {"launch_s", c.launch},
                                  {"candidates", c.candidates}};
    }
    // The row's best against the best ceilings; on a busy machine the median shows the
    // load.
    const double least = quantile(row.seconds, 0);
    r["bytes"] = row.op->bytes;
    r["flops"] = row.op->flops;
    r["bound"] = name(row.bound);
    r["share_of_ceiling"] = suite.share_of_ceiling(row, least);
    r["least_s"] = least;
    r["median_s"] = median(row.seconds);
    r["p95_s"] = quantile(row.seconds, 0.95);
    r["GB/s"] = row.op->bytes / least / 1e9;
    r["TFLOP/s"] = row.op->flops / least / 1e12;
    if (row.kernels > 0)
      r["launch"] = {{"kernels", row.kernels},
                     {"registers", row.registers},
                     {"shared_bytes", row.shared_bytes},
                     {"occupancy", row.occupancy}};
    r["seconds"] = row.seconds;
    json["rows"].push_back(r);
  }
  return json;
}
}  // namespace bench
