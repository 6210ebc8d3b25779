// doppel faces, on folders written here: no detector is needed.
#include <nlohmann/json.hpp>

#include "faceswap/faces/face_file.h"
#include "tests/faceswap/scratch.h"
#include "tests/tools/cli.h"

namespace {

using nlohmann::json;

struct FacesCli : Cli {
  // Six faces: person 0 has tracks 0 and 1, person 1 track 2; one more was refused.
  void SetUp() override {
    Cli::SetUp();
    make_faces(dir / "f", 'a', 5, 7, 64);
    fs::create_directories(dir / "f/refused");
    for (int i = 0; i < 7; ++i) {
      const fs::path path = dir / ("f/a_100" + std::to_string(i) + ".png");
      faceswap::FaceFile file = faceswap::read_face(path);
      file.face.track = i / 2;
      file.face.person = i < 4 ? 0 : 1;
      file.face.sharpness = 10 - i;
      if (i == 1) file.face.marks = {faceswap::FaceMark::blurred};
      if (i == 6) file.face.refused = "too small: 12 pixels";
      faceswap::write_face(i == 6 ? dir / "f/refused/a_1006.png" : path, file.crop, file.face);
    }
    fs::remove(dir / "f/a_1006.png");
  }
  json list() const { return json::parse(doppel("faces list f --json").out); }
  int kept() const { return list().at("kept").get<int>(); }
};

TEST_F(FacesCli, ListShowsPeopleMarksAndReasons) {
  const Result plain = doppel("faces list f");
  EXPECT_EQ(plain.code, 0) << plain.err;
  for (const char* word : {"6 faces to train on, 1 left out", "person 0", "track 0: 2, 1: 2",
                           "blurred", "too small: 12 pixels"})
    EXPECT_NE(plain.out.find(word), std::string::npos) << word << plain.out;
  const json listed = list();
  EXPECT_EQ(listed["people"][0]["kept"], 4);
  EXPECT_EQ(listed["people"][1]["tracks"][1], json({{"track", 3}, {"kept", 0}, {"left_out", 1}}));
  EXPECT_EQ(listed["faces"].size(), 7u);
  EXPECT_EQ(listed["faces"][1]["marks"], json({"blurred"}));
  EXPECT_EQ(listed["faces"][6]["reason"], "too small: 12 pixels");
  EXPECT_EQ(doppel("faces list nowhere").code, 3);
  EXPECT_EQ(doppel("faces").code, 2);
  EXPECT_EQ(doppel("faces burn f").code, 2);
}

TEST_F(FacesCli, DecisionsHoldAndAreTakenBack) {
  EXPECT_EQ(doppel("faces drop f --track 0 --mark blurred --reason 'a blink'").code, 0);
  EXPECT_EQ(list()["faces"][1]["reason"], "a blink");
  EXPECT_EQ(doppel("faces drop f --track 2 f/a_1005.png a_1004.png").code, 0);
  EXPECT_EQ(kept(), 3);
  EXPECT_EQ(doppel("faces keep f refused/a_1006.png").code, 0);
  EXPECT_EQ(kept(), 4);
  for (const int left : {3, 5, 6}) {
    EXPECT_EQ(doppel("faces undo f").code, 0);
    EXPECT_EQ(kept(), left);
  }
  EXPECT_NE(doppel("faces undo f").out.find("nothing to undo"), std::string::npos);
  EXPECT_EQ(doppel("faces redo f").code, 0);
  EXPECT_EQ(kept(), 5);

  EXPECT_EQ(doppel("faces keep f --person 1 --only").code, 0);
  EXPECT_EQ(kept(), 2);  // the refused one stays where it is
  EXPECT_EQ(doppel("faces undo f").code, 0);
  EXPECT_EQ(kept(), 5);

  EXPECT_EQ(doppel("faces name f 0 'Anna B'").code, 0);
  EXPECT_EQ(doppel("faces move f --track 2 --to new").code, 0);
  EXPECT_EQ(list()["people"].size(), 3u);
  const Result merged = doppel("faces merge f 'Anna B' 1 2 --json");
  EXPECT_EQ(json::parse(merged.out)["changed"], 3) << merged.err;
  EXPECT_EQ(list()["people"].size(), 1u);
  EXPECT_EQ(list()["people"][0]["name"], "Anna B");
}

TEST_F(FacesCli, WrongChoicesChangeNothing) {
  EXPECT_EQ(doppel("faces drop f").code, 2);
  EXPECT_EQ(doppel("faces drop f ../f/a_1000.png").code, 2);
  EXPECT_EQ(doppel("faces drop f /etc/passwd").code, 2);
  EXPECT_EQ(doppel("faces drop f --person 7").code, 2);
  EXPECT_EQ(doppel("faces drop f --track 2 --person 0").code, 5);
  EXPECT_EQ(doppel("faces move f --track 2 --to nobody").code, 2);
  EXPECT_EQ(doppel("faces merge f 0").code, 2);
  EXPECT_FALSE(fs::exists(dir / "f/decisions.jsonl"));
}

TEST_F(FacesCli, SortPrintsPaintsAndCopies) {
  const Result sorted =
      doppel("faces sort f --by blur --groups 2 --sheet blur.png --copy-to copies --json");
  ASSERT_EQ(sorted.code, 0) << sorted.err;
  const json rows = json::parse(sorted.out)["faces"];
  ASSERT_EQ(rows.size(), 6u);
  EXPECT_EQ(rows[0]["file"], "a_1005.png");
  EXPECT_EQ(rows[0]["value"], 5.0);
  EXPECT_EQ(rows[5]["group"], 2);
  EXPECT_TRUE(fs::exists(dir / "blur.png"));
  EXPECT_EQ(slurp(dir / "copies/000006_a_1000.png"), slurp(dir / "f/a_1000.png"));
  EXPECT_EQ(doppel("faces sort f --by blur --sheet blur.png").code, 2);
  EXPECT_TRUE(doppel("faces sort f --by blur --reverse").out.starts_with("10\ta_1000.png\n"));
  EXPECT_EQ(json::parse(doppel("faces sort f --by similarity --json").out)["faces"].size(), 6u);
  EXPECT_TRUE(
      doppel("faces sort f --by similarity --like a_1002.png").out.starts_with("0\ta_1002.png\n"));
  EXPECT_EQ(doppel("faces sort f --by beauty").code, 2);
  EXPECT_EQ(doppel("faces sort f --by loss").code, 2);
  EXPECT_EQ(doppel("faces sort f --by blur --like a_1002.png").code, 2);
  EXPECT_EQ(doppel("faces sort f --by blur --copy-to f --force").code, 2);
  EXPECT_EQ(doppel("faces sort f --by yaw").code, 3);  // no landmarks
  EXPECT_EQ(doppel("faces sort f --by blur --groups 2 --all --json").code, 0);
}

TEST_F(FacesCli, CoverageCountsOnePersonsKeptFaces) {
  EXPECT_EQ(doppel("faces drop f a_1000.png").code, 0);
  const Result one = doppel("faces coverage f --person 0 --chart chart.png -q --json");
  ASSERT_EQ(one.code, 0) << one.err;
  EXPECT_EQ(one.err, "");
  const json counts = json::parse(one.out);
  EXPECT_EQ(counts["faces"], 3);
  EXPECT_EQ(counts["directions"].size(), 35u);
  EXPECT_EQ(counts["directions"][0], json({{"yaw", -60}, {"pitch", 30}, {"faces", 0}}));
  const json light = counts["brightness"];
  EXPECT_EQ(light["dim"].get<int>() + light["medium"].get<int>() + light["bright"].get<int>(), 3);
  const std::string first = counts["missing"][0];
  EXPECT_TRUE(first.starts_with("3 of 3 faces have no landmarks")) << first;
  EXPECT_TRUE(fs::exists(dir / "chart.png"));
  EXPECT_EQ(doppel("faces coverage f --chart chart.png -q").code, 2);  // it is there
  EXPECT_EQ(doppel("faces coverage f --chart chart.png -q --force").code, 0);
  const Result all = doppel("faces coverage f -q");
  EXPECT_TRUE(all.out.starts_with("5 faces by direction")) << all.out;
  EXPECT_NE(all.out.find("missing: 5 of 5"), std::string::npos) << all.out;
  EXPECT_NE(all.err.find("2 people counted as one"), std::string::npos) << all.err;
  EXPECT_EQ(doppel("faces drop f --person 1").code, 0);
  EXPECT_EQ(doppel("faces coverage f --person 1").code, 5);
  EXPECT_EQ(doppel("faces coverage f --person 9").code, 2);
}

TEST_F(FacesCli, DamageIsFour) {
  EXPECT_EQ(doppel("faces verify f").code, 0);
  fs::resize_file(dir / "f/a_1002.png", fs::file_size(dir / "f/a_1002.png") - 20);
  const Result result = doppel("faces verify f --json -q");
  EXPECT_EQ(result.code, 4);
  EXPECT_NE(json::parse(result.out)["damaged"][0].get<std::string>().find("a_1002.png"),
            std::string::npos);
  std::ofstream(dir / "f/decisions.jsonl") << "no decision\n";
  const Result list = doppel("faces list f");
  EXPECT_EQ(list.code, 4);
  EXPECT_NE(list.err.find("line 1"), std::string::npos) << list.err;
}

TEST_F(FacesCli, ResizeWritesWhatIsKept) {
  EXPECT_EQ(doppel("faces drop f --person 1").code, 0);
  EXPECT_EQ(doppel("faces resize f -o small --size 64 -q").code, 0);
  const json made = json::parse(doppel("faces list small --json").out);
  EXPECT_EQ(made["kept"], 4);
  EXPECT_EQ(doppel("faces resize f -o f --force -q").code, 2);
  EXPECT_EQ(doppel("faces import f -o other -q").code, 5);  // our own faces are none of theirs
}
}  // namespace
