// Plans on disk: stored plans are found again, and a bad file costs no more than time.
#include "kernels/conv/plans/plan_cache.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

using kernels::CachedPlan;
using kernels::Direction;
using kernels::PlanCache;
using kernels::cudnn::MathType;
using kernels::cudnn::Problem;

namespace fs = std::filesystem;

namespace {

struct PlanCacheTest : testing::Test {
  PlanCacheTest() {
    std::string name = (fs::temp_directory_path() / "doppel-plans-XXXXXX").string();
    if (!mkdtemp(name.data())) throw std::runtime_error("no temporary folder");
    folder = name;
    file = folder / "sub" / "cudnn-plans.txt";
  }
  ~PlanCacheTest() override { fs::remove_all(folder); }
  PlanCache open() {
    return PlanCache(file, [this](const std::string& message) { notices.push_back(message); });
  }
  std::string text() const {
    std::stringstream all;
    all << std::ifstream(file).rdbuf();
    return all.str();
  }
  void put(const std::string& content) {
    fs::create_directories(file.parent_path());
    std::ofstream(file) << content;
  }
  fs::path folder, file;
  std::vector<std::string> notices;
};

const CachedPlan kPlan{{true, false}, {62, {{1, 3}, {27, -2}, {40, 128}}}, 0.125};
const CachedPlan kOther{{false, true}, {7, {}}, 1.5};

TEST_F(PlanCacheTest, StoredPlansAreFoundAgain) {
  {
    PlanCache cache = open();
    EXPECT_FALSE(cache.find("a"));
    cache.store("a", kPlan);
    cache.store("b | c", kOther);
    EXPECT_EQ(cache.find("a"), kPlan);
  }
  PlanCache again = open();
  EXPECT_EQ(again.find("a"), kPlan);
  EXPECT_EQ(again.find("b | c"), kOther);
  EXPECT_FALSE(again.find("c"));
  EXPECT_TRUE(notices.empty());
}

TEST_F(PlanCacheTest, NewPlansReplaceOldOnes) {
  open().store("a", kPlan);
  open().store("a", kOther);
  EXPECT_EQ(open().find("a"), kOther);
}

TEST_F(PlanCacheTest, ForeignFilesAreIgnoredAndRewritten) {
  for (const std::string& content :
       {std::string("{\"json\": 1}\n"), std::string(),
        std::string("doppel cudnn plans 2\na\t0 0 1 1.0\n"), std::string(5 << 20, '\n'),
        std::string("\x00\xff\x7f"
                    "ELF\n",
                    7)}) {
    put(content);
    notices.clear();
    PlanCache cache = open();
    EXPECT_EQ(notices.size(), 1u);
    EXPECT_FALSE(cache.find("a"));
    cache.store("a", kPlan);
    EXPECT_EQ(notices.size(), 1u) << "one notice only";
    EXPECT_EQ(open().find("a"), kPlan);
  }
}

TEST_F(PlanCacheTest, DamagedLinesAreDroppedAndTheOthersKept) {
  PlanCache(file).store("good", kPlan);
  const std::string good = text();
  for (const char* const bad : {"no tab\n", "x\t\n", "x\t0 0 -1 1.0\n", "x\t2 0 1 1.0\n",
                                "x\t0 0 1 nan\n", "x\t0 0 1 1.0 5\n", "x\t0 0 1 1.0 5:\n",
                                "x\t0 0 1 1.0 5:6:7\n", "x\t0 0 99999999999999999999 1.0\n",
                                "x\t0 0 1\n", "x\t0 0 7 1.0 1:2 3"}) {  // the last is cut off
    put(good + bad);
    notices.clear();
    PlanCache cache = open();
    EXPECT_EQ(notices.size(), 1u) << bad;
    EXPECT_EQ(cache.find("good"), kPlan) << bad;
    EXPECT_FALSE(cache.find("x")) << bad;
    cache.store("y", kOther);
    notices.clear();
    EXPECT_EQ(open().find("good"), kPlan);
    EXPECT_TRUE(notices.empty()) << "the file was not repaired after " << bad;
  }
  std::string many = "x\t0 0 7 1.0";
  for (int i = 0; i < 1000; ++i) many += " 1:1";
  put(good + many + "\n");
  EXPECT_FALSE(open().find("x"));
}

TEST_F(PlanCacheTest, EveryCutOfAFileIsRead) {
  {
    PlanCache cache(file);
    cache.store("a", kPlan);
    cache.store("b", kOther);
  }
  const std::string whole = text();
  for (std::size_t length = 0; length < whole.size(); ++length) {
    put(whole.substr(0, length));
    const PlanCache cache = open();
    for (const auto& [key, plan] : {std::pair{"a", kPlan}, std::pair{"b", kOther}}) {
      const auto found = cache.find(key);
      EXPECT_TRUE(!found || *found == plan) << "cut at " << length;
    }
  }
}

TEST_F(PlanCacheTest, FoldersThatCannotBeWrittenCostOneNotice) {
  put("doppel cudnn plans 1\n");
  fs::remove(file);
  fs::create_directories(file);  // a folder in the file's place
  std::ofstream(file / "inside") << "x";
  PlanCache cache = open();
  cache.store("a", kPlan);
  cache.store("b", kPlan);
  EXPECT_LE(notices.size(), 2u);
  EXPECT_GE(notices.size(), 1u);
  EXPECT_EQ(cache.find("a"), kPlan) << "kept in memory";
}

TEST_F(PlanCacheTest, WithoutAFileItRemembersForTheProcess) {
  PlanCache cache{fs::path()};
  cache.store("a", kPlan);
  EXPECT_EQ(cache.find("a"), kPlan);
}

// Two processes add plans: none loses the other's, no reader sees half a file.
TEST_F(PlanCacheTest, TwoProcessesShareTheFile) {
  constexpr int count = 40;
  std::vector<pid_t> children;
  for (int process = 0; process < 2; ++process) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      bool clean = true;
      PlanCache cache(file, [&](const std::string&) { clean = false; });
      for (int i = 0; i < count; ++i) {
        cache.store(std::to_string(process) + "/" + std::to_string(i), kPlan);
        const PlanCache reader(file, [&](const std::string&) { clean = false; });
      }
      _exit(clean ? 0 : 1);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = 1;
    waitpid(child, &status, 0);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  }
  PlanCache cache = open();
  for (int process = 0; process < 2; ++process)
    for (int i = 0; i < count; ++i)
      EXPECT_TRUE(cache.find(std::to_string(process) + "/" + std::to_string(i)))
          << process << " " << i;
}

TEST_F(PlanCacheTest, KeysDifferInEveryDependency) {
  const Problem p{kernels::same_padding(16, 32, 32, 128, 256, 3, 1),
                  Direction::forward,
                  MathType::bf16,
                  false,
                  true,
                  kernels::Activation::leaky_relu,
                  0.1f,
                  16};
  const PlanCache::Machine h200{"NVIDIA H200", 90, 132, 91900, "13.0"};
  std::vector<Problem> problems(12, p);
  problems[1].shape.n = 17;
  problems[2].shape.kernel = 5;
  problems[3].shape.pad_end = 2;
  problems[4].direction = Direction::data;
  problems[5].math_type = MathType::f16;
  problems[6].fused = true;
  problems[7].bias = false;
  problems[8].activation = kernels::Activation::sigmoid;
  problems[9].slope = 0.2f;
  problems[10].alignment = 4;
  problems[11].shape.in_channels = 12;  // not to be read as 128
  std::vector<PlanCache::Machine> machines(6, h200);
  machines[1].card = "NVIDIA H100";
  machines[2].compute_capability = 100;
  machines[3].multiprocessors = 131;
  machines[4].cudnn_version = 91901;
  machines[5].driver = "13.1";
  std::vector<std::string> keys;
  for (const Problem& problem : problems) keys.push_back(PlanCache::make_key(problem, h200));
  for (std::size_t i = 1; i < machines.size(); ++i)
    keys.push_back(PlanCache::make_key(p, machines[i]));
  std::sort(keys.begin(), keys.end());
  EXPECT_EQ(std::adjacent_find(keys.begin(), keys.end()), keys.end());
  machines[0].card = "odd\tname\n";
  EXPECT_EQ(PlanCache::make_key(p, machines[0]).find_first_of("\t\n"), std::string::npos);
}

TEST_F(PlanCacheTest, DefaultFolders) {
  const auto with = [](const char* own, const char* cache, const char* home) {
    for (const auto& [name, value] :
         {std::pair{"DOPPEL_CACHE_DIR", own}, {"XDG_CACHE_HOME", cache}, {"HOME", home}})
      value ? setenv(name, value, 1) : unsetenv(name);
    return PlanCache::default_file();
  };
  const std::string home = std::getenv("HOME") ? std::getenv("HOME") : "";
  EXPECT_EQ(with("/own", "/cache", "/home"), "/own/cudnn-plans.txt");
  EXPECT_EQ(with(nullptr, "/cache", "/home"), "/cache/doppel/cudnn-plans.txt");
  EXPECT_EQ(with(nullptr, "", "/home"), "/home/.cache/doppel/cudnn-plans.txt");
  EXPECT_EQ(with(nullptr, nullptr, nullptr), "");
  EXPECT_EQ(with("", "/cache", "/home"), "");
  with(nullptr, nullptr, home.c_str());
}
}  // namespace
