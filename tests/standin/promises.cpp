#include "tests/standin/promises.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <set>

namespace standin {
namespace {

using Address = std::uintptr_t;
Address address(const void* p) { return reinterpret_cast<Address>(p); }

struct Span {
  Address begin = 0, end = 0;
  bool meets(const Span& other) const { return begin < other.end && other.begin < end; }
};

class Blocks {
 public:
  void add(const Operand& block) { live_[address(block.data)] = block.bytes; }
  void remove(const Operand& block) { live_.erase(address(block.data)); }
  // The block that holds an address; empty outside of all.
  Span find(const void* at) const {
    auto after = live_.upper_bound(address(at));
    if (after == live_.begin()) return {};
    const auto& [begin, bytes] = *--after;
    return address(at) - begin < bytes ? Span{begin, begin + bytes} : Span{};
  }
  std::size_t left(const void* at) const {  // from the address to the end of its block
    const Span block = find(at);
    return block.end > 0 ? block.end - address(at) : 0;
  }

 private:
  std::map<Address, std::size_t> live_;
};

Span span(const Operand& o) {
  return {address(o.data), address(o.data) + std::max<std::size_t>(o.bytes, 1)};
}

class Check {
 public:
  std::vector<std::string> broken;

  void look(const Event& e) {
    event_ = &e;
    if (e.call == kPoolTakes) pool_takes(e);
    else if (e.call == kPoolGives) pool_.remove(e.operands[0]);
    else if (e.call == "cudaMalloc") card_.add(e.operands[0]);
    else if (e.call == "cudaFree") frees(e);
    else if (e.call == "cudaStreamBeginCapture") captured_.clear();
    else if (e.call == "cudaGraphInstantiate") graph_ = captured_;
    else if (e.call == "cudaGraphExecDestroy") graph_.clear();
    else if (e.work) work(e);
    if (!e.work && e.capturing) inside_capture(e);
  }

 private:
  template <class... A> void fault(fmt::format_string<A...> text, A&&... values) {
    broken.push_back(fmt::format("{}{}: {}", event_->call,
                                 event_->text.empty() ? "" : " (" + event_->text + ")",
                                 fmt::format(text, std::forward<A>(values)...)));
  }

  void inside_capture(const Event& e) {
    static const std::set<std::string> forbidden = {"cudaMalloc",
                                                    "cudaFree",
                                                    "cudaHostAlloc",
                                                    "cudaFreeHost",
                                                    "cudaStreamSynchronize",
                                                    "cudaStreamQuery",
                                                    "cudaDeviceSynchronize",
                                                    "cudaEventQuery",
                                                    "cudaEventSynchronize",
                                                    "cudaMemcpy",
                                                    "cudaMemset",
                                                    "cudaStreamCreate",
                                                    "cudaStreamDestroy"};
    if (forbidden.count(e.call)) fault("inside a capture");
  }

  void pool_takes(const Event& e) {
    for (const Operand& o : graph_)
      if (span(o).meets(span(e.operands[0])))
        return fault("gives memory that a graph uses as {}", o.name);
    pool_.add(e.operands[0]);
  }

  void frees(const Event& e) {
    const Span block = card_.find(e.operands[0].data);
    card_.remove(e.operands[0]);
    for (const Operand& o : graph_)
      if (span(o).meets(block)) return fault("frees memory that a graph uses as {}", o.name);
  }

  void work(const Event& e) {
    if (e.error != 0 && (e.capturing || e.call == "launch")) fault("failed with {}", e.error);
    if (e.error != 0) return;
    if (!e.stream) fault("is on the legacy stream");
    else if (stream_ && e.stream != stream_) fault("is on another stream than the work before");
    if (e.stream) stream_ = e.stream;
    for (const Operand& o : e.operands) operand(e, o);
    workspace(e);
    if (e.capturing) captured_.insert(captured_.end(), e.operands.begin(), e.operands.end());
  }

  void operand(const Event& e, const Operand& o) {
    if (o.name == "workspace") return;
    if (!on_device(o.data)) return host_operand(e, o);
    // A graph keeps the blocks that were free again at the end of its capture.
    const std::size_t left = (e.graph ? card_ : pool_).left(o.data);
    if (left == 0) fault("{} is in no live block", o.name);
    else if (o.bytes > left) fault("{} needs {} bytes, its block has {}", o.name, o.bytes, left);
    if (address(o.data) % o.alignment != 0) fault("{} is not aligned to {}", o.name, o.alignment);
  }

  void host_operand(const Event& e, const Operand& o) {
    if (pinned(o.data)) return;
    if (e.call != "cudaMemcpy") fault("{} is not in the card's memory", o.name);
    else if (e.capturing) fault("{} is pageable host memory, used when the graph runs", o.name);
  }

  void workspace(const Event& e) {
    if (e.workspace_needed == 0) return;
    const auto found = std::find_if(e.operands.begin(), e.operands.end(),
                                    [](const Operand& o) { return o.name == "workspace"; });
    if (found == e.operands.end() || !found->data) return fault("has no workspace");
    const std::size_t left = (e.graph ? card_ : pool_).left(found->data);
    if (std::min(left, found->bytes) < e.workspace_needed)
      return fault("needs a workspace of {} bytes, has {}", e.workspace_needed,
                   std::min(left, found->bytes));
    if (address(found->data) % found->alignment != 0) fault("its workspace is not aligned");
    for (const Operand& o : e.operands)
      if (&o != &*found && span(o).meets(span(*found))) fault("its workspace covers {}", o.name);
  }

  const Event* event_ = nullptr;
  const void* stream_ = nullptr;
  Blocks pool_, card_;
  std::vector<Operand> captured_, graph_;  // operands of the open capture, of the graph
};
}  // namespace

std::vector<std::string> broken_promises(const std::vector<Event>& record, std::size_t first) {
  Check check;
  for (std::size_t i = 0; i < record.size(); ++i) {
    check.look(record[i]);
    if (i < first) check.broken.clear();
  }
  return std::move(check.broken);
}

std::vector<std::string> work_of(const std::vector<Event>& record, std::size_t first,
                                 std::size_t end, bool blocks) {
  std::vector<std::string> lines;
  Blocks pool;
  for (std::size_t i = 0; i < end; ++i) {
    const Event& e = record[i];
    if (e.call == kPoolTakes) pool.add(e.operands[0]);
    if (e.call == kPoolGives) pool.remove(e.operands[0]);
    if (!e.work || i < first) continue;
    std::string line = e.call + " " + e.text;
    for (std::size_t k = 0; blocks && k < e.operands.size(); ++k) {
      const Span block = pool.find(e.operands[k].data);
      const Address offset = address(e.operands[k].data) - block.begin;
      line += fmt::format("{}{}{}", k ? ", " : "\n    in ", block.end - block.begin,
                          block.end > 0 && offset > 0 ? fmt::format("+{}", offset) : "");
    }
    lines.push_back(std::move(line));
  }
  return lines;
}
}  // namespace standin
