// The whole training program on a card that is not there: faces read, steps captured and
// replayed, previews between them, a checkpoint saved and resumed.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "faceswap/train/trainer.h"
#include "tests/faceswap/scratch.h"
#include "tests/standin/promises.h"

namespace standin {
namespace {

std::size_t count(const std::vector<Event>& events, std::size_t first, const std::string& call) {
  return static_cast<std::size_t>(
      std::count_if(events.begin() + static_cast<std::ptrdiff_t>(first), events.end(),
                    [&](const Event& e) { return e.call == call && e.error == 0; }));
}

struct WholeTraining : testing::Test {
  Scratch scratch;
  faceswap::TrainOptions options;

  void SetUp() override {
    for (const char person : {'a', 'b'}) make_faces(scratch / std::string(1, person), person, 5, 4);
    options.faces_a = scratch / "a";
    options.faces_b = scratch / "b";
    options.model_dir = scratch / "model";
    options.model = "tiny";
    options.device = "cuda";
    options.precision = "bf16";
    options.quiet = true;
  }
};

TEST_F(WholeTraining, PreviewsBetweenReplaysKeepThePromises) {
  options.batch = 18;
  options.steps = 30;
  options.preview_every = 4;
  const std::size_t first = record().size();
  {
    faceswap::Trainer trainer(make_plan(options));
    trainer.run();
    EXPECT_EQ(trainer.history().size(), 30u);
  }
  const std::vector<Event> events = record();
  // A graph for every plan that was tried, and the step's.
  const std::size_t graphs = count(events, first, "cudaGraphInstantiate");
  EXPECT_GT(graphs, 1u);
  EXPECT_EQ(count(events, first, "cudaGraphExecDestroy"), graphs);
  const std::size_t launches = count(events, first, "cudaGraphLaunch");
  EXPECT_GE(launches, 10u) << "plans are chosen within 20 steps";
  EXPECT_LT(launches, 30u);
  for (const std::string& line : broken_promises(events, first))
    if (line != kRefusedPlan) ADD_FAILURE() << line;

  options.steps = 33;
  faceswap::Trainer resumed(make_plan(options));
  EXPECT_TRUE(resumed.resumed());
}
}  // namespace
}  // namespace standin
