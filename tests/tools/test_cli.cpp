// The program from outside: output, exit codes, and no harm to the user's files.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

#include "tests/tools/cli.h"

namespace {

TEST_F(Cli, HelpAndVersion) {
  const Result help = doppel("--help");
  EXPECT_EQ(help.code, 0);
  for (const char* command : {"extract", "faces", "review", "train", "convert", "demo", "synth",
                              "inspect", "doctor", "bench"}) {
    EXPECT_NE(help.out.find(command), std::string::npos) << command;
    const Result one = doppel(std::string(command) + " --help");
    EXPECT_EQ(one.code, 0) << command;
    EXPECT_GT(one.out.size(), 100u) << command;
    EXPECT_EQ(one.err, "") << command;
  }
  EXPECT_TRUE(doppel("--version").out.starts_with("doppel "));
}

TEST_F(Cli, UsageErrorsAreTwo) {
  EXPECT_EQ(doppel("").code, 2);
  const Result typo = doppel("extrcat x -o y");
  EXPECT_EQ(typo.code, 2);
  EXPECT_NE(typo.err.find("did you mean 'extract'"), std::string::npos) << typo.err;
  EXPECT_EQ(doppel("train -A a").code, 2);
  EXPECT_EQ(doppel("convert x -m m -o y --mask banana").code, 2);
  EXPECT_EQ(doppel("extract x -o y --every 0").code, 2);
}

TEST_F(Cli, DoctorExplains) {
  const Result plain = doppel("doctor");
  EXPECT_EQ(plain.code, 0);
  EXPECT_NE(plain.out.find("gpu"), std::string::npos);
  const Result json = doppel("doctor --json");
  const nlohmann::json parsed = nlohmann::json::parse(json.out);
  EXPECT_TRUE(parsed.contains("gpu"));
  EXPECT_FALSE(parsed["gpu"]["value"].get<std::string>().empty());
  const std::string here = "export DOPPEL_CACHE_DIR=cache &&";
  const auto networks = [&] {
    return nlohmann::json::parse(doppel("doctor --json", here).out).at("face_networks");
  };
  EXPECT_EQ(networks().at("value"), "none in cache/networks");
  EXPECT_NE(networks().at("advice").get<std::string>().find("tools/install_deps.sh faces"),
            std::string::npos);
  fs::create_directories(dir / "cache/networks");
  std::ofstream(dir / "cache/networks/face_landmark.safetensors") << "present";
  EXPECT_NE(networks().at("value").get<std::string>().find("468 points"), std::string::npos);
  EXPECT_FALSE(networks().at("ok"));
  const auto detection = [&] {
    return nlohmann::json::parse(doppel("doctor --json", here).out).at("detection");
  };
  EXPECT_EQ(detection().at("value").get<std::string>().find("CenterFace"), std::string::npos);
  EXPECT_NE(detection().at("advice"), "");
  if (detection().at("value") != "not in this build") {
    std::ofstream(dir / "cache/networks/centerface.onnx") << "present";
    EXPECT_EQ(detection().at("value"), "CenterFace, by OpenCV");
    EXPECT_TRUE(detection().at("ok"));
  }

  if (!parsed["gpu_code"]["ok"].get<bool>()) return;
  for (const char* library : {"cudnn", "cublas", "nvrtc"})
    EXPECT_FALSE(parsed[library]["value"].get<std::string>().empty()) << library;
}

TEST_F(Cli, AGpuIsChosenByNumber) {
  EXPECT_EQ(doppel("doctor --gpu 0").code, 0);
  EXPECT_EQ(doppel("--gpu 0 doctor").code, 0);
  EXPECT_EQ(doppel("doctor --gpu -1").code, 2);
  const Result none = doppel("doctor --gpu 2", "CUDA_VISIBLE_DEVICES=5,7");
  EXPECT_EQ(none.code, 2);
  EXPECT_NE(none.err.find("5,7"), std::string::npos) << none.err;
}

#if DOPPEL_FINDS_FACES
TEST_F(Cli, LandmarksNeedTheirNetwork) {
  make_clip("a.mp4");
  const Result absent =
      doppel("extract a.mp4 -o faces --landmarks mesh", "export DOPPEL_CACHE_DIR=cache &&");
  EXPECT_EQ(absent.code, 3);
  EXPECT_NE(absent.err.find("tools/install_deps.sh faces"), std::string::npos) << absent.err;
  const Result extracted = doppel("extract a.mp4 -o faces", "export DOPPEL_CACHE_DIR=cache &&");
  EXPECT_EQ(extracted.code, 0);
  EXPECT_NE(extracted.out.find("doppel faces coverage faces says"), std::string::npos);
}
#endif

#if DOPPEL_HAS_BENCH
TEST_F(Cli, BenchMeasuresAndCompares) {
  const Result plain = doppel(
      "bench --device cpu --filter 'host/transfer_stats/.*/cold$' --rounds 2 --json first.json");
  EXPECT_EQ(plain.code, 0) << plain.err;
  EXPECT_NE(plain.out.find("host/transfer_stats/f32/"), std::string::npos) << plain.out;
  EXPECT_NE(plain.out.find("ceilings of host"), std::string::npos);

  const Result json = doppel(
      "bench -q --device cpu --filter transfer_stats --rounds 1 --json - --compare first.json");
  EXPECT_EQ(json.code, 0) << json.err;
  const nlohmann::json record = nlohmann::json::parse(json.out);
  EXPECT_EQ(record.at("format"), "doppel-bench-1");
  EXPECT_GT(record.at("rows").at(0).at("share_of_ceiling").get<double>(), 0);
  EXPECT_NE(json.err.find("new / old"), std::string::npos) << json.err;
  EXPECT_NE(json.err.find("--against"), std::string::npos) << json.err;

  EXPECT_NE(doppel("bench --list --filter adam").out.find("host/adam_step/bf16/"),
            std::string::npos);
}

// One run of each process is too little for a verdict, even on a busy machine.
TEST_F(Cli, BenchAlternatesWithAnotherBuild) {
  const Result result = doppel(
      "bench -q --device cpu --filter 'host/transfer_stats/.*/cold$' --seconds 0.01 --json "
      "ab.json --against " DOPPEL_PROGRAM);
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_NE(result.out.find("0 slower, 0 faster"), std::string::npos) << result.out;
  const nlohmann::json record = nlohmann::json::parse(std::ifstream(dir / "ab.json"));
  EXPECT_EQ(record.at("format"), "doppel-bench-ab-1");
  EXPECT_EQ(record.at("rows").at(0).at("seconds_old_new").size(), 8u);
  EXPECT_EQ(doppel("bench --compare ab.json").code, 3) << "holds no record to compare with";
}

// Ctrl-C in the middle: the record so far, and 128+2. Handlers precede children.
TEST_F(Cli, BenchStopsWhenAsked) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    if (::chdir(dir.c_str()) != 0) ::_exit(99);
    ::execl(DOPPEL_PROGRAM, "doppel", "bench", "-q", "--device", "cpu", "--json", "cut.json",
            "--against", DOPPEL_PROGRAM, nullptr);
    ::_exit(99);
  }
  const std::string children =
      "/proc/" + std::to_string(child) + "/task/" + std::to_string(child) + "/children";
  for (int i = 0; i < 600; ++i) {
    std::string pids;
    std::getline(std::ifstream(children), pids);
    if (!pids.empty()) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  ::kill(child, SIGINT);
  int status = 0;
  ::waitpid(child, &status, 0);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 128 + SIGINT);
  EXPECT_EQ(nlohmann::json::parse(std::ifstream(dir / "cut.json")).at("format"),
            "doppel-bench-ab-1");
}

TEST_F(Cli, BenchRefusesWhatItCannotDo) {
  EXPECT_EQ(doppel("bench --filter no_such_kernel").code, 2);
  EXPECT_EQ(doppel("bench --filter '('").code, 2);
  std::ofstream(dir / "mine.json") << "mine";
  EXPECT_EQ(doppel("bench --filter transfer_stats --json mine.json").code, 2);
  std::string mine;
  std::getline(std::ifstream(dir / "mine.json"), mine);
  EXPECT_EQ(mine, "mine");
  EXPECT_EQ(doppel("bench --filter transfer_stats --json no/such/folder/mine.json").code, 8);
  EXPECT_EQ(doppel("bench --compare nowhere.json").code, 3);
  EXPECT_EQ(doppel("bench --filter transfer_stats --against /no/such/doppel").code, 3);
  EXPECT_EQ(doppel("bench --filter transfer_stats --detectable 5").code, 2) << "needs --against";
  std::ofstream(dir / "other.json") << "{}";
  const Result other = doppel("bench --compare other.json");
  EXPECT_EQ(other.code, 3);
  EXPECT_NE(other.err.find("other.json is not a record"), std::string::npos) << other.err;
}
#else
TEST_F(Cli, BenchSaysThatItIsNotBuilt) {
  const Result result = doppel("bench");
  EXPECT_EQ(result.code, 2);
  EXPECT_NE(result.err.find("DOPPEL_BENCH=ON"), std::string::npos) << result.err;
}
#endif

TEST_F(Cli, UnreadableInputIsThree) {
  const Result missing = doppel("extract nowhere.mp4 -o faces");
  EXPECT_EQ(missing.code, 3);
  EXPECT_NE(missing.err.find("nowhere.mp4"), std::string::npos);
  std::ofstream(dir / "text.mp4") << "this is not a video\n";
  const Result text = doppel("extract text.mp4 -o faces");
  EXPECT_EQ(text.code, 3) << text.err;
  EXPECT_EQ(slurp(dir / "text.mp4"), "this is not a video\n");
  std::ofstream(dir / "empty.png");
  EXPECT_EQ(doppel("extract empty.png -o faces").code, 3);
  EXPECT_EQ(doppel("inspect nowhere").code, 3);
  EXPECT_EQ(doppel("extract http://127.0.0.1/x.mp4 -o faces").code, 3);
}

// Tests with faces in clips. A build that has neither must report them as skipped.
struct CliWithClips : Cli {
  void SetUp() override {
    if (!DOPPEL_FINDS_FACES) GTEST_SKIP() << "this build has no video or no detection";
    Cli::SetUp();
  }
};

TEST_F(CliWithClips, TruncatedVideoGivesWhatItHas) {
  make_clip("whole.mkv", "--frames 50");
  const std::string bytes = slurp(dir / "whole.mkv");
  std::ofstream(dir / "cut.mkv", std::ios::binary) << bytes.substr(0, bytes.size() * 6 / 10);
  const Result result = doppel("extract cut.mkv -o faces --every 5 --json -q");
  ASSERT_EQ(result.code, 0) << result.err;
  const nlohmann::json json = nlohmann::json::parse(result.out);
  EXPECT_GT(json["faces"].get<int>(), 0);
  EXPECT_LT(json["frames_read"].get<int>(), 50);
}

TEST_F(CliWithClips, ExtractSaysWhatItDidAndHowLongItTook) {
  make_clip("a.mp4", "--frames 13");
  std::ofstream(dir / "text.mp4") << "this is not a video\n";
  fs::create_directories(dir / "mixed");
  fs::copy_file(dir / "a.mp4", dir / "mixed/clip.mp4");
  const Result no_pictures = doppel("extract mixed -o none -q");
  EXPECT_EQ(no_pictures.code, 3);
  EXPECT_NE(no_pictures.err.find("name clips one by one"), std::string::npos) << no_pictures.err;

  const Result result = doppel("extract a.mp4 text.mp4 -o faces --timings --json -q");
  EXPECT_EQ(result.code, 3) << "one of two could not be read";
  EXPECT_NE(result.err.find("text.mp4"), std::string::npos) << result.err;
  EXPECT_NE(result.err.find("decode"), std::string::npos) << result.err;
  EXPECT_NE(result.err.find("a second"), std::string::npos) << result.err;
  const nlohmann::json json = nlohmann::json::parse(result.out);
  EXPECT_EQ(json["faces"], 3);
  EXPECT_EQ(json["failed"].size(), 1u);
  for (const char* stage : {"decode", "convert", "detect", "align", "write", "wall"})
    EXPECT_GE(json["seconds"][stage].get<double>(), 0) << stage;
  EXPECT_GT(json["frames_per_second"].get<double>(), 0);
  EXPECT_TRUE(json["refused"].is_object());
  const Result again = doppel("extract a.mp4 text.mp4 -o faces -q");
  EXPECT_EQ(again.code, 3);
  EXPECT_NE(again.err.find("1 of 2 inputs were in"), std::string::npos) << again.err;
}

TEST_F(CliWithClips, NoFaceIsFive) {
  ASSERT_EQ(doppel("synth -q --person a --width 64 --height 64 --frames 1 -o small.mp4").code, 0);
  const Result result = doppel("extract small.mp4 -o faces --min-face 1.0 -q");
  EXPECT_EQ(result.code, 5) << result.err;
  EXPECT_NE(result.err.find("small.mp4"), std::string::npos) << result.err;
}

TEST_F(CliWithClips, SmallestWholeRun) {
  ASSERT_EQ(doppel("synth -q --person a --pose-of 5 --frames 30 -o a.mp4 --truth a.jsonl").code, 0);
  ASSERT_EQ(doppel("synth -q --person b --pose-of 6 --frames 30 -o b.mp4").code, 0);
  const std::string truth = slurp(dir / "a.jsonl");
  EXPECT_EQ(std::count(truth.begin(), truth.end(), '\n'), 30);
  for (const std::string p : {"a", "b"}) {
    const Result r =
        doppel("extract " + p + ".mp4 -o faces/" + p + " --every 3 --difference 0 --json -q");
    ASSERT_EQ(r.code, 0) << r.err;
    EXPECT_EQ(nlohmann::json::parse(r.out)["faces"].get<int>(), 10);
  }
  // A folder that holds faces is refused; nothing in it changes.
  EXPECT_EQ(doppel("extract a.mp4 -o faces/a --every 3 -q").code, 2);

  const Result train = doppel(
      "train -A faces/a -B faces/b -m model --model tiny --steps 3 --batch 2 --device cpu --json "
      "-q");
  ASSERT_EQ(train.code, 0) << train.err;
  EXPECT_EQ(nlohmann::json::parse(train.out)["step"].get<int>(), 3);
  EXPECT_EQ(train.err, "");

  const Result convert = doppel("convert a.mp4 -m model -o out.mp4 --json -q --preset ultrafast");
  ASSERT_EQ(convert.code, 0) << convert.err;
  EXPECT_EQ(nlohmann::json::parse(convert.out)["frames"].get<int>(), 30);
  EXPECT_EQ(doppel("convert a.mp4 -m model -o out.mp4 -q").code, 2);        // exists
  EXPECT_EQ(doppel("convert a.mp4 -m model -o a.mp4 -q --force").code, 2);  // is the input

  const nlohmann::json model = nlohmann::json::parse(doppel("inspect model --json").out);
  EXPECT_EQ(model["kind"], "model");
  EXPECT_EQ(model["metadata"]["step"], "3");
  const nlohmann::json video = nlohmann::json::parse(doppel("inspect out.mp4 --json").out);
  EXPECT_EQ(video["kind"], "video");
  EXPECT_EQ(video["marked_synthetic"], true);
  for (const auto& entry : fs::directory_iterator(dir / "faces/a"))
    if (entry.path().extension() == ".png" && entry.path().filename() != "sheet.png") {
      EXPECT_EQ(nlohmann::json::parse(
                    doppel("inspect '" + entry.path().string() + "' --json").out)["kind"],
                "face");
      break;
    }
}

struct CliWithModel : CliWithClips {
  void SetUp() override {
    CliWithClips::SetUp();
    if (IsSkipped()) return;
    for (const std::string p : {"a", "b"}) {
      ASSERT_EQ(doppel("synth -q --person " + p + " --frames 6 -o " + p + ".mp4").code, 0);
      ASSERT_EQ(doppel("extract " + p + ".mp4 -o faces/" + p + " --every 2 -q").code, 0);
    }
  }
  std::string train(const std::string& more) const {
    return "train -A faces/a -B faces/b -m model --model tiny --batch 1 --device cpu -q " + more;
  }
};

TEST_F(CliWithModel, DamagedCheckpointIsFour) {
  ASSERT_EQ(doppel(train("--steps 1")).code, 0);
  std::string bytes = slurp(dir / "model/model.safetensors");
  bytes[bytes.size() / 2] ^= 1;
  std::ofstream(dir / "model/model.safetensors", std::ios::binary) << bytes;
  fs::remove(dir / "model/model.safetensors.prev");
  EXPECT_EQ(doppel("convert a.mp4 -m model -o out.mp4 -q").code, 4);
  EXPECT_EQ(doppel(train("--steps 2")).code, 4);
  EXPECT_EQ(slurp(dir / "model/model.safetensors"), bytes);  // left for the user to look at
  EXPECT_FALSE(fs::exists(dir / "out.mp4"));
}

TEST_F(CliWithModel, DamagedFaceIsFour) {
  const fs::path face =
      *std::find_if(fs::directory_iterator(dir / "faces/a"), fs::directory_iterator(),
                    [](const auto& e) { return e.path().filename().string().starts_with("a_"); });
  std::string bytes = slurp(face);
  const std::size_t at = bytes.find("doppel-face");
  ASSERT_NE(at, std::string::npos);
  bytes[at + 40] ^= 1;
  std::ofstream(face, std::ios::binary) << bytes;
  const Result result = doppel(train("--steps 1"));
  EXPECT_EQ(result.code, 4) << result.err;
  EXPECT_NE(result.err.find(face.filename().string()), std::string::npos) << result.err;
}

TEST_F(CliWithModel, FullDiskIsEightAndTheOldModelSurvives) {
  ASSERT_EQ(doppel(train("--steps 1")).code, 0);
  const std::string before = slurp(dir / "model/model.safetensors");
  const Result result = doppel(train("--steps 2"), "ulimit -f 2000;");  // 2 MB per file
  EXPECT_EQ(result.code, 8) << result.err;
  EXPECT_EQ(slurp(dir / "model/model.safetensors"), before);
  for (const auto& entry : fs::directory_iterator(dir / "model"))
    EXPECT_EQ(entry.path().string().find(".tmp"), std::string::npos) << entry.path();
  EXPECT_EQ(doppel(train("--steps 2")).code, 0);
}

TEST_F(CliWithModel, DryRunTellsTheMemoryAndWritesNothing) {
  const Result text =
      doppel("train -A faces/a -B faces/b -m model --model original --device cpu --dry-run");
  EXPECT_EQ(text.code, 0) << text.err;
  for (const char* word : {"parameters", "optimizer", "activations", "82.1 M", "largest batch"})
    EXPECT_NE(text.out.find(word), std::string::npos) << word << text.out;
  const auto json = nlohmann::json::parse(doppel("train -A faces/a -B faces/b -m model --model "
                                                 "tiny --batch auto --device cpu --precision f32 "
                                                 "--dry-run --json")
                                              .out);
  EXPECT_EQ(json["batch"], json["largest_batch"]);
  EXPECT_EQ(json["parameters"].get<std::int64_t>() * 2, json["optimizer"].get<std::int64_t>());
  EXPECT_GT(json["data_set"].get<std::int64_t>(), 0);
  EXPECT_FALSE(fs::exists(dir / "model"));
  EXPECT_EQ(doppel("train -A faces/a -B faces/b -m model --batch none --dry-run").code, 2);
  EXPECT_EQ(doppel("train -A faces/a -B nowhere -m model --dry-run").code, 3);
}

TEST_F(CliWithModel, PartsIsStillTakenForMicroBatches) {
  const Result help = doppel("train --help");
  EXPECT_NE(help.out.find("--micro-batches"), std::string::npos);
  EXPECT_EQ(help.out.find("--parts"), std::string::npos);
  const std::string dry =
      "train -A faces/a -B faces/b -m model --model tiny --device cpu --dry-run";
  for (const char* flag : {"--parts 2", "--micro-batches 2"}) {
    const Result result = doppel(dry + " --json --batch 4 " + flag);
    ASSERT_EQ(result.code, 0) << result.err;
    EXPECT_EQ(nlohmann::json::parse(result.out)["micro_batches"], 2) << flag;
  }
  EXPECT_EQ(doppel(dry + " --parts 0").code, 2);
}

// The sanitizers reserve terabytes of addresses.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST_F(CliWithModel, MemoryLimitsAreKept) {
  const Result refused =
      doppel("train -A faces/a -B faces/b -m model --model original --batch 1 --device cpu -q",
             "ulimit -v 1600000;");
  EXPECT_EQ(refused.code, 7) << refused.err;
  EXPECT_NE(refused.err.find("GiB"), std::string::npos) << refused.err;
  EXPECT_FALSE(fs::exists(dir / "model/model.safetensors"));
  // With room for some faces at a time the batch goes through in micro-batches.
  const Result divided = doppel(
      "train -A faces/a -B faces/b -m model --model tiny --batch 256 --steps 1 --device cpu "
      "--precision f32 --json",
      "ulimit -v 1100000;");
  EXPECT_EQ(divided.code, 0) << divided.err;
  EXPECT_NE(divided.err.find(" micro-batches"), std::string::npos) << divided.err;
}
#endif

// Ctrl-C while training: saved, 128+2, and the next run goes on.
TEST_F(CliWithModel, InterruptSaves) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    if (::chdir(dir.c_str()) != 0) ::_exit(99);
    ::execl(DOPPEL_PROGRAM, "doppel", "train", "-A", "faces/a", "-B", "faces/b", "-m", "model",
            "--model", "tiny", "--batch", "1", "--device", "cpu", "-q", "--preview-every", "1",
            nullptr);
    ::_exit(99);
  }
  for (int i = 0; i < 600 && !fs::exists(dir / "model/preview.png"); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  ::kill(child, SIGINT);
  int status = 0;
  ::waitpid(child, &status, 0);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 128 + SIGINT);
  const nlohmann::json model = nlohmann::json::parse(doppel("inspect model --json").out);
  const int step = std::stoi(model["metadata"]["step"].get<std::string>());
  EXPECT_GE(step, 1);
  const Result more = doppel(train("--json --steps " + std::to_string(step + 1)));
  EXPECT_EQ(more.code, 0) << more.err;
  EXPECT_EQ(nlohmann::json::parse(more.out)["step"].get<int>(), step + 1);
}
}  // namespace
