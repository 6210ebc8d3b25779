#include "bench/suite/suite.h"

#include <fmt/format.h>

#include <algorithm>

#include "bench/ab/statistics.h"
#include "bench/cases/op_runner.h"
#include "bench/suite/gpu_side.h"
#include "bench/suite/machine.h"
#include "kernels/core/graph.h"
#include "kernels/core/math_mode.h"

namespace bench {

using cases::Bytes;
using cases::OpCase;
using cases::Role;
using cases::Values;
using kernels::Stream;

namespace {

// A cold row walks through so many times the last cache. A host's cache is shared with its neighbours: less of it is ours.
std::size_t cold_caches(Device device) { return device == Device::cuda ? 4 : 3; }

bool is_product(const OpCase& op) {
  return op.launcher == "gemm" || op.launcher.starts_with("conv_");
}

}  // namespace

// ---- operands

// Enough of every operand to fill a bed of any size with values of the right kind. All of it would take gigabytes.
struct Suite::Kept {
  static constexpr std::size_t piece =
      3 << 18;  // a whole number of RGB triples of floats, and of every other element
  std::vector<Bytes> operands;
};

// Inputs and answer are the same for ours, the peers and both devices, and cost more than the kernels.
struct Suite::Answer {
  const OpCase* op = nullptr;
  std::vector<Bytes> inputs;
  std::vector<Values> values;
};

struct Suite::Bed {
  const OpCase* op =
      nullptr;  // whose operands lie there; its rows come one after the other and share them
  Device device = Device::host;
  std::size_t stride = 0;  // bytes of one set
  std::size_t sets = 1;    // as many as a cold row needs
  std::vector<std::size_t> offsets;
  char* base = nullptr;

  std::string row;  // what the rest is of
  std::size_t walked = 1, next = 0,
              step = 1;  // sets that this row goes through, and in which order
  int launches = 1;      // timed together
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
  ~Bed() { drop_graph(); }
};

Suite::Suite(std::vector<OpCase> table, SuiteOptions options)
    : table_(std::move(table)),
      options_(std::move(options)),
      filter_(options_.filter, std::regex::ECMAScript | std::regex::optimize),
      peers_(options_.openblas) {
  const bool gpu = options_.device != "cpu" && kernels::probe_cuda().available;
  if (options_.device == "cuda")
    kernels::choose_device("cuda");  // throws with the reason where there is none

  // Without every_case: the models' shapes; the last of the tests' shapes for a launcher that has none. A host holds less than a card:
  // it takes the longest row of a sweep instead of rows of gigabytes, no f16, which is for cards without bf16, and products
  // of floats only: a step on the host multiplies floats.
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
  bed_.reset();  // its memory is wanted
  return ceilings_[device] = measure_ceilings(device, peers_);
}

void Suite::end_round() {
  answer_.reset();
  bed_.reset();
  if (!options_.renew_ceilings) return;
  for (auto& [device, reached] : ceilings_)
    reached = best_of(reached, measure_ceilings(device, peers_));
}

void Suite::add_rows(const OpCase& op, Device device) {
  double footprint = 0;
  for (const cases::Operand& o : op.operands) footprint += static_cast<double>(o.bytes());
  const bool fits_cache = footprint < 0.5 * static_cast<double>(cache_bytes(device));
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

const Suite::Kept& Suite::prepare(const OpCase& op) {
  std::unique_ptr<Kept>& kept = kept_[op.name];
  if (!kept) {
    kept = std::make_unique<Kept>();
    for (Bytes& bytes : cases::make_inputs(op)) {
      bytes.resize(std::min(bytes.size(), Kept::piece));
      bytes.shrink_to_fit();
      kept->operands.push_back(std::move(bytes));
    }
  }
  return *kept;
}

bool Suite::check(Row& row) {
  const OpCase& op = *row.op;
  try {
    if (!answer_ || answer_->op != &op) {
      answer_.reset();  // the memory of the last one first
      auto fresh = std::make_unique<Answer>();
      Answer& last = *fresh;
      last.inputs = cases::make_inputs(op);
      last.values =
          op.element ? cases::decode_inputs(op, last.inputs) : cases::expected(op, last.inputs);
      last.op = &op;
      if (!kept_[op.name]) {
        auto kept = std::make_unique<Kept>();
        for (const Bytes& bytes : last.inputs)
          kept->operands.emplace_back(
              bytes.begin(),
              bytes.begin() + static_cast<std::ptrdiff_t>(std::min(bytes.size(), Kept::piece)));
        kept_[op.name] = std::move(kept);
      }
      answer_ = std::move(fresh);
    }
    const Answer& last = *answer_;
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

// Operands of one case in memory: the kept pieces over and over in the first set, and that set over and over in the others.
std::unique_ptr<Suite::Bed> Suite::make_bed(const OpCase& op, Device device) {
  const Kept& kept = prepare(op);
  auto made = std::make_unique<Bed>();
  made->op = &op;
  made->device = device;
  // 256 bytes between operands, and a different place in a page for each, as allocations would have.
  for (std::size_t i = 0; i < op.operands.size(); ++i) {
    const cases::Operand& o = op.operands[i];
    made->offsets.push_back(made->stride + 768 * i);
    made->stride += (o.bytes() + 768 * i + 511) / 256 * 256;
  }
  made->stride = std::max<std::size_t>(made->stride + 768 * op.operands.size(), 256);
  const std::size_t walk = cold_caches(device) * cache_bytes(device);
  made->sets =
      std::clamp<std::size_t>((walk + made->stride - 1) / made->stride, 1, std::size_t{1} << 20);
  made->base = arena(device, made->stride * made->sets).as<char>();
  for (std::size_t i = 0; i < kept.operands.size(); ++i) {
    const std::size_t bytes = op.operands[i].bytes();
    for (std::size_t at = 0; at < bytes; at += kept.operands[i].size())
      kernels::copy(made->base + made->offsets[i] + at, device, kept.operands[i].data(),
                    Device::host, std::min(kept.operands[i].size(), bytes - at));
  }
  for (std::size_t filled = 1; filled < made->sets; filled *= 2)
    kernels::copy(made->base + filled * made->stride, device, made->base, device,
                  std::min(filled, made->sets - filled) * made->stride);
  Stream::of(device).synchronize();
  return made;
}

Suite::Bed& Suite::bed(const Row& row) {
  if (bed_ && bed_->row == row.name) return *bed_;
  if (!bed_ || bed_->op != row.op || bed_->device != row.device) {
    bed_.reset();  // before another graph may be captured
    bed_ = make_bed(*row.op, row.device);
  }
  Bed& b = *bed_;
  b.drop_graph();
  b.row = row.name;
  b.next = 0;
  b.walked = row.cold ? b.sets : 1;
  b.step = b.walked < 3 ? 1
                        : static_cast<std::size_t>(0.618 * static_cast<double>(b.walked)) |
                              1;  // an order that no prefetcher guesses
  while (std::gcd(b.step, b.walked) != 1) b.step += 2;

  // How long one takes says how many are timed together, and on a GPU whether they go into a graph.
  Stream& stream = Stream::of(row.device);
  const auto& run = row.peer ? row.peer->run : row.op->run;
  // A row of earlier rounds is known; a long one needs no run to warm up either.
  double once = row.seconds.empty() ? 0 : row.seconds.back();
  if (once < 3e-2) run(stream, b.pointers());
  if (once == 0) once = time_of(stream, [&] { run(stream, b.pointers()); });
  if (row.device == Device::cuda && once < 20e-6) {
    b.copies = static_cast<int>(std::clamp(2e-4 / std::max(once, 1e-6), 20.0, 200.0));
    try {
      b.graph_memory = std::make_unique<kernels::GraphMemory>(row.device);
      b.graph = std::make_unique<kernels::Graph>();
      b.graph->begin(stream);
      for (int i = 0; i < b.copies; ++i) run(stream, b.pointers());
      b.graph->end(stream);
      b.graph_memory->close();
      b.graph->launch(stream);
      stream.synchronize();
    } catch (const std::exception&) {  // what cannot be captured is timed in the stream
      if (b.graph) b.graph->abandon(stream);
      b.drop_graph();
    }
  }
  // A GPU's queue holds about a thousand launches: more than that behind the gate would wait for it to open.
  b.launches =
      static_cast<int>(std::clamp(options_.shortest_sample / std::max(once * b.copies, 1e-7), 1.0,
                                  row.device == Device::cuda ? 32.0 : 20000.0));
  return b;
}

double Suite::sample(Row& row) {
  Bed& b = bed(row);
  Stream& stream = Stream::of(row.device);
  const auto& run = row.peer ? row.peer->run : row.op->run;
  const double seconds = time_of(stream, [&] {
    for (int i = 0; i < b.launches; ++i) {
      if (b.graph) b.graph->launch(stream);
      else run(stream, b.pointers());
    }
  });
  return seconds / b.launches / b.copies;
}

void Suite::measure(Row& row) {
  if (!row.error.empty() || (row.seconds.empty() && !check(row))) return;
  try {
    ceilings(row.device);  // takes the bed's memory the first time
    Bed& b = bed(row);
    if (row.seconds.empty()) {
      share_of_ceiling(row, sample(row), &row.bound);
#if DOPPEL_HAS_CUDA
      if (row.device == Device::cuda) {
        Stream& stream = Stream::of(row.device);
        const auto& run = row.peer ? row.peer->run : row.op->run;
        const gpu::Launches launches = gpu::inspect(stream, [&] { run(stream, b.pointers()); });
        row.kernels = launches.kernels, row.registers = launches.registers,
        row.shared_bytes = launches.shared_bytes, row.occupancy = launches.occupancy;
      }
#endif
    }
    const double first = sample(row);
    const double once = first * b.launches * b.copies;
    double best = first;
    for (int i = once < 3e-3 ? 4 : once < 3e-2 ? 1 : 0; i > 0; --i)
      best = std::min(best, sample(row));
    row.seconds.push_back(best);
  } catch (const std::exception& error) {
    row.error = error.what();
    row.seconds.clear();
  }
}

// ---- shares

double Suite::share_of_ceiling(const Row& row, double seconds, Bound* bound) {
  const Ceilings& c = ceilings(row.device);
  const OpCase& op = *row.op;
  double in = 0, out = 0;
  for (const cases::Operand& o : op.operands) {
    const double bytes = static_cast<double>(o.bytes());
    if (o.role != Role::out) in += bytes;
    if (o.role != Role::in) out += bytes;
  }
  const Bound traffic = out < 0.05 * (in + out)  ? Bound::read
                        : in < 0.05 * (in + out) ? Bound::write
                                                 : Bound::copy;
  const double bandwidth = traffic == Bound::read    ? c.read
                           : traffic == Bound::write ? c.write
                                                     : c.copy;
  const bool half = !op.operands.empty() && op.operands[0].dtype == cases::DType::bf16;
  const Bound unit = !is_product(op)                                     ? Bound::f32
                     : half                                              ? Bound::bf16
                     : row.device == Device::cuda && kernels::allow_tf32 ? Bound::tf32
                                                                         : Bound::f32;
  const double speed = unit == Bound::bf16 ? c.bf16 : unit == Bound::tf32 ? c.tf32 : c.f32;
  const double by_bytes = op.bytes / seconds / bandwidth,
               by_flops = speed > 0 ? op.flops / seconds / speed : 0,
               by_launch = c.launch / seconds;
  const double share = std::max({by_bytes, by_flops, by_launch});
  if (bound) *bound = share == by_bytes ? traffic : share == by_flops ? unit : Bound::launch;
  return share;
}

// ---- the record

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
                                  {"launch_s", c.launch},         {"candidates", c.candidates}};
    }
    // Ceilings are the best that was seen, so the row's best is held against them: on a busy machine a median says how busy it was.
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
