// Whole training steps on a card that is not there: eager steps while plans are chosen, a
// captured one, replays. The record shows which work reaches the card, in which memory, on which
// stream. No number is computed, so results are not looked at.
#include <cuda_runtime_api.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <optional>
#include <ostream>

#include "faceswap/models/model.h"
#include "faceswap/train/face_set.h"
#include "faceswap/train/training_step.h"
#include "kernels/core/memory.h"
#include "nn/step_graph.h"
#include "tests/standin/promises.h"

namespace standin {
namespace {

using kernels::Device;
using nn::DType;

// Before anything is taken from the pool, and no plans from or to this user's files.
const bool prepared = [] {
  setenv("DOPPEL_CACHE_DIR", "", 1);
  unsetenv("DOPPEL_MEASURE_PLANS");
  start();
  return true;
}();

class Training {
 public:
  Training(const std::string& model, DType dtype, int batch, int micro_batches = 1)
      : first_event_(record().size()), model_(faceswap::make_model(model)) {
    model_->arena().allocate(Device::cuda, dtype, 1);
    state_.emplace(Device::cuda, kernels::StepState{});
    const int stored = faceswap::stored_size_for(model_->size());
    constexpr int count = 3;
    faces_ =
        kernels::Buffer(Device::cuda, static_cast<std::size_t>(2 * count * stored * stored * 4));
    const std::size_t half = faces_.bytes() / 2;
    const std::array faces{
        faceswap::FacesOnDevice{faces_.as<std::uint8_t>(), count, stored},
        faceswap::FacesOnDevice{faces_.as<std::uint8_t>() + half, count, stored}};
    faceswap::StepPlan plan;
    plan.batch = batch;
    plan.micro_batches = micro_batches;
    step_.emplace(*model_, dtype, faces, *state_, plan);
    graph_.emplace(Device::cuda);
  }

  // One step; `also` is done inside it. Returns its events' range.
  struct Range {
    std::size_t first, end;
  };
  Range step(const std::function<void()>& also = [] {}) {
    const std::size_t first = record().size();
    graph_->run([&] {
      step_->run();
      also();
    });
    return {first, record().size()};
  }
  // Steps until the plans are chosen and the step is captured or gave up: its ranges are
  // those of the last eager step and of the step that was captured.
  struct Settled {
    Range eager{}, captured{};
    std::size_t misses = 0;  // of the pool, before the captured step
  };
  Settled settle(const std::function<void()>& in_capture = [] {}) {
    Settled settled;
    for (int i = 0; i < 40 && graph_->settling(); ++i) {
      settled.eager = settled.captured;
      settled.misses = kernels::pool_stats(Device::cuda).misses;
      settled.captured = step([&] {
        if (kernels::Stream::of(Device::cuda).capturing()) in_capture();
      });
    }
    return settled;
  }
  std::size_t first_event() const { return first_event_; }
  const nn::StepGraph& graph() const { return *graph_; }
  void* arena() const { return const_cast<void*>(model_->arena().master().raw()); }
  void end_graph() { graph_.reset(); }

 private:
  std::size_t first_event_;
  std::unique_ptr<faceswap::Model> model_;
  std::optional<nn::StepStateBlock> state_;
  kernels::Buffer faces_;
  std::optional<faceswap::TrainingStep> step_;
  std::optional<nn::StepGraph> graph_;
};

std::vector<std::string> work_in(Training::Range range, bool blocks = false) {
  return work_of(record(), range.first, range.end, blocks);
}

std::size_t count(Training::Range range, const std::string& call) {
  const std::vector<Event> all = record();
  return static_cast<std::size_t>(
      std::count_if(all.begin() + static_cast<std::ptrdiff_t>(range.first),
                    all.begin() + static_cast<std::ptrdiff_t>(range.end),
                    [&](const Event& e) { return e.call == call; }));
}

bool mentions(const std::vector<std::string>& lines, const std::string& text) {
  return std::any_of(lines.begin(), lines.end(),
                     [&](const std::string& line) { return line.find(text) != std::string::npos; });
}

// Names the first difference: a step has too many lines to print them all.
void expect_same(const std::vector<std::string>& lines, const std::vector<std::string>& expected) {
  EXPECT_EQ(lines.size(), expected.size());
  for (std::size_t i = 0; i < std::min(lines.size(), expected.size()); ++i)
    if (lines[i] != expected[i]) {
      ADD_FAILURE() << "line " << i << " is\n" << lines[i] << "\nexpected\n" << expected[i];
      return;
    }
}

// `settled`: the first event behind the choice of plans. Before it autotuning captures every
// plan that may win, and one of the stand-in's waits, so it is refused.
void expect_kept(const Training& training, std::size_t settled) {
  for (const std::string& line : broken_promises(record(), training.first_event()))
    if (line != kRefusedPlan) ADD_FAILURE() << line;
  for (const std::string& line : broken_promises(record(), settled)) ADD_FAILURE() << line;
}

struct Case {
  const char* model;
  DType dtype;
  int batch, micro_batches;
  friend void PrintTo(const Case& c, std::ostream* out) { *out << c.model << " " << c.batch; }
};
struct WholeStep : testing::TestWithParam<Case> {};

TEST_P(WholeStep, KeepsWhatTheSeamsPromise) {
  const Case c = GetParam();
  Training training(c.model, c.dtype, c.batch, c.micro_batches);
  const auto [eager, captured, misses] = training.settle();
  ASSERT_TRUE(training.graph().captured()) << training.graph().why_not();
  EXPECT_EQ(kernels::pool_stats(Device::cuda).misses, misses) << "the pool did not suffice";
  EXPECT_EQ(count(captured, "cudaMalloc"), 0u);
  EXPECT_EQ(count(captured, "cudaGraphLaunch"), 1u) << "the captured step must also run";
  const auto replayed = training.step();

  // An eager step between replays, as a preview is, and more requests of the sizes that
  // the graph uses: none may get the graph's memory.
  {
    std::vector<kernels::Buffer> more;
    const std::vector<Event> all = record();
    for (std::size_t i = eager.first; i < eager.end; ++i)
      if (all[i].call == kPoolTakes) more.emplace_back(Device::cuda, all[i].operands[0].bytes);
  }
  training.step();
  EXPECT_EQ(count({replayed.first, replayed.end}, kPoolTakes), 0u);

  const std::vector<std::string> work = work_in(eager);
  EXPECT_GT(work.size(), 40u);
  EXPECT_EQ(work.size(), training.graph().node_count());
  // The captured step's events: the nodes, then the same again as its first launch runs.
  std::vector<std::string> twice = work;
  twice.insert(twice.end(), work.begin(), work.end());
  expect_same(work_in(captured), twice);
  expect_same(work_in(replayed), work);
  for (const char* library : {"cudnnBackendExecute", "cublasGemmEx", "launch"})
    EXPECT_TRUE(mentions(work, library)) << library;

  const std::size_t before_end = record().size();
  training.end_graph();
  EXPECT_EQ(count({before_end, record().size()}, "cudaGraphExecDestroy"), 1u);
  expect_kept(training, eager.first);
}

INSTANTIATE_TEST_SUITE_P(
    Models, WholeStep,
    testing::Values(Case{"tiny", DType::f32, 2, 1}, Case{"tiny", DType::bf16, 3, 1},
                    Case{"tiny", DType::f16, 4, 1}, Case{"tiny", DType::bf16, 8, 4},
                    Case{"original", DType::bf16, 16, 1}),
    [](const auto& test) {
      return fmt::format("{}_{}_{}_in_{}", test.param.model, name(test.param.dtype),
                         test.param.batch, test.param.micro_batches);
    });

// --- seeded mistakes, which the checks must see

// Takes back the faults of a test.
struct Fault : testing::Test {
  ~Fault() override { faults() = {}; }
  // Of a batch that no other test has, so its plans are chosen anew.
  std::vector<std::string> broken(
      int batch, const std::function<void()>& in_capture = [] {}) {
    Training training("tiny", DType::bf16, batch);
    training.settle(in_capture);
    captured_ = training.graph().captured();
    why_not_ = training.graph().why_not();
    return broken_promises(record(), training.first_event());
  }
  bool captured_ = false;
  std::string why_not_;  // of the latest capture that failed
};

TEST_F(Fault, AllocationInsideTheCapture) {
  const auto lines = broken(5, [] {
    void* block = nullptr;
    cudaMalloc(&block, 1000);
    cudaFree(block);
  });
  EXPECT_TRUE(mentions(lines, "cudaMalloc (1000 bytes): inside a capture"));
  EXPECT_NE(why_not_, "") << "the runtime breaks such a capture";
}

TEST_F(Fault, RequestThatThePoolCannotServe) {
  broken(6, [] { const kernels::Buffer unforeseen(Device::cuda, 12345678); });
  EXPECT_FALSE(captured_);
  EXPECT_NE(why_not_.find("may not allocate"), std::string::npos) << why_not_;
}

TEST_F(Fault, MissingWorkspace) {
  faults().plan_hides_workspace = true;
  EXPECT_TRUE(mentions(broken(7), ": has no workspace"));
}

TEST_F(Fault, WorkspaceTooSmall) {
  faults().plan_halves_workspace = true;
  EXPECT_TRUE(mentions(broken(9), ": needs a workspace of"));
}

TEST_F(Fault, WorkspaceOfCublasNotSet) {
  faults().ignore_cublas_workspace = true;
  EXPECT_TRUE(mentions(broken(10), ": has no workspace"));
}

TEST_F(Fault, LibraryOnTheLegacyStream) {
  faults().ignore_cudnn_stream = true;
  EXPECT_TRUE(mentions(broken(11), "is on the legacy stream"));
}

TEST_F(Fault, WorkOnAnotherStream) {
  Training training("tiny", DType::bf16, 12);
  cudaStream_t other{};
  ASSERT_EQ(cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking), cudaSuccess);
  training.step([&] { cudaMemsetAsync(training.arena(), 0, 4, other); });
  const auto lines = broken_promises(record(), training.first_event());
  EXPECT_TRUE(mentions(lines, "is on another stream than the work before"));
  cudaStreamDestroy(other);
}

TEST_F(Fault, WaitInsideTheCapture) {
  const auto lines = broken(13, [] { kernels::Stream::of(Device::cuda).synchronize(); });
  EXPECT_TRUE(mentions(lines, "cudaStreamSynchronize: inside a capture"));
  EXPECT_NE(why_not_, "");
}

TEST_F(Fault, HostMemoryReadLate) {
  static float value = 1;
  const auto lines = broken(14, [] {
    static void* const block = new kernels::Buffer(Device::cuda, sizeof value);
    cudaMemcpyAsync(static_cast<kernels::Buffer*>(block)->data(), &value, sizeof value,
                    cudaMemcpyHostToDevice,
                    static_cast<cudaStream_t>(kernels::Stream::of(Device::cuda).raw()));
  });
  EXPECT_TRUE(captured_) << "CUDA itself allows it";
  EXPECT_TRUE(mentions(lines, "from is pageable host memory, used when the graph runs"));
}

// The engine's own copies refuse it.
TEST_F(Fault, CopyFromTheHostInsideTheCapture) {
  float value = 1;
  const kernels::Buffer block(Device::cuda, sizeof value);
  broken(18,
         [&] { kernels::copy(block.data(), Device::cuda, &value, Device::host, sizeof value); });
  EXPECT_FALSE(captured_);
  EXPECT_NE(why_not_, "");
}

TEST_F(Fault, OperandBeyondItsBlock) {
  Training training("tiny", DType::bf16, 15);
  training.step([&] {
    const kernels::Buffer small(Device::cuda, 100);
    fill_zero(kernels::Stream::of(Device::cuda), small.data(), 101);
  });
  EXPECT_TRUE(mentions(broken_promises(record(), training.first_event()),
                       "to needs 101 bytes, its block has 100"));
}

TEST_F(Fault, MemoryOfAGraphGivenAgain) {
  std::vector<Event> events = record();
  const std::size_t first = events.size();
  const auto at = [](std::uintptr_t a) { return reinterpret_cast<const void*>(a); };
  const void* const stream = at(8);
  const auto add = [&](Event e) { events.push_back(std::move(e)); };
  // By hand, because the pool keeps this promise.
  void* block = nullptr;
  ASSERT_EQ(cudaMalloc(&block, 512), cudaSuccess);
  add({.call = kPoolTakes, .operands = {{"block", block, 512}}});
  add({.call = "cudaStreamBeginCapture"});
  add({.call = "cudaMemset",
       .work = true,
       .stream = stream,
       .operands = {{"to", block, 512}},
       .capturing = true});
  add({.call = "cudaGraphInstantiate"});
  add({.call = kPoolGives, .operands = {{"block", block, 512}}});
  add({.call = kPoolTakes, .operands = {{"block", block, 256}}});
  EXPECT_TRUE(mentions(broken_promises(events, first), "gives memory that a graph uses as to"));
  events.insert(events.end() - 1, {.call = "cudaGraphExecDestroy"});
  EXPECT_FALSE(mentions(broken_promises(events, first), "gives memory"));
  cudaFree(block);
}

// A plan that waits for its stream is fast until it is captured: autotuning refuses it.
TEST_F(Fault, PlanThatCannotBeCaptured) {
  faults().plan_waits = true;
  const auto lines = broken(17);
  EXPECT_TRUE(mentions(lines, "cudaStreamSynchronize: inside a capture")) << "it was tried";
  EXPECT_TRUE(captured_) << why_not_;
}

// --- the golden record

// To write it again after a change of the step's work, look at the difference and:
//   DOPPEL_UPDATE_RECORD=1 build/release/tests/standin/test_standin --gtest_filter='*Golden*'
TEST(GoldenRecord, OneStepOfTiny) {
  Training training("tiny", DType::bf16, 16);
  std::string text;
  for (const std::string& line : work_in(training.settle().eager, true)) text += line + "\n";
  const std::string path = DOPPEL_SOURCE_DIR "/tests/data/step_tiny_bf16_b16.txt";
  if (std::getenv("DOPPEL_UPDATE_RECORD")) {
    std::ofstream(path) << text;
    return;
  }
  std::ifstream file(path);
  const std::string golden{std::istreambuf_iterator<char>(file), {}};
  if (text == golden) return;
  const std::string now = testing::TempDir() + "step_tiny_bf16_b16.txt";
  std::ofstream(now) << text;
  FAIL() << "the work of a step has changed: see diff " << path << " " << now
         << "; if it should, write it again: DOPPEL_UPDATE_RECORD=1 test_standin "
            "--gtest_filter='*Golden*'";
}
}  // namespace
}  // namespace standin
